/**
 * Whether a thread waits a moment before it looks for packets, so that those of many devices come together: a thread that sleeps and wakes for each
 * PING of 20,000 idle devices spends more on that than on the PINGs. Only while PINGs are most of what comes: it costs a READ half a moment.
 */
const LOOK_MS = 100;
/** In that time: 2,000 devices. Fewer cost nothing worth speaking of. */
const MANY_PINGS = 200;
/** As many PINGs come for one READ at least. */
const PINGS_PER_READ = 10;

export class Pace {
  #reads = 0;
  #pings = 0;
  #lookedMs = 0;
  #calm = false;

  /** What one look at the socket has brought. More READs than PINGs end the calm at once. */
  add(reads: number, pings: number, nowMs: number): void {
    this.#reads += reads;
    this.#pings += pings;
    if (nowMs - this.#lookedMs >= LOOK_MS) {
      this.#calm = this.#pings >= MANY_PINGS && this.#reads * PINGS_PER_READ <= this.#pings;
      this.#lookedMs = nowMs;
      this.#reads = 0;
      this.#pings = 0;
    }
    if (reads > pings) this.#calm = false;
  }

  get isCalm(): boolean {
    return this.#calm;
  }
}
