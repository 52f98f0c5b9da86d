/**
 * What waits of many sources, in turns: each source has one of its own taken before any has its second, so whoever asks for more waits behind itself. Pure
 * but for its own maps.
 */
export class Turns<T> {
  readonly #most: number;
  /** By source, in the order of their turns; none is empty. */
  readonly #waiting = new Map<string, T[]>();
  #size = 0;

  /** `most`: of all sources together. */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  /** When it is full, the oldest of the source with the most gives way, and is given back. */
  push(source: string, item: T): T | undefined {
    const gone = this.#size < this.#most ? undefined : this.#take(this.#heaviest());
    const queue = this.#waiting.get(source);
    if (queue) queue.push(item);
    else this.#waiting.set(source, [item]);
    this.#size += 1;
    return gone;
  }

  /** Of the source whose turn it is. */
  shift(): T | undefined {
    const [source] = this.#waiting.keys();
    if (source === undefined) return undefined;
    const queue = this.#waiting.get(source) ?? [];
    const item = this.#take(source);
    // Behind all others: its next turn is after theirs.
    if (queue.length > 0 && this.#waiting.delete(source)) this.#waiting.set(source, queue);
    return item;
  }

  #take(source: string | undefined): T | undefined {
    const queue = source === undefined ? undefined : this.#waiting.get(source);
    if (source === undefined || !queue) return undefined;
    this.#size -= 1;
    const item = queue.shift();
    if (queue.length === 0) this.#waiting.delete(source);
    return item;
  }

  /** Of several with as many the one whose turn is next: it waits longest. */
  #heaviest(): string | undefined {
    let heaviest: string | undefined;
    let most = 0;
    for (const [source, { length }] of this.#waiting) if (length > most) [heaviest, most] = [source, length];
    return heaviest;
  }
}
