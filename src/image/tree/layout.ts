/**
 * The leaf table of a disk: the BLAKE3 of each piece of 4,096 bytes, and above them a tree of nodes of 4 KiB (128 hashes each, zeros behind the last one) up
 * to one node, whose hash is the root. A file holds what cannot be made from the rest of it:
 *
 * ```
 * [leaves: 32 bytes a piece, to a multiple of 4,096]  [the hash of each 4 KiB of leaves, to a multiple of 4,096]
 * ```
 */
import { HASH_BYTES, PIECE_BYTES, type Pieces } from './pieces.ts';

export const PAGE_BYTES = 4_096;
export const PAGE_LEAVES = PAGE_BYTES / HASH_BYTES;
/** What the leaves of a page are of. */
export const PAGE_SPAN_BYTES = PAGE_LEAVES * PIECE_BYTES;
/** The hashes of its pages lie in memory, 64 bytes a MiB: 128 MiB of a disk of 2 TiB. A larger one has no table. */
export const MAX_DISK_BYTES = 2 ** 41;

const whole = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

export interface TableShape {
  readonly pages: number;
  /** Where the hashes of the pages begin in the file. */
  readonly hashesAt: number;
  readonly fileBytes: number;
}

export function shapeOf(sizeBytes: number): TableShape {
  const pages = Math.ceil(sizeBytes / PAGE_SPAN_BYTES);
  const hashesAt = pages * PAGE_BYTES;
  return { pages, hashesAt, fileBytes: hashesAt + whole(pages * HASH_BYTES) };
}

/** 64 hex digits. */
export function rootOf({ hash }: Pieces, pageHashes: Uint8Array): string {
  let level = pageHashes;
  while (level.length > HASH_BYTES) {
    const nodes = Buffer.alloc(whole(level.length));
    nodes.set(level);
    const above = Buffer.alloc((nodes.length / PAGE_BYTES) * HASH_BYTES);
    hash(above, 0, nodes);
    level = above;
  }
  return Buffer.from(level).toString('hex');
}
