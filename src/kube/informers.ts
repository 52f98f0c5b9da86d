/** Several informers of one kind as one: for a kind that is watched in some namespaces, with a right in each and none on the others. */
import type { Delta } from './cache.ts';
import type { Informer } from './informer.ts';
import type { Key, KubeObject } from './object.ts';

/** What reconcilers see of an informer. */
export type InformerView<T extends KubeObject = KubeObject> = Pick<
  Informer<T>,
  'kind' | 'synced' | 'isSynced' | 'get' | 'list' | 'onDelta'
>;

/** Of informers whose objects have no key in common. */
export function joinInformers<T extends KubeObject>(
  informers: readonly [InformerView<T>, ...InformerView<T>[]],
): InformerView<T> {
  const [first, ...others] = informers;
  if (others.length === 0) return first;
  return {
    kind: first.kind,
    synced: Promise.all(informers.map(({ synced }) => synced)).then((all) => all.every(Boolean)),
    get isSynced() {
      return informers.every(({ isSynced }) => isSynced);
    },
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
