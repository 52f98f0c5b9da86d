/**
 * SHA-256 of files, one at a time of a folder (`queue.ts`), in the background, kept on disk until the file changes; their chunk manifests; and leaf tables of
 * the disks that they are. Hashing is never in a hurry, streaming always is: it has a thread of its own (`hasher.ts`).
 */
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sameFile } from '../image/identity.ts';
import type { TableRef } from '../image/tree/table.ts';
import { errorMessage } from '../kit/errors.ts';
import { openRegular } from '../kit/file.ts';
import type { Logger } from '../telemetry/log.ts';
import { chunkBytesOf } from '../transfer/manifest.ts';
import type { Chunks } from './chunks.ts';
import { makeDiskTable } from './disk-tables.ts';
import { type FileHasher, Hasher, HasherLost } from './hasher.ts';
import type { FileFacts } from './inventory.ts';
import { type Known, keepKnown, readKnown } from './known.ts';
import { type Read, readOnce } from './pass.ts';
import { type Job, Queue } from './queue.ts';
import { type Rot, rotOf, type Seen, wasOf } from './rot.ts';
import { type ChainImage, isPlain, type Tables, tableKey } from './tables.ts';

export type Digest =
  /** `at`: when all of the file was read last, Unix milliseconds. `rotten`: once it read otherwise, and its size and time are those of then. */
  | { readonly kind: 'ready'; readonly sha256: string; readonly at?: number; readonly rotten?: true }
  | { readonly kind: 'hashing'; readonly progressPercent: number }
  /** `ours`: nothing is known of the file by it. */
  | { readonly kind: 'failed'; readonly message: string; readonly ours?: true };

/** What is read beside the first pass takes no more of a disk than this: a TiB in five hours. */
const VERIFY_BYTES_PER_SECOND = 64 << 20;
/** A file that could not be read is tried again after this. */
const RETRY_MS = 10_000;
/** Content that changed while size and time did not is found by reading all of it again, this often where the Store does not say. */
export const VERIFY_EVERY_MS = 86_400_000;
/** A file that nobody asked for since the start, and that was read before, is forgotten with its table: its store may only be away for a while. */
const FORGOTTEN_AFTER_MS = 30 * 86_400_000;
/** A leaf table or a chunk manifest that could not be made is tried again after this, with all of the file. */
const BESIDE_RETRY_MS = 3_600_000;

interface Failed extends Pick<Known, 'identity' | 'at'> {
  readonly message: string;
  /** As it was read before. */
  readonly last?: Seen;
  /** Of the server, not of the file. */
  readonly ours?: true;
}

const failure = ({ message, ours }: Failed): Digest => ({ kind: 'failed', message, ...(ours && { ours }) });

export interface DigestsOptions {
  readonly open?: typeof openRegular;
  readonly clock?: () => number;
  /** Without them no leaf tables are made, or no chunk manifests. */
  readonly tables?: Tables;
  readonly chunks?: Chunks;
  readonly hasher?: FileHasher;
}

/** All maps are by path. */
export class Digests {
  readonly #stateDirectory: string;
  readonly #log: Logger;
  readonly #open: typeof openRegular;
  readonly #clock: () => number;
  readonly #tables: Tables | undefined;
  readonly #chunks: Chunks | undefined;
  readonly #hasher: FileHasher;
  readonly #known = new Map<string, Known>();
  /** `at` is of a clock that never jumps. */
  readonly #failed = new Map<string, Failed>();
  /** When what a pass makes beside the digest was tried last, by that clock; leaf tables also by their keys. */
  readonly #tried = new Map<string, number>();
  /** What this process was asked for. */
  readonly #asked = new Set<string>();
  readonly #queue = new Queue();
  #keeping = Promise.resolve();
  #isKept = true;
  #rot: Rot = { chunks: 0, bytes: 0 };

  constructor(stateDirectory: string, log: Logger, options: DigestsOptions = {}) {
    this.#stateDirectory = stateDirectory;
    this.#log = log;
    this.#open = options.open ?? openRegular;
    this.#clock = options.clock ?? Date.now;
    this.#tables = options.tables;
    this.#chunks = options.chunks;
    this.#hasher = options.hasher ?? new Hasher();
  }

  /** What was found to have changed while size and time did not, since the start. */
  get rot(): Rot {
    return this.#rot;
  }

  /** Takes up what an earlier process kept. */
  async load(): Promise<void> {
    for (const [path, known] of await readKnown(this.#stateDirectory)) this.#known.set(path, known);
    const tables = [...this.#known.values()].flatMap(({ table }) => table ?? []);
    await this.#tables?.load(new Map(tables.map(({ key, root }) => [key, root])));
    await this.#chunks?.load(this.#digests());
  }

  /** Of files that have one, also of those that cannot be read since. */
  #digests(): ReadonlySet<string> {
    const failed = [...this.#failed.values()].flatMap(({ last }) => last ?? []);
    return new Set([...this.#known.values(), ...failed].map(({ sha256 }) => sha256));
  }

  /** The digest of a file as it is now, or how far it is; asking is what queues the work. `inUse`: machines read it, so where it is not known it goes first. */
  of(folder: string, file: FileFacts, verifyEveryMs = VERIFY_EVERY_MS, inUse = false): Digest {
    const path = join(folder, file.name);
    this.#asked.add(path);
    const known = this.#known.get(path);
    if (known && sameFile(known.identity, file.identity)) {
      // The last look is what the next is compared with: of two witnesses one may change at a time.
      this.#known.set(path, { ...known, identity: file.identity });
      const age = this.#clock() - known.at;
      const isDue = age < 0 || age > verifyEveryMs || this.#lacks(path, file, known);
      if (isDue && !this.#failedLately(path, file)) this.#queued(path, folder, file, true);
      const rotten = known.was === undefined ? {} : { rotten: true as const };
      return { kind: 'ready', sha256: known.sha256, at: known.at, ...rotten };
    }
    const failed = this.#failedLately(path, file);
    if (failed) return failure(failed);
    const job = this.#queued(path, folder, file, false);
    job.doubtful ||= inUse;
    // One that could not be read is that until it was read.
    const before = this.#failed.get(path);
    if (before && sameFile(before.identity, file.identity)) return failure(before);
    return { kind: 'hashing', progressPercent: job.progressPercent };
  }

  #failedLately(path: string, { identity }: FileFacts): Failed | undefined {
    const failed = this.#failed.get(path);
    return failed && sameFile(failed.identity, identity) && performance.now() - failed.at < RETRY_MS
      ? failed
      : undefined;
  }

  /**
   * The leaf table of the disk that these images are, the image first, then what it is a difference of; undefined: there is none (yet). Asking is what queues
   * the work, where the pass that digests does not do it.
   */
  tableOf(folder: string, images: readonly FileFacts[]): TableRef | undefined {
    const chain = images.flatMap((file) => this.#chainImage(folder, file));
    const [image] = chain;
    if (!this.#tables || !image || chain.length < images.length) return undefined;
    const key = tableKey(chain);
    const ref = this.#tables.refOf(key);
    if (ref) this.#hasTable(join(folder, image.name), image.sha256, { key, root: ref.root });
    else if (!isPlain(image.name) && this.#tables.isWithin(image.diskBytes) && this.#isDue(key))
      this.#queueTable(folder, key, chain);
    return ref;
  }

  #chainImage(folder: string, { name, identity, image }: FileFacts): ChainImage[] {
    const known = this.#known.get(join(folder, name));
    if (!known || !sameFile(known.identity, identity) || !image?.ok) return [];
    return [{ name, identity, sha256: known.sha256, diskBytes: image.value.sizeBytes }];
  }

  /** Remembers which table is an image's; one that is nobody's goes. */
  #hasTable(path: string, sha256: string, table: NonNullable<Known['table']>): void {
    const known = this.#known.get(path);
    const before = known?.table;
    if (before?.key === table.key && before.root === table.root) return;
    if (known?.sha256 === sha256) this.#known.set(path, { ...known, table });
    void this.#dropTables(before?.key, table.key);
  }

  /** It is not what it was, and is made again. */
  async tableLost({ path }: TableRef): Promise<void> {
    for (const [file, { table }] of this.#known) {
      if (!table || this.#tables?.refOf(table.key)?.path !== path) continue;
      this.#tried.delete(file);
      this.#tried.delete(table.key);
      await this.#tables.remove(table.key);
    }
  }

  /** Of what is made in the pass that digests it: its chunk manifest, and of a plain image the table. */
  #lacks(path: string, file: FileFacts, { sha256 }: Known): boolean {
    const table = this.#hasTableByPass(file) && !this.#tables?.refOf(sha256);
    const manifest = this.#chunkBytesOf(file) !== undefined && !this.#chunks?.has(sha256);
    return (table || manifest) && this.#isDue(path);
  }

  #hasTableByPass({ name, sizeBytes }: FileFacts): boolean {
    return isPlain(name) && this.#tables?.isWithin(sizeBytes) === true;
  }

  #chunkBytesOf({ sizeBytes }: FileFacts): number | undefined {
    return this.#chunks && chunkBytesOf(sizeBytes);
  }

  #isDue(tried: string): boolean {
    return performance.now() - (this.#tried.get(tried) ?? Number.NEGATIVE_INFINITY) > BESIDE_RETRY_MS;
  }

  #queueTable(folder: string, key: string, chain: readonly ChainImage[]): void {
    if (this.#queue.get(key)) return;
    const run = (job: Job) => this.#makeTable(key, job, chain);
    const images = chain.length;
    this.#queue.put(key, { folder, again: false, doubtful: false, images, progressPercent: 0, readBytes: 0, run });
  }

  async #makeTable(key: string, job: Job, chain: readonly ChainImage[]): Promise<void> {
    const { folder } = job;
    const [image] = chain;
    if (!this.#tables || !image) return;
    this.#tried.set(key, performance.now());
    const started = performance.now();
    const root = await makeDiskTable(this.#tables, folder, chain, async (readBytes) => {
      job.readBytes += readBytes;
      await delay((readBytes / VERIFY_BYTES_PER_SECOND) * 1_000);
      await this.#queue.giveWay(key, job);
      return this.#queue.isWanted(key, job);
    });
    if (root === undefined) return;
    const path = join(folder, image.name);
    this.#hasTable(path, image.sha256, { key, root });
    await this.#keep();
    const { readBytes } = job;
    this.#log.info({ path, root, readBytes, seconds: (performance.now() - started) / 1000 }, 'leaf table made');
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#hasher.close();
  }

  /** Of a file that is being written each look sees another one: only the last is worth the reading. */
  #queued(path: string, folder: string, file: FileFacts, again: boolean): Job {
    const before = this.#queue.get(path);
    if (before?.file && sameFile(before.file.identity, file.identity)) return before;
    const job: Job = {
      ...{ folder, file, again, doubtful: false, images: 0, progressPercent: 0, readBytes: 0 },
      run: (now) => this.#settle(path, file, now),
    };
    this.#queue.put(path, job);
    return job;
  }

  /** Ends with its digest, with why there is none, or with neither where another file is asked for by then. */
  async #settle(path: string, file: FileFacts, job: Job): Promise<void> {
    try {
      const started = performance.now();
      const read = await this.#read(path, file, job);
      if (read === undefined) return;
      const { sha256, manifest } = read;
      this.#tried.set(path, performance.now());
      const last = this.#lastOf(path, file);
      const isOther = last !== undefined && last.sha256 !== sha256;
      if (isOther) await this.#tellChange(path, last, read);
      const before = [this.#known.get(path), this.#failed.get(path)?.last];
      await this.#know(path, file, read);
      if (manifest) await this.#chunks?.keep(manifest);
      this.#dropManifests(...before.flatMap((seen) => seen?.sha256 ?? []));
      if (isOther) await this.#doubt(path, job.folder);
      this.#log.info({ path, sha256, seconds: (performance.now() - started) / 1000 }, 'file hashed');
    } catch (error) {
      this.#fail(path, file, error);
    }
  }

  async #know(path: string, file: FileFacts, { sha256, root }: Read): Promise<void> {
    const { identity } = file;
    const before = this.#known.get(path);
    const was = wasOf(this.#lastOf(path, file), sha256);
    const made = root === undefined ? undefined : { key: sha256, root };
    const table = made ?? (before?.sha256 === sha256 ? before.table : undefined);
    const at = this.#clock();
    this.#known.set(path, { identity, sha256, ...(was && { was }), ...(table && { table }), at });
    this.#failed.delete(path);
    this.#forget();
    await this.#keep();
    await this.#dropTables(before?.table?.key);
  }

  /** What is known of it holds where the fault was ours. */
  #fail(path: string, file: FileFacts, error: unknown): void {
    const said = errorMessage(error);
    const message = said.includes(path) ? said : `${path}: ${said}`;
    const last = this.#lastOf(path, file);
    const ours = error instanceof HasherLost;
    this.#failed.set(path, {
      ...{ identity: file.identity, message, at: performance.now() },
      ...(last && { last }),
      ...(ours && { ours }),
    });
    if (!ours) this.#known.delete(path);
    else this.#log.warn({ path, error: said }, 'a file is not hashed');
  }

  /** The same file as it was read last, also where it could not be read since. */
  #lastOf(path: string, { identity }: FileFacts): Seen | undefined {
    const known = this.#known.get(path);
    if (known && sameFile(known.identity, identity))
      return { sha256: known.sha256, ...(known.was && { was: known.was }) };
    const failed = this.#failed.get(path);
    return failed && sameFile(failed.identity, identity) ? failed.last : undefined;
  }

  async #tellChange(path: string, last: Seen, { sha256, manifest }: Read): Promise<void> {
    const before = await this.#chunks?.of(last.sha256);
    const where = before && manifest && rotOf(before, manifest);
    const told = { path, sha256, before: last.sha256, ...where };
    if (wasOf(last, sha256) === undefined) {
      this.#log.info(told, 'content is again what it was, and size and time did not change');
      return;
    }
    const { chunks = 0, bytes = 0 } = where ?? {};
    this.#rot = { chunks: this.#rot.chunks + chunks, bytes: this.#rot.bytes + bytes };
    this.#log.warn(told, 'content changed, and size and time did not');
  }

  /** Of as many bytes as were seen. Undefined when closed midway, or when another file is asked for by now: the answer would be for nobody. */
  async #read(path: string, seen: FileFacts, job: Job): Promise<Read | undefined> {
    const { sizeBytes } = seen;
    const opened = await this.#open(path);
    if (!opened.ok) throw new Error(opened.error.message);
    await using file = opened.value.file;
    const hasTable = job.again && this.#tables?.refOf(this.#known.get(path)?.sha256 ?? '') !== undefined;
    const wanted = this.#hasTableByPass(seen) && !hasTable;
    const table = wanted ? await this.#tables?.begin(sizeBytes) : undefined;
    try {
      using pass = this.#hasher.begin({ sizeBytes, chunkBytes: this.#chunkBytesOf(seen) });
      return await readOnce({ file, stats: opened.value.stats }, seen, { pass, table }, (readBytes) =>
        this.#goOn(path, seen, job, readBytes),
      );
    } finally {
      await table?.abandon();
    }
  }

  async #goOn(path: string, { sizeBytes }: FileFacts, job: Job, readBytes: number): Promise<boolean> {
    job.readBytes += readBytes;
    job.progressPercent = Math.min(99, Math.floor((job.readBytes / Math.max(1, sizeBytes)) * 100));
    this.#queue.pay(job, readBytes);
    if (job.again) await delay((readBytes / VERIFY_BYTES_PER_SECOND) * 1_000);
    await this.#queue.giveWay(path, job);
    return this.#queue.isWanted(path, job);
  }

  /** Files that are gone, as far as anybody knows. */
  #forget(): void {
    for (const [path, { sha256, table, at }] of this.#known) {
      if (this.#asked.has(path) || this.#clock() - at <= FORGOTTEN_AFTER_MS) continue;
      this.#known.delete(path);
      void this.#dropTables(table?.key);
      this.#dropManifests(sha256);
    }
  }

  /** It rotted, or was mended: its table is another, and those that were made by reading through it may have what it had then, under the name of what it has now. */
  async #doubt(rotten: string, folder: string): Promise<void> {
    this.#tried.delete(rotten);
    for (const [path, { table, ...known }] of this.#known) {
      if (!table || isPlain(path) || dirname(path) !== folder) continue;
      this.#known.set(path, known);
      this.#tried.delete(table.key);
      await this.#dropTables(table.key);
    }
  }

  /** Those of these files, by their digests, that are no file's any more. */
  #dropManifests(...digests: readonly string[]): void {
    const used = this.#digests();
    for (const sha256 of digests) if (!used.has(sha256)) this.#chunks?.drop(sha256);
  }

  /** Those of these that are no image's any more. */
  async #dropTables(...keys: readonly (string | undefined)[]): Promise<void> {
    const used = new Set([...this.#known.values()].map(({ table }) => table?.key));
    for (const key of keys) if (key !== undefined && !used.has(key)) await this.#tables?.remove(key);
  }

  /** One after the other: folders are hashed side by side. A digest that is not kept is right all the same, and computed again at the next start. */
  #keep(): Promise<void> {
    this.#keeping = this.#keeping.then(async () => {
      try {
        await keepKnown(this.#stateDirectory, this.#known);
        this.#isKept = true;
      } catch (error) {
        const told = { folder: this.#stateDirectory, error: errorMessage(error) };
        if (this.#isKept) this.#log.warn(told, 'digests are not kept');
        this.#isKept = false;
      }
    });
    return this.#keeping;
  }
}
