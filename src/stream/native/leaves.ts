/**
 * Leaf tables in a thread's reach: 16 MiB of their pages (those of 2 GiB of disks), each proved when it comes in. What was not used since the hand of the
 * clock passed goes first.
 */
import { PAGE_BYTES, PAGE_LEAVES } from '../../image/tree/layout.ts';
import { HASH_BYTES } from '../../image/tree/pieces.ts';
import { alignedSlab, EOPNOTSUPP, RWF_NOWAIT } from '../../net/libc.ts';
import type { ServedDisk } from '../shard.ts';
import { writePointer } from './answer.ts';
import type { Native } from './sodium.ts';

const SLOTS = 4_096;
const HASH_WORDS = HASH_BYTES / 4;
const PAGE_WORDS = PAGE_BYTES / 4;
/** Behind the slots: an iovec, and the hash of a page that comes in. */
const IOV = SLOTS * PAGE_BYTES;
const FOUND = IOV + 64;
const SLAB_BYTES = FOUND + 64;

export class LeafPages {
  readonly #libc: Native;
  readonly #slab: Buffer;
  readonly #words: Int32Array;
  readonly #at: number;
  /** By `keyOf`. */
  readonly #slots = new Map<number, number>();
  readonly #keys = new Float64Array(SLOTS);
  readonly #used = new Uint8Array(SLOTS);
  #hand = 0;
  /** Disks whose table lies where the file system does not know RWF_NOWAIT. */
  readonly #blocking = new Set<number>();

  constructor(libc: Native) {
    this.#libc = libc;
    this.#slab = alignedSlab(libc, SLAB_BYTES);
    this.#words = new Int32Array(this.#slab.buffer, this.#slab.byteOffset, SLAB_BYTES / 4);
    this.#at = libc.addressOf(this.#slab);
    this.#slab.writeUInt32LE(PAGE_BYTES, IOV + 8);
  }

  /** Whether the disk has a table that a thread may read. */
  reach({ id, leaves }: ServedDisk): boolean {
    return leaves !== undefined && !this.#blocking.has(id);
  }

  /**
   * Copies the hashes of `count` pieces from piece `first` on to `out`. False: a page is neither here nor in the page cache, or is not what it was; the main
   * thread finds out.
   */
  copy(disk: ServedDisk, first: number, count: number, out: Int32Array, outWord: number): boolean {
    for (let done = 0; done < count; ) {
      const piece = first + done;
      const page = Math.floor(piece / PAGE_LEAVES);
      const slot = this.#slots.get(keyOf(disk, page)) ?? this.#load(disk, page);
      if (slot === undefined) return false;
      this.#used[slot] = 1;
      const within = piece - page * PAGE_LEAVES;
      const many = Math.min(count - done, PAGE_LEAVES - within);
      const from = slot * PAGE_WORDS + within * HASH_WORDS;
      const to = outWord + done * HASH_WORDS;
      for (let word = 0; word < many * HASH_WORDS; word++) out[to + word] = this.#words[from + word] ?? 0;
      done += many;
    }
    return true;
  }

  #load(disk: ServedDisk, page: number): number | undefined {
    const { id, leaves } = disk;
    if (!leaves) return undefined;
    const slot = this.#free();
    const at = this.#at + slot * PAGE_BYTES;
    writePointer(this.#slab, at, IOV);
    const read = this.#libc.preadv2(leaves.fd, this.#at + IOV, 1, page * PAGE_BYTES, RWF_NOWAIT);
    if (read < 0 && this.#libc.errno() === EOPNOTSUPP) this.#blocking.add(id);
    if (read !== PAGE_BYTES) return undefined;
    this.#libc.hashPieces(this.#at + FOUND, 0, at, PAGE_BYTES);
    const [from, to] = [page * HASH_BYTES, (page + 1) * HASH_BYTES];
    if (this.#slab.compare(leaves.pageHashes, from, to, FOUND, FOUND + HASH_BYTES) !== 0) return undefined;
    const key = keyOf(disk, page);
    this.#slots.set(key, slot);
    this.#keys[slot] = key;
    return slot;
  }

  /** A slot that holds nothing. */
  #free(): number {
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % SLOTS;
      if (this.#used[slot] !== 0) {
        this.#used[slot] = 0;
        continue;
      }
      const key = this.#keys[slot] ?? 0;
      if (key !== 0) this.#slots.delete(key);
      this.#keys[slot] = 0;
      return slot;
    }
  }
}

/** A disk that is told anew has another id; a disk of 2 TiB has 2²² pages. */
const keyOf = ({ id }: ServedDisk, page: number): number => id * 0x1_0000_0000 + page;
