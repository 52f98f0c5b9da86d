/**
 * The file of an image, open for reading: what every format reads from. Its size is fixed when it is opened. A format whose tables are not written yet (the
 * log of a VHDX) lays pages over it: what reads sees them, the file stays as it is.
 */
import { type FileHandle, statfs } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { type FileFault, openRegular } from '../kit/file.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { inThread } from '../kit/threads.ts';
import type { MappedFile, OpenFile, Piece, ReadFault } from './disk.ts';
import { identityOf } from './identity.ts';
import { isLocal } from './local.ts';
import { readCached, type Stretch, stretches } from './native.ts';

export const PAGE_BYTES = 4_096;
/** Of a disk. What is less is a table or a header, and is waited for. */
const LEAST_CACHED_BYTES = 512;

/** By number: the page's bytes, or undefined for zeros. */
export type Pages = ReadonlyMap<number, Buffer | undefined>;

export class ImageFile implements MappedFile {
  readonly path: string;
  readonly #folder: string;
  readonly #file: FileHandle;
  /** Of the file as it was opened. */
  readonly #fileBytes: number;
  #sizeBytes: number;
  #pages: Pages = new Map();
  /** Their numbers, in order. */
  #laid = new Float64Array(0);
  /** Of the file, without a hole: what was asked last. */
  #data: Stretch = { offset: 0, length: 0, isHole: false };
  #closed = false;
  /** Its file system does not tell what is in the page cache. */
  #isBlind = false;
  /** Where it has holes may be asked; undefined: nobody has looked yet. */
  #tellsHoles: boolean | undefined;

  private constructor(path: string, file: FileHandle, fileBytes: number) {
    this.path = path;
    this.#folder = dirname(path);
    this.#file = file;
    this.#fileBytes = fileBytes;
    this.#sizeBytes = fileBytes;
  }

  static async open(path: string): Promise<Result<ImageFile, FileFault>> {
    const opened = await openRegular(path);
    if (!opened.ok) return opened;
    return ok(new ImageFile(path, opened.value.file, Number(opened.value.stats.size)));
  }

  /** With what is laid over it. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Of pages that are laid over it. */
  get laidBytes(): number {
    return this.#pages.size * PAGE_BYTES;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get fd(): number {
    return this.#file.fd;
  }

  /** `sizeBytes`: where the file ends with them; between its own end and that there are zeros. Before anything reads it as a disk. */
  lay(pages: Pages, sizeBytes: number): void {
    this.#pages = pages;
    this.#laid = Float64Array.from(pages.keys()).sort();
    this.#sizeBytes = Math.max(this.#fileBytes, sizeBytes);
  }

  async read(offset: number, length: number): Promise<Result<Buffer, ReadFault>> {
    const bytes = Buffer.allocUnsafe(length);
    const fault = await this.readInto(bytes, 0, length, offset);
    return fault ? { ok: false, error: fault } : ok(bytes);
  }

  /** Its first and its last bytes; of a file that is shorter, what it has. */
  async ends(
    headBytes: number,
    tailBytes: number,
  ): Promise<Result<{ readonly head: Buffer; readonly tail: Buffer }, ReadFault>> {
    const [first, last] = [headBytes, tailBytes].map((bytes) => Math.min(bytes, this.#sizeBytes)) as [number, number];
    const head = await this.read(0, first);
    if (!head.ok) return head;
    const tail = await this.read(this.#sizeBytes - last, last);
    return tail.ok ? ok({ head: head.value, tail: tail.value }) : tail;
  }

  /** Undefined: all is there. */
  async readInto(bytes: Buffer, at: number, length: number, offset: number): Promise<ReadFault | undefined> {
    if (this.#closed) return { code: 'DiskClosed', message: `${this.path} is closed` };
    if (offset < 0 || length < 0 || length > this.#sizeBytes - offset)
      return {
        code: 'FileCut',
        message: `${this.path} has ${this.#sizeBytes} bytes, and ${length} at ${offset} are asked for`,
      };
    const own = Math.max(0, Math.min(length, this.#fileBytes - offset));
    const fault = await this.#readOwn(bytes, at, own, offset);
    if (fault) return fault;
    bytes.fill(0, at + own, at + length);
    if (this.#pages.size > 0) this.#layOver(bytes, at, length, offset);
    return undefined;
  }

  async #readOwn(bytes: Buffer, at: number, length: number, offset: number): Promise<ReadFault | undefined> {
    try {
      for (let done = this.readCached(bytes, at, length, offset); done < length; ) {
        const { bytesRead } = await inThread(this.#folder, () =>
          this.#file.read(bytes, at + done, length - done, offset + done),
        );
        if (bytesRead === 0)
          return {
            code: 'FileCut',
            message: `${this.path} ends before byte ${offset + length}: it had ${this.#fileBytes} bytes when it was opened and was cut since`,
          };
        done += bytesRead;
      }
      return undefined;
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      return { code: 'ReadFailed', message: `${this.path}: ${length} bytes at ${offset}: ${why}` };
    }
  }

  /** Of the file itself, whatever is laid over it. */
  readCached(bytes: Buffer, at: number, length: number, offset: number): number {
    if (this.#closed || this.#isBlind || length < LEAST_CACHED_BYTES) return 0;
    const read = readCached(this.fd, bytes, at, length, offset);
    this.#isBlind = read < 0;
    return Math.max(0, read);
  }

  #layOver(bytes: Buffer, at: number, length: number, offset: number): void {
    const end = offset + length;
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      if (!this.#pages.has(page)) continue;
      const from = Math.max(offset, page * PAGE_BYTES);
      const to = Math.min(end, (page + 1) * PAGE_BYTES);
      const content = this.#pages.get(page);
      const target = bytes.subarray(at + from - offset, at + to - offset);
      if (content) content.copy(target, 0, from - page * PAGE_BYTES);
      else target.fill(0);
    }
  }

  /** Has the file all of a range as it is? */
  isPlain(offset: number, length: number): boolean {
    return length <= this.#fileBytes - offset && this.#nextLaid(offset) >= offset + length;
  }

  /** The parts of a range that the file has as they are, in order: nothing is laid over them, and they lie within it. */
  *plain(offset: number, length: number): Generator<{ readonly offset: number; readonly length: number }> {
    const end = Math.min(offset + length, this.#fileBytes);
    let from = offset;
    while (from < end) {
      const to = Math.min(end, Math.max(from, this.#nextLaid(from)));
      if (to > from) yield { offset: from, length: to - from };
      from = nextPage(to);
    }
  }

  /**
   * Before `map`, which asks the kernel where holes are, on the main thread. A file system of the network may ask its server then, and one that is silent would
   * hold up all that this process does: of it all counts as data.
   */
  async toMap(): Promise<void> {
    this.#tellsHoles ??= await inThread(this.#folder, () => statfs(this.path)).then(
      ({ type }) => isLocal(type),
      () => false,
    );
  }

  /**
   * All of a range, in order, as pieces of a disk that lies so: what the file has as it is, its holes, and what is laid over it. `diskOffset`: where it begins there.
   */
  *map(offset: number, length: number, diskOffset: number, depth: number): Generator<Piece> {
    const shift = diskOffset - offset;
    const end = offset + length;
    if (this.isPlain(offset, length)) return yield* this.#plainIn(offset, end, shift, depth);
    let from = offset;
    for (const plain of this.plain(offset, length)) {
      yield* this.#laidIn(from, plain.offset, shift, depth);
      from = plain.offset + plain.length;
      yield* this.#plainIn(plain.offset, from, shift, depth);
    }
    yield* this.#laidIn(from, end, shift, depth);
  }

  /** What was data once is asked for no more: of a disk in many pieces that would be two calls of the kernel for each. */
  *#plainIn(from: number, end: number, shift: number, depth: number): Generator<Piece> {
    const piece = (offset: number, to: number, isZero: boolean): Piece => ({
      offset: offset + shift,
      length: to - offset,
      depth,
      isZero,
      at: { file: this, offset },
    });
    const { offset, length } = this.#data;
    if (this.#closed || !this.#tellsHoles || (from >= offset && end <= offset + length))
      return yield piece(from, end, false);
    for (const stretch of stretches(this.fd, from, this.#fileBytes - from)) {
      if (!stretch.isHole) this.#data = stretch;
      const to = Math.min(end, stretch.offset + stretch.length);
      yield piece(stretch.offset, to, stretch.isHole);
      if (to === end) return;
    }
  }

  /** Page by page. */
  *#laidIn(offset: number, end: number, shift: number, depth: number): Generator<Piece> {
    for (let from = offset; from < end; ) {
      const to = Math.min(end, nextPage(from));
      const isZero = this.#pages.get(Math.floor(from / PAGE_BYTES)) === undefined;
      yield { offset: from + shift, length: to - from, depth, isZero };
      from = to;
    }
  }

  /** Where the first page that is laid over begins which ends behind `offset`. By halves: a disk of a TiB has 2²⁸ pages. */
  #nextLaid(offset: number): number {
    let [low, high] = [0, this.#laid.length];
    const page = Math.floor(offset / PAGE_BYTES);
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#laid[middle] ?? 0) < page) low = middle + 1;
      else high = middle;
    }
    return (this.#laid[low] ?? Number.POSITIVE_INFINITY) * PAGE_BYTES;
  }

  async openFile(): Promise<OpenFile> {
    return { name: basename(this.path), identity: identityOf(await this.#file.stat({ bigint: true })) };
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }
}

const nextPage = (offset: number): number => (Math.floor(offset / PAGE_BYTES) + 1) * PAGE_BYTES;

/** Opens a file for what `use` makes of it; it stays open only where that is right. */
export async function withFile<T, E>(
  path: string,
  use: (file: ImageFile) => Promise<Result<T, E>>,
): Promise<Result<T, E | FileFault>> {
  const opened = await ImageFile.open(path);
  if (!opened.ok) return opened;
  const file = opened.value;
  try {
    const used = await use(file);
    if (!used.ok) await file.close();
    return used;
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

/** The same, and closes it in any case. */
export async function lookAtFile<T, E>(
  path: string,
  use: (file: ImageFile) => Promise<Result<T, E>>,
): Promise<Result<T, E | FileFault>> {
  let looked: ImageFile | undefined;
  const used = await withFile(path, (file) => {
    looked = file;
    return use(file);
  });
  await looked?.close();
  return used;
}

/** What is wrong with the content of a file, as a fault that names it. */
export const ofFile = <T, Code extends string>(
  path: string,
  judged: Result<T, { readonly code: Code; readonly message: string }>,
): Result<T, { readonly code: Code; readonly message: string }> =>
  judged.ok ? judged : fail(judged.error.code, `${path}: ${judged.error.message}`);
