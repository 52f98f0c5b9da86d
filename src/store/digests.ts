/**
 * SHA-256 of files, one at a time of a folder, in the background, kept on disk until the file changes.
 *
 * One file at a time of a folder, in the order of `order.ts` (one that hangs holds up its own folder alone), and 1 MiB at a time with a pause for other
 * work between (a read from the page cache and its hash take 1 to 2 ms of the event loop): hashing is never in a hurry, streaming always is.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { identityOf, sameFile } from '../image/identity.ts';
import type { TableRef } from '../image/tree/table.ts';
import { errorMessage } from '../kit/errors.ts';
import { openRegular, type RegularFile } from '../kit/file.ts';
import type { Logger } from '../telemetry/log.ts';
import type { FileFacts } from './inventory.ts';
import { nextOf, turnOf, type Waiting } from './order.ts';
import type { Making, Tables } from './tables.ts';

export type Digest =
  /** `at`: when all of the file was read last, Unix milliseconds. */
  | { readonly kind: 'ready'; readonly sha256: string; readonly at?: number }
  | { readonly kind: 'hashing'; readonly progressPercent: number }
  | { readonly kind: 'failed'; readonly message: string };

const CHUNK_BYTES = 1 << 20;
/** Owed by a file that went before others, however little was read of it before it changed again. */
const LEAST_OWED_BYTES = CHUNK_BYTES;
/** A file that could not be read is tried again after this. */
const RETRY_MS = 10_000;
/** Content that changed while size and time did not is found by reading all of it again, this often where the Store does not say. */
const VERIFY_EVERY_MS = 86_400_000;
/** What is read again takes no more of a disk than this: a TiB in five hours. */
const VERIFY_BYTES_PER_SECOND = 64 << 20;
/** A file that nobody asked for since the start, and that was read before, is forgotten with its table: its store may only be away for a while. */
const FORGOTTEN_AFTER_MS = 30 * 86_400_000;
/** A leaf table that could not be made is tried again after this, with all of the file. */
const TABLE_RETRY_MS = 3_600_000;
const KEEP_FILE = 'digests.json';

interface Known {
  readonly identity: string;
  readonly sha256: string;
  /** Of the leaf table that was made with it. */
  readonly root?: string;
  readonly at: number;
}

interface Job {
  readonly folder: string;
  readonly file: FileFacts;
  readonly again: boolean;
  doubtful: boolean;
  progressPercent: number;
  readBytes: number;
}

/** A job that waits or runs, and by which path. */
interface Queued extends Waiting {
  readonly path: string;
  readonly job: Job;
}

/** All maps are by path. */
export class Digests {
  readonly #stateDirectory: string;
  readonly #log: Logger;
  readonly #open: typeof openRegular;
  readonly #clock: () => number;
  readonly #tables: Tables | undefined;
  readonly #known = new Map<string, Known>();
  readonly #failed = new Map<string, { readonly identity: string; readonly message: string; readonly at: number }>();
  /** When a leaf table was tried last, by a clock that never jumps. */
  readonly #triedTable = new Map<string, number>();
  /** What this process was asked for. */
  readonly #asked = new Set<string>();
  readonly #queue = new Map<string, Job>();
  /** Files that went before others, to their end or until they changed, and how many bytes of those are to be read before they may do so again. */
  readonly #owed = new Map<string, { readonly folder: string; bytes: number }>();
  /** By folder. */
  readonly #running = new Map<string, Promise<void>>();
  #keeping = Promise.resolve();
  #isKept = true;
  #closed = false;

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
    await this.#tables?.load(new Set([...this.#known.values()].map(({ sha256 }) => sha256)));
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

  /** The leaf table of an image; undefined: there is none (yet). */
  tableOf(path: string): TableRef | undefined {
    const known = this.#known.get(path);
    if (known?.root === undefined || !this.#tables?.has(known.sha256)) return undefined;
    return { path: this.#tables.pathOf(known.sha256), root: known.root };
  }

  /** It is not what it was, and is made again, with the digest. */
  async tableLost({ path }: TableRef): Promise<void> {
    for (const [file, { sha256 }] of this.#known) {
      if (this.#tables?.pathOf(sha256) !== path) continue;
      this.#triedTable.delete(file);
      await this.#tables.remove(sha256);
    }
  }

  #wantsTable(path: string, { name, sizeBytes }: FileFacts): boolean {
    if (!this.#tables?.makes(name, sizeBytes) || this.tableOf(path)) return false;
    return performance.now() - (this.#triedTable.get(path) ?? Number.NEGATIVE_INFINITY) > TABLE_RETRY_MS;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#running.values());
  }

  /** Of a file that is being written each look sees another one: only the last is worth the reading. */
  #queued(path: string, folder: string, file: FileFacts, again: boolean): Job {
    const before = this.#queue.get(path);
    const same = before && sameFile(before.file.identity, file.identity);
    const job = same ? before : { folder, file, again, doubtful: false, progressPercent: 0, readBytes: 0 };
    if (!same) {
      this.#queue.delete(path);
      this.#queue.set(path, job);
    }
    if (!this.#running.has(folder))
      this.#running.set(
        folder,
        this.#run(folder).finally(() => this.#running.delete(folder)),
      );
    return job;
  }

  async #run(folder: string): Promise<void> {
    for (let next = nextOf(this.#waiting(folder)); next && !this.#closed; next = nextOf(this.#waiting(folder)))
      await this.#do(next);
  }

  #waiting(folder: string): readonly Queued[] {
    return [...this.#queue].filter(([, job]) => job.folder === folder).map(([path, job]) => this.#asQueued(path, job));
  }

  #asQueued(path: string, job: Job): Queued {
    return { path, job, again: job.again, doubtful: job.doubtful, owes: this.#owed.get(path)?.bytes ?? 0 };
  }

  async #do({ path, job }: Queued): Promise<void> {
    await this.#settle(path, job);
    if (this.#queue.get(path) === job) this.#queue.delete(path);
    const keptWaiting = (other: Queued) => other.path !== path && turnOf(other) === 1 && !other.doubtful;
    // Its turn as it is by now: that machines read it may have been said after it was begun.
    if (turnOf(this.#asQueued(path, job)) === 0 && this.#waiting(job.folder).some(keptWaiting))
      this.#owed.set(path, { folder: job.folder, bytes: Math.max(job.readBytes, LEAST_OWED_BYTES) });
  }

  /** Ends with its digest, with why there is none, or with neither where another file is asked for by then. */
  async #settle(path: string, job: Job): Promise<void> {
    const { identity } = job.file;
    try {
      const started = performance.now();
      const hashed = await this.#hash(path, job);
      if (hashed === undefined) return;
      const { sha256 } = hashed;
      const before = this.#known.get(path);
      const root = hashed.root ?? (before?.sha256 === sha256 ? before.root : undefined);
      this.#known.set(path, { identity, sha256, ...(root === undefined ? {} : { root }), at: this.#clock() });
      this.#failed.delete(path);
      this.#forget();
      await this.#keep();
      if (before && before.sha256 !== sha256) await this.#removeTable(before.sha256);
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
  async #hash(path: string, job: Job): Promise<Pick<Known, 'sha256' | 'root'> | undefined> {
    const { name, sizeBytes } = job.file;
    const opened = await this.#open(path);
    if (!opened.ok) throw new Error(opened.error.message);
    await using file = opened.value.file;
    const wanted = this.#tables?.makes(name, sizeBytes) && !(job.again && this.tableOf(path));
    const table = wanted ? await this.#tables?.begin(sizeBytes) : undefined;
    if (wanted) this.#triedTable.set(path, performance.now());
    try {
      return await this.#read(path, job, { file, stats: opened.value.stats }, table);
    } finally {
      await table?.abandon();
    }
  }

  async #read(
    path: string,
    job: Job,
    { file, stats }: RegularFile,
    table: Making | undefined,
  ): Promise<Pick<Known, 'sha256' | 'root'> | undefined> {
    const { sizeBytes, identity } = job.file;
    const hash = createHash('sha256');
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let done = 0; done < sizeBytes; ) {
      if (this.#closed || this.#queue.get(path) !== job) return undefined;
      const bytesRead = await readUpTo(file, chunk.subarray(0, sizeBytes - done), done);
      if (bytesRead === 0) break;
      hash.update(chunk.subarray(0, bytesRead));
      await table?.add(chunk.subarray(0, bytesRead));
      done += bytesRead;
      job.readBytes = done;
      job.progressPercent = Math.min(99, Math.floor((done / sizeBytes) * 100));
      this.#pay(job, bytesRead);
      if (job.again) await delay((bytesRead / VERIFY_BYTES_PER_SECOND) * 1_000);
      else await setImmediate();
      await this.#giveWay(path, job);
    }
    // What was read is what was seen only if it was that from the first byte to the last.
    for (const seen of [stats, await file.stat({ bigint: true })])
      if (!sameFile(identityOf(seen), identity)) throw new Error('it changed while it was read, and is read again');
    const sha256 = hash.digest('hex');
    const root = await table?.finish(sha256);
    return { sha256, ...(root === undefined ? {} : { root }) };
  }

  /** To what goes before it; what is only read again, to whoever else reads the disk, too. */
  async #giveWay(path: string, job: Job): Promise<void> {
    const next = () => nextOf(this.#waiting(job.folder), turnOf(this.#asQueued(path, job)));
    for (let first = next(); first && !this.#closed; first = next()) await this.#do(first);
  }

  /** What is read of one that went before nobody is owed no more by those that did. */
  #pay({ folder, doubtful }: Job, bytes: number): void {
    if (doubtful) return;
    for (const [path, owed] of this.#owed) {
      if (owed.folder !== folder) continue;
      owed.bytes -= bytes;
      if (owed.bytes <= 0) this.#owed.delete(path);
    }
  }

  /** Files that are gone, as far as anybody knows. */
  #forget(): void {
    for (const [path, { sha256, at }] of this.#known) {
      if (this.#asked.has(path) || this.#clock() - at <= FORGOTTEN_AFTER_MS) continue;
      this.#known.delete(path);
      void this.#removeTable(sha256);
    }
  }

  /** Of an image that is no more, if no other is the same. */
  async #removeTable(sha256: string): Promise<void> {
    if ([...this.#known.values()].some((known) => known.sha256 === sha256)) return;
    await this.#tables?.remove(sha256);
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
  const { identity, sha256, root, at } = value as Record<string, unknown>;
  return (
    typeof at === 'number' &&
    typeof identity === 'string' &&
    typeof sha256 === 'string' &&
    HEX.test(sha256) &&
    (root === undefined || (typeof root === 'string' && HEX.test(root)))
  );
}
