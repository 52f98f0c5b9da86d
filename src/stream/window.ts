import { REPLAY_WINDOW } from './limits.ts';

/** The packet numbers of a session that were seen: a sliding window after RFC 6479, one bit a number in a ring of words. */
export class ReplayWindow {
  readonly #words = new Uint32Array(REPLAY_WINDOW / 32 + 1);
  #highest = 0;

  /** The highest number that was seen. */
  get highest(): number {
    return this.#highest;
  }

  /** True once for a number; false for one that was seen, is 0, or is 1,024 or more below the highest. Call it only for a packet whose tag is right. */
  accept(number: number): boolean {
    if (number < 1 || this.#highest - number >= REPLAY_WINDOW) return false;
    const words = this.#words;
    const word = Math.floor(number / 32);
    if (number > this.#highest) {
      const newest = Math.floor(this.#highest / 32);
      const steps = Math.min(word - newest, words.length);
      for (let step = 1; step <= steps; step++) words[(newest + step) % words.length] = 0;
      this.#highest = number;
    }
    const at = word % words.length;
    const bit = 1 << (number % 32);
    const seen = words[at] ?? 0;
    if ((seen & bit) !== 0) return false;
    words[at] = seen | bit;
    return true;
  }
}
