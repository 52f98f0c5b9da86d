/** What all deletions have in common: whether a resource goes because its whole kind does, and what is said of one that waits. */
import { ok, type Result } from '../kit/result.ts';
import { applyStatusChanged } from '../kube/apply.ts';
import type { Client } from '../kube/client.ts';
import type { ApiFault } from '../kube/fault.ts';
import { kinds } from '../kube/kinds.ts';
import { at, type KubeObject, key as keyFor } from '../kube/object.ts';
import { conditionsOf } from '../resources/conditions.ts';
import { fitStatus } from '../resources/fit.ts';
import { GROUP } from '../resources/kind.ts';
import type { KindName, ResourceByName } from '../resources/kinds.ts';
import { type Context, logFault } from './context.ts';

/**
 * All resources of its kind go, and nobody said that this one should: its rows and what runs for it stay, for the next one of its name. An operator
 * that may not ask (the Role of an earlier release) takes it for a deletion of this one; an API that does not answer says neither.
 */
export async function goesWithKind(
  client: Client,
  kind: KindName,
  signal: AbortSignal,
): Promise<Result<boolean, ApiFault>> {
  const name = `${kinds[kind].plural}.${GROUP}`;
  const found = await client.get(at(kinds.CustomResourceDefinition, undefined, name), { signal });
  if (found.ok) return ok(found.value.metadata.deletionTimestamp !== undefined);
  if (found.error.code === 'NotFound') return ok(true);
  return found.error.code === 'Forbidden' ? ok(false) : found;
}

/** `left`: what its deletion waits for, or what it leaves. The deletion goes on though nobody can be told; one that is gone needs no telling. */
export async function reportDeleting<K extends KindName>(
  context: Context,
  kind: K,
  { metadata, status }: ResourceByName<K>,
  object: KubeObject,
  left: string,
  signal: AbortSignal,
): Promise<void> {
  const generation = object.metadata.generation ?? 0;
  const verdict = { kind: 'reconciling', reason: 'Deleting', message: `it is being deleted: ${left}` } as const;
  const conditions = conditionsOf(status?.conditions ?? [], { verdict, generation }, new Date());
  const told = { ...status, observedGeneration: generation, conditions } as NonNullable<ResourceByName<K>['status']>;
  const target = at(kinds[kind], metadata.namespace, metadata.name);
  const written = await applyStatusChanged(context.client, target, fitStatus(kind, told), object, { signal });
  if (!written.ok && (written.error.code === 'NotFound' || written.error.code === 'Conflict')) return; // the next reconcile reports
  logFault(context, `${kind} ${keyFor(metadata.namespace, metadata.name)}`, 'deleting', written, 'deletion not told');
}
