/**
 * A disk whose image keeps it in blocks, anywhere in the file: what VHD and VHDX have in common. A block is plain in the file, zeros, or that of the image
 * below; of one that is partly here, a bitmap says which sectors are.
 *
 * ```
 * this image   [0][ ][1][½]      0, 1: here      ½: by its bitmap      blank: zeros, or what lies below
 * below        [a][b][c]         shorter: zeros beyond its end
 * the disk     [0][b][1][½]
 * ```
 */
import { ok, type Result } from '../kit/result.ts';
import { type Bitmap, endOfRun, isSet } from './bits.ts';
import {
  beyondEnd,
  type Description,
  type Disk,
  type Extent,
  type Format,
  type ImageFacts,
  MOST_PIECES,
  type OpenFault,
  type OpenFile,
  type OpenParent,
  type Piece,
  type ReadFault,
  readInto,
} from './disk.ts';
import { type ImageFile, lookAtFile, withFile } from './file.ts';
import type { Area } from './overlap.ts';

/** Where a piece of the disk lies, if not in this file. */
export const ZEROS = -1;
export const BELOW = -2;
/** Its bitmap is not in memory. */
const UNKNOWN = -3;

/** Where a format says that its blocks lie: pure, in memory. */
export interface BlockMap {
  /** Of the disk. */
  readonly sizeBytes: number;
  /** The sector of the bitmaps, too. */
  readonly blockSize: 512 | 4096;
  readonly blockBytes: number;
  /** In the file, in bytes; or `ZEROS`, or `BELOW`. */
  readonly dataAt: (block: number) => number;
  /** Where the bitmap lies that says which sectors are here, those that are not being below; undefined: all are. */
  readonly bitmapAt: (block: number) => number | undefined;
  readonly highestFirst: boolean;
}

export interface BlockImage {
  readonly facts: ImageFacts;
  readonly map: BlockMap;
  readonly about: () => About;
}

/** What a format says for a `Description` beside its facts and its map. */
export interface About extends Pick<Description, 'creator' | 'odd'> {
  readonly subformat: NonNullable<Description['subformat']>;
  readonly areas: readonly Area[];
  readonly reserved?: readonly number[];
  /** Of a block's slot in the file, before its data. */
  readonly prefixBytes: number;
}

type Load = (file: ImageFile) => Promise<Result<BlockImage, OpenFault>>;

/** `load` reads and judges all that the image says of itself. */
export const blockFormat = (
  extension: string,
  differencing: string,
  load: Load,
  create: NonNullable<Format['create']>,
): Format => ({
  extension,
  create,
  differencing,
  probe: (path) =>
    lookAtFile(path, async (file) => {
      const image = await load(file);
      return image.ok ? ok(image.value.facts) : image;
    }),
  describe: (path) =>
    lookAtFile(path, async (file) => {
      const image = await load(file);
      return image.ok ? ok(describe(file, image.value)) : image;
    }),
  open: (path, openParent) => withFile(path, (file) => openBlocks(file, load, openParent)),
});

function describe(file: ImageFile, { facts, map, about }: BlockImage): Description {
  const { areas, reserved = [], prefixBytes, ...said } = about();
  const all = Math.ceil(map.sizeBytes / map.blockBytes);
  const slots: number[] = [];
  let partly = 0;
  for (let block = 0; block < all; block++) {
    const at = map.dataAt(block);
    if (at < 0) continue;
    slots.push(at - prefixBytes);
    if (map.bitmapAt(block) !== undefined) partly++;
  }
  const layout = {
    fileBytes: file.sizeBytes,
    areas,
    slots,
    reserved,
    slotBytes: prefixBytes + map.blockBytes,
    blocks: { all, here: slots.length, partly },
  };
  return {
    facts,
    ...said,
    ...(said.subformat === 'fixed' && all === 1 ? {} : { blockBytes: map.blockBytes }),
    ...(file.laidBytes > 0 ? { loggedBytes: file.laidBytes } : {}),
    layout,
  };
}

async function openBlocks(file: ImageFile, load: Load, openParent: OpenParent): Promise<Result<Disk, OpenFault>> {
  const image = await load(file);
  if (!image.ok) return image;
  const { facts, map } = image.value;
  if (!facts.parent) return BlockDisk.open(file, map);
  const below = await openParent(facts.parent);
  if (!below.ok) return below;
  const disk = await BlockDisk.open(file, map, below.value);
  if (!disk.ok) await below.value.close();
  return disk;
}

/** The whole disk as one piece, from `dataAt` on. */
export const oneBlock = (sizeBytes: number, dataAt: number): BlockMap => ({
  sizeBytes,
  blockSize: 512,
  blockBytes: sizeBytes,
  dataAt: () => dataAt,
  bitmapAt: () => undefined,
  highestFirst: true,
});

/**
 * Bitmaps that are kept in memory of one image: 16 MiB are those of 64 GiB that are partly here, in blocks of 2 MiB. So many are looked at when it is opened,
 * one after the other (a file system that hangs holds one thread), 3 s from the page cache. Beyond either, a block is read, and never told as an extent.
 */
const KEPT_BITMAP_BYTES = 16 << 20;
const BITMAPS_AT_OPEN = 65_536;

/** A piece of the disk: at a place in the file, or one of the above. */
interface Run {
  readonly offset: number;
  readonly length: number;
  readonly at: number;
}

/** A map that is being told. */
interface Told {
  readonly pieces: Piece[];
  readonly most: number;
  readonly depth: number;
}

class BlockDisk implements Disk {
  readonly #file: ImageFile;
  readonly #map: BlockMap;
  readonly #below: Disk | undefined;
  /** Of blocks that are partly here; undefined: of all of it. */
  readonly #bitmaps = new Map<number, Bitmap | undefined>();

  private constructor(file: ImageFile, map: BlockMap, below: Disk | undefined) {
    this.#file = file;
    this.#map = map;
    this.#below = below;
  }

  /** Once it is open, both are its own. */
  static async open(file: ImageFile, map: BlockMap, below?: Disk): Promise<Result<Disk, ReadFault>> {
    const disk = new BlockDisk(file, map, below);
    const fault = below ? await disk.#readBitmaps() : undefined;
    return fault ? { ok: false, error: fault } : ok(disk);
  }

  get sizeBytes(): number {
    return this.#map.sizeBytes;
  }

  get blockSize(): 512 | 4096 {
    return this.#map.blockSize;
  }

  async read(offset: number, length: number): Promise<Result<Buffer, ReadFault>> {
    const beyond = beyondEnd(this, offset, length);
    if (beyond) return { ok: false, error: beyond };
    const bytes = Buffer.allocUnsafe(length);
    const fault = await this.readInto(bytes, 0, length, offset);
    return fault ? { ok: false, error: fault } : ok(bytes);
  }

  async readInto(bytes: Buffer, place: number, length: number, offset: number): Promise<ReadFault | undefined> {
    const beyond = beyondEnd(this, offset, length);
    if (beyond) return beyond;
    if (this.#file.closed) return closedFault(this.#file.path);
    for (const run of this.#runs(offset, length)) {
      const fault = await this.#readRun(bytes, offset - place, run);
      if (fault) return fault;
    }
    return undefined;
  }

  /** `from`: where on the disk `bytes` begins. */
  async #readRun(bytes: Buffer, from: number, { offset, length, at }: Run): Promise<ReadFault | undefined> {
    const place = offset - from;
    if (at >= 0) return this.#file.readInto(bytes, place, length, at);
    if (at === BELOW) return this.#readBelow(bytes, place, offset, length);
    if (at === ZEROS) {
      bytes.fill(0, place, place + length);
      return undefined;
    }
    const bitmap = await this.#readBitmap(Math.floor(offset / this.#map.blockBytes));
    if (!bitmap.ok) return bitmap.error;
    for (const run of this.#within(bitmap.value, offset, length)) {
      const fault = await this.#readRun(bytes, from, run);
      if (fault) return fault;
    }
    return undefined;
  }

  async #readBelow(bytes: Buffer, place: number, offset: number, length: number): Promise<ReadFault | undefined> {
    const there = Math.max(0, Math.min(length, (this.#below?.sizeBytes ?? 0) - offset));
    if (there > 0 && this.#below) {
      const fault = await readInto(this.#below, bytes, place, there, offset);
      if (fault) return fault;
    }
    bytes.fill(0, place + there, place + length);
    return undefined;
  }

  *extents(offset: number, length: number): Generator<Extent> {
    if (beyondEnd(this, offset, length)) return;
    for (const run of this.#runs(offset, length)) {
      if (this.#file.closed) return;
      if (run.at >= 0) {
        if (this.#file.isPlain(run.at, run.length))
          yield { offset: run.offset, length: run.length, fd: this.#file.fd, fileOffset: run.at };
        else yield* this.#extentsOf(run);
      }
      if (run.at !== BELOW) continue;
      const there = Math.min(run.length, (this.#below?.sizeBytes ?? 0) - run.offset);
      if (there > 0) yield* this.#below?.extents?.(run.offset, there) ?? [];
    }
  }

  *#extentsOf({ offset, length, at }: Run): Generator<Extent> {
    for (const plain of this.#file.plain(at, length))
      yield { offset: offset + plain.offset - at, length: plain.length, fd: this.#file.fd, fileOffset: plain.offset };
  }

  async map(
    offset: number,
    length: number,
    most = MOST_PIECES,
    depth = 0,
  ): Promise<Result<readonly Piece[], ReadFault>> {
    const beyond = beyondEnd(this, offset, length);
    if (beyond) return { ok: false, error: beyond };
    await this.#file.toMap();
    const told: Told = { pieces: [], most, depth };
    const fault = await this.#mapRuns(told, this.#runs(offset, length));
    return fault ? { ok: false, error: fault } : ok(told.pieces);
  }

  /** Until there are as many as may be. */
  async #mapRuns(told: Told, runs: Iterable<Run>): Promise<ReadFault | undefined> {
    const { pieces, most, depth } = told;
    for (const { offset, length, at } of runs) {
      if (pieces.length >= most) return undefined;
      if (at >= 0) {
        for (const piece of this.#file.map(at, length, offset, depth)) if (pieces.push(piece) >= most) break;
        continue;
      }
      if (at === ZEROS) {
        pieces.push({ offset, length, depth, isZero: true });
        continue;
      }
      const fault = await (at === BELOW
        ? this.#mapBelow(told, offset, length)
        : this.#mapUnknown(told, offset, length));
      if (fault) return fault;
    }
    return undefined;
  }

  async #mapUnknown(told: Told, offset: number, length: number): Promise<ReadFault | undefined> {
    const bitmap = await this.#readBitmap(Math.floor(offset / this.#map.blockBytes));
    return bitmap.ok ? this.#mapRuns(told, this.#within(bitmap.value, offset, length)) : bitmap.error;
  }

  /** Beyond its end are zeros, which this image decides: what lies further down does not show through. */
  async #mapBelow({ pieces, most, depth }: Told, offset: number, length: number): Promise<ReadFault | undefined> {
    const there = Math.max(0, Math.min(length, (this.#below?.sizeBytes ?? 0) - offset));
    if (there > 0) {
      const all = ok([{ offset, length: there, depth: depth + 1, isZero: false }]);
      const below = (await this.#below?.map?.(offset, there, most - pieces.length, depth + 1)) ?? all;
      if (!below.ok) return below.error;
      for (const piece of below.value) pieces.push(piece);
    }
    if (there < length && pieces.length < most)
      pieces.push({ offset: offset + there, length: length - there, depth, isZero: true, isAbsent: true });
    return undefined;
  }

  /** The image first. */
  async files(): Promise<readonly OpenFile[]> {
    return [await this.#file.openFile(), ...((await this.#below?.files?.()) ?? [])];
  }

  async close(): Promise<void> {
    await this.#file.close();
    await this.#below?.close();
  }

  /**
   * In order; what continues each other is one run. The extents of 1 TiB in scattered blocks of 2 MiB take the main thread 100 to 140 ms, with the table that
   * the stream server makes of them; through one generator more, 190 to 220.
   */
  *#runs(offset: number, length: number): Generator<Run> {
    const { blockBytes, dataAt, bitmapAt } = this.#map;
    const end = offset + length;
    let last: Run | undefined;
    for (let from = offset; from < end; ) {
      const block = Math.floor(from / blockBytes);
      const start = block * blockBytes;
      const to = Math.min(end, start + blockBytes);
      const data = dataAt(block);
      const isPart = data >= 0 && this.#below !== undefined && bitmapAt(block) !== undefined;
      if (isPart && this.#bitmaps.has(block)) {
        if (last) yield last;
        last = undefined;
        yield* this.#within(this.#bitmaps.get(block), from, to - from);
      } else {
        const at = isPart ? UNKNOWN : data < 0 ? data : data + from - start;
        const joint = last && continues(last, at);
        if (last && !joint) yield last;
        last = last && joint ? { ...last, length: last.length + to - from } : { offset: from, length: to - from, at };
      }
      from = to;
    }
    if (last) yield last;
  }

  /** Of a range within one block. */
  *#within(bitmap: Bitmap | undefined, offset: number, length: number): Generator<Run> {
    const { blockBytes, blockSize, dataAt } = this.#map;
    const block = Math.floor(offset / blockBytes);
    const start = block * blockBytes;
    const at = dataAt(block);
    const end = offset + length;
    if (bitmap === undefined) return yield { offset, length, at: at + offset - start };
    const sectors = Math.ceil((end - start) / blockSize);
    for (let from = offset; from < end; ) {
      const sector = Math.floor((from - start) / blockSize);
      const here = isSet(bitmap, sector);
      const to = Math.min(end, start + endOfRun(bitmap, here, sector, sectors) * blockSize);
      yield { offset: from, length: to - from, at: here ? at + from - start : BELOW };
      from = to;
    }
  }

  async #readBitmap(block: number): Promise<Result<Bitmap | undefined, ReadFault>> {
    const { sizeBytes, blockSize, blockBytes, bitmapAt, highestFirst } = this.#map;
    const at = bitmapAt(block);
    if (at === undefined) return ok(undefined);
    const sectors = Math.ceil(Math.min(blockBytes, sizeBytes - block * blockBytes) / blockSize);
    const bits = await this.#file.read(at, Math.ceil(sectors / 8));
    if (!bits.ok) return bits;
    const bitmap = { bits: bits.value, highestFirst };
    return ok(endOfRun(bitmap, true, 0, sectors) === sectors ? undefined : bitmap);
  }

  async #readBitmaps(): Promise<ReadFault | undefined> {
    const { sizeBytes, blockBytes, dataAt, bitmapAt } = this.#map;
    let kept = 0;
    for (let block = 0; block * blockBytes < sizeBytes; block++) {
      if (dataAt(block) < 0 || bitmapAt(block) === undefined) continue;
      if (kept >= KEPT_BITMAP_BYTES || this.#bitmaps.size === BITMAPS_AT_OPEN) return undefined;
      const bitmap = await this.#readBitmap(block);
      if (!bitmap.ok) return bitmap.error;
      kept += bitmap.value?.bits.length ?? 0;
      this.#bitmaps.set(block, bitmap.value);
    }
    return undefined;
  }
}

const closedFault = (path: string): ReadFault => ({ code: 'DiskClosed', message: `${path} is closed` });

const continues = (last: Run, at: number): boolean =>
  at >= 0 ? last.at >= 0 && at === last.at + last.length : at === last.at && at !== UNKNOWN;
