import type { Client } from './client.ts';
import { groupOf, type Key, type Kind, type KubeObject, key, type OwnerReference, type Target } from './object.ts';

/** The reference that makes `owner` the controller of a child: garbage collection removes the child with it. */
export function controllerRef(kind: Kind, owner: KubeObject): OwnerReference {
  const { name, uid } = owner.metadata;
  if (!uid) throw new Error(`${kind.kind} ${name} has no uid: it was not read from the API`);
  return { apiVersion: kind.apiVersion, kind: kind.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** Nobody owns these any more: they stay when their owner goes. Whether that is so of all of them. */
export async function orphan(client: Client, targets: readonly Target[], signal: AbortSignal): Promise<boolean> {
  const patched = await Promise.all(
    targets.map((target) => client.patch(target, { metadata: { ownerReferences: null } }, { signal })),
  );
  return patched.every((answer) => answer.ok || answer.error.code === 'NotFound');
}

/** For a controller's sources: the owner of a child, when its controller is of this kind (in any version of the group). */
export const ownedBy =
  (kind: Kind) =>
  ({ metadata }: KubeObject): readonly Key[] =>
    (metadata.ownerReferences ?? [])
      .filter((owner) => owner.controller && owner.kind === kind.kind)
      .filter((owner) => groupOf(owner.apiVersion) === groupOf(kind.apiVersion))
      .map((owner) => key(metadata.namespace, owner.name));

/** For a controller's sources: the object that a label names, in the same namespace. For children without an owner. */
export const labelled =
  (label: string) =>
  ({ metadata }: KubeObject): readonly Key[] => {
    const name = metadata.labels?.[label];
    return name ? [key(metadata.namespace, name)] : [];
  };
