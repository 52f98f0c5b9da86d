/** Virtual time: what is to happen, in order. A binary heap; of what is due at the same time, what was said first comes first. */
interface Due {
  readonly atUs: number;
  readonly order: number;
  readonly act: () => void;
}

const before = (a: Due, b: Due): boolean => a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);

export class Clock {
  /** Microseconds. */
  nowUs = 0;
  readonly #heap: Due[] = [];
  #order = 0;

  at(atUs: number, act: () => void): void {
    const due = { atUs: Math.max(this.nowUs, Math.round(atUs)), order: this.#order++, act };
    let place = this.#heap.length;
    this.#heap.push(due);
    for (let parent = (place - 1) >> 1; place > 0; parent = (place - 1) >> 1) {
      const above = this.#heap[parent] as Due;
      if (!before(due, above)) break;
      this.#heap[place] = above;
      place = parent;
    }
    this.#heap[place] = due;
  }

  after(us: number, act: () => void): void {
    this.at(this.nowUs + us, act);
  }

  /** When something is due next; infinite: never. */
  get nextUs(): number {
    return this.#heap[0]?.atUs ?? Number.POSITIVE_INFINITY;
  }

  /** Goes there, and does what is due first. */
  step(): void {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (!first || !last) return;
    if (first !== last) this.#sink(last);
    this.nowUs = first.atUs;
    first.act();
  }

  #sink(due: Due): void {
    const heap = this.#heap;
    let place = 0;
    for (let child = 1; child < heap.length; child = 2 * place + 1) {
      const [left, right] = [heap[child] as Due, heap[child + 1]];
      const [next, least] = right && before(right, left) ? [child + 1, right] : [child, left];
      if (!before(least, due)) break;
      heap[place] = least;
      place = next;
    }
    heap[place] = due;
  }
}
