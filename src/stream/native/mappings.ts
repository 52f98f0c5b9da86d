/**
 * Files as they lie in the page cache, mapped into a thread's reach so that an answer is sent from there. Only the kernel ever touches the pages, in
 * mincore and sendmsg: a file that is cut under a mapping is an EFAULT there, where a read of our own would end the process by SIGBUS.
 */
import { accessSync, constants, fstatSync } from 'node:fs';
import { type Libc, MAP_SHARED, PROT_READ } from '../../net/libc.ts';

interface Mapping {
  /** Of the file's byte 0; 0: it is not mapped. */
  readonly at: number;
  readonly bytes: number;
}

const NONE: Mapping = { at: 0, bytes: 0 };

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
