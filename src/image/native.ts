/** What Node does not have of files: locks between processes, and where a file has holes. By libc, through koffi. Linux; constants are those of x86-64 and arm64. */
import koffi from 'koffi';

const LOCK_EXCLUSIVE_NOW = 2 | 4;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const EINTR = 4;
const ENXIO = 6;
const EAGAIN = 11;

interface Native {
  readonly flock: (fd: number, operation: number) => number;
  readonly lseek: (fd: number, offset: number, whence: number) => number;
}

let loaded: Native | 'none' | undefined;

function native(): Native | 'none' {
  try {
    const c = koffi.load('libc.so.6');
    loaded ??= { flock: c.func('int flock(int, int)'), lseek: c.func('int64_t lseek(int, int64_t, int)') };
  } catch {
    loaded = 'none';
  }
  return loaded;
}

/**
 * Nobody else's until it is closed, also by the end of this process: flock(2).
 *
 * - `held`: another has it.
 * - `unknown`: this file system has no locks.
 */
export function lock(fd: number): 'taken' | 'held' | 'unknown' {
  const c = loaded ?? native();
  if (c === 'none') return 'unknown';
  for (;;) {
    if (c.flock(fd, LOCK_EXCLUSIVE_NOW) === 0) return 'taken';
    const error = koffi.errno();
    if (error !== EINTR) return error === EAGAIN ? 'held' : 'unknown';
  }
}

export interface Stretch {
  readonly offset: number;
  readonly length: number;
  /** Zeros that take no room. */
  readonly isHole: boolean;
}

/** In order, all of the range, which lies within the file. A file system that knows no holes has data alone. */
export function* stretches(fd: number, offset: number, length: number): Generator<Stretch> {
  const c = loaded ?? native();
  const end = offset + length;
  for (let at = offset; at < end; ) {
    const data = c === 'none' ? at : c.lseek(fd, at, SEEK_DATA);
    const from = data >= 0 ? Math.min(end, data) : koffi.errno() === ENXIO ? end : at;
    if (from > at) yield { offset: at, length: from - at, isHole: true };
    if (from === end) return;
    const hole = c === 'none' || data < 0 ? end : c.lseek(fd, from, SEEK_HOLE);
    const to = hole > from ? Math.min(end, hole) : end;
    yield { offset: from, length: to - from, isHole: false };
    at = to;
  }
}
