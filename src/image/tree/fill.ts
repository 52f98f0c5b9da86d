/**
 * Makes the leaf table of any disk. What its map says is zeros is not read, and what images have that already have a table with all below them is taken from it:
 * of a difference only what it holds itself is read. A piece that is partly the difference's is read through the chain.
 *
 * ```
 * lab.2.avhdx   [ ][a][ ][½]      a and ½ are read and hashed, the zeros known,
 * lab.1.avhdx   [b][ ][ ][c]      and b is a hash of the table of lab.1.avhdx
 * ```
 */
import { ok, type Result } from '../../kit/result.ts';
import { type Disk, type Piece, type ReadFault, readInto } from '../disk.ts';
import type { TableBuilder } from './builder.ts';
import { PAGE_LEAVES } from './layout.ts';
import { HASH_BYTES, PIECE_BYTES, type Pieces } from './pieces.ts';
import type { LeafTable } from './table.ts';

/** The table of an image that the disk is a difference of. */
export interface Below {
  readonly table: Pick<LeafTable, 'page'>;
  /** Of its disk. */
  readonly sizeBytes: number;
  /** Images of the chain from this one on are in it. */
  readonly depth: number;
}

export interface FillOptions {
  /** The one with the least depth that there is. */
  readonly below?: Below;
  /** After each step, with the bytes of the disk that were read and that are done: whether to go on, when it is time. Absent: at once. */
  readonly goOn?: (readBytes: number, doneBytes: number) => Promise<boolean>;
}

/** A map tells all of it at once (`MOST_PIECES`), and it is whole pages. */
const WINDOW_BYTES = 64 << 20;
const STEP_BYTES = 1 << 20;
const STEP_PIECES = STEP_BYTES / PIECE_BYTES;

/** Of each piece of a window, what is so of all parts of it. */
const ZERO = 1;
const SHARED = 2;

/** `builder` has all leaves of the disk then; undefined: `goOn` said no, and it has some. */
export async function fillTable(
  disk: Disk,
  builder: Pick<TableBuilder, 'addLeaves'>,
  pieces: Pieces,
  { below, goOn = async () => true }: FillOptions = {},
): Promise<Result<true | undefined, ReadFault>> {
  const step = new Step(disk, pieces, below);
  for (let start = 0; start < disk.sizeBytes; start += WINDOW_BYTES) {
    const length = Math.min(WINDOW_BYTES, disk.sizeBytes - start);
    const mapped = (await disk.map?.(start, length)) ?? ok([{ offset: start, length, depth: 0, isZero: false }]);
    if (!mapped.ok) return mapped;
    step.begin(mapped.value);
    const known = knownOf(mapped.value, start, length, disk.sizeBytes, below);
    for (let from = start; from < start + length; from += STEP_BYTES) {
      const first = (from - start) / PIECE_BYTES;
      const end = Math.min(from + STEP_BYTES, start + length);
      const read = await step.take(from, end, known.subarray(first, first + STEP_PIECES));
      if (!read.ok) return read;
      await builder.addLeaves(step.leaves, end - from);
      const isDue = read.value > 0 || end === start + length;
      if (isDue && !(await goOn(read.value, end))) return ok(undefined);
    }
  }
  return ok(true);
}

/** A byte a piece. */
function knownOf(
  map: readonly Piece[],
  start: number,
  length: number,
  diskBytes: number,
  below: Pick<Below, 'depth' | 'sizeBytes'> | undefined,
): Uint8Array {
  const known = new Uint8Array(Math.ceil(length / PIECE_BYTES)).fill(ZERO | SHARED);
  for (const { offset, length: bytes, depth, isZero } of map) {
    const is = (isZero ? ZERO : 0) | (below && depth >= below.depth ? SHARED : 0);
    if (is === (ZERO | SHARED)) continue;
    const end = Math.ceil((offset + bytes - start) / PIECE_BYTES);
    for (let piece = Math.floor((offset - start) / PIECE_BYTES); piece < end; piece++)
      known[piece] = (known[piece] ?? 0) & is;
  }
  // Of a disk that ends within a piece that one is its own, where the other disk does not end there, too.
  const isCut = diskBytes % PIECE_BYTES !== 0 && start + length === diskBytes;
  if (isCut && below?.sizeBytes !== diskBytes) known[known.length - 1] = (known.at(-1) ?? 0) & ZERO;
  return known;
}

/** Two pages of leaves, again and again. */
class Step {
  readonly leaves = Buffer.alloc(STEP_PIECES * HASH_BYTES);
  readonly #disk: Disk;
  readonly #pieces: Pieces;
  readonly #below: Below | undefined;
  readonly #bytes = Buffer.alloc(STEP_BYTES);
  readonly #zero = Buffer.alloc(HASH_BYTES);

  #map: readonly Piece[] = [];
  /** Which of its pieces is read. */
  #at = 0;

  constructor(disk: Disk, pieces: Pieces, below: Below | undefined) {
    this.#disk = disk;
    this.#pieces = pieces;
    this.#below = below;
    pieces.hash(this.#zero, 0, this.#bytes.subarray(0, PIECE_BYTES));
  }

  /** `map`: of the window that the next steps are parts of. */
  begin(map: readonly Piece[]): void {
    this.#map = map;
    this.#at = 0;
  }

  /** Makes `leaves` those of this part of the disk, which `known` is of; how many bytes of it were read. */
  async take(from: number, end: number, known: Uint8Array): Promise<Result<number, ReadFault>> {
    this.leaves.fill(0);
    await this.#share(from / PIECE_BYTES, known);
    let readBytes = 0;
    for (let piece = 0; piece < known.length; ) {
      const is = known[piece] ?? 0;
      let next = piece + 1;
      while (next < known.length && known[next] === is) next++;
      const [offset, to] = [from + piece * PIECE_BYTES, Math.min(end, from + next * PIECE_BYTES)];
      if ((is & ZERO) !== 0) this.#putZeros(piece, offset, to - offset);
      else if (is === 0) {
        const fault = await this.#hash(piece, offset, to - offset);
        if (fault) return { ok: false, error: fault };
        readBytes += to - offset;
      }
      piece = next;
    }
    return ok(readBytes);
  }

  /** `first`: piece of the disk. Those of a page that the other table lost are known no more. */
  async #share(first: number, known: Uint8Array): Promise<void> {
    for (let page = 0; page * PAGE_LEAVES < known.length; page++) {
      const begin = page * PAGE_LEAVES;
      const ofPage = known.subarray(begin, begin + PAGE_LEAVES);
      if (!ofPage.includes(SHARED)) continue;
      const leaves = await this.#below?.table.page(first / PAGE_LEAVES + page);
      for (const [piece, is] of ofPage.entries()) {
        if (is !== SHARED) continue;
        const at = piece * HASH_BYTES;
        if (leaves) this.leaves.set(leaves.subarray(at, at + HASH_BYTES), (begin + piece) * HASH_BYTES);
        else ofPage[piece] = 0;
      }
    }
  }

  #putZeros(piece: number, offset: number, length: number): void {
    const whole = Math.floor(length / PIECE_BYTES);
    const at = piece * HASH_BYTES;
    if (whole > 0) this.leaves.fill(this.#zero, at, at + whole * HASH_BYTES);
    const rest = Buffer.alloc(length - whole * PIECE_BYTES);
    this.#pieces.hash(this.leaves.subarray(at + whole * HASH_BYTES), offset + whole * PIECE_BYTES, rest);
  }

  async #hash(piece: number, offset: number, length: number): Promise<ReadFault | undefined> {
    const fault = await this.#read(offset, offset + length);
    if (fault) return fault;
    this.#pieces.hash(this.leaves.subarray(piece * HASH_BYTES), offset, this.#bytes.subarray(0, length));
    return undefined;
  }

  /**
   * From where the map says that it lies: no image of a chain is asked again, and nothing is waited for. What is not in the page cache is read as disks are.
   */
  async #read(start: number, end: number): Promise<ReadFault | undefined> {
    for (let from = start; from < end; ) {
      const piece = this.#pieceAt(from);
      const to = Math.min(end, piece.offset + piece.length);
      const done = from + this.#readKnown(piece, from, to, from - start);
      const fault = done < to ? await readInto(this.#disk, this.#bytes, done - start, to - done, done) : undefined;
      if (fault) return fault;
      from = to;
    }
    return undefined;
  }

  /** How many bytes. */
  #readKnown({ offset, isZero, at }: Piece, from: number, to: number, place: number): number {
    if (isZero) this.#bytes.fill(0, place, place + to - from);
    if (isZero) return to - from;
    return at?.file.readCached(this.#bytes, place, to - from, at.offset + from - offset) ?? 0;
  }

  #pieceAt(offset: number): Piece {
    for (;;) {
      const piece = this.#map[this.#at];
      if (!piece) throw new Error(`the map of the disk does not tell of ${offset}`);
      if (offset < piece.offset + piece.length) return piece;
      this.#at++;
    }
  }
}
