/** Makes the file of a leaf table, of a disk that is given to it from its beginning to its end. In memory: the hashes of its pages, and one chunk's leaves. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { PARTIAL } from '../../kit/file.ts';
import { PAGE_BYTES, PAGE_SPAN_BYTES, rootOf, shapeOf, type TableShape } from './layout.ts';
import { HASH_BYTES, PIECE_BYTES, type Pieces } from './pieces.ts';

/** Written at once: of 16 MiB of the disk. A call of its own for each page took a quarter of all that a table takes. */
const BATCH_PAGES = 32;

export class TableBuilder {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #shape: TableShape;
  readonly #pieces: Pieces;
  readonly #pageHashes: Buffer;
  /** Pages of leaves that are not written yet. */
  readonly #pages = Buffer.alloc(BATCH_PAGES * PAGE_BYTES);
  #held = 0;
  #doneBytes = 0;

  private constructor(path: string, file: FileHandle, sizeBytes: number, pieces: Pieces) {
    this.#path = path;
    this.#file = file;
    this.#shape = shapeOf(sizeBytes);
    this.#pieces = pieces;
    this.#pageHashes = Buffer.alloc(this.#shape.pages * HASH_BYTES);
  }

  /** Rejects where the file system does, as all its calls do. It is `path` with `.partial` behind until it is finished. */
  static async begin(path: string, sizeBytes: number, pieces: Pieces): Promise<TableBuilder> {
    const partial = path + PARTIAL;
    return new TableBuilder(partial, await open(partial, 'w'), sizeBytes, pieces);
  }

  /** The next bytes of the disk: a multiple of 512 KiB, but for the last. */
  async add(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += PAGE_SPAN_BYTES) {
      const ofPage = data.subarray(at, at + PAGE_SPAN_BYTES);
      const leaves = this.#nextPage();
      leaves.fill(0, this.#pieces.hash(leaves, this.#doneBytes, ofPage) * HASH_BYTES);
      await this.#endPage(leaves, ofPage.length);
    }
  }

  /** The next leaves, of so many bytes of the disk, a multiple of 512 KiB, but for the last; zeros behind the last one. */
  async addLeaves(all: Uint8Array, bytes: number): Promise<void> {
    for (let at = 0; at < bytes; at += PAGE_SPAN_BYTES) {
      const leaves = this.#nextPage();
      const from = (at / PIECE_BYTES) * HASH_BYTES;
      leaves.set(all.subarray(from, from + PAGE_BYTES));
      await this.#endPage(leaves, Math.min(PAGE_SPAN_BYTES, bytes - at));
    }
  }

  #nextPage(): Buffer {
    if (this.#doneBytes % PAGE_SPAN_BYTES !== 0) throw new Error('a chunk was added behind the last one');
    return this.#pages.subarray(this.#held * PAGE_BYTES, (this.#held + 1) * PAGE_BYTES);
  }

  async #endPage(leaves: Buffer, bytes: number): Promise<void> {
    const page = this.#doneBytes / PAGE_SPAN_BYTES;
    this.#pieces.hash(this.#pageHashes.subarray(page * HASH_BYTES), 0, leaves);
    this.#doneBytes += bytes;
    if (++this.#held === BATCH_PAGES) await this.#writePages();
  }

  async #writePages(): Promise<void> {
    const [held, end] = [this.#held, Math.ceil(this.#doneBytes / PAGE_SPAN_BYTES)];
    this.#held = 0;
    await this.#file.write(this.#pages, 0, held * PAGE_BYTES, (end - held) * PAGE_BYTES);
  }

  /** Gives the file its name, `path`; the root. */
  async finish(path: string): Promise<string> {
    if (this.#held > 0) await this.#writePages();
    const { hashesAt, fileBytes } = this.#shape;
    const hashes = Buffer.alloc(fileBytes - hashesAt);
    hashes.set(this.#pageHashes);
    await this.#file.write(hashes, 0, hashes.length, hashesAt);
    await this.#file.sync();
    await this.#file.close();
    await rename(this.#path, path);
    return rootOf(this.#pieces, this.#pageHashes);
  }

  /** Nothing is left of it. Also after `finish`, which it leaves as it is. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await rm(this.#path, { force: true }).catch(() => undefined);
  }
}
