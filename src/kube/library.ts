import type { OperatorLogger, ResourceEvent, ResourceMeta } from '@dot-i/k8s-operator';
import type { Logger } from '../telemetry/log.ts';
import type { Reconcile } from './controller.ts';
import type { ApiFault } from './fault.ts';
import type { Informer } from './informer.ts';
import { at, type Key, type Kind, type KubeObject, keyOf, type Target } from './object.ts';
import { settled } from './outcome.ts';
import { library } from './upstream.ts';

/** The words of @dot-i/k8s-operator in ours: its logger, its `ResourceMeta`, its events. */

export const librarysLogger = (logger: Logger): OperatorLogger => ({
  debug: (says) => logger.debug({ says }, 'operator library'),
  info: (says) => logger.info({ says }, 'operator library'),
  warn: (says) => logger.warn({ says }, 'operator library'),
  error: (says) => logger.error({ says }, 'operator library'),
});

/** The library names a resource `plural.apiVersion`. */
export function targetOf({ id, apiVersion, kind, namespace, name }: ResourceMeta): Target {
  const plural = id.slice(0, id.length - apiVersion.length - 1);
  return at({ apiVersion, kind, plural }, namespace, name);
}

export const metaOf = (kind: Kind, object: KubeObject): ResourceMeta =>
  library.ResourceMetaImpl.createWithPlural(kind.plural, wired(object));

/**
 * Calls the library's callback for what became of a key since it was called last: Added, Modified or Deleted.
 * Throws what the callback throws, so that the controller calls it again.
 */
export function eventReconcile(
  informer: Pick<Informer, 'kind' | 'get'>,
  onEvent: (event: ResourceEvent) => Promise<void>,
): Reconcile {
  const told = new Map<Key, KubeObject>();
  const { Added, Modified, Deleted } = library.ResourceEventType;
  const tell = (type: ResourceEvent['type'], object: KubeObject): Promise<void> =>
    onEvent({ type, object: wired(object), meta: metaOf(informer.kind, object) });
  return async (key) => {
    const before = told.get(key);
    const object = informer.get(key);
    const another = object?.metadata.uid !== before?.metadata.uid;
    if (before && another) {
      await tell(Deleted, before);
      told.delete(key);
    }
    if (object) {
      await tell(before && !another ? Modified : Added, object);
      told.set(keyOf(object), object);
    }
    return settled;
  };
}

/** The library's object type says Date where the wire has strings; the library and its users read strings. */
const wired = (object: KubeObject): ResourceEvent['object'] => object as unknown as ResourceEvent['object'];

/** For the library's calls, which know no faults: what failed, thrown. */
export function thrown({ code, message }: ApiFault): Error {
  const error = new Error(message);
  error.name = code;
  return error;
}
