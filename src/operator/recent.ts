/** What was found right lately and is not asked for again for a while: a settled farm is quiet towards the Kubernetes API, too. */
export class Recent {
  readonly #lifeMs: number;
  readonly #found = new Map<string, { readonly what: string; readonly atMs: number }>();

  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs;
  }

  /** Whether `key` was found right as `what` within the life of such a finding. */
  has(key: string, what: string, nowMs = performance.now()): boolean {
    const found = this.#found.get(key);
    return found !== undefined && found.what === what && nowMs - found.atMs < this.#lifeMs;
  }

  note(key: string, what: string, nowMs = performance.now()): void {
    this.#found.set(key, { what, atMs: nowMs });
  }
}
