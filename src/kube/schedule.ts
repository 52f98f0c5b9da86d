interface Item {
  readonly key: string;
  readonly dueMs: number;
}

/**
 * Keys by the time they are due: a binary heap. A key that is added twice is in it twice; who takes one decides whether it
 * still counts. That is cheaper than finding the old one, and the heap shrinks as times pass.
 */
export class Schedule {
  readonly #heap: Item[] = [];

  add(key: string, dueMs: number): void {
    const heap = this.#heap;
    let hole = heap.length;
    for (let parent = (hole - 1) >> 1; hole > 0; parent = (hole - 1) >> 1) {
      const above = heap[parent];
      if (!above || above.dueMs <= dueMs) break;
      heap[hole] = above;
      hole = parent;
    }
    heap[hole] = { key, dueMs };
  }

  first(): Item | undefined {
    return this.#heap[0];
  }

  /** The first key, when it is due. */
  take(nowMs: number): string | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (!first || first.dueMs > nowMs) return undefined;
    const last = heap.pop();
    if (!last || heap.length === 0) return first.key;
    let hole = 0;
    for (;;) {
      const right = heap[2 * hole + 2];
      const left = heap[2 * hole + 1];
      const less = right && left && right.dueMs < left.dueMs ? right : left;
      if (!less || less.dueMs >= last.dueMs) break;
      heap[hole] = less;
      hole = 2 * hole + (less === right ? 2 : 1);
    }
    heap[hole] = last;
    return first.key;
  }
}
