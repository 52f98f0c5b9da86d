/**
 * Node's threads, by which files are read, and how many of them one folder may hold. A disk that is silent keeps each one that asks it until it answers, and
 * with all of them the files of every other folder would wait, too.
 */

/** Of Node, unless its environment says otherwise. */
const DEFAULT_THREADS = 4;
/** As many reads as keep a fast disk busy. */
const MOST = 16;
/** A share of all, which is for what nobody asks here for: a look into each folder, digests, names. */
const KEPT_BACK = 1 / 4;

export class Threads {
  readonly #keptBack: number;
  #free: number;
  /** By folder; none has 0. */
  readonly #held = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(threads: number) {
    this.#free = threads;
    this.#keptBack = Math.ceil(threads * KEPT_BACK);
  }

  /** Waits for its turn; within a folder the first comes first. */
  async run<T>(folder: string, work: () => Promise<T>): Promise<T> {
    if (!this.#take(folder)) await this.#turn(folder);
    return work().finally(() => this.#giveBack(folder));
  }

  /**
   * A folder may hold as many as it leaves free, so that however many are silent something is left for the next, and one in any case: then Node itself
   * lets it wait.
   */
  #take(folder: string): boolean {
    const held = this.#held.get(folder) ?? 0;
    if (held >= Math.max(1, Math.min(MOST, this.#free - this.#keptBack))) return false;
    this.#held.set(folder, held + 1);
    this.#free--;
    return true;
  }

  #turn(folder: string): Promise<void> {
    const waiting = this.#waiting.get(folder) ?? [];
    this.#waiting.set(folder, waiting);
    return new Promise((go) => void waiting.push(go));
  }

  #giveBack(folder: string): void {
    const held = (this.#held.get(folder) ?? 0) - 1;
    if (held > 0) this.#held.set(folder, held);
    else this.#held.delete(folder);
    this.#free++;
    for (const [next, waiting] of this.#waiting) {
      while (waiting.length > 0 && this.#take(next)) waiting.shift()?.();
      if (waiting.length === 0) this.#waiting.delete(next);
    }
  }
}

const threads = new Threads(Number(process.env['UV_THREADPOOL_SIZE'] ?? DEFAULT_THREADS));

/** A read of a file in that folder, or what else may wait for its disk. */
export const inThread = <T>(folder: string, read: () => Promise<T>): Promise<T> => threads.run(folder, read);
