/** Services and StatefulSets of a Farm, applied when they differ. They go with it; its volumes and Secrets stay, for the next Farm of that name. */
import { isIP } from 'node:net';
import { fail, ok, type Result } from '../../kit/result.ts';
import { applyChanged } from '../../kube/apply.ts';
import type { ApiFault } from '../../kube/fault.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type Kind, type KubeObject } from '../../kube/object.ts';
import { controllerRef, orphan } from '../../kube/owner.ts';
import type { Farm } from '../../resources/kinds.ts';
import type { Subject } from '../certificates.ts';
import type { Context } from '../context.ts';
import { databaseName, isManaged, replicaName } from '../names.ts';
import { serviceOf } from './objects.ts';

export type Component = 'database' | 'replica';

interface Owned {
  readonly metadata: object;
}

interface SetStatus {
  readonly observedGeneration?: number;
  readonly currentRevision?: string;
  readonly updateRevision?: string;
}

/** Of a StatefulSet: its controller has not brought about what is asked: a pod of an older template is left. A pod that starts again by itself is no rollout. */
export function isRolling({ metadata, status }: KubeObject): boolean {
  const { observedGeneration = 0, currentRevision, updateRevision } = (status ?? {}) as SetStatus;
  return observedGeneration < (metadata.generation ?? 0) || currentRevision !== updateRevision;
}

export interface ServiceObject extends KubeObject {
  readonly spec?: { readonly clusterIP?: string };
}

const nameOf = (farm: string, component: Component): string =>
  component === 'database' ? databaseName(farm) : replicaName(farm);

export async function ensureObject(
  { client }: Context,
  kind: Kind,
  namespace: string,
  owner: KubeObject,
  name: string,
  desired: Owned,
  signal: AbortSignal,
) {
  const target = at(kind, namespace, name);
  const live = await client.get(target, { signal });
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
  const desired = serviceOf(name, component) as Owned;
  const applied = await ensureObject(context, kinds.Service, namespace, owner, service, desired, signal);
  if (!applied.ok) return applied;
  return ok((applied.value as ServiceObject).spec?.clusterIP ?? service);
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
