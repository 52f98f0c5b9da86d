/**
 * Work of many sources, so many at a time, and the sources take turns: who asks for more waits behind itself, not before others.
 *
 * Node accepts one connection a turn of its loop. A thousand files that stream at once made a turn of 30 ms, and a machine that came behind them waited
 * half a minute until it was accepted at all; with a gate before the reads a turn is 2 ms whoever streams what.
 */
import { dirname } from 'node:path';
import { Turns } from './turns.ts';

export class Gate {
  readonly #width: number;
  readonly #waiting = new Turns<() => void>();
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
    return new Promise((go) => void this.#waiting.push(source, go));
  }

  /** The place of one that ended goes to the source whose turn it is. */
  #next(): void {
    const go = this.#waiting.shift();
    if (go) go();
    else this.#running -= 1;
  }
}

/** One for each folder: a disk that is silent keeps its own places, and no other's. */
export class Gates {
  readonly #width: number;
  readonly #of = new Map<string, Gate>();

  constructor(width: number) {
    this.#width = width;
  }

  /** That of a file's folder. */
  of(path: string): Gate {
    const folder = dirname(path);
    const gate = this.#of.get(folder) ?? new Gate(this.#width);
    this.#of.set(folder, gate);
    return gate;
  }
}
