/** Mount pods of a shared store brought about: one on each node whose server offers it; and why one shows nothing. */
import type { V1Deployment } from '@kubernetes/client-node';
import { offersStore } from '../../farm/files.ts';
import type { Result } from '../../kit/result.ts';
import { ok } from '../../kit/result.ts';
import { applyChanged } from '../../kube/apply.ts';
import type { ApiFault } from '../../kube/fault.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, key as keyFor } from '../../kube/object.ts';
import { controllerRef, orphan, ownedBy } from '../../kube/owner.ts';
import type { Live, Wire } from '../../kube/wire.ts';
import type { Hindrance } from '../../resources/conditions.ts';
import type { Store } from '../../resources/kinds.ts';
import { type Context, logFault, resources } from '../context.ts';
import { HASH_ANNOTATION, INSTANCE_LABEL, MOUNT_NODE_ANNOTATION, mountName, POOL_LABEL } from '../names.ts';
import { podFault, podsOf, refusedPod, volumeWait } from '../pods.ts';
import { isShared, storeRow } from '../projection.ts';
import { holders, nodeOf, serverDeployments } from '../servers.ts';
import { groundOf } from '../streamingserver/observe.ts';
import { claimFault } from './claim.ts';
import { mountDeployment } from './objects.ts';
import { type MountFacts, type MountStep, planMounts } from './plan.ts';

export interface MountFindings {
  readonly fault?: Hindrance;
  /** By node, why nothing is mounted there. */
  readonly waits: ReadonlyMap<string, string>;
}

export const NO_MOUNTS: MountFindings = { waits: new Map() };

type Deployment = Live<V1Deployment>;

/** Of a store whose preconditions hold. */
export async function bringMountsAbout(
  context: Context,
  store: Store,
  owner: KubeObject,
  signal: AbortSignal,
): Promise<MountFindings> {
  const { namespace, name } = store.metadata;
  const runtime = context.runtimes.get(keyFor(namespace, store.spec.farmRef.name));
  const found = deploymentsOf(context, store);
  const live = new Map(found.map((deployment) => [mountNodeOf(deployment), deployment]));
  if (!runtime || (!isShared(store) && live.size === 0)) return NO_MOUNTS;
  const claim = await claimFault(context, store, runtime, signal);
  if (claim.fault) return { fault: claim.fault, waits: new Map() };

  const { wanted, kept } = wantedMounts(context, store, runtime.inputs.lineage);
  const there = [...live].map(([node, deployment]) => factsOf(deployment, wanted.get(node)));
  const refused = new Map<string, string>();
  for (const { kind, node } of planMounts([...wanted.keys()], kept, there)) {
    const target = at(kinds.Deployment, namespace, mountName(name, node));
    const answer = await done(context, { kind, node }, target, wanted.get(node), live.get(node), owner, signal);
    const of = keyFor(namespace, name);
    if (!answer.ok) refused.set(node, `its mount pod is not made as it should be: ${answer.error.message}`);
    logFault(context, `Store ${of}`, `mount ${node} ${kind}`, answer, 'mount pod not changed', { store: of, node });
  }
  const waits = [...wanted.keys()].flatMap((node) => waitOf(context, store, node, live.get(node), claim.waits));
  return { waits: new Map([...waits, ...refused]) };
}

function done(
  { client }: Context,
  { kind }: MountStep,
  target: ReturnType<typeof at>,
  wanted: Wire<V1Deployment> | undefined,
  live: Deployment | undefined,
  owner: KubeObject,
  signal: AbortSignal,
): Promise<Result<unknown, ApiFault>> {
  if (kind === 'Remove' || !wanted) return client.delete(target, { propagationPolicy: 'Background', signal });
  const metadata = { ...wanted.metadata, ownerReferences: [controllerRef(kinds.Store, owner)] };
  return applyChanged(client, target, { ...wanted, metadata }, live, { signal });
}

const mountNodeOf = ({ metadata }: KubeObject): string => metadata.annotations?.[MOUNT_NODE_ANNOTATION] ?? '';

const deploymentsOf = ({ informers }: Context, { metadata: { namespace, name } }: Store): readonly Deployment[] =>
  informers.deployments
    .list()
    .filter((found) => mountNodeOf(found) !== '' && ownedBy(kinds.Store)(found).includes(keyFor(namespace, name)));

/** Where a server is, also one that ends; `kept`: of a pool of which nothing is decided now. */
function wantedMounts(
  context: Context,
  store: Store,
  lineage: string,
): { readonly wanted: ReadonlyMap<string, Wire<V1Deployment>>; readonly kept: readonly string[] } {
  const { namespace } = store.metadata;
  const { image, priorityClassName } = context.settings;
  const farm = store.spec.farmRef.name;
  const runtime = context.runtimes.get(keyFor(namespace, farm));
  const wanted = new Map<string, Wire<V1Deployment>>();
  const kept: string[] = [];
  if (!isShared(store)) return { wanted, kept };
  const servers = serverDeployments(context, namespace, farm);
  const pools = resources('StreamingServer', context.informers.pools, namespace);
  for (const server of holders(servers).values()) {
    const node = nodeOf(server);
    const pool = pools.find(({ metadata }) => metadata.name === server.metadata.labels?.[POOL_LABEL]);
    const ground = pool && groundOf(context, pool, runtime);
    if (!pool || !ground?.ok) kept.push(node);
    else if (offersStore(storeRow(store), { name: node, pool: pool.metadata.name, site: ground.value.site })) {
      const priority = priorityClassName === undefined ? {} : { priorityClassName };
      wanted.set(node, mountDeployment({ store, pool, lineage, node, image, ...priority }));
    }
  }
  return { wanted, kept: [...kept, ...servers.filter(({ metadata }) => metadata.deletionTimestamp).map(nodeOf)] };
}

function factsOf({ metadata, status = {}, ...found }: Deployment, wanted: Wire<V1Deployment> | undefined): MountFacts {
  const settings = wanted?.metadata?.annotations?.[HASH_ANNOTATION];
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0, readyReplicas = 0, conditions = [] } = status;
  return {
    node: mountNodeOf({ metadata, ...found }),
    current: settings !== undefined && metadata.annotations?.[HASH_ANNOTATION] === settings,
    rolledOut:
      observedGeneration >= (metadata.generation ?? 0) &&
      replicas === 1 &&
      updatedReplicas === 1 &&
      readyReplicas === 1,
    overdue: conditions.some(({ type, status: is }) => type === 'Progressing' && is === 'False'),
  };
}

/** What the pod itself has to say comes before what its claim has; one that runs says nothing. */
function waitOf(
  { informers }: Context,
  { metadata: { namespace, name }, spec }: Store,
  node: string,
  deployment: Deployment | undefined,
  claim: string | undefined,
): readonly (readonly [string, string])[] {
  if (!deployment) return [[node, claim ?? 'its mount pod is being made']];
  const refused = refusedPod(deployment);
  if (refused !== undefined) return [[node, refused]];
  const pods = podsOf(informers, namespace, spec.farmRef.name, INSTANCE_LABEL, mountName(name, node));
  const told = claim ?? pods.map(podFault).find((fault) => fault !== undefined) ?? pods.map(volumeWait).find(Boolean);
  return told === undefined ? [] : [[node, told]];
}

/** Nobody owns them: the next Store of this name applies them again, with what they have. */
export function orphanMounts(context: Context, store: Store, signal: AbortSignal): Promise<Result<void, ApiFault>> {
  const { namespace, uid } = store.metadata;
  const targets = deploymentsOf(context, store).map(({ metadata }) => at(kinds.Deployment, namespace, metadata.name));
  return targets.length === 0 ? Promise.resolve(ok(undefined)) : orphan(context.client, uid, targets, signal);
}
