import { type Key, type KubeObject, keyOf } from './object.ts';
import type { Change } from './watcher.ts';

/** What happened to one object, as the cache saw it. */
export type Delta<T extends KubeObject = KubeObject> =
  | { readonly kind: 'Added'; readonly object: T }
  | { readonly kind: 'Updated'; readonly object: T; readonly previous: T }
  | { readonly kind: 'Deleted'; readonly object: T };

/** The last known state of each object, by key. */
export class Cache<T extends KubeObject = KubeObject> {
  readonly #objects = new Map<Key, T>();

  get(key: Key): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Takes a change in and says what it changed: nothing for what was known already. */
  take(change: Change<T>): readonly Delta<T>[] {
    switch (change.kind) {
      case 'Put':
        return this.#put(change.object);
      case 'Remove': {
        const known = this.#objects.delete(keyOf(change.object));
        return known ? [{ kind: 'Deleted', object: change.object }] : [];
      }
      case 'Snapshot': {
        const named = new Set(change.objects.map(keyOf));
        const vanished = [...this.#objects].filter(([key]) => !named.has(key));
        for (const [key] of vanished) this.#objects.delete(key);
        return [
          ...vanished.map(([, object]): Delta<T> => ({ kind: 'Deleted', object })),
          ...change.objects.flatMap((object) => this.#put(object)),
        ];
      }
    }
  }

  #put(received: T): readonly Delta<T>[] {
    const object = slim(received);
    const key = keyOf(object);
    const previous = this.#objects.get(key);
    const { uid, resourceVersion } = object.metadata;
    if (previous?.metadata.uid === uid && previous?.metadata.resourceVersion === resourceVersion) return [];
    this.#objects.set(key, object);
    if (!previous) return [{ kind: 'Added', object }];
    // Deleted and made again while nobody looked: both are news.
    if (previous.metadata.uid !== uid) {
      return [
        { kind: 'Deleted', object: previous },
        { kind: 'Added', object },
      ];
    }
    return [{ kind: 'Updated', object, previous }];
  }
}

/** Without `managedFields`: they are half of many an object, and nobody here reads them. */
function slim<T extends KubeObject>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata as T['metadata'] & { readonly managedFields?: unknown };
  return { ...object, metadata };
}
