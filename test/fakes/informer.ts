import { Cache, type Delta } from '../../src/kube/cache.ts';
import { kinds } from '../../src/kube/kinds.ts';
import type { Kind, KubeObject } from '../../src/kube/object.ts';
import type { Change } from '../../src/kube/watcher.ts';

/** An informer without an API: the test says what it learns. */
export class FakeInformer {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly synced = Promise.resolve(true);
  readonly answered = Promise.resolve(true);
  isSynced = false;
  readonly #cache = new Cache();
  readonly #handlers = new Set<(delta: Delta) => void>();

  constructor(kind: Kind = kinds.ConfigMap, namespace?: string) {
    this.kind = kind;
    this.namespace = namespace;
  }

  learn(change: Change): void {
    for (const delta of this.#cache.take(change)) for (const handler of this.#handlers) handler(delta);
    if (change.kind === 'Snapshot') this.isSynced = true;
  }

  put(object: KubeObject): void {
    this.learn({ kind: 'Put', object });
  }

  get(key: string): KubeObject | undefined {
    return this.#cache.get(key);
  }

  list(): KubeObject[] {
    return [...this.#cache.values()];
  }

  onDelta(handler: (delta: Delta) => void): () => void {
    this.#handlers.add(handler);
    for (const object of this.#cache.values()) handler({ kind: 'Added', object });
    return () => this.#handlers.delete(handler);
  }

  get handlers(): number {
    return this.#handlers.size;
  }
}
