/** An image of some MiB that is changed, tried and changed back: its file is written only where it is another. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

interface Change {
  readonly at: number;
  readonly old: Buffer;
}

export class ChangingFile {
  readonly #fd: number;
  readonly #whole: Buffer;
  readonly #changes: Change[] = [];
  #isWhole = true;

  constructor(path: string, whole: Buffer) {
    this.#whole = Buffer.from(whole);
    this.#fd = openSync(path, 'w');
    writeSync(this.#fd, this.#whole);
  }

  get bytes(): Buffer {
    return this.#whole;
  }

  /** What lies beyond the end is left out. */
  set(at: number, bytes: Uint8Array): void {
    if (at < 0 || at >= this.#whole.length) return;
    const fitting = bytes.subarray(0, this.#whole.length - at);
    this.#changes.push({ at, old: Buffer.from(this.#whole.subarray(at, at + fitting.length)) });
    this.#whole.set(fitting, at);
  }

  /** `sizeBytes`: shorter or longer than it is. */
  write(sizeBytes: number): void {
    this.#isWhole = sizeBytes === this.#whole.length;
    this.#writeChanges();
    if (!this.#isWhole) ftruncateSync(this.#fd, sizeBytes);
  }

  restore(): void {
    for (const { at, old } of this.#changes.toReversed()) this.#whole.set(old, at);
    if (this.#isWhole) this.#writeChanges();
    else {
      ftruncateSync(this.#fd, this.#whole.length);
      writeSync(this.#fd, this.#whole, 0, this.#whole.length, 0);
    }
    this.#changes.length = 0;
    this.#isWhole = true;
  }

  #writeChanges(): void {
    for (const { at, old } of this.#changes) writeSync(this.#fd, this.#whole, at, old.length, at);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
