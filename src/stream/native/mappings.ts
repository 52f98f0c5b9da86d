/**
 * Files as they lie in the page cache, mapped into a thread's reach so that an answer is sent from there. Only the kernel ever touches the pages, in
 * mincore and sendmsg: a file that is cut under a mapping is an EFAULT there, where a read of our own would end the process by SIGBUS.
 */
import { accessSync, constants, fstatSync } from 'node:fs';
import { alignedSlab, type Libc, MAP_SHARED, PROT_READ, SEEK_END } from '../../net/libc.ts';

interface Mapping {
  /** Of the file's byte 0; 0: it is not mapped. */
  readonly at: number;
  readonly bytes: number;
}

const NONE: Mapping = { at: 0, bytes: 0 };

export const NOT_MAPPED = 0;
/** Not in the page cache, or behind the end of a file that was cut. */
export const NOT_THERE = -1;

/** Pages that are remembered as seen: 512 MiB, in 1 MiB. What falls out is looked for again. */
const SEEN_PAGES = 1 << 17;
/** A page counts as there until the end of the tick after the one in which it was seen: what was sent within a second is the last that a kernel evicts. */
const TICK_MS = 500;
/** 64 KiB lie on 17 pages of 4 KiB at most. */
const MAX_PAGES = 17;

export class Mappings {
  readonly #libc: Libc;
  readonly #byFd = new Map<number, Mapping>();
  /** For each slot the page that was seen last, and of which file in which tick. */
  readonly #pages = new Int32Array(SEEN_PAGES);
  readonly #stamps = new Int32Array(SEEN_PAGES).fill(-1);
  /** What mincore says, a byte a page. */
  readonly #there: Buffer;
  readonly #thereAt: number;
  #tick = 0;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#there = alignedSlab(libc, 128);
    this.#thereAt = libc.addressOf(this.#there);
  }

  /** Of the READs that come now: pages that were seen lately are there. */
  begin(now: number): void {
    this.#tick = Math.floor(now / TICK_MS);
  }

  /**
   * Where these bytes of the file lie, all of them in the page cache. A cut file's last page is zeros behind its end and mincore does not tell, so its size
   * is asked for each time (lseek 0.013 s/GB, a preadv2 of the last byte 0.047; nobody uses the position). A page that goes after this look is waited
   * for, in the send.
   */
  find(fd: number, offset: number, length: number): number {
    const mapping = this.#byFd.get(fd);
    const end = offset + length;
    if (!mapping || end > mapping.bytes) return NOT_MAPPED;
    if (this.#libc.lseek(fd, 0, SEEK_END) < end) return NOT_THERE;
    const { pageBytes } = this.#libc;
    const first = Math.floor(offset / pageBytes);
    const pages = Math.ceil(end / pageBytes) - first;
    return this.#areSeen(fd, first, pages) || this.#see(mapping.at, fd, first, pages) ? mapping.at + offset : NOT_THERE;
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
      this.#stamps.fill(-1);
    }
  }

  #areSeen(fd: number, first: number, pages: number): boolean {
    const stamp = this.#stamp(fd);
    for (let page = first; page < first + pages; page++) {
      const slot = slotOf(fd, page);
      const age = stamp - (this.#stamps[slot] ?? 0);
      if (this.#pages[slot] !== page || (age !== 0 && age !== 1)) return false;
    }
    return true;
  }

  /** Asks the kernel for all of them, and remembers. */
  #see(at: number, fd: number, first: number, pages: number): boolean {
    const { pageBytes } = this.#libc;
    if (pages > MAX_PAGES || this.#libc.mincore(at + first * pageBytes, pages * pageBytes, this.#thereAt) !== 0)
      return false;
    for (let index = 0; index < pages; index++) if (((this.#there[index] ?? 0) & 1) === 0) return false;
    const stamp = this.#stamp(fd);
    for (let page = first; page < first + pages; page++) {
      const slot = slotOf(fd, page);
      this.#pages[slot] = page;
      this.#stamps[slot] = stamp;
    }
    return true;
  }

  /** Of this file in this tick; one more in the next. The same comes again after nine hours, when at worst a send waits for a page. */
  #stamp(fd: number): number {
    return ((fd & 0x7fff) << 16) | (this.#tick & 0xffff);
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

/** Pages that follow each other lie in slots that do. */
const slotOf = (fd: number, page: number): number => (page + fd * 40_503) & (SEEN_PAGES - 1);

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
