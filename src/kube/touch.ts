import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, ObjectMeta } from './object.ts';

/**
 * Whether an update is more than our own status coming back. Kinds with a status subresource raise `generation` with
 * each change of spec; kinds without a generation (Secret, Node, …) count as edited always.
 */
export function isEdit(previous: KubeObject, object: KubeObject): boolean {
  if (object.metadata.generation === undefined) return true;
  return !isDeepStrictEqual(asked(previous.metadata), asked(object.metadata));
}

/** What people and garbage collection say in metadata. */
const asked = (metadata: ObjectMeta) => ({
  uid: metadata.uid,
  generation: metadata.generation,
  labels: metadata.labels,
  annotations: metadata.annotations,
  finalizers: metadata.finalizers,
  ownerReferences: metadata.ownerReferences,
  deletionTimestamp: metadata.deletionTimestamp,
});
