/** One look at a pool: which nodes, a Secret and a Deployment for each, one change at a time; then its status. */

import { snapshot } from '../../database/project.ts';
import { unregisterServer } from '../../database/servers.ts';
import { applyChanged, applyStatusChanged } from '../../kube/apply.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, key as keyFor, partsOf } from '../../kube/object.ts';
import { lookAgain, type Outcome, outcomeOf, settled } from '../../kube/outcome.ts';
import { controllerRef } from '../../kube/owner.ts';
import { followerConfig } from '../../replica/config.ts';
import type { StreamingServer } from '../../resources/kinds.ts';
import { secondsOf } from '../../resources/units.ts';
import { isDue, type KeyPair, makeCertificate } from '../certificates.ts';
import {
  type Context,
  forbiddenImages,
  forbiddenPaths,
  LOOK_SETTLED_MS,
  LOOK_UNSETTLED_MS,
  resource,
  resources,
  tellUnreadable,
} from '../context.ts';
import type { FarmRuntime, Infrastructure, ServerView } from '../farm/runtimes.ts';
import { HASH_ANNOTATION, labelsOf, POOL_LABEL, serverName } from '../names.ts';
import { bootOfSite, siteOf } from '../projection.ts';
import { encodeData, readSecret } from '../secrets.ts';
import { nodeOf, serverDeployments } from '../servers.ts';
import { chooseNodes, type NodeFacts } from './nodes.ts';
import { deployment, type ServerPlan, serverConfig, settingsHash } from './objects.ts';
import { isStreaming, type PoolFindings, poolStatus } from './status.ts';

const DEFAULT_REPLACE_AFTER = '10m';

export async function reconcilePool(context: Context, key: string, signal: AbortSignal): Promise<Outcome> {
  const found = resource('StreamingServer', context.informers.pools, key);
  if (!found) return settled; // its Deployments go with it: they are its children
  const { namespace, name } = partsOf(key);
  const target = at(kinds.StreamingServer, namespace, name);
  const { object, parsed } = found;
  if (!parsed.ok) return tellUnreadable(context, target, object, parsed.error, signal);
  const pool = parsed.value;
  const findings = await look(context, pool, object, signal);
  const status = poolStatus(pool, findings, new Date());
  tell(context, object, pool, status);
  const written = await applyStatusChanged(context.client, target, status, object, { signal });
  if (!written.ok) return outcomeOf(written.error);
  const ready = status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  return lookAgain(ready ? LOOK_SETTLED_MS : LOOK_UNSETTLED_MS);
}

type Fault = NonNullable<PoolFindings['fault']>;
const stalled = (reason: Fault['reason'], message: string): Fault => ({ kind: 'stalled', reason, message });
const waiting = (reason: Fault['reason'], message: string): Fault => ({ kind: 'reconciling', reason, message });

async function look(
  context: Context,
  pool: StreamingServer,
  object: KubeObject,
  signal: AbortSignal,
): Promise<PoolFindings> {
  const { namespace = 'default', name } = pool.metadata;
  const farmName = pool.spec.farmRef.name;
  const farm = resources('Farm', context.informers.farms, namespace).find((found) => found.metadata.name === farmName);
  const want = pool.spec.autoscaling?.minReplicas ?? pool.spec.replicas ?? 2;
  const runtime = context.runtimes.get(keyFor(namespace, farmName));
  const mine = (): readonly ServerView[] => (runtime?.servers ?? []).filter((server) => server.pool === name);
  const nothing = { want, lacking: 0, servers: mine(), updated: 0 };

  const refused = refusal(context, pool);
  if (refused) return { ...nothing, fault: refused };
  if (!farm)
    return {
      ...nothing,
      fault: waiting('FarmMissing', `Farm ${farmName}, which spec.farmRef names, is not in namespace ${namespace}`),
    };
  const site = siteOf(farm.spec, pool.spec.site);
  if (site === undefined)
    return {
      ...nothing,
      fault: stalled('SiteUnknown', `Farm ${farmName} has no site ${pool.spec.site ?? '(say which: it has several)'}`),
    };
  if (!runtime)
    return { ...nothing, fault: waiting('FarmNotReady', `Farm ${farmName} is being made: see its conditions`) };

  const choice = choose(context, pool, farmName, mine(), want);
  const plans = choice.nodes.map(
    (node): ServerPlan => ({
      pool,
      farm: farmName,
      site,
      node,
      image: context.settings.image,
      release: context.settings.release,
      httpPort: bootOfSite(farm.spec, site).http.port,
    }),
  );
  const updated = await bringUp(context, plans, object, runtime.inputs, mine(), signal);
  await remove(context, pool, choice.nodes, runtime, signal);
  return { want, lacking: choice.lacking, servers: mine(), updated };
}

function refusal({ settings }: Context, { spec }: StreamingServer): Fault | undefined {
  const paths = forbiddenPaths(settings, [...(spec.storeRoots ?? []), spec.stateDirectory ?? '/var/lib/bootfarm']);
  if (paths.length > 0)
    return stalled(
      'NotAllowed',
      `host path ${paths.join(', ')} is not on the operator's list: ${settings.allowedHostPaths.join(', ') || 'it is empty'}`,
    );
  const images = forbiddenImages(settings, [spec.image]);
  if (images.length > 0)
    return stalled(
      'NotAllowed',
      `image ${images.join(', ')} is not on the operator's list: ${settings.allowedImages.join(', ') || 'it is empty'}`,
    );
  return undefined;
}

interface NodeObject extends KubeObject {
  readonly spec?: { readonly taints?: NodeFacts['taints']; readonly unschedulable?: boolean };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
  };
}

function nodeFacts(node: NodeObject): NodeFacts {
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  const since = Date.parse(ready?.lastTransitionTime ?? '');
  return {
    name: node.metadata.name,
    labels: node.metadata.labels ?? {},
    taints: node.spec?.taints ?? [],
    unschedulable: node.spec?.unschedulable ?? false,
    ready: ready?.status === 'True',
    ...(ready?.status === 'True' || Number.isNaN(since) ? {} : { notReadySince: since }),
  };
}

function choose(context: Context, pool: StreamingServer, farm: string, servers: readonly ServerView[], want: number) {
  const { namespace = 'default', name } = pool.metadata;
  const all = serverDeployments(context, namespace, farm);
  const placed = all
    .filter(({ metadata }) => metadata.labels?.[POOL_LABEL] === name && !metadata.deletionTimestamp)
    .map((found) => ({
      node: nodeOf(found),
      devices: servers.find((server) => server.name === nodeOf(found))?.status?.devices ?? 0,
    }));
  const taken = new Set(all.filter(({ metadata }) => metadata.labels?.[POOL_LABEL] !== name).map(nodeOf));
  const nodes = context.informers.nodes.list().map((node) => nodeFacts(node as NodeObject));
  const replaceAfter = secondsOf(pool.spec.placement?.replaceAfter ?? DEFAULT_REPLACE_AFTER) * 1_000;
  return chooseNodes(want, pool.spec.placement ?? {}, placed, nodes, taken, replaceAfter, Date.now());
}

/** New servers at once; a server with other settings only while every other one streams: one at a time. Gives how many are as wanted. */
async function bringUp(
  context: Context,
  plans: readonly ServerPlan[],
  owner: KubeObject,
  infrastructure: Infrastructure,
  views: readonly ServerView[],
  signal: AbortSignal,
): Promise<number> {
  let updated = 0;
  let changing = false;
  for (const plan of plans) {
    const { namespace = 'default', name: pool } = plan.pool.metadata;
    const name = serverName(pool, plan.node);
    const live = serverDeployments(context, namespace, plan.farm, pool).find((found) => nodeOf(found) === plan.node);
    const files = serverFiles(plan, infrastructure);
    const settings = settingsHash([...Object.values(files), plan.pool.spec.image ?? plan.image]);
    const desired = { ...deployment(plan, settings) } as { metadata: object };
    const body = {
      ...desired,
      metadata: { ...desired.metadata, ownerReferences: [controllerRef(kinds.StreamingServer, owner)] },
    };
    const current = live?.metadata.annotations?.[HASH_ANNOTATION] === settings;
    const othersStream = plans.every(
      ({ node }) => node === plan.node || views.some((view) => view.name === node && isStreaming(view)),
    );
    if (live && !current && (changing || !(othersStream || plans.length === 1))) continue;
    if (live && !current) changing = true;
    const secret = await ensureServerSecret(context, plan, name, files, infrastructure.authority, signal);
    if (!secret) continue;
    const applied = await applyChanged(context.client, at(kinds.Deployment, namespace, name), body, live, { signal });
    if (!applied.ok) context.log.warn({ server: plan.node, ...applied.error }, 'server not applied');
    else updated++;
  }
  return updated;
}

function serverFiles(plan: ServerPlan, { databaseUri, primary }: Infrastructure): Record<string, string> {
  return {
    'server.json': `${JSON.stringify(serverConfig(plan), null, 2)}\n`,
    'database-uri': databaseUri,
    'redis.conf': primary
      ? followerConfig({
          primaryHost: primary.host,
          primaryPort: primary.port,
          followerPassword: primary.followerPassword,
          socketPath: '/run/bootfarm/redis.sock',
          folder: '/data',
        })
      : '',
  };
}

async function ensureServerSecret(
  { client, log }: Context,
  plan: ServerPlan,
  name: string,
  files: Readonly<Record<string, string>>,
  authority: KeyPair,
  signal: AbortSignal,
): Promise<boolean> {
  const { namespace = 'default' } = plan.pool.metadata;
  const found = await readSecret(client, namespace, name, { signal });
  if (!found.ok) return false;
  const held = found.value ?? {};
  const text = (key: string): string => held[key]?.toString('utf8') ?? '';
  const certificate = isDue(text('tls.crt'), authority.cert, Date.now())
    ? await makeCertificate(authority, plan.node, Date.now())
    : { cert: text('tls.crt'), key: text('tls.key') };
  const wanted = { ...files, 'tls.crt': certificate.cert, 'tls.key': certificate.key, 'ca.crt': authority.cert };
  if (Object.entries(wanted).every(([key, value]) => text(key) === value)) return true;
  const data = encodeData(Object.fromEntries(Object.entries(wanted).map(([key, value]) => [key, Buffer.from(value)])));
  const labels = { ...labelsOf(plan.farm, 'server'), [POOL_LABEL]: plan.pool.metadata.name };
  const applied = await client.apply(
    at(kinds.Secret, namespace, name),
    { metadata: { labels }, type: 'Opaque', data },
    { signal },
  );
  if (!applied.ok) log.warn({ server: plan.node, ...applied.error }, 'server secret not applied');
  return applied.ok;
}

/** Deployments on nodes that are not chosen: SIGTERM drains them. Then their rows and Secrets. */
async function remove(
  context: Context,
  pool: StreamingServer,
  nodes: readonly string[],
  runtime: FarmRuntime,
  signal: AbortSignal,
): Promise<void> {
  const { namespace = 'default', name } = pool.metadata;
  const there = serverDeployments(context, namespace, pool.spec.farmRef.name, name);
  for (const found of there) {
    if (nodes.includes(nodeOf(found)) || found.metadata.deletionTimestamp) continue;
    await context.client.delete(at(kinds.Deployment, namespace, found.metadata.name), {
      propagationPolicy: 'Foreground',
      signal,
    });
  }
  const rows = await snapshot(runtime.database);
  if (!rows.ok || !rows.value) return;
  for (const server of rows.value.servers) {
    if (server.pool !== name || there.some((found) => nodeOf(found) === server.name)) continue;
    await unregisterServer(runtime.database, server.name);
    await context.client.delete(at(kinds.Secret, namespace, serverName(name, server.name)), { signal });
  }
}

type PoolStatus = ReturnType<typeof poolStatus>;

/** An Event when a server begins or ceases to be Refused. */
function tell({ record }: Context, object: KubeObject, pool: StreamingServer, status: PoolStatus): void {
  for (const server of status.servers ?? []) {
    const before = pool.status?.servers?.find(({ name }) => name === server.name);
    if (server.state === 'Refused' && before?.message !== server.message)
      record(object, {
        type: 'Warning',
        reason: 'ServerFaulty',
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
