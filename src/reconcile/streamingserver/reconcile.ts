/** One look at a pool: what is there, which nodes, what is done to each server; then its status. */
import { type KubeObject, key as keyFor } from '../../kube/object.ts';
import type { StreamingServer } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import type { Member } from '../member.ts';
import { keepDevices, keepWords } from '../quiet.ts';
import { serversOfFarm } from '../servers.ts';
import { applySteps } from './apply.ts';
import { forget, orphanServers, takeDown } from './leave.ts';
import { drainSeconds } from './objects.ts';
import { groundOf, observe, see, serversOf, stuckServers } from './observe.ts';
import { newServers, planServers, progressOf } from './plan.ts';
import { type PoolFindings, poolStatus } from './status.ts';

/** Beyond the drain of its servers. */
const DELETION_WAITS_MS = 60_000;

export const poolMember: Member<'StreamingServer'> = {
  kind: 'StreamingServer',
  table: 'server_pool',
  informer: ({ pools }) => pools,
  deletionWaitsMs: (pool) => drainSeconds(pool) * 1_000 + DELETION_WAITS_MS,
  keep: keepCounts,
  observe: async (context, pool, object, signal) => {
    const findings = await bringAbout(context, pool, object, signal);
    return {
      status: poolStatus(pool, findings, new Date()),
      report: (status) => report(context, object, pool, status, findings),
    };
  },
  takeDown,
  orphan: orphanServers,
};

function keepCounts(after: PoolStatus, before: PoolStatus): PoolStatus {
  const servers = after.servers?.map((server) => {
    const known = before.servers?.find(({ name }) => name === server.name);
    if (!known) return server;
    const { devices = 0, booting = 0, loadPercent } = known;
    return { ...server, devices, booting, ...(loadPercent === undefined ? {} : { loadPercent }) };
  });
  const conditions = keepWords(after.conditions ?? [], before.conditions ?? [], ['Balanced', 'FailoverCapacity']);
  return { ...keepDevices(after, before), conditions, ...(servers ? { servers } : {}) };
}

/** What is known of a pool, what is done to each of its servers, and what was found then. */
export async function bringAbout(
  context: Context,
  pool: StreamingServer,
  object: KubeObject,
  signal: AbortSignal,
): Promise<PoolFindings> {
  const { namespace, name } = pool.metadata;
  const { name: farmName } = pool.spec.farmRef;
  const known = context.runtimes.get(keyFor(namespace, farmName));
  const before = await observe(context, pool, known);
  const ground = groundOf(context, pool, known);
  if (!ground.ok) return { ...before, fault: ground.error };

  const { farm, runtime } = ground.value;
  const sight = see(context, pool, ground.value);
  const { choice, there, deployments } = sight;
  runtime.tookUp(name, newServers(choice.nodes, there));
  const { policy } = pool.spec.rollout;
  const steps = planServers(choice, there, policy);
  await applySteps(context, steps, sight, object, runtime, signal);
  await forget(context, pool, new Set([...choice.nodes, ...deployments.keys()]), runtime, signal);
  runtime.want(serversOfFarm(context, farm));

  const silent = there.flatMap(({ node, podReady }) => (podReady ? [] : (deployments.get(node) ?? [])));
  return {
    ...before,
    lacking: choice.lacking,
    servers: serversOf(runtime, name),
    progress: progressOf(choice.nodes, there, policy),
    held: steps.flatMap((step) => (step.kind === 'Hold' ? [step] : [])),
    stuck: stuckServers(context, namespace, farmName, silent),
  };
}

type PoolStatus = ReturnType<typeof poolStatus>;

/** An Event when something begins to keep a server from its work, and when it streams again. */
function report(
  { record }: Context,
  object: KubeObject,
  pool: StreamingServer,
  status: PoolStatus,
  { stuck }: PoolFindings,
): void {
  for (const server of status.servers ?? []) {
    const before = pool.status?.servers?.find(({ name }) => name === server.name);
    const isStuck = stuck.has(server.name);
    if ((isStuck || server.state === 'Refused') && before?.message !== server.message)
      record(object, {
        type: 'Warning',
        reason: isStuck ? 'PodFaulty' : 'ServerFaulty',
        action: 'Reconcile',
        note: `server ${server.name}: ${server.message ?? ''}`,
      });
    if (server.state === 'Streaming' && before && before.state !== 'Streaming')
      record(object, {
        type: 'Normal',
        reason: 'ServerStreams',
        action: 'Reconcile',
        note: `server ${server.name} streams`,
      });
  }
}
