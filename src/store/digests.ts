/**
 * SHA-256 of files, one at a time of a folder (`queue.ts`), in the background, kept on disk until the file changes; and leaf tables of the disks that they are.
 *
 * 1 MiB at a time with a pause for other work between (a read from the page cache and its hash take 1 to 2 ms of the event loop): hashing is never in a
 * hurry, streaming always is.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { identityOf, sameFile } from '../image/identity.ts';
import type { TableRef } from '../image/tree/table.ts';
import { errorMessage } from '../kit/errors.ts';
import { openRegular, type RegularFile } from '../kit/file.ts';
import type { Logger } from '../telemetry/log.ts';
import { makeDiskTable } from './disk-tables.ts';
import type { FileFacts } from './inventory.ts';
import { type Job, Queue } from './queue.ts';
import { type ChainImage, isPlain, type Making, type Tables, tableKey } from './tables.ts';

export type Digest =
  /** `at`: when all of the file was read last, Unix milliseconds. */
  | { readonly kind: 'ready'; readonly sha256: string; readonly at?: number }
  | { readonly kind: 'hashing'; readonly progressPercent: number }
  | { readonly kind: 'failed'; readonly message: string };

const CHUNK_BYTES = 1 << 20;
/** What is read beside the first pass takes no more of a disk than this: a TiB in five hours. */
const VERIFY_BYTES_PER_SECOND = 64 << 20;
/** A file that could not be read is tried again after this. */
const RETRY_MS = 10_000;
/** Content that changed while size and time did not is found by reading all of it again, this often where the Store does not say. */
const VERIFY_EVERY_MS = 86_400_000;
/** A file that nobody asked for since the start, and that was read before, is forgotten with its table: its store may only be away for a while. */
const FORGOTTEN_AFTER_MS = 30 * 86_400_000;
/** A leaf table that could not be made is tried again after this, with all of the file. */
const TABLE_RETRY_MS = 3_600_000;
const KEEP_FILE = 'digests.json';

interface Known {
  readonly identity: string;
  readonly sha256: string;
  /** The leaf table of the disk whose image it is: which, and its root. */
  readonly table?: { readonly key: string; readonly root: string };
  readonly at: number;
}

type Hashed = Pick<Known, 'sha256'> & { readonly root?: string };

/** All maps are by path. */
export class Digests {
  readonly #stateDirectory: string;
  readonly #log: Logger;
  readonly #open: typeof openRegular;
  readonly #clock: () => number;
  readonly #tables: Tables | undefined;
  readonly #known = new Map<string, Known>();
  readonly #failed = new Map<string, { readonly identity: string; readonly message: string; readonly at: number }>();
  /** When a leaf table was tried last, by a clock that never jumps; also by its key. */
  readonly #triedTable = new Map<string, number>();
  /** What this process was asked for. */
  readonly #asked = new Set<string>();
  readonly #queue = new Queue();
  #keeping = Promise.resolve();
  #isKept = true;

  /** Without `tables` none are made. */
  constructor(stateDirectory: string, log: Logger, open = openRegular, clock = Date.now, tables?: Tables) {
    this.#stateDirectory = stateDirectory;
    this.#log = log;
    this.#open = open;
    this.#clock = clock;
    this.#tables = tables;
  }

  /** Takes up what an earlier process kept; a file that is not there or not ours is an empty start. */
  async load(): Promise<void> {
    try {
      const kept: unknown = JSON.parse(await readFile(join(this.#stateDirectory, KEEP_FILE), 'utf8'));
      if (typeof kept !== 'object' || kept === null) return;
      for (const [path, known] of Object.entries(kept)) if (isKnown(known)) this.#known.set(path, known);
    } catch {
      // hashed again
    }
    const tables = [...this.#known.values()].flatMap(({ table }) => table ?? []);
    await this.#tables?.load(new Map(tables.map(({ key, root }) => [key, root])));
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
      if (age < 0 || age > verifyEveryMs || this.#wantsTable(path, file)) this.#queued(path, folder, file, true);
      return { kind: 'ready', sha256: known.sha256, at: known.at };
    }
    const failed = this.#failed.get(path);
    if (failed && sameFile(failed.identity, file.identity) && performance.now() - failed.at < RETRY_MS)
      return { kind: 'failed', message: failed.message };
    const job = this.#queued(path, folder, file, false);
    job.doubtful ||= inUse;
    return { kind: 'hashing', progressPercent: job.progressPercent };
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
      this.#triedTable.delete(file);
      this.#triedTable.delete(table.key);
      await this.#tables.remove(table.key);
    }
  }

  /** Of a plain image, whose table is made in the pass that digests it. */
  #wantsTable(path: string, { name, sizeBytes }: FileFacts): boolean {
    if (!isPlain(name) || !this.#tables?.isWithin(sizeBytes)) return false;
    return !this.#plainTable(path) && this.#isDue(path);
  }

  #plainTable(path: string): TableRef | undefined {
    return this.#tables?.refOf(this.#known.get(path)?.sha256 ?? '');
  }

  #isDue(tried: string): boolean {
    return performance.now() - (this.#triedTable.get(tried) ?? Number.NEGATIVE_INFINITY) > TABLE_RETRY_MS;
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
    this.#triedTable.set(key, performance.now());
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

  close(): Promise<void> {
    return this.#queue.close();
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
    const { identity } = file;
    try {
      const started = performance.now();
      const hashed = await this.#hash(path, file, job);
      if (hashed === undefined) return;
      const { sha256 } = hashed;
      const before = this.#known.get(path);
      const made = hashed.root === undefined ? undefined : { key: sha256, root: hashed.root };
      const table = made ?? (before?.sha256 === sha256 ? before.table : undefined);
      this.#known.set(path, { identity, sha256, ...(table ? { table } : {}), at: this.#clock() });
      this.#failed.delete(path);
      this.#forget();
      await this.#keep();
      await this.#dropTables(before?.table?.key);
      if (job.again && before && before.sha256 !== sha256) await this.#doubtTables(job.folder);
      this.#log.info({ path, sha256, seconds: (performance.now() - started) / 1000 }, 'file hashed');
      if (job.again && before?.sha256 !== sha256)
        this.#log.warn({ path, sha256, before: before?.sha256 }, 'content changed, and size and time did not');
    } catch (error) {
      const said = errorMessage(error);
      const message = said.includes(path) ? said : `${path}: ${said}`;
      this.#known.delete(path);
      this.#failed.set(path, { identity, message, at: performance.now() });
    }
  }

  /** Of as many bytes as were seen. Undefined when closed midway, or when another file is asked for by now: the answer would be for nobody. */
  async #hash(path: string, seen: FileFacts, job: Job): Promise<Hashed | undefined> {
    const { name, sizeBytes } = seen;
    const opened = await this.#open(path);
    if (!opened.ok) throw new Error(opened.error.message);
    await using file = opened.value.file;
    const wanted = isPlain(name) && this.#tables?.isWithin(sizeBytes) && !(job.again && this.#plainTable(path));
    const table = wanted ? await this.#tables?.begin(sizeBytes) : undefined;
    if (wanted) this.#triedTable.set(path, performance.now());
    try {
      return await this.#read(path, seen, job, { file, stats: opened.value.stats }, table);
    } finally {
      await table?.abandon();
    }
  }

  async #read(
    path: string,
    { sizeBytes, identity }: FileFacts,
    job: Job,
    { file, stats }: RegularFile,
    table: Making | undefined,
  ): Promise<Hashed | undefined> {
    const hash = createHash('sha256');
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let done = 0; done < sizeBytes; ) {
      if (!this.#queue.isWanted(path, job)) return undefined;
      const bytesRead = await readUpTo(file, chunk.subarray(0, sizeBytes - done), done);
      if (bytesRead === 0) break;
      hash.update(chunk.subarray(0, bytesRead));
      await table?.add(chunk.subarray(0, bytesRead));
      done += bytesRead;
      job.readBytes = done;
      job.progressPercent = Math.min(99, Math.floor((done / sizeBytes) * 100));
      this.#queue.pay(job, bytesRead);
      if (job.again) await delay((bytesRead / VERIFY_BYTES_PER_SECOND) * 1_000);
      else await setImmediate();
      await this.#queue.giveWay(path, job);
    }
    // What was read is what was seen only if it was that from the first byte to the last.
    for (const now of [stats, await file.stat({ bigint: true })])
      if (!sameFile(identityOf(now), identity)) throw new Error('it changed while it was read, and is read again');
    const sha256 = hash.digest('hex');
    const root = await table?.finish(sha256);
    return { sha256, ...(root === undefined ? {} : { root }) };
  }

  /** Files that are gone, as far as anybody knows. */
  #forget(): void {
    for (const [path, { table, at }] of this.#known) {
      if (this.#asked.has(path) || this.#clock() - at <= FORGOTTEN_AFTER_MS) continue;
      this.#known.delete(path);
      void this.#dropTables(table?.key);
    }
  }

  /** A file of it rotted, or was mended: tables that were made by reading through it may have what it had then, under the name of what it has now. */
  async #doubtTables(folder: string): Promise<void> {
    for (const [path, { table, ...known }] of this.#known) {
      if (!table || isPlain(path) || dirname(path) !== folder) continue;
      this.#known.set(path, known);
      this.#triedTable.delete(table.key);
      await this.#dropTables(table.key);
    }
  }

  /** Those of these that are no image's any more. */
  async #dropTables(...keys: readonly (string | undefined)[]): Promise<void> {
    const used = new Set([...this.#known.values()].map(({ table }) => table?.key));
    for (const key of keys) if (key !== undefined && !used.has(key)) await this.#tables?.remove(key);
  }

  /** One after the other: folders are hashed side by side. A digest that is not kept is right all the same, and computed again at the next start. */
  #keep(): Promise<void> {
    this.#keeping = this.#keeping.then(async () => {
      const path = join(this.#stateDirectory, KEEP_FILE);
      try {
        await writeFile(`${path}.partial`, JSON.stringify(Object.fromEntries(this.#known)));
        await rename(`${path}.partial`, path);
        this.#isKept = true;
      } catch (error) {
        if (this.#isKept) this.#log.warn({ path, error: errorMessage(error) }, 'digests are not kept');
        this.#isKept = false;
      }
    });
    return this.#keeping;
  }
}

/** Fewer than there is room for: the file ends. */
async function readUpTo(file: FileHandle, to: Uint8Array, at: number): Promise<number> {
  for (let done = 0; ; ) {
    const { bytesRead } = await file.read(to, done, to.length - done, at + done);
    done += bytesRead;
    if (bytesRead === 0 || done === to.length) return done;
  }
}

const HEX = /^[0-9a-f]{64}$/;

function isKnown(value: unknown): value is Known {
  if (typeof value !== 'object' || value === null) return false;
  const { identity, sha256, table, at } = value as Record<string, unknown>;
  return typeof at === 'number' && typeof identity === 'string' && isHex(sha256) && isTable(table);
}

function isTable(value: unknown): boolean {
  if (value === undefined) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { key, root } = value as Record<string, unknown>;
  return isHex(key) && isHex(root);
}

const isHex = (value: unknown): boolean => typeof value === 'string' && HEX.test(value);
