/** The status of a Farm from what was found. Pure: the same findings give the same status, so that a settled farm writes nothing. */
import type { DatabaseState } from '../../database/connection.ts';
import type { Identity, IdentityReason } from '../../farm/identity.ts';
import type { ReplicaHealth } from '../../replica/projector.ts';
import { type Claim, conditionsOf, type Reason, type Statement, type Verdict } from '../../resources/conditions.ts';
import type { Farm } from '../../resources/kinds.ts';
import { siteNames } from '../projection.ts';
import type { KeysStatus } from './rotation.ts';
import type { ServerView } from './runtimes.ts';
import type { TurnStatus } from './turn.ts';

export interface FarmFindings {
  readonly database: DatabaseState;
  /** Kept from before while the database is away, or is not the farm's. */
  readonly identity?: Identity;
  /** Where the database comes from, for messages: `Secret farm-db, key uri`. */
  readonly databaseSource: string;
  /** Why servers have more rights in the database than they need. */
  readonly excess?: string;
  readonly replica?: ReplicaHealth;
  readonly servers: readonly ServerView[];
  /** How many servers its pools ask for. */
  readonly wanted: number;
  readonly keys?: KeysStatus & { readonly passwords: TurnStatus; readonly ca: TurnStatus };
  /** Why a pod of the embedded database or replica does not start. */
  readonly stuck?: string;
  /** StatefulSets of the database and the replica that take up another template. */
  readonly rolling?: readonly string[];
  readonly knownDevices?: number;
  /** Whose sessions have not ended. */
  readonly devices: number;
  /** What stops the farm before anything else. */
  readonly fault?: { readonly stalled: boolean; readonly reason: Reason; readonly message: string };
}

const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
const streams = ({ reachable, status }: ServerView): boolean => reachable && status?.state === 'Streaming';
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export function farmStatus(farm: Farm, findings: FarmFindings, now: Date): NonNullable<Farm['status']> {
  const { replica, servers, knownDevices, identity } = findings;
  const database = databaseOfFarm(findings, farm, now);
  const ready = servers.filter(streams);
  const booting = Math.min(findings.devices, sum(ready.map(({ status }) => status?.booting ?? 0)));
  const before = farm.status;
  return {
    observedGeneration: farm.metadata.generation ?? 0,
    conditions: conditionsOf(
      before?.conditions ?? [],
      {
        ...verdict(farm, findings, ready.length),
        claims: claims(findings, database, farm.spec.database.external !== undefined),
        generation: farm.metadata.generation ?? 0,
      },
      now,
    ),
    database: {
      state: database.reachable ? 'Reachable' : 'Unreachable',
      kind: farm.spec.database.embedded ? 'Embedded' : 'External',
      ...(identity ? { farmID: identity.farm, adoptions: identity.adoptions } : {}),
      ...(database.reachable ? {} : { offlineSince: time(database.since), message: database.fault.message }),
    },
    ...(replica
      ? {
          replica: {
            state: replica.state,
            followers: { ready: replica.followers, total: servers.length },
            // The projector of a new leader counts from its own start.
            lastChange:
              (replica.state === before?.replica?.state && before.replica.lastChange) || time(replica.lastChange),
            ...(replica.message ? { message: replica.message } : {}),
          },
        }
      : {}),
    ...keysOf(findings, before),
    sites: siteNames(farm.spec).map((name) =>
      siteStatus(
        name,
        ready.filter(({ site }) => site === name),
      ),
    ),
    servers: { ready: ready.length, total: Math.max(findings.wanted, servers.length) },
    devices: {
      known: knownDevices ?? before?.devices?.known ?? 0,
      streaming: findings.devices - booting,
      booting,
    },
  };
}

/** One that answers and is not the farm's is no database of this farm: the farm's own is away, since that was found. */
function databaseOfFarm({ database, fault }: FarmFindings, { status }: Farm, now: Date): DatabaseState {
  if (!database.reachable || !isIdentityFault(fault)) return database;
  const told = Date.parse(status?.database?.offlineSince ?? '');
  return {
    reachable: false,
    since: Number.isNaN(told) ? now.getTime() : told,
    fault: { code: fault.reason, message: fault.message },
  };
}

const isIdentityFault = (
  fault: FarmFindings['fault'],
): fault is { stalled: boolean; reason: IdentityReason; message: string } =>
  fault?.reason === 'DatabaseForeign' || fault?.reason === 'DatabaseBehind';

const told = <State>({ state, request, message }: { state: State; request?: string; message?: string }) => ({
  state,
  ...(request ? { request } : {}),
  ...(message ? { message } : {}),
});

/** Kept while they were not looked at. */
function keysOf({ keys }: FarmFindings, before: Farm['status']): Pick<NonNullable<Farm['status']>, 'keys'> {
  if (!keys) return before?.keys ? { keys: before.keys } : {};
  const { current, passwords, ca } = keys;
  return { keys: { ...told(keys), current, passwords: told(passwords), ca: told(ca) } };
}

function siteStatus(name: string, servers: readonly ServerView[]) {
  const hashes = [...new Set(servers.flatMap(({ status }) => status?.bootstrapHash ?? []))];
  const [hash] = hashes;
  return {
    name,
    servers: servers.length,
    ...(hashes.length === 1 && hash !== undefined ? { bootstrapHash: hash } : {}),
    ...(hashes.length > 1
      ? { message: 'its servers tell devices different things: a change is on its way to them' }
      : {}),
  };
}

function verdict(
  farm: Farm,
  { fault, database, identity, servers, wanted, stuck, rolling = [] }: FarmFindings,
  ready: number,
): { verdict: Verdict; degraded?: Statement } {
  if (farm.metadata.deletionTimestamp)
    return {
      verdict: {
        kind: 'reconciling',
        reason: 'Deleting',
        message: 'it is being deleted: its volumes, folders and Secrets stay for the next Farm of this name',
      },
    };
  if (fault) {
    const { stalled, reason, message } = fault;
    if (stalled) return { verdict: { kind: 'stalled', reason, message } };
    const both = [message, stuck].filter(Boolean).join('; ');
    return { verdict: { kind: 'reconciling', reason: stuck === undefined ? reason : 'PodFaulty', message: both } };
  }
  const total = Math.max(wanted, servers.length);
  const serving = total === 0 ? 'no StreamingServer asks for servers' : `${ready} of ${total} servers stream`;
  const reason = stuck === undefined ? 'DatabaseUnreachable' : 'PodFaulty';
  const away = database.reachable ? stuck : [database.fault.message, stuck].filter(Boolean).join('; ');
  if (rolling.length > 0) {
    const words = [`${rolling.map((name) => `StatefulSet ${name}`).join(', ')} takes up other settings`, away];
    const message = words.filter(Boolean).join('; ');
    return { verdict: { kind: 'reconciling', reason: stuck === undefined ? 'RollingOut' : 'PodFaulty', message } };
  }
  // Who streams from a farm whose database was never reached, streams what another farm left behind.
  if (!database.reachable && (ready === 0 || !identity))
    return { verdict: { kind: 'reconciling', reason, message: away ?? '' } };
  if (total > 0 && ready === 0)
    return { verdict: { kind: 'reconciling', reason: 'ServersStarting', message: serving } };
  const degraded: Statement | undefined = away
    ? {
        reason,
        message: database.reachable ? away : `offline since ${time(database.since)}: ${away}; ${serving}`,
      }
    : farm.spec.suspend
      ? { reason: 'Suspended', message: 'spec.suspend is true: new logins are refused' }
      : undefined;
  return { verdict: { kind: 'ready', message: serving }, ...(degraded ? { degraded } : {}) };
}

const REPLICA_REASONS = {
  InSync: 'ReplicaCurrent',
  Lagging: 'ReplicaLagging',
  Rebuilding: 'ReplicaRebuilding',
  Stale: 'ReplicaUnreachable',
  Offline: 'DatabaseUnreachable',
} as const satisfies Record<ReplicaHealth['state'], Reason>;

function claims(
  { databaseSource, excess, replica, fault }: FarmFindings,
  database: DatabaseState,
  isExternal: boolean,
): Omit<Claim, 'observedGeneration'>[] {
  const foreign = isIdentityFault(fault) ? fault.reason : undefined;
  const refused = !database.reachable && database.fault.code === 'AuthenticationFailed';
  return [
    database.reachable
      ? {
          type: 'DatabaseReachable',
          status: 'True',
          reason: 'DatabaseAnswers',
          message: ['the farm database answers', excess].filter(Boolean).join('; '),
        }
      : {
          type: 'DatabaseReachable',
          status: 'False',
          reason: foreign ?? (refused ? 'DatabaseRefused' : 'DatabaseUnreachable'),
          message: refused
            ? `${database.fault.message}: correct ${databaseSource}`
            : isExternal && !foreign
              ? `${database.fault.message}: make it answer there, or correct ${databaseSource}`
              : database.fault.message,
        },
    replica
      ? {
          type: 'ReplicaInSync',
          status: replica.state === 'InSync' ? 'True' : 'False',
          reason: foreign ?? REPLICA_REASONS[replica.state],
          message: replica.message || 'the replica holds what the database holds',
        }
      : { type: 'ReplicaInSync', status: 'Unknown', reason: 'Progressing', message: 'the replica is being made' },
  ];
}
