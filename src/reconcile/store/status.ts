/** The status of a Store from what its servers say. Pure. */
import type { StoreReport } from '../../control/status.ts';
import { type Claim, conditionsOf, type Hindrance, type Statement, type Verdict } from '../../resources/conditions.ts';
import type { Store } from '../../resources/kinds.ts';
import { isReadOnly } from './objects.ts';
import { roomFault, type StoreServer } from './room.ts';

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
  /** vDisks whose files go from it to another store. */
  readonly moving?: readonly string[];
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
  { servers, devices, moving = [], fault }: StoreFindings,
  now: Date,
): NonNullable<Store['status']> {
  const generation = store.metadata.generation ?? 0;
  const good = servers.filter(accessible).length;
  const shown = servers.map((server) => shownOf(server, store));
  const full = shown
    .flatMap((server) => roomFault(server) ?? [])
    .map((words) => `store ${store.metadata.name}: ${words}`);
  const slow = servers.filter((server) => accessible(server) && server.report?.message).map(wordOf);
  const told = [`${good} of ${servers.length} servers reach it`, ...slow].join('; ');
  const wrong = servers.filter((server) => !accessible(server)).map(wordOf);
  return {
    observedGeneration: generation,
    conditions: conditionsOf(
      store.status?.conditions ?? [],
      {
        ...verdict(servers, good, told, { wrong: wrong.join('; '), full: full.join('; ') }, fault),
        claims: [claim(servers.length, good, told, wrong)],
        generation,
      },
      now,
    ),
    accessible: `${good}/${servers.length}`,
    devices,
    ...(moving.length > 0 ? { movingAway: moving.length } : {}),
    servers: shown.map((server) => {
      const words = roomFault(server);
      return words === undefined ? server : { ...server, message: [server.message, words].filter(Boolean).join('; ') };
    }),
  };
}

function shownOf(server: StoreOnServer, { spec, status }: Store): StoreServer {
  const { name, reachable, report } = server;
  const before = status?.servers?.find((one) => one.name === name)?.freeBytes;
  const state = reachable ? (report?.state ?? 'Unreachable') : 'Unreachable';
  return {
    name,
    // A server sees no more of its volume than that it is there.
    state: state === 'Accessible' && isReadOnly(spec) ? 'ReadOnly' : state,
    ...(report
      ? { freeBytes: freeBytes(report, before), totalBytes: report.totalBytes, files: report.files, ...needOf(report) }
      : {}),
    ...(accessible(server) && !report?.message ? {} : { message: wordOf(server) }),
  };
}

/** A server says it: what is no number of bytes is left out. */
const needOf = ({ needBytes }: StoreReport): { readonly needBytes?: number } =>
  Number.isSafeInteger(needBytes) && needBytes !== undefined && needBytes > 0 ? { needBytes } : {};

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
  { wrong, full }: { readonly wrong: string; readonly full: string },
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
    ...(good < servers.length
      ? { degraded: { reason: 'SomeServersLackAccess', message: [wrong, full].filter(Boolean).join('; ') } }
      : full
        ? { degraded: { reason: 'NoRoom', message: full } }
        : {}),
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
