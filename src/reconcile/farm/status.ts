/** The status of a Farm from what was found. Pure: the same findings give the same status, so that a settled farm writes nothing. */
import type { DatabaseState } from '../../database/connection.ts';
import type { Identity, IdentityReason } from '../../farm/identity.ts';
import type { ServerView } from '../../operator/poller.ts';
import type { ReplicaHealth } from '../../replica/projector.ts';
import {
  type Claim,
  conditionsOf,
  type Hindrance,
  type Reason,
  rfc3339,
  type Statement,
  type Verdict,
} from '../../resources/conditions.ts';
import type { Farm } from '../../resources/kinds.ts';
import { siteNames } from '../projection.ts';
import { lostPassword } from './lost.ts';
import type { RecoveryStatus } from './recovery.ts';
import type { KeysStatus } from './rotation.ts';
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
  /** Absent: nothing new is known of the copy. */
  readonly recovery?: RecoveryStatus | 'None';
  /** Why a pod of the embedded database or replica does not start. */
  readonly stuck?: string;
  /** StatefulSets of the database and the replica that take up another template. */
  readonly rolling?: readonly string[];
  readonly knownDevices?: number;
  /** Whose sessions have not ended. */
  readonly devices: number;
  /** What stops the farm before anything else. */
  readonly fault?: Hindrance;
}

const time = (ms: number): string => rfc3339(new Date(ms));
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
        claims: claims(farm, findings, database),
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
    ...keysOf(farm, findings),
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

const isIdentityFault = (fault: FarmFindings['fault']): fault is Hindrance & { readonly reason: IdentityReason } =>
  fault?.reason === 'DatabaseForeign' || fault?.reason === 'DatabaseBehind';

const told = <State>({ state, request, message }: { state: State; request?: string; message?: string }) => ({
  state,
  ...(request ? { request } : {}),
  ...(message ? { message } : {}),
});

/** Kept while they were not looked at. */
function keysOf(farm: Farm, findings: FarmFindings): Pick<NonNullable<Farm['status']>, 'keys'> {
  const { keys: before } = farm.status ?? {};
  const { keys } = findings;
  if (!keys) return before ? { keys: before } : {};
  const { current, passwords, ca } = keys;
  const recovery = findings.recovery ?? before?.recovery;
  return {
    keys: {
      ...told(keys),
      current,
      passwords: told(passwords),
      ca: told(ca),
      ...(recovery && recovery !== 'None' ? { recovery } : {}),
    },
  };
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

function verdict(farm: Farm, findings: FarmFindings, ready: number): { verdict: Verdict; degraded?: Statement } {
  const { fault, database, identity, servers, wanted, stuck, rolling = [] } = findings;
  if (fault) {
    if (fault.kind === 'stalled') return { verdict: fault };
    const { reason, message } = fault;
    const both = [message, stuck].filter(Boolean).join('; ');
    return { verdict: { kind: 'reconciling', reason: stuck === undefined ? reason : 'PodFaulty', message: both } };
  }
  const total = Math.max(wanted, servers.length);
  const serving = total === 0 ? 'no StreamingServer asks for servers' : `${ready} of ${total} servers stream`;
  const away = awayOf(farm, findings, database);
  const isLost = away?.reason === 'DatabasePasswordLost';
  const reason = isLost || stuck === undefined ? (away?.reason ?? 'PodFaulty') : 'PodFaulty';
  const why = [away?.message, stuck].filter(Boolean).join('; ');
  if (rolling.length > 0 && !isLost) {
    const words = [`${rolling.map((name) => `StatefulSet ${name}`).join(', ')} takes up other settings`, why];
    const message = words.filter(Boolean).join('; ');
    return { verdict: { kind: 'reconciling', reason: stuck === undefined ? 'RollingOut' : 'PodFaulty', message } };
  }
  // Servers serve on from what they hold. A Farm that was never seen in its database since it was made holds nothing yet.
  if (away && (ready === 0 || !identity)) {
    const statement = { reason, message: why };
    return { verdict: isLost ? { kind: 'stalled', ...statement } : { kind: 'reconciling', ...statement } };
  }
  if (total > 0 && ready === 0)
    return { verdict: { kind: 'reconciling', reason: 'ServersStarting', message: serving } };
  const degraded: Statement | undefined = why
    ? {
        reason,
        message: database.reachable ? why : `offline since ${time(database.since)}: ${why}; ${serving}`,
      }
    : farm.spec.suspend
      ? { reason: 'Suspended', message: 'spec.suspend is true: new logins are refused' }
      : undefined;
  return { verdict: { kind: 'ready', message: serving }, ...(degraded ? { degraded } : {}) };
}

/** Why the database is no use, and what helps. */
function awayOf(farm: Farm, { databaseSource, fault }: FarmFindings, database: DatabaseState): Statement | undefined {
  if (database.reachable) return undefined;
  const { code, message } = database.fault;
  if (isIdentityFault(fault)) return { reason: fault.reason, message };
  const lost = lostPassword(farm, database);
  if (lost) return { reason: 'DatabasePasswordLost', message: lost };
  if (code === 'AuthenticationFailed')
    return { reason: 'DatabaseRefused', message: `${message}: correct ${databaseSource}` };
  const isExternal = farm.spec.database.external !== undefined;
  const help = isExternal ? `${message}: make it answer there, or correct ${databaseSource}` : message;
  return { reason: 'DatabaseUnreachable', message: help };
}

const REPLICA_REASONS = {
  InSync: 'ReplicaCurrent',
  Lagging: 'ReplicaLagging',
  Rebuilding: 'ReplicaRebuilding',
  Stale: 'ReplicaUnreachable',
  Offline: 'DatabaseUnreachable',
} as const satisfies Record<ReplicaHealth['state'], Reason>;

function claims(farm: Farm, findings: FarmFindings, database: DatabaseState): Omit<Claim, 'observedGeneration'>[] {
  const { excess, replica, fault } = findings;
  const foreign = isIdentityFault(fault) ? fault.reason : undefined;
  const away = awayOf(farm, findings, database);
  return [
    away
      ? { type: 'DatabaseReachable', status: 'False', ...away }
      : {
          type: 'DatabaseReachable',
          status: 'True',
          reason: 'DatabaseAnswers',
          message: ['the farm database answers', excess].filter(Boolean).join('; '),
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
