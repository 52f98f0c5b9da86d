/**
 * Files as they lie in the page cache, mapped into a thread's reach so that an answer is sent from there. Only the kernel ever touches the pages, in
 * mincore and sendmsg: a file that is cut under a mapping is an EFAULT there, where a read of our own would end the process by SIGBUS.
 */
import { accessSync, constants, fstatSync, readFileSync } from 'node:fs';
import { type Libc, MADV_DONTNEED, MAP_SHARED, PROT_READ } from '../../net/libc.ts';

interface Mapping {
  /** Of the file's byte 0; 0: it is not mapped. */
  readonly at: number;
  readonly bytes: number;
}

const NONE: Mapping = { at: 0, bytes: 0 };
/**
 * What was sent from the mappings counts as memory of this process (`RssFile`), though it is the page cache's, and a fault may map 2 MiB: of a node that
 * runs out of memory the process would be the first to be killed. Above this (Node itself is 50 MiB) it lets go of the pages, which stay where they are.
 */
const MOST_FILE_BYTES = 96 << 20;

export class Mappings {
  readonly #libc: Libc;
  readonly #byFd = new Map<number, Mapping>();

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** Where the file's byte 0 lies; 0: what ends at `end` is not mapped. */
  of(fd: number, end: number): number {
    const mapping = this.#byFd.get(fd);
    return mapping && end <= mapping.bytes ? mapping.at : 0;
  }

  /** Maps a file, once. For a file that has just answered: to look at it does not wait. */
  add(fd: number): void {
    if (!this.#byFd.has(fd)) this.#byFd.set(fd, this.#map(fd));
  }

  /** Call it at each tick: 20 µs. */
  trim(): void {
    if (this.#byFd.size === 0 || filePages() * this.#libc.pageBytes < MOST_FILE_BYTES) return;
    for (const { at, bytes } of this.#byFd.values()) if (at !== 0) this.#libc.madvise(at, bytes, MADV_DONTNEED);
  }

  /** Unmaps all but these. Before their files are closed: a descriptor is used again. */
  keep(fds: ReadonlySet<number>): void {
    for (const [fd, { at, bytes }] of this.#byFd) {
      if (fds.has(fd)) continue;
      if (at !== 0) this.#libc.munmap(at, bytes);
      this.#byFd.delete(fd);
    }
  }

  #map(fd: number): Mapping {
    try {
      const { uid, size } = fstatSync(fd);
      if (!isOurs(uid, fd)) return NONE;
      const at = this.#libc.mmap(0, size, PROT_READ, MAP_SHARED, fd, 0);
      return at > 0 ? { at, bytes: size } : NONE;
    } catch {
      return NONE;
    }
  }
}

/** Of all files that are mapped; proc_pid_statm(5), the third number. 0: the process has no descriptor left to ask with. */
function filePages(): number {
  try {
    return Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[2]);
  } catch {
    return 0;
  }
}

/** mincore says of every page that it is there, to whom the file is not and who may not write to it (Linux 5.2). */
function isOurs(uid: number, fd: number): boolean {
  if (uid === process.geteuid?.()) return true;
  try {
    accessSync(`/proc/self/fd/${fd}`, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
