/**
 * A leaf table that is there. Opening reads the hashes of its pages alone, which have to give the root; each page is proved by its hash when it is read, so a
 * file that rots later is found, too.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { errorMessage } from '../../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import type { Leaves } from '../disk.ts';
import { PAGE_BYTES, rootOf, shapeOf } from './layout.ts';
import { HASH_BYTES, type Pieces } from './pieces.ts';

/** Which table: a file, and the root that it has to have, 64 hex digits. */
export interface TableRef {
  readonly path: string;
  readonly root: string;
}

export class LeafTable implements Leaves {
  readonly root: string;
  readonly pageHashes: Uint8Array<SharedArrayBuffer>;
  readonly #file: FileHandle;
  readonly #pieces: Pieces;

  private constructor(root: string, file: FileHandle, pageHashes: Uint8Array<SharedArrayBuffer>, pieces: Pieces) {
    this.root = root;
    this.#file = file;
    this.pageHashes = pageHashes;
    this.#pieces = pieces;
  }

  static async open(
    { path, root }: TableRef,
    sizeBytes: number,
    pieces: Pieces,
  ): Promise<Result<LeafTable, Fault<'TableWrong' | 'TableUnreadable'>>> {
    const { pages, hashesAt } = shapeOf(sizeBytes);
    let file: FileHandle | undefined;
    try {
      file = await open(path, 'r+');
      const pageHashes = new Uint8Array(new SharedArrayBuffer(pages * HASH_BYTES));
      const read = await file.read(Buffer.alloc(pageHashes.length), 0, pageHashes.length, hashesAt);
      pageHashes.set(read.buffer);
      if (rootOf(pieces, read.buffer) === root) return ok(new LeafTable(root, file, pageHashes, pieces));
      await file.close();
      return fail('TableWrong', `${path} is not the leaf table with root ${root}: it was cut or changed`);
    } catch (thrown) {
      await file?.close().catch(() => undefined);
      return fail('TableUnreadable', `${path} cannot be read: ${errorMessage(thrown)}`);
    }
  }

  get fd(): number {
    return this.#file.fd;
  }

  /** A page of leaves; undefined: it cannot be read, or is not what it was. Never rejects. */
  async page(index: number): Promise<Buffer | undefined> {
    try {
      const { buffer } = await this.#file.read(Buffer.alloc(PAGE_BYTES), 0, PAGE_BYTES, index * PAGE_BYTES);
      return this.isPage(index, buffer) ? buffer : undefined;
    } catch {
      return undefined;
    }
  }

  isPage(index: number, page: Uint8Array): boolean {
    const found = Buffer.alloc(HASH_BYTES);
    this.#pieces.hash(found, 0, page);
    return found.equals(this.pageHashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES));
  }

  /** Puts a page back that was lost. Never rejects: what is not put back is made again. */
  async mend(index: number, page: Uint8Array): Promise<void> {
    await this.#file.write(page, 0, PAGE_BYTES, index * PAGE_BYTES).catch(() => undefined);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
