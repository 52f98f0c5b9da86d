/** Services and StatefulSets of a Farm, applied when they differ. They go with it; its volumes and Secrets stay, for the next Farm of that name. */
import { isIP } from 'node:net';
import type { V1Service, V1StatefulSet } from '@kubernetes/client-node';
import type { Subject } from '../../control/certificates.ts';
import { fail, ok, type Result } from '../../kit/result.ts';
import { applyChanged } from '../../kube/apply.ts';
import type { ApiFault } from '../../kube/fault.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type Kind, type KubeObject } from '../../kube/object.ts';
import { controllerRef, orphan } from '../../kube/owner.ts';
import type { Live, Wire } from '../../kube/wire.ts';
import type { Farm } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { databaseName, isManaged, replicaName } from '../names.ts';
import { serviceOf } from './objects.ts';

export type Component = 'database' | 'replica';

/** Of a StatefulSet: its controller has not brought about what is asked: a pod of an older template is left. A pod that starts again by itself is no rollout. */
export function isRolling({ metadata, status = {} }: Live<V1StatefulSet>): boolean {
  const { observedGeneration = 0, currentRevision, updateRevision } = status;
  return observedGeneration < (metadata.generation ?? 0) || currentRevision !== updateRevision;
}

const nameOf = (farm: string, component: Component): string =>
  component === 'database' ? databaseName(farm) : replicaName(farm);

export async function ensureObject<T extends KubeObject>(
  { client }: Context,
  kind: Kind,
  namespace: string,
  owner: KubeObject,
  name: string,
  desired: Wire<V1Service> | Wire<V1StatefulSet>,
  signal: AbortSignal,
): Promise<Result<T, ApiFault>> {
  const target = at(kind, namespace, name);
  const live = await client.get<T>(target, { signal });
  if (!live.ok && live.error.code !== 'NotFound') return live;
  if (live.ok && !isManaged(live.value))
    return fail(
      'Refused',
      `${kind.kind} ${name} in namespace ${namespace} is not bootfarm's, and a Farm of this name needs one of its own: remove it, or name the Farm otherwise`,
    );
  const body = {
    ...desired,
    metadata: { ...desired.metadata, ownerReferences: [controllerRef(kinds.Farm, owner)] },
  };
  const applied = await applyChanged(client, target, body, live.ok ? live.value : undefined, { signal });
  return applied.ok ? ok(applied.value.object) : applied;
}

/** The address of the Service: servers are on the host network, where the names of the cluster may not be known. */
export async function ensureService(
  context: Context,
  farm: Farm,
  owner: KubeObject,
  component: Component,
  signal: AbortSignal,
): Promise<Result<string, ApiFault>> {
  const { name, namespace } = farm.metadata;
  const service = nameOf(name, component);
  const desired = serviceOf(name, component);
  const applied = await ensureObject<Live<V1Service>>(
    context,
    kinds.Service,
    namespace,
    owner,
    service,
    desired,
    signal,
  );
  return applied.ok ? ok(applied.value.spec?.clusterIP ?? service) : applied;
}

/** Services and StatefulSets stay when the Farm goes: the next one of its name applies them again, with the addresses that servers were told. */
export async function orphanOwned(
  { client }: Context,
  { metadata }: KubeObject,
  signal: AbortSignal,
): Promise<Result<void, ApiFault>> {
  const { name, namespace, uid } = metadata;
  const own = [databaseName(name), replicaName(name)].flatMap((child) => [
    at(kinds.Service, namespace, child),
    at(kinds.StatefulSet, namespace, child),
  ]);
  return orphan(client, uid, own, signal);
}

/** What its certificate names: the address that servers are told, and the names that people use. */
export function subjectOf(farm: Farm, component: Component, address: string): Subject {
  const { name, namespace } = farm.metadata;
  const service = nameOf(name, component);
  return {
    names: [service, `${service}.${namespace}`, `${service}.${namespace}.svc`],
    addresses: isIP(address) === 0 ? [] : [address],
    use: 'server',
  };
}
