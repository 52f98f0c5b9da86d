/** One look at a pool: what is there, which nodes, what is done to each server; then its status. */
import { type KubeObject, key as keyFor } from '../../kube/object.ts';
import type { ServerView } from '../../operator/poller.ts';
import type { StreamingServer } from '../../resources/kinds.ts';
import type { Child } from '../child.ts';
import { type Context, devicesUsing, resources } from '../context.ts';
import { dataFolders, preconditions } from '../preconditions.ts';
import { siteOf } from '../projection.ts';
import { keepDevices, keepWords } from '../quiet.ts';
import { nodeOf, serverDeployments, serversOfFarm } from '../servers.ts';
import { applyServer, renewServer } from './apply.ts';
import { forget, orphanServers, removeServer, takeDown } from './leave.ts';
import { drainSeconds } from './objects.ts';
import { nodesByName, observeNodes, serverFacts, stuckServers } from './observe.ts';
import { newServers, planServers, progressOf } from './plan.ts';
import { type PoolFindings, poolStatus } from './status.ts';
import { wantedServers } from './wanted.ts';

/** Beyond the drain of its servers. */
const DELETION_WAITS_MS = 60_000;

export const poolChild: Child<'StreamingServer'> = {
  kind: 'StreamingServer',
  table: 'server_pool',
  informer: ({ pools }) => pools,
  deletionWaitsMs: (pool) => drainSeconds(pool) * 1_000 + DELETION_WAITS_MS,
  keep: keepCounts,
  look: async (context, pool, object, signal) => {
    const findings = await look(context, pool, object, signal);
    return {
      status: poolStatus(pool, findings, new Date()),
      tell: (status) => tell(context, object, pool, status, findings),
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

async function look(
  context: Context,
  pool: StreamingServer,
  object: KubeObject,
  signal: AbortSignal,
): Promise<PoolFindings> {
  const { namespace, name } = pool.metadata;
  const farmName = pool.spec.farmRef.name;
  const found = resources('Farm', context.informers.farms, namespace).find(
    ({ metadata }) => metadata.name === farmName,
  );
  const want = pool.spec.replicas;
  const known = context.runtimes.get(keyFor(namespace, farmName));
  const mine = (): readonly ServerView[] => (known?.servers ?? []).filter((server) => server.pool === name);
  const rows = await known?.rows();
  const names = new Set(
    [...mine(), ...(rows?.servers ?? []).filter((server) => server.pool === name)].map((server) => server.name),
  );
  const devices = await devicesUsing(context, keyFor(namespace, farmName), pool.status?.devices, ({ server }) =>
    names.has(server),
  );
  const progress = { outdated: [], updated: [], starting: [], leaving: [] };
  const nothing = { want, lacking: 0, servers: mine(), devices, progress, held: [], stuck: new Map() };

  const asked = preconditions('StreamingServer', {
    resource: pool,
    settings: context.settings,
    databaseFolders: resources('Farm', context.informers.farms).flatMap(dataFolders),
    farm: found,
    site: found && siteOf(found.spec, pool.spec.site),
    runtime: known,
    serverUri: known?.inputs.serverUri,
  });
  if (!asked.ok) return { ...nothing, fault: asked.error };
  const { farm, runtime } = asked.value;
  const nodes = nodesByName(context);
  const choice = observeNodes(context, pool, mine(), [...nodes.values()], want);
  const wanted = wantedServers(context, pool, asked.value, choice.nodes);
  const deployments = new Map(
    serverDeployments(context, namespace, farmName, name).map((found) => [nodeOf(found), found]),
  );
  const there = [...deployments].map(([node, found]) =>
    serverFacts(
      found,
      mine().find((view) => view.name === node),
      wanted.get(node)?.settings,
      nodes.get(node),
    ),
  );
  runtime.tookUp(name, newServers(choice.nodes, there));
  const policy = pool.spec.rollout.policy;
  const steps = planServers(choice, there, policy);
  for (const step of steps) {
    const server = wanted.get(step.node);
    const live = deployments.get(step.node);
    if (step.kind === 'Apply' && server) await applyServer(context, server, object, live, runtime, signal);
    if (step.kind === 'Hold' && server) await renewServer(context, server, object, runtime, signal);
    if (step.kind === 'Remove' && live) await removeServer(context, live, signal);
  }
  await forget(context, pool, new Set([...choice.nodes, ...deployments.keys()]), runtime, signal);
  runtime.want(serversOfFarm(context, farm));
  const silent = there.flatMap(({ node, podReady }) => (podReady ? [] : (deployments.get(node) ?? [])));
  return {
    want,
    lacking: choice.lacking,
    servers: mine(),
    devices,
    progress: progressOf(choice.nodes, there, policy),
    held: steps.flatMap((step) => (step.kind === 'Hold' ? [step] : [])),
    stuck: stuckServers(context, namespace, farmName, silent),
  };
}

type PoolStatus = ReturnType<typeof poolStatus>;

/** An Event when something begins to keep a server from its work, and when it streams again. */
function tell(
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
