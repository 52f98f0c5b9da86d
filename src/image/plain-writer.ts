/** An image whose file has the disk in one piece: raw, and those of fixed size. Zeros are holes. */
import type { PartialFile } from './partial.ts';
import type { ImageWriter, WriteFault } from './writer.ts';

export class PlainWriter implements ImageWriter {
  readonly #file: PartialFile;
  readonly #at: number;
  readonly finish: () => Promise<WriteFault | undefined>;

  /** `at`: where the disk begins in the file. */
  constructor(file: PartialFile, at: number, finish: () => Promise<WriteFault | undefined>) {
    this.#file = file;
    this.#at = at;
    this.finish = finish;
  }

  write(offset: number, bytes: Buffer): Promise<WriteFault | undefined> {
    return this.#file.append(this.#at + offset, bytes);
  }

  async zeros(): Promise<undefined> {
    return undefined;
  }

  abort(): Promise<void> {
    return this.#file.remove();
  }
}
