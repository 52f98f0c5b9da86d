/** Which of a thing's many states are news: those that last, told together, and not each second. */

/** Of one thing what changes meanwhile is told in one go. */
const EVERY_MS = 10_000;

type States<S extends string> = ReadonlyMap<string, S>;

interface Thing {
  /** By part: as it was told last. */
  readonly told: Map<string, string>;
  /** By part: what it is since then, and was not told of. */
  readonly waits: Map<string, { readonly state: string; readonly sinceMs: number }>;
  atMs: number;
}

/** Nothing is lost with it: a new leader begins with what the status says. */
export class Told {
  readonly #things = new Map<string, Thing>();

  /**
   * Names of the parts to tell of now. `before`: what the last leader told; asked once a thing. `lastsMs`: a state that ends before is never told.
   * What is gone is not told of.
   */
  news<S extends string>(
    thing: string,
    now: States<S>,
    { before, lastsMs }: { readonly before: () => States<S>; readonly lastsMs: (state: S) => number },
    nowMs = performance.now(),
  ): readonly string[] {
    const known = this.#things.get(thing) ?? { told: new Map(before()), waits: new Map(), atMs: -Infinity };
    this.#things.set(thing, known);
    const { told, waits } = known;
    for (const part of [...told.keys(), ...waits.keys()])
      if (!now.has(part)) {
        told.delete(part);
        waits.delete(part);
      }
    const due: [part: string, state: S][] = [];
    for (const [part, state] of now) {
      if (told.get(part) === state) {
        waits.delete(part);
        continue;
      }
      const waiting = waits.get(part);
      const sinceMs = waiting?.state === state ? waiting.sinceMs : nowMs;
      waits.set(part, { state, sinceMs });
      if (nowMs - sinceMs >= lastsMs(state)) due.push([part, state]);
    }
    if (due.length === 0 || nowMs - known.atMs < EVERY_MS) return [];
    known.atMs = nowMs;
    for (const [part, state] of due) {
      told.set(part, state);
      waits.delete(part);
    }
    return due.map(([part]) => part);
  }

  forget(thing: string): void {
    this.#things.delete(thing);
  }

  clear(): void {
    this.#things.clear();
  }
}
