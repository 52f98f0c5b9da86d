/** The content of a disk, as it goes from what is read to what is written: in bounded pieces, zeros known, one read ahead of each write. */
import { type Fault, ok, type Result } from '../kit/result.ts';
import type { Disk, OpenFault, Piece, ReadFault } from './disk.ts';
import { createImage } from './images.ts';
import type { ChangedFault, Unchanged } from './unchanged.ts';
import type { ImageWriter, NewImage, WriteFault } from './writer.ts';

/** How work is told of, and ended. */
export interface Work {
  /** After each piece: bytes of the disk that are done, of all. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Aborted: what was written is removed. */
  readonly signal?: AbortSignal;
  /** When all of it is written, and before it has its name: what has to be there with it. */
  readonly beforeName?: () => Promise<WorkFault | undefined>;
}

export type WorkFault = OpenFault | WriteFault | ChangedFault | Fault<'Cancelled'>;

/** What is asked of a map at once: a piece each sector at most, fewer than `MOST_PIECES`, so it tells all of it. With 64 MiB a hostile image takes 70 MiB more. */
const WINDOW_BYTES = 8 << 20;
/** What is read, and held, at once. */
const READ_BYTES = 1 << 20;
/**
 * Zeros that are found are left out in so many bytes, at multiples of it: holes of less would save little and lay the file in many pieces, each a write of its own.
 */
export const GRAIN_BYTES = 64 << 10;
const ZEROS = Buffer.alloc(READ_BYTES);

/** At most 1 MiB. */
export const isZero = (bytes: Buffer): boolean => bytes.equals(ZEROS.subarray(0, bytes.length));

export interface Range {
  readonly offset: number;
  readonly length: number;
}

export interface Data {
  readonly offset: number;
  readonly bytes: Buffer;
}

export const CANCELLED: Fault<'Cancelled'> = {
  code: 'Cancelled',
  message: 'it was cancelled, and nothing is left of it',
};

/** Windows of a disk, of each its pieces in order. A disk without a map is data. */
export async function* windowsOf(disk: Disk): AsyncGenerator<Result<readonly Piece[], ReadFault>> {
  for (let offset = 0; offset < disk.sizeBytes; offset += WINDOW_BYTES) {
    const length = Math.min(WINDOW_BYTES, disk.sizeBytes - offset);
    yield (await disk.map?.(offset, length)) ?? ok([{ offset, length, depth: 0, isZero: false }]);
  }
}

/** What a base has to have: all but zeros. Ranges are whole grains, so that what lies in single sectors is read at once. */
export function dataRanges(pieces: readonly Piece[], sizeBytes: number): Range[] {
  const grains = pieces
    .filter((piece) => !piece.isZero)
    .map(({ offset, length }) => {
      const from = Math.floor(offset / GRAIN_BYTES) * GRAIN_BYTES;
      return { offset: from, length: Math.min(sizeBytes, roundUp(offset + length)) - from };
    });
  return joined(grains);
}

const roundUp = (bytes: number): number => Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES;

/** In order of their offsets; what overlaps, or follows at once, is one. */
export function joined(ranges: readonly Range[]): Range[] {
  const all: Range[] = [];
  for (const range of ranges) {
    const last = all.at(-1);
    if (!last || range.offset > last.offset + last.length) all.push(range);
    else
      all[all.length - 1] = {
        offset: last.offset,
        length: Math.max(last.length, range.offset + range.length - last.offset),
      };
  }
  return all;
}

/** What lies in these ranges, 1 MiB at most at once; the next is read while one is used. */
export async function* dataOf(
  disk: Pick<Disk, 'read'>,
  ranges: readonly Range[],
): AsyncGenerator<Result<Data, ReadFault>> {
  const reads = readsOf(ranges);
  const start = () => {
    const { value } = reads.next();
    return value && { offset: value.offset, read: disk.read(value.offset, value.length) };
  };
  for (let now = start(); now; ) {
    const read = await now.read;
    if (!read.ok) return yield read;
    const next = start();
    yield ok({ offset: now.offset, bytes: read.value });
    now = next;
  }
}

function* readsOf(ranges: readonly Range[]): Generator<Range, undefined> {
  for (const { offset, length } of ranges)
    for (let at = offset; at < offset + length; ) {
      const end = Math.min(offset + length, (Math.floor(at / READ_BYTES) + 1) * READ_BYTES);
      yield { offset: at, length: end - at };
      at = end;
    }
}

/** Parts of what was read, in order: those that are zeros, and those that are not, by grains. */
function grainsOf({ offset, bytes }: Data): (Data & { readonly isZero: boolean })[] {
  const parts: { from: number; to: number; isZero: boolean }[] = [];
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, roundUp(offset + from + 1) - offset);
    const is = isZero(bytes.subarray(from, to));
    const last = parts.at(-1);
    if (last?.isZero === is) last.to = to;
    else parts.push({ from, to, isZero: is });
    from = to;
  }
  return parts.map(({ from, to, isZero }) => ({ offset: offset + from, bytes: bytes.subarray(from, to), isZero }));
}

/** Writes these ranges of a disk as they are, zeros as such. */
export async function copyRanges(
  from: Disk,
  to: ImageWriter,
  ranges: readonly Range[],
  { signal, onProgress }: Work,
): Promise<WorkFault | undefined> {
  for await (const data of dataOf(from, ranges)) {
    if (signal?.aborted) return CANCELLED;
    if (!data.ok) return data.error;
    for (const { offset, bytes, isZero: is } of grainsOf(data.value)) {
      const fault = await (is ? to.zeros(offset, bytes.length) : to.write(offset, bytes));
      if (fault) return fault;
    }
    onProgress?.(data.value.offset + data.value.bytes.length, from.sizeBytes);
  }
  return undefined;
}

/** Writes all of a disk into a base. */
export async function copyDisk(from: Disk, to: ImageWriter, work: Work): Promise<WorkFault | undefined> {
  for await (const pieces of windowsOf(from)) {
    if (work.signal?.aborted) return CANCELLED;
    if (!pieces.ok) return pieces.error;
    const fault = await copyRanges(from, to, dataRanges(pieces.value, from.sizeBytes), work);
    if (fault) return fault;
    const { offset, length } = pieces.value.at(-1) ?? { offset: 0, length: 0 };
    work.onProgress?.(offset + length, from.sizeBytes);
  }
  return undefined;
}

/** Work that reads disks. */
export interface Making extends Work {
  /** Of each of them. */
  readonly unchanged: readonly Unchanged[];
}

/** An image made by `fill`: whole, by its name, or, where anything goes wrong, nothing of it. */
export async function makeImage(
  path: string,
  image: NewImage,
  { signal, beforeName, unchanged }: Making,
  fill: (to: ImageWriter) => Promise<WorkFault | undefined>,
): Promise<Result<undefined, WorkFault>> {
  const created = await createImage(path, image);
  if (!created.ok) return created;
  const to = created.value;
  try {
    let fault = (await fill(to)) ?? (signal?.aborted ? CANCELLED : undefined) ?? (await beforeName?.());
    for (const isSo of unchanged) fault ??= await isSo();
    fault ??= await to.finish();
    return fault ? { ok: false, error: fault } : ok(undefined);
  } finally {
    await to.abort();
  }
}
