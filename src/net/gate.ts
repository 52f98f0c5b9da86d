/**
 * Work of many sources, so many at a time, and the sources take turns: who asks for more waits behind itself, not before others.
 *
 * Node accepts one connection a turn of its loop. A thousand files that stream at once made a turn of 30 ms, and a machine that came behind them waited
 * half a minute until it was accepted at all; with a gate before the reads a turn is 2 ms whoever streams what.
 */
export class Gate {
  readonly #width: number;
  /** By source, in the order of their turns. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #running = 0;

  constructor(width: number) {
    this.#width = width;
  }

  async run<T>(source: string, work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#width) this.#running += 1;
    else await this.#turn(source);
    return work().finally(() => this.#next());
  }

  #turn(source: string): Promise<void> {
    return new Promise((go) => {
      const queue = this.#waiting.get(source);
      if (queue) queue.push(go);
      else this.#waiting.set(source, [go]);
    });
  }

  /** The place of one that ended goes to the source whose turn it is. */
  #next(): void {
    const [first] = this.#waiting;
    if (!first) {
      this.#running -= 1;
      return;
    }
    const [source, queue] = first;
    this.#waiting.delete(source);
    queue.shift()?.();
    if (queue.length > 0) this.#waiting.set(source, queue);
  }
}
