/** The status of a Store from what its servers say. Pure. */
import type { StoreReport } from '../../control/status.ts';
import { type Claim, conditionsOf, type Hindrance, type Statement, type Verdict } from '../../resources/conditions.ts';
import type { Store } from '../../resources/kinds.ts';

export interface StoreOnServer {
  readonly name: string;
  readonly reachable: boolean;
  readonly message: string;
  /** Absent: it has not looked yet. */
  readonly report?: StoreReport;
  /** Why its node does not show it the volume of a shared store. */
  readonly mount?: string;
}

export interface StoreFindings {
  /** Servers that should offer the store. */
  readonly servers: readonly StoreOnServer[];
  /** Devices that stream vDisks of it. */
  readonly devices: number;
  readonly fault?: Hindrance;
}

/** Free space is told in steps of 1 % of the disk, and again when it has moved by more than one, so that a settled store is silent. */
const LEAST_STEP_BYTES = 2 ** 30;

function freeBytes({ freeBytes: now, totalBytes }: StoreReport, told: number | undefined): number {
  const step = Math.max(LEAST_STEP_BYTES, Math.floor(totalBytes / 100));
  if (told !== undefined && Math.abs(now - told) <= step) return told;
  return Math.floor(now / step) * step;
}

const accessible = ({ reachable, report }: StoreOnServer): boolean =>
  reachable && (report?.state === 'Accessible' || report?.state === 'ReadOnly');

export function storeStatus(
  store: Store,
  { servers, devices, fault }: StoreFindings,
  now: Date,
): NonNullable<Store['status']> {
  const generation = store.metadata.generation ?? 0;
  const good = servers.filter(accessible).length;
  const slow = servers.filter((server) => accessible(server) && server.report?.message).map(wordOf);
  const told = [`${good} of ${servers.length} servers reach it`, ...slow].join('; ');
  const wrong = servers.filter((server) => !accessible(server)).map(wordOf);
  return {
    observedGeneration: generation,
    conditions: conditionsOf(
      store.status?.conditions ?? [],
      {
        ...verdict(servers, good, told, wrong.join('; '), fault),
        claims: [claim(servers.length, good, told, wrong)],
        generation,
      },
      now,
    ),
    accessible: `${good}/${servers.length}`,
    devices,
    servers: servers.map((server) => ({
      name: server.name,
      state: server.reachable ? (server.report?.state ?? 'Unreachable') : 'Unreachable',
      ...(server.report
        ? {
            freeBytes: freeBytes(
              server.report,
              store.status?.servers?.find(({ name }) => name === server.name)?.freeBytes,
            ),
            totalBytes: server.report.totalBytes,
            files: server.report.files,
          }
        : {}),
      ...(accessible(server) && !server.report?.message ? {} : { message: wordOf(server) }),
    })),
  };
}

function wordOf(server: StoreOnServer): string {
  const { name, reachable, message, report, mount } = server;
  if (!reachable) return message || `server ${name} does not answer`;
  if (mount !== undefined && !accessible(server)) return `server ${name}: ${mount}`;
  return report ? `server ${name}: ${report.message}` : `server ${name} has not looked yet`;
}

/** The folder is not there, or not where it may be: it comes by a person. */
const isMissing = ({ reachable, report }: StoreOnServer): boolean => reachable && report?.state === 'Missing';

function verdict(
  servers: readonly StoreOnServer[],
  good: number,
  told: string,
  wrong: string,
  fault: StoreFindings['fault'],
): { verdict: Verdict; degraded?: Statement } {
  if (fault) return { verdict: fault };
  if (servers.length === 0)
    return {
      verdict: {
        kind: 'reconciling',
        reason: 'NoServers',
        message: 'no server should offer it: make a StreamingServer of its site, or correct spec.servers',
      },
    };
  if (good === 0) {
    const kind = servers.every(isMissing) ? 'stalled' : 'reconciling';
    return { verdict: { kind, reason: 'NoServerAccess', message: `${told}; ${wrong}` } };
  }
  return {
    verdict: { kind: 'ready', message: told },
    ...(good < servers.length ? { degraded: { reason: 'SomeServersLackAccess', message: wrong } } : {}),
  };
}

function claim(total: number, good: number, told: string, wrong: readonly string[]): Omit<Claim, 'observedGeneration'> {
  if (total > 0 && good === total)
    return { type: 'Accessible', status: 'True', reason: 'AllServersAccess', message: told };
  return {
    type: 'Accessible',
    status: 'False',
    reason: total === 0 ? 'NoServers' : good === 0 ? 'NoServerAccess' : 'SomeServersLackAccess',
    message: [told, ...wrong].join('; '),
  };
}
