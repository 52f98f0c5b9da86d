/**
 * Answers by key that are kept for a while, at most so many: who asked longest ago is forgotten first. Questions of one key at one time are one
 * question. An answer that `isGood` refuses is given to all who waited for it, and not kept.
 */
export class Kept<T> {
  readonly #lifeMs: number;
  readonly #most: number;
  readonly #isGood: (answer: T) => boolean;
  readonly #now: () => number;
  readonly #answers = new Map<string, { readonly answer: Promise<T>; readonly atMs: number }>();

  constructor(
    terms: { readonly lifeMs: number; readonly most: number },
    isGood: (answer: T) => boolean = () => true,
    now: () => number = () => performance.now(),
  ) {
    this.#lifeMs = terms.lifeMs;
    this.#most = terms.most;
    this.#isGood = isGood;
    this.#now = now;
  }

  get size(): number {
    return this.#answers.size;
  }

  /** Of the answer that is remembered, though it may not be given any more. Infinity: there is none. */
  ageMs(key: string): number {
    return this.#now() - (this.#answers.get(key)?.atMs ?? Number.NEGATIVE_INFINITY);
  }

  /** Its age is counted from the question: what it says may have ended while it was under way. */
  of(key: string, make: () => Promise<T>): Promise<T> {
    const atMs = this.#now();
    const known = this.#answers.get(key);
    if (known && atMs - known.atMs < this.#lifeMs) return known.answer;
    const answer = make();
    const entry = { answer, atMs };
    this.#answers.delete(key);
    this.#answers.set(key, entry);
    if (this.#answers.size > this.#most) this.#answers.delete(this.#answers.keys().next().value ?? key);
    const forget = (): void => {
      if (this.#answers.get(key) === entry) this.#answers.delete(key);
    };
    answer.then((given) => this.#isGood(given) || forget(), forget);
    return answer;
  }
}
