/**
 * The extents of a disk as all threads see them: rows of four doubles in one piece of shared memory, in order of offset. Those of a VHD of 1 TiB
 * (524,288 scattered ones, 16 MiB) take 100 ms of the main thread once, when the disk is added, and 0.3 at a change of another disk, which each thread
 * has within 5. As objects that were copied to each thread: 460 ms at each change, and 5 s (`npm run bench -- disks` on a machine that was busy).
 *
 * ```
 * row   [offset][end][shift][fd]      offset + shift is where the byte lies in the file
 * ```
 */
import type { Extent } from '../image/disk.ts';
import { MAX_EXTENT_TABLE_BYTES } from './limits.ts';

export interface ExtentTable {
  readonly rows: Float64Array<SharedArrayBuffer>;
  /** The files that they lie in, each once. */
  readonly fds: readonly number[];
  /** False: there were more than fit; what the last ones hold is not in it. */
  readonly whole: boolean;
}

const ROW_WORDS = 4;
const END = 1;
export const SHIFT = 2;
export const FD = 3;

/** Extents that continue each other in one file become one. */
export function extentTable(extents: Iterable<Extent>, mostBytes = MAX_EXTENT_TABLE_BYTES): ExtentTable {
  const mostWords = mostBytes / Float64Array.BYTES_PER_ELEMENT;
  const fds = new Set<number>();
  let rows = new Float64Array(ROW_WORDS);
  let end = 0;
  let whole = true;
  for (const { offset, length, fd, fileOffset } of extents) {
    const last = end - ROW_WORDS;
    const shift = fileOffset - offset;
    if (end > 0 && rows[last + END] === offset && rows[last + SHIFT] === shift && rows[last + FD] === fd) {
      rows[last + END] = offset + length;
      continue;
    }
    whole = end < mostWords;
    if (!whole) break;
    if (end === rows.length) rows = grown(rows, Math.min(2 * end, mostWords));
    rows[end] = offset;
    rows[end + END] = offset + length;
    rows[end + SHIFT] = shift;
    rows[end + FD] = fd;
    fds.add(fd);
    end += ROW_WORDS;
  }
  const shared = new Float64Array(new SharedArrayBuffer(end * Float64Array.BYTES_PER_ELEMENT));
  shared.set(rows.subarray(0, end));
  return { rows: shared, fds: [...fds], whole };
}

function grown(rows: Float64Array<ArrayBuffer>, words: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(words);
  larger.set(rows);
  return larger;
}

/** Where the row begins of the extent that holds all of the range; −1: none does. By halves, 55 ns in the order of the disk, 0.5 µs anywhere in 524,288 rows. */
export function rowOf(rows: Float64Array, offset: number, length: number): number {
  let [low, high] = [0, rows.length / ROW_WORDS - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((rows[middle * ROW_WORDS] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  const row = low * ROW_WORDS;
  return high >= 0 && (rows[row] ?? 0) <= offset && offset + length <= (rows[row + END] ?? 0) ? row : -1;
}
