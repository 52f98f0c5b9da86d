/** What Node does not have of files: room that is reserved before it is written. By libc, through koffi. Linux. */
import koffi from 'koffi';

const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const EINTR = 4;

type Allocate = (fd: number, mode: number, offset: number, length: number) => number;

let loaded: Allocate | undefined;

const allocate = (): Allocate => {
  loaded ??= koffi.load('libc.so.6').func('int fallocate(int, int, int64_t, int64_t)');
  return loaded;
};

/** Undefined: it is done; else the number of the error of fallocate(2). */
function change(fd: number, mode: number, offset: number, length: number): number | undefined {
  for (;;) {
    if (allocate()(fd, mode, offset, length) === 0) return undefined;
    const error = koffi.errno();
    if (error !== EINTR) return error;
  }
}

/** What is read there stays zeros, or what it is. */
export const reserve = (fd: number, offset: number, length: number): number | undefined =>
  change(fd, KEEP_SIZE, offset, length);

/** Zeros that take no room. */
export const punch = (fd: number, offset: number, length: number): number | undefined =>
  change(fd, KEEP_SIZE | PUNCH_HOLE, offset, length);

/** Of memory that is page-aligned reads and writes may pass by the page cache (O_DIRECT). Where it begins, of bytes that are larger by a page. */
export function aligned<Memory extends ArrayBufferLike>(bytes: Uint8Array<Memory>): Uint8Array<Memory> {
  const skip = (PAGE_BYTES - (Number(koffi.address(bytes)) % PAGE_BYTES)) % PAGE_BYTES;
  return bytes.subarray(skip, bytes.length - PAGE_BYTES + skip);
}

export const PAGE_BYTES = 4_096;
