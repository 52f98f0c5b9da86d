/** What happened lately, so that whoever was away for a moment goes on where they were. Bounded. Pure. */

export interface Numbered<T> {
  readonly number: number;
  readonly items: readonly T[];
}

export class Ring<T> {
  readonly #most: number;
  readonly #sizeOf: (item: T) => number;
  #entries: (Numbered<T> & { readonly size: number })[] = [];
  #held = 0;
  #last = 0;
  /** Nothing at or before it is known. */
  #floor = 0;

  /** `most`: of all items that are held together. */
  constructor(most: number, sizeOf: (item: T) => number) {
    this.#most = most;
    this.#sizeOf = sizeOf;
  }

  get last(): number {
    return this.#last;
  }

  add(items: readonly T[]): Numbered<T> {
    const size = items.reduce((sum, item) => sum + this.#sizeOf(item), 0);
    const entry = { number: ++this.#last, items, size };
    this.#entries.push(entry);
    this.#held += size;
    while (this.#held > this.#most) {
      const gone = this.#entries.shift();
      if (!gone) break;
      this.#held -= gone.size;
      this.#floor = gone.number;
    }
    return entry;
  }

  /** Something was missed: nobody can go on from before. */
  forget(): void {
    this.#entries = [];
    this.#held = 0;
    this.#floor = ++this.#last;
  }

  /** All that came after; undefined: it is not known any more, or never was. */
  after(number: number): readonly Numbered<T>[] | undefined {
    if (number < this.#floor || number > this.#last) return undefined;
    return this.#entries.filter((entry) => entry.number > number);
  }
}
