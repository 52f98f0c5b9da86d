import { ok, type Result } from '../kit/result.ts';
import type { Client } from './client.ts';
import type { ApiFault } from './fault.ts';
import { groupOf, type Key, type Kind, type KubeObject, key, type OwnerReference, type Target } from './object.ts';

/** The reference that makes `owner` the controller of a child: garbage collection removes the child with it. */
export function controllerRef(kind: Kind, owner: KubeObject): OwnerReference {
  const { name, uid } = owner.metadata;
  if (!uid) throw new Error(`${kind.kind} ${name} has no uid: it was not read from the API`);
  return { apiVersion: kind.apiVersion, kind: kind.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** These are the owner's no more: they stay when it goes. What is somebody else's stays that. The first fault, where there is one. */
export async function orphan(
  client: Client,
  owner: string | undefined,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<Result<void, ApiFault>> {
  const letGo = async (target: Target): Promise<Result<unknown, ApiFault>> => {
    const found = await client.get(target, { signal });
    if (!found.ok) return found;
    const { ownerReferences = [], uid } = found.value.metadata;
    const others = ownerReferences.filter((reference) => reference.uid !== owner);
    if (others.length === ownerReferences.length) return found;
    const metadata = { uid, ownerReferences: others.length > 0 ? others : null };
    return client.patch(target, { metadata }, { signal });
  };
  const done = await Promise.all(targets.map(letGo));
  return done.find(isFault) ?? ok(undefined);
}

/** What is gone has no owner. */
const isFault = (answer: Result<unknown, ApiFault>): answer is Result<never, ApiFault> =>
  !answer.ok && answer.error.code !== 'NotFound';

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
