/**
 * The block table of a VHDX: where each block lies, and of a difference the bitmaps that say which of its sectors are here. Little-endian. Source: [MS-VHDX]
 * 2.5. Pure.
 *
 * ```
 * entry (8 bytes)   bits 0–2 state   3–19 reserved   20–63 offset in the file, MiB
 * order             a chunk is 2^23 sectors: as many entries as blocks lie in it (the chunk ratio), then that of its bitmap, 1 MiB
 * ```
 */
import type { ImageFault } from '../disk.ts';
import { type Area, overlap } from '../overlap.ts';
import { MIB } from './header.ts';
import type { Shape } from './metadata.ts';

export const ENTRY_BYTES = 8;
/** 2.5: sectors that one bitmap block tells of, one bit each. */
const CHUNK_SECTORS = 2 ** 23;
/** The table is in memory, 4 bytes a block: 16 MiB are 8 TiB in blocks of 2 MiB, or all of 64 TiB in those of 16. */
export const MAX_BLOCKS = 4_194_304;

/** 2.5.1.1. 4 is none; 5 is what early writers took for UNMAPPED. */
const STATES = { notPresent: 0, undefined: 1, zero: 2, unmapped: 3, oldUnmapped: 5, present: 6, partial: 7 } as const;
const BITMAP_PRESENT = 6;
/** 2.5.2: the bits of a chunk. */
export const BITMAP_BYTES = CHUNK_SECTORS / 8;

export interface Chunks {
  readonly blocks: number;
  /** Blocks of a chunk: the chunk ratio. */
  readonly ratio: number;
  readonly entries: number;
}

/** 2.5: of a difference each chunk has its bitmap's entry; else there is none after the last block. The ratio is by the logical sector. */
export function chunksOf({ sizeBytes, blockSize, blockBytes, hasParent }: Shape): Chunks {
  const blocks = Math.ceil(sizeBytes / blockBytes);
  const ratio = (CHUNK_SECTORS * blockSize) / blockBytes;
  const entries = hasParent ? Math.ceil(blocks / ratio) * (ratio + 1) : blocks + Math.floor((blocks - 1) / ratio);
  return { blocks, ratio, entries };
}

/** `at`: in the file, whole MiB. A bitmap that is there has the state of a block that is. */
export function encodeEntry(table: Buffer, entry: number, state: keyof typeof STATES, at: number): void {
  table.writeBigUInt64LE(BigInt(at) | BigInt(STATES[state]), ENTRY_BYTES * entry);
}

/** Where blocks and bitmaps lie, in MiB, and the state in the lowest three bits: files of up to 512 TiB. */
export class BlockTable {
  readonly #shape: Shape;
  readonly #chunks: Chunks;
  readonly #blocks: Uint32Array;
  /** By chunk, in MiB; 0: there is none. */
  readonly #bitmaps: Uint32Array;

  constructor(shape: Shape, chunks: Chunks) {
    this.#shape = shape;
    this.#chunks = chunks;
    this.#blocks = new Uint32Array(chunks.blocks);
    this.#bitmaps = new Uint32Array(shape.hasParent ? Math.ceil(chunks.blocks / chunks.ratio) : 0);
  }

  /** Entries from the one of number `first` on. */
  take(bytes: Buffer, first: number): ImageFault | undefined {
    const { ratio, blocks } = this.#chunks;
    for (let at = 0, entry = first; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES, entry++) {
      const low = bytes.readUInt32LE(at);
      const mib = bytes.readUInt32LE(at + 4) * 2 ** 12 + (low >>> 20);
      const chunk = Math.floor(entry / (ratio + 1));
      const inChunk = entry % (ratio + 1);
      const block = chunk * ratio + inChunk;
      const state = low & 7;
      const isHere = inChunk === ratio ? state === BITMAP_PRESENT : state >= STATES.present;
      if (isHere && mib >= MAX_MIB)
        return {
          code: 'ImageInvalid',
          message: `entry ${entry} of its block table leads to ${mib} MiB: it is damaged; copy it again`,
        };
      if (inChunk === ratio) {
        if (chunk < this.#bitmaps.length) this.#bitmaps[chunk] = isHere ? mib : 0;
      } else if (block < blocks) this.#blocks[block] = ((mib < MAX_MIB ? mib : 0) << 3) + state;
    }
    return undefined;
  }

  stateOf(block: number): number {
    return (this.#blocks[block] ?? 0) & 7;
  }

  /** Zeros, never the parent: those that were written or discarded here (2.5.1.1). Only what was never touched is the parent's. */
  isZero(block: number): boolean {
    const state = this.stateOf(block);
    return state < STATES.present && !(state === STATES.notPresent && this.#shape.hasParent);
  }

  isHere(block: number): boolean {
    return this.stateOf(block) >= STATES.present;
  }

  dataAt(block: number): number {
    return ((this.#blocks[block] ?? 0) >>> 3) * MIB;
  }

  /** Where the bits of this block lie, in the bitmap of its chunk. */
  bitmapAt(block: number): number | undefined {
    if (this.stateOf(block) !== STATES.partial) return undefined;
    const { ratio } = this.#chunks;
    const bytesOfBlock = this.#shape.blockBytes / this.#shape.blockSize / 8;
    return (this.#bitmaps[Math.floor(block / ratio)] ?? 0) * MIB + (block % ratio) * bytesOfBlock;
  }

  /** In bytes: room that a block keeps which was discarded (2.5.1.1, UNMAPPED). */
  *reserved(): Generator<number> {
    for (let block = 0; block < this.#chunks.blocks; block++)
      if (!this.isHere(block) && this.dataAt(block) > 0) yield this.dataAt(block);
  }

  /** In bytes. */
  bitmaps(): readonly Area[] {
    return [...this.#bitmaps]
      .filter((mib) => mib > 0)
      .map((mib) => ({ what: 'bitmap', start: mib * MIB, end: (mib + 1) * MIB }));
  }

  /** Why blocks cannot lie where the table says. `areas`, in bytes, is what else lies in the file. */
  judge(fileBytes: number, areas: readonly Area[]): ImageFault | undefined {
    const { blocks, ratio } = this.#chunks;
    const { sizeBytes, blockBytes } = this.#shape;
    const starts = new Uint32Array(this.#blocks.length);
    let many = 0;
    for (let block = 0; block < blocks; block++) {
      const state = this.stateOf(block);
      if (state === 4) return invalid(`block ${block} has state 4, which there is none of`);
      if (!this.isHere(block)) continue;
      if (state === STATES.partial && !this.#bitmaps[Math.floor(block / ratio)])
        return invalid(`block ${block} is partly there, and no bitmap says what is`);
      const at = this.dataAt(block);
      if (Math.min(blockBytes, sizeBytes - block * blockBytes) > fileBytes - at)
        return cut(`block ${block} is at byte ${at}, and the file has ${fileBytes}`);
      starts[many++] = at / MIB;
    }
    const bitmaps = [...this.#bitmaps].filter((mib) => mib > 0).map((mib) => area('bitmap', mib * MIB, MIB));
    if (bitmaps.some(({ end }) => end * MIB > fileBytes))
      return cut(`a bitmap ends beyond the ${fileBytes} bytes of the file`);
    const inMib = areas.map(({ what, start, end }) => area(what, start, end - start));
    const wrong = overlap(starts.subarray(0, many), blockBytes / MIB, [...inMib, ...bitmaps], MIB);
    return wrong === undefined ? undefined : invalid(wrong);
  }
}

const MAX_MIB = 2 ** 29;

const area = (what: string, start: number, bytes: number): Area => ({
  what,
  start: Math.floor(start / MIB),
  end: Math.ceil((start + bytes) / MIB),
});

const invalid = (what: string): ImageFault => ({
  code: 'ImageInvalid',
  message: `${what}: it is damaged; copy it again`,
});
const cut = (what: string): ImageFault => ({ code: 'FileCut', message: `${what}: it was cut; copy it again` });
