/** The status of a pool from what its servers say. Pure. */
import type { ServerStatus as ReportedStatus } from '../../control/status.ts';
import type { ServerView } from '../../operator/poller.ts';
import {
  type Claim,
  conditionsOf,
  type Hindrance,
  type Reason,
  type Statement,
  type Verdict,
} from '../../resources/conditions.ts';
import type { StreamingServer } from '../../resources/kinds.ts';
import { POOL_LABEL } from '../names.ts';
import type { HoldReason, Progress } from './plan.ts';

export interface PoolFindings {
  readonly want: number;
  readonly lacking: number;
  /** Servers whose Deployment is there. */
  readonly servers: readonly ServerView[];
  /** That stream from any of them. */
  readonly devices: number;
  readonly progress: Progress;
  /** Servers that are left as they are for now. */
  readonly held: readonly { readonly node: string; readonly why: HoldReason; readonly waitsFor: readonly string[] }[];
  /** By node, why its server's pod does not start. */
  readonly stuck: ReadonlyMap<string, string>;
  /** What stops the pool before anything else. */
  readonly fault?: Hindrance;
}

type PoolStatus = NonNullable<StreamingServer['status']>;
type ServerStatus = NonNullable<PoolStatus['servers']>[number];

/** A server whose data is not there yet starts; what else it serves not with is a fault. */
const isRefused = ({ faults, state }: Pick<ReportedStatus, 'faults' | 'state'>): boolean =>
  faults.some(({ advisory, code }) => !advisory && !(state === 'Starting' && code === 'NotLoaded'));

export const isStreaming = ({ reachable, status }: ServerView): boolean =>
  reachable && status?.state === 'Streaming' && !isRefused(status);

function stateOf({ reachable, status }: ServerView): ServerStatus['state'] {
  if (!status) return 'Starting';
  if (!reachable) return 'Unreachable';
  return isRefused(status) ? 'Refused' : status.state;
}

function serverStatus(view: ServerView, stuck: string | undefined): ServerStatus {
  const { name, address, status, reachable } = view;
  const said = status?.faults.map((fault) => fault.message).join('; ') || (status && !reachable ? view.message : '');
  const message = stuck ?? said;
  return {
    name,
    addresses: [status?.address ?? address].filter((found) => found !== ''),
    state: stateOf(view),
    ...(status?.bootstrapHash ? { bootstrapHash: status.bootstrapHash } : {}),
    devices: status?.devices ?? 0,
    booting: status?.booting ?? 0,
    ...(status ? { powerRating: status.powerRating, loadPercent: status.loadPercent } : {}),
    ...(message ? { message } : {}),
  };
}

export function poolStatus(pool: StreamingServer, findings: PoolFindings, now: Date): PoolStatus {
  const servers = [...findings.servers]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((view) => serverStatus(view, findings.stuck.get(view.name)));
  const ready = findings.servers.filter(isStreaming).length;
  const generation = pool.metadata.generation ?? 0;
  return {
    observedGeneration: generation,
    conditions: conditionsOf(
      pool.status?.conditions ?? [],
      { ...verdict(pool, findings, servers, ready), claims: claims(pool, findings), generation },
      now,
    ),
    replicas: findings.servers.length,
    readyReplicas: ready,
    updatedReplicas: findings.progress.updated.length,
    selector: `${POOL_LABEL}=${pool.metadata.name}`,
    devices: findings.devices,
    servers,
  };
}

const HELD: Readonly<Record<HoldReason, string>> = {
  Rollout: 'changes when the others serve what it serves',
  OnDemand: 'keeps its settings',
  Replacement: 'goes when those that stay serve what it serves',
  Journal: 'goes when the database has what its journal holds',
  NodeAway: 'waits for its node: delete the Node if it never comes back',
};

function verdict(
  pool: StreamingServer,
  { fault, want, lacking, servers: views, progress, held, stuck }: PoolFindings,
  servers: readonly ServerStatus[],
  ready: number,
): { verdict: Verdict; degraded?: Statement } {
  if (fault) return { verdict: fault };
  const waits = held.filter(({ why }) => why !== 'OnDemand');
  const { outdated, starting, leaving } = progress;
  const changing = outdated.filter((node) => !waits.some((wait) => wait.node === node));
  const told = [
    `${ready} of ${want} servers stream`,
    ...changing.map((node) => `${node} takes up other settings`),
    ...waits.map(
      ({ node, why, waitsFor }) =>
        `${node} ${HELD[why]}${waitsFor.length > 0 ? `: it waits for ${waitsFor.join(', ')}` : ''}`,
    ),
    ...servers.flatMap(({ name, state, message }) => (state === 'Starting' && message ? [`${name}: ${message}`] : [])),
  ].join('; ');
  const degraded = degradedOf(servers, stuck, lacking);
  const more = degraded ? { degraded } : {};
  const reconciling = (reason: Reason, also?: string): { verdict: Verdict; degraded?: Statement } => ({
    verdict: { kind: 'reconciling', reason, message: also === undefined ? told : `${told}; ${also}` },
    ...more,
  });
  if (outdated.length === 0) {
    const complete = [...starting, ...leaving].length + lacking === 0 && views.length === want && ready === want;
    // What serves and was whole is not taken back for a server that ends or starts by itself: that is Degraded.
    if (complete || (ready > 0 && wasReady(pool))) return { verdict: { kind: 'ready', message: told }, ...more };
  }
  if (degraded?.reason === 'ServerFaulty' || degraded?.reason === 'PodFaulty')
    return reconciling(degraded.reason, degraded.message);
  if (outdated.length > 0) return reconciling('RollingOut');
  if (lacking > 0 && ready >= want - lacking) return reconciling('TooFewNodes', degraded?.message);
  return reconciling(leaving.length > 0 && ready >= want ? 'ServersDraining' : 'ServersStarting');
}

/** As it was told last, of this spec. */
const wasReady = ({ metadata, status }: StreamingServer): boolean =>
  status?.conditions?.some(
    ({ type, status: is, observedGeneration }) =>
      type === 'Ready' && is === 'True' && observedGeneration === metadata.generation,
  ) ?? false;

/** What is worse than wanted, the worst first. */
function degradedOf(
  servers: readonly ServerStatus[],
  stuck: PoolFindings['stuck'],
  lacking: number,
): Statement | undefined {
  const refused = servers.filter(({ state }) => state === 'Refused');
  const bad = servers.filter(({ name, state }) => stuck.has(name) || state === 'Refused');
  if (bad.length > 0)
    return {
      reason: refused.length > 0 ? 'ServerFaulty' : 'PodFaulty',
      message: bad.map(({ name, message }) => `${name}: ${message}`).join('; '),
    };
  const silent = servers.filter(({ state }) => state === 'Unreachable');
  if (silent.length > 0)
    return {
      reason: 'ServerUnreachable',
      message: silent.map(({ name, message }) => message || `${name} does not answer`).join('; '),
    };
  if (lacking > 0)
    return {
      reason: 'TooFewNodes',
      message: `${lacking} more nodes are wanted that match spec.placement and have no server yet`,
    };
  return undefined;
}

/** A server is over its share when it has more than this much above the average, and devices are enough to tell. */
const UNEVEN = { percent: 25, devices: 5 };

function claims(pool: StreamingServer, { servers, want, held }: PoolFindings): Omit<Claim, 'observedGeneration'>[] {
  const live = servers.filter(isStreaming).map(({ name, status }) => ({
    name,
    devices: status?.devices ?? 0,
    power: status?.powerRating ?? 1,
  }));
  const total = live.reduce((sum, { devices }) => sum + devices, 0);
  const power = live.reduce((sum, server) => sum + server.power, 0);
  const uneven = live.find(
    ({ devices, power: own }) =>
      devices >= UNEVEN.devices && devices > (total * own * (1 + UNEVEN.percent / 100)) / power + 1,
  );
  const limit = pool.spec.limits.maxDevices;
  const room = Math.max(0, live.length - 1) * limit;
  const suffices = live.length > 1 && total <= room;
  const waiting = held.filter(({ why }) => why === 'OnDemand').map(({ node }) => node);
  return [
    ...(waiting.length > 0
      ? [
          {
            type: 'RolloutPending',
            status: 'True',
            reason: 'RolloutOnDemand',
            message: `${waiting.join(', ')}: another image or setting waits, as spec.rollout.policy is OnDemand: set it to Automatic when they may change`,
          } as const,
        ]
      : []),
    uneven
      ? {
          type: 'Balanced',
          status: 'False',
          reason: 'LoadUneven',
          message: `${uneven.name} has ${uneven.devices} of ${total} devices`,
        }
      : { type: 'Balanced', status: 'True', reason: 'LoadFair', message: 'devices are spread fairly' },
    suffices
      ? {
          type: 'FailoverCapacity',
          status: 'True',
          reason: 'CapacitySuffices',
          message: 'the largest server can be lost',
        }
      : {
          type: 'FailoverCapacity',
          status: 'False',
          reason: 'CapacityShort',
          message:
            live.length > 1
              ? `${total} devices are more than ${live.length - 1} servers may take (limits.maxDevices ${limit}): add a server`
              : `${live.length} of ${want} servers stream: nothing stands in when it is lost`,
        },
  ];
}
