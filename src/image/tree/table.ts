/**
 * A leaf table that is there. Opening reads the hashes of its pages alone, which have to give the root; each page is proved by its hash when it is read, so a
 * file that rots later is found, too.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { errorCode, errorMessage } from '../../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import type { Leaves } from '../disk.ts';
import { readCached } from '../native.ts';
import { PAGE_BYTES, rootOf, shapeOf } from './layout.ts';
import { HASH_BYTES, PIECE_BYTES, type Pieces, pieces } from './pieces.ts';

/** Which table: a file, and the root that it has to have, 64 hex digits. */
export interface TableRef {
  readonly path: string;
  readonly root: string;
}

export type TableFault = Fault<'PiecesUnavailable' | 'TableWrong' | 'TableMissing' | 'TableUnreadable'>;

/** For writing where it may be written: a page that is lost is put back. */
async function openFile(path: string): Promise<FileHandle> {
  return open(path, 'r+').catch((thrown: unknown) => {
    if (errorCode(thrown) === 'ENOENT') throw thrown;
    return open(path, 'r');
  });
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

  /** `sizeBytes`: of the disk. `TableWrong` and `TableMissing` mean that it has to be made again; anything else may pass. */
  static async open({ path, root }: TableRef, sizeBytes: number): Promise<Result<LeafTable, TableFault>> {
    const library = pieces();
    if (!library.ok) return library;
    const { pages, hashesAt } = shapeOf(sizeBytes);
    let file: FileHandle | undefined;
    try {
      file = await openFile(path);
      const pageHashes = new Uint8Array(new SharedArrayBuffer(pages * HASH_BYTES));
      const read = await file.read(Buffer.alloc(pageHashes.length), 0, pageHashes.length, hashesAt);
      pageHashes.set(read.buffer);
      if (rootOf(library.value, read.buffer) === root) return ok(new LeafTable(root, file, pageHashes, library.value));
      await file.close();
      return fail('TableWrong', `${path} is not the leaf table with root ${root}: it was cut or changed`);
    } catch (thrown) {
      await file?.close().catch(() => undefined);
      const code = errorCode(thrown) === 'ENOENT' ? 'TableMissing' : 'TableUnreadable';
      return fail(code, `${path} cannot be read: ${errorMessage(thrown)}`);
    }
  }

  /** The hashes of the pieces of `data`, which lies at `offset` on the disk. */
  hashesOf(offset: number, data: Uint8Array): Buffer {
    const hashes = Buffer.alloc(Math.ceil(data.length / PIECE_BYTES) * HASH_BYTES);
    this.#pieces.hash(hashes, offset, data);
    return hashes;
  }

  get fd(): number {
    return this.#file.fd;
  }

  /** A page of leaves; undefined: it cannot be read, or is not what it was. Never rejects. */
  async page(index: number): Promise<Buffer | undefined> {
    try {
      const buffer = Buffer.alloc(PAGE_BYTES);
      const at = index * PAGE_BYTES;
      if (readCached(this.fd, buffer, 0, PAGE_BYTES, at) !== PAGE_BYTES)
        await this.#file.read(buffer, 0, PAGE_BYTES, at);
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
