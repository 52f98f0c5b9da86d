/** How much of a thread one sender may take before a session: token buckets by source address, and one for all of them together. */

export interface Rate {
  /** Tokens a second. */
  readonly perSecond: number;
  /** What a bucket holds. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

export class Budget {
  readonly #source: Rate;
  readonly #whole: Rate;
  readonly #mostSources: number;
  /** In order of their last use. */
  readonly #buckets = new Map<string, Bucket>();
  readonly #all: Bucket;

  constructor(source: Rate, whole: Rate, mostSources: number) {
    this.#source = source;
    this.#whole = whole;
    this.#mostSources = mostSources;
    this.#all = { tokens: whole.burst, atMs: 0 };
  }

  /** For a sender whose address is proven: a forged one would empty the bucket of somebody else. What one source may not do costs the others nothing. */
  take(source: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(source) ?? { tokens: this.#source.burst, atMs: nowMs };
    this.#buckets.delete(source);
    this.#buckets.set(source, bucket);
    if (this.#buckets.size > this.#mostSources) this.#forgetOldest();
    fill(bucket, this.#source, nowMs);
    fill(this.#all, this.#whole, nowMs);
    if (bucket.tokens < 1 || this.#all.tokens < 1) return false;
    bucket.tokens--;
    this.#all.tokens--;
    return true;
  }

  #forgetOldest(): void {
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest);
      return;
    }
  }
}

function fill(bucket: Bucket, { perSecond, burst }: Rate, nowMs: number): void {
  bucket.tokens = Math.min(burst, bucket.tokens + (Math.max(0, nowMs - bucket.atMs) / 1000) * perSecond);
  bucket.atMs = nowMs;
}
