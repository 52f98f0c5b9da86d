/** Some of the numbers below a limit: any is added, removed or taken at a place at once. */
export class Dense {
  readonly #members: Uint32Array;
  /** Where a number stands, and one more; 0: nowhere. */
  readonly #places: Uint32Array;
  #size = 0;

  constructor(limit: number) {
    this.#members = new Uint32Array(limit);
    this.#places = new Uint32Array(limit);
  }

  get size(): number {
    return this.#size;
  }

  at(place: number): number {
    return this.#members[place] ?? 0;
  }

  add(member: number): void {
    if (this.#places[member] !== 0) return;
    this.#members[this.#size++] = member;
    this.#places[member] = this.#size;
  }

  remove(member: number): void {
    const place = this.#places[member] ?? 0;
    if (place === 0) return;
    const last = this.at(--this.#size);
    this.#members[place - 1] = last;
    this.#places[last] = place;
    this.#places[member] = 0;
  }

  find(fits: (member: number) => boolean): number | undefined {
    for (let place = 0; place < this.#size; place++) if (fits(this.at(place))) return this.at(place);
    return undefined;
  }
}
