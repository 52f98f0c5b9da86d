/** What is there: nodes, Deployments, what servers say. Read from informers and from the runtime; nothing is asked here. */
import type { V1Deployment, V1Node } from '@kubernetes/client-node';
import type { Result } from '../../kit/result.ts';
import { secondsOf } from '../../kit/units.ts';
import { key as keyFor } from '../../kube/object.ts';
import type { Live } from '../../kube/wire.ts';
import type { ServerView } from '../../operator/poller.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import type { Hindrance } from '../../resources/conditions.ts';
import type { StreamingServer } from '../../resources/kinds.ts';
import { type Context, devicesUsing, resources } from '../context.ts';
import { HASH_ANNOTATION, INSTANCE_LABEL, POOL_LABEL } from '../names.ts';
import { podFault, podsOf, refusedPod, withHolder } from '../pods.ts';
import { dataFolders, preconditions } from '../preconditions.ts';
import { siteOf } from '../projection.ts';
import { holders, nodeOf, serverDeployments, strangersOn } from '../servers.ts';
import { chooseNodes, type NodeChoice, type NodeFacts } from './nodes.ts';
import type { ServerFacts } from './plan.ts';
import { isStreaming, type PoolFindings } from './status.ts';
import { type Ground, type WantedServer, wantedServers } from './wanted.ts';

export function nodeFacts({ metadata, spec, status }: Live<V1Node>): NodeFacts {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const since = Date.parse(ready?.lastTransitionTime ?? '');
  return {
    name: metadata.name,
    labels: metadata.labels ?? {},
    taints: spec?.taints ?? [],
    unschedulable: spec?.unschedulable ?? false,
    ready: ready?.status === 'True',
    ...(ready?.status === 'True' || Number.isNaN(since) ? {} : { notReadySince: since }),
  };
}

/** `settings` is the digest of what the server should run; a node that is not there at all ran nothing any more. */
export function serverFacts(
  deployment: Live<V1Deployment>,
  view: ServerView | undefined,
  settings: string | undefined,
  node: Pick<NodeFacts, 'ready'> | undefined,
): ServerFacts {
  const { metadata, status = {} } = deployment;
  const said = view?.reachable ? view.status : undefined;
  const seen = (status.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  const { replicas = 0, updatedReplicas = 0, readyReplicas = 0 } = status;
  const updated = seen && replicas === updatedReplicas;
  return {
    node: nodeOf(deployment),
    current: settings !== undefined && metadata.annotations?.[HASH_ANNOTATION] === settings,
    updated,
    rolledOut: updated && replicas === 1 && readyReplicas === 1,
    podReady: readyReplicas > 0,
    streaming: view !== undefined && isStreaming(view),
    devices: said?.devices ?? 0,
    journalEntries: said?.journalEntries ?? 0,
    ending: metadata.deletionTimestamp !== undefined,
    nodeAway: node?.ready === false,
    stores: storesOf(said, true),
    storesLost: storesOf(said, false),
    copies: (said?.copies ?? [])
      .filter(({ state }) => state === 'Present')
      .map(({ vdisk, version, manifest }) => `${vdisk}/${version}@${manifest}`),
    hashing: said?.copies.some(({ state }) => state === 'Hashing') ?? false,
  };
}

const storesOf = (said: ServerView['status'], reached: boolean): readonly string[] =>
  (said?.stores ?? [])
    .filter(({ state }) => (state === 'Accessible' || state === 'ReadOnly') === reached)
    .map(({ name }) => name);

/** Those of a pool, as they answered last. */
export const serversOf = (runtime: FarmRuntime | undefined, pool: string): readonly ServerView[] =>
  (runtime?.servers ?? []).filter((server) => server.pool === pool);

/** What is known of a pool of which nothing is decided. */
export async function observe(
  context: Context,
  pool: StreamingServer,
  runtime: FarmRuntime | undefined,
): Promise<PoolFindings> {
  const { namespace, name } = pool.metadata;
  const rows = await runtime?.rows();
  const registered = (rows?.servers ?? []).filter((server) => server.pool === name);
  const names = new Set([...serversOf(runtime, name), ...registered].map((server) => server.name));
  const farm = keyFor(namespace, pool.spec.farmRef.name);
  const devices = await devicesUsing(context, farm, pool.status?.devices, ({ server }) => names.has(server));
  return {
    want: pool.spec.replicas,
    lacking: 0,
    servers: serversOf(runtime, name),
    devices,
    progress: { outdated: [], updated: [], starting: [], leaving: [] },
    held: [],
    stuck: new Map(),
  };
}

export function groundOf(
  { informers, settings }: Context,
  pool: StreamingServer,
  runtime: FarmRuntime | undefined,
): Result<Ground, Hindrance> {
  const farms = resources('Farm', informers.farms);
  const { namespace } = pool.metadata;
  const farm = farms.find(
    ({ metadata }) => metadata.namespace === namespace && metadata.name === pool.spec.farmRef.name,
  );
  return preconditions('StreamingServer', {
    resource: pool,
    settings,
    databaseFolders: farms.flatMap(dataFolders),
    farm,
    site: farm && siteOf(farm.spec, pool.spec.site),
    runtime,
    serverUri: runtime?.inputs.serverUri,
  });
}

/** What is there of a pool, beside what should be. */
export interface Sight {
  readonly choice: NodeChoice;
  /** By node: as those that were chosen should run, and as the others would, whose Secrets are kept until they go. */
  readonly wanted: ReadonlyMap<string, WantedServer>;
  /** By node. */
  readonly deployments: ReadonlyMap<string, Live<V1Deployment>>;
  readonly there: readonly ServerFacts[];
}

export function see(context: Context, pool: StreamingServer, ground: Ground): Sight {
  const { namespace, name } = pool.metadata;
  const views = serversOf(ground.runtime, name);
  const nodes = new Map(context.informers.nodes.list().map((node) => [node.metadata.name, nodeFacts(node)]));
  const choice = choiceOf(context, pool, views, [...nodes.values()]);
  const found = serverDeployments(context, namespace, pool.spec.farmRef.name, name);
  const deployments = new Map(found.map((deployment) => [nodeOf(deployment), deployment]));
  const wanted = wantedServers(context, pool, ground, [...new Set([...choice.nodes, ...deployments.keys()])]);
  const settingsOf = (node: string) => (choice.nodes.includes(node) ? wanted.get(node)?.settings : undefined);
  const viewOf = (node: string) => views.find((view) => view.name === node);
  const there = [...deployments].map(([node, deployment]) =>
    serverFacts(deployment, viewOf(node), settingsOf(node), nodes.get(node)),
  );
  return { choice, wanted, deployments, there };
}

function choiceOf(
  context: Context,
  pool: StreamingServer,
  servers: readonly ServerView[],
  nodes: readonly NodeFacts[],
): NodeChoice {
  const { namespace, name } = pool.metadata;
  const all = serverDeployments(context, namespace, pool.spec.farmRef.name);
  const placed = [...holders(all).values()]
    .filter(({ metadata }) => metadata.labels?.[POOL_LABEL] === name)
    .map((found) => ({
      node: nodeOf(found),
      devices: servers.find((server) => server.name === nodeOf(found))?.status?.devices ?? 0,
    }));
  const taken = new Set(all.filter(({ metadata }) => metadata.labels?.[POOL_LABEL] !== name).map(nodeOf));
  const replaceAfter = secondsOf(pool.spec.placement.replaceAfter) * 1_000;
  const crowded = new Set(strangersOn(context, namespace, pool.spec.farmRef.name).keys());
  return chooseNodes(
    pool.spec.replicas,
    pool.spec.placement,
    placed,
    nodes,
    { taken, crowded },
    replaceAfter,
    Date.now(),
  );
}

/** By node, why its server does not start. Beside a pod that is Ready, one that failed is only history. */
export function stuckServers(
  context: Context,
  namespace: string,
  farm: string,
  deployments: readonly Live<V1Deployment>[],
): ReadonlyMap<string, string> {
  const strangers = strangersOn(context, namespace, farm);
  return new Map(
    deployments.flatMap((found) => {
      const pods = podsOf(context.informers, namespace, farm, INSTANCE_LABEL, found.metadata.name);
      const fault = refusedPod(found) ?? pods.map(podFault).find((told) => told !== undefined);
      const node = nodeOf(found);
      return fault === undefined ? [] : [[node, withHolder(fault, node, strangers.get(node))] as const];
    }),
  );
}
