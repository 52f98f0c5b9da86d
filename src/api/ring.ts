/** What happened lately, so that whoever was away for a moment goes on where they were. Bounded. Pure. */

export interface Numbered<T> {
  readonly number: number;
  readonly changes: readonly T[];
}

export class Ring<T> {
  readonly #most: number;
  #entries: Numbered<T>[] = [];
  #held = 0;
  #last = 0;
  /** Nothing at or before it is known. */
  #floor = 0;

  /** `most`: changes that are held, of all entries together. */
  constructor(most: number) {
    this.#most = most;
  }

  get last(): number {
    return this.#last;
  }

  add(changes: readonly T[]): Numbered<T> {
    const entry = { number: ++this.#last, changes };
    this.#entries.push(entry);
    this.#held += changes.length;
    while (this.#held > this.#most) {
      const gone = this.#entries.shift();
      if (!gone) break;
      this.#held -= gone.changes.length;
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
