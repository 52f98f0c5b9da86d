/** So many bytes a second, in the order in which they are asked for. */
import { setTimeout as delay } from 'node:timers/promises';

/** What was not used is kept this long. */
const BURST_MS = 50;

export class Pace {
  #bytesPerMs = 0;
  readonly #now: () => number;
  #freeAt = Number.NEGATIVE_INFINITY;

  /** Undefined: no limit. */
  constructor(bytesPerSecond: number | undefined, now: () => number = () => performance.now()) {
    this.set(bytesPerSecond);
    this.#now = now;
  }

  /** From now on. */
  set(bytesPerSecond: number | undefined): void {
    this.#bytesPerMs = (bytesPerSecond ?? Number.POSITIVE_INFINITY) / 1_000;
  }

  /** How long whoever wants so many bytes has to wait; they are taken. */
  waitMs(bytes: number): number {
    const now = this.#now();
    const at = Math.max(this.#freeAt, now - BURST_MS);
    this.#freeAt = at + bytes / this.#bytesPerMs;
    return Math.max(0, at - now);
  }

  async take(bytes: number): Promise<void> {
    const waitMs = this.waitMs(bytes);
    if (waitMs > 0) await delay(waitMs);
  }
}
