/** Several informers of one kind as one: for a kind that is watched in some namespaces, with a right in each and none on the others. */
import type { Delta } from './cache.ts';
import type { Informer } from './informer.ts';
import type { Key, KubeObject } from './object.ts';

/** What reconcilers see of an informer. */
export type InformerView<T extends KubeObject = KubeObject> = Pick<
  Informer<T>,
  'kind' | 'synced' | 'isSynced' | 'get' | 'list' | 'onDelta'
>;

/** Of one namespace. */
type Part<T extends KubeObject> = InformerView<T> & Pick<Informer<T>, 'answered' | 'namespace'>;

/** Of several, of which some may be closed to this account. */
export interface JoinedInformers<T extends KubeObject = KubeObject> extends InformerView<T> {
  /** Everything of this namespace is known. Nothing follows from what is not there while it is not. */
  isSyncedIn(namespace: string): boolean;
}

/** Of informers whose objects have no key in common. Synced when each was answered: a namespace that is gone, with the rights in it, holds up no other. */
export function joinInformers<T extends KubeObject>(informers: readonly [Part<T>, ...Part<T>[]]): JoinedInformers<T> {
  const [first] = informers;
  return {
    kind: first.kind,
    synced: Promise.all(informers.map(({ answered }) => answered)).then((all) => all.every(Boolean)),
    get isSynced() {
      return informers.every(({ isSynced }) => isSynced);
    },
    isSyncedIn: (namespace) =>
      informers.every((informer) => informer.isSynced || (informer.namespace ?? namespace) !== namespace),
    get: (key: Key) => informers.map((informer) => informer.get(key)).find((object) => object !== undefined),
    list: () => informers.flatMap((informer) => informer.list()),
    onDelta(handler: (delta: Delta<T>) => void) {
      const ends = informers.map((informer) => informer.onDelta(handler));
      return () => {
        for (const end of ends) end();
      };
    },
  };
}
