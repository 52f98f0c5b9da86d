/**
 * A disk whose reads are compared with its leaf table: a block that rotted on the disk or in memory is a fault, never an answer. A layer: it is itself a
 * disk, and says where its leaves lie.
 */
import { fail, ok, type Result } from '../../kit/result.ts';
import { beyondEnd, type Disk, type ReadFault } from '../disk.ts';
import { PAGE_BYTES, PAGE_LEAVES, PAGE_SPAN_BYTES } from './layout.ts';
import { HASH_BYTES, PIECE_BYTES } from './pieces.ts';
import type { LeafTable } from './table.ts';

/** Both are the new disk's to close. */
export const verified = (disk: Disk, table: LeafTable): Disk => new VerifiedDisk(disk, table);

class VerifiedDisk implements Disk {
  readonly #disk: Disk;
  readonly leaves: LeafTable;
  readonly extents?: NonNullable<Disk['extents']>;
  readonly files?: NonNullable<Disk['files']>;

  constructor(disk: Disk, leaves: LeafTable) {
    this.#disk = disk;
    this.leaves = leaves;
    if (disk.extents) this.extents = disk.extents.bind(disk);
    if (disk.files) this.files = disk.files.bind(disk);
  }

  get sizeBytes(): number {
    return this.#disk.sizeBytes;
  }
  get blockSize(): Disk['blockSize'] {
    return this.#disk.blockSize;
  }

  /** Whole pieces are read and compared, whatever was asked for. */
  async read(offset: number, length: number): Promise<Result<Buffer, ReadFault>> {
    const beyond = beyondEnd(this, offset, length);
    if (beyond) return { ok: false, error: beyond };
    const begin = offset - (offset % PIECE_BYTES);
    const end = Math.min(Math.ceil((offset + length) / PIECE_BYTES) * PIECE_BYTES, this.sizeBytes);
    const [read, wanted] = await Promise.all([this.#disk.read(begin, end - begin), this.#leavesOf(begin, end)]);
    if (!read.ok) return read;
    if (wanted === undefined || !this.leaves.hashesOf(begin, read.value).equals(wanted))
      return fail(
        'ContentWrong',
        `the ${end - begin} bytes at ${begin} are not what the leaf table of their disk says`,
      );
    return ok(read.value.subarray(offset - begin, offset - begin + length));
  }

  /** Undefined: neither the table nor the disk itself has them. */
  async #leavesOf(begin: number, end: number): Promise<Buffer | undefined> {
    const [first, last] = [begin / PIECE_BYTES, Math.ceil(end / PIECE_BYTES)];
    const firstPage = Math.floor(first / PAGE_LEAVES);
    const pages: Buffer[] = [];
    for (let page = firstPage; page * PAGE_LEAVES < last; page++) {
      const leaves = (await this.leaves.page(page)) ?? (await this.#made(page));
      if (!leaves) return undefined;
      pages.push(leaves);
    }
    const skip = firstPage * PAGE_LEAVES;
    return Buffer.concat(pages).subarray((first - skip) * HASH_BYTES, (last - skip) * HASH_BYTES);
  }

  /** A page that the table lost, from what it is of. */
  async #made(page: number): Promise<Buffer | undefined> {
    const begin = page * PAGE_SPAN_BYTES;
    const read = await this.#disk.read(begin, Math.min(PAGE_SPAN_BYTES, this.sizeBytes - begin));
    if (!read.ok) return undefined;
    const leaves = Buffer.alloc(PAGE_BYTES);
    leaves.set(this.leaves.hashesOf(begin, read.value));
    if (!this.leaves.isPage(page, leaves)) return undefined;
    await this.leaves.mend(page, leaves);
    return leaves;
  }

  async close(): Promise<void> {
    await Promise.all([this.#disk.close(), this.leaves.close()]);
  }
}
