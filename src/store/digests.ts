/**
 * SHA-256 of files, one at a time of a folder, in the background, kept on disk until the file changes.
 *
 * One file at a time of a folder (one that hangs holds up its own folder alone), and 1 MiB at a time with a pause for other work between (a read from the page cache and its hash take 1 to 2 ms
 * of the event loop): hashing is never in a hurry, streaming always is.
 */
import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { errorMessage } from '../kit/errors.ts';
import { openRegular } from '../kit/file.ts';
import type { Logger } from '../telemetry/log.ts';
import { type FileFacts, identityOf } from './inventory.ts';

export type Digest =
  | { readonly kind: 'ready'; readonly sha256: string }
  | { readonly kind: 'hashing'; readonly progressPercent: number }
  | { readonly kind: 'failed'; readonly message: string };

const CHUNK_BYTES = 1 << 20;
/** A file that could not be read is tried again after this. */
const RETRY_MS = 10_000;
const KEEP_FILE = 'digests.json';

interface Job {
  readonly folder: string;
  readonly file: FileFacts;
  progressPercent: number;
}

export class Digests {
  readonly #stateDirectory: string;
  readonly #log: Logger;
  readonly #open: typeof openRegular;
  /** By path and identity. */
  readonly #known = new Map<string, string>();
  readonly #failed = new Map<string, { message: string; at: number }>();
  readonly #queue = new Map<string, Job>();
  /** By folder. */
  readonly #running = new Map<string, Promise<void>>();
  #closed = false;

  constructor(stateDirectory: string, log: Logger, open = openRegular) {
    this.#stateDirectory = stateDirectory;
    this.#log = log;
    this.#open = open;
  }

  /** Takes up what an earlier process kept; a file that is not there or not ours is an empty start. */
  async load(): Promise<void> {
    try {
      const kept: unknown = JSON.parse(await readFile(join(this.#stateDirectory, KEEP_FILE), 'utf8'));
      if (typeof kept !== 'object' || kept === null) return;
      for (const [key, sha256] of Object.entries(kept))
        if (typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)) this.#known.set(key, sha256);
    } catch {
      // hashed again
    }
  }

  /** The digest of a file as it is now, or how far it is; asking is what queues the work. */
  of(folder: string, file: FileFacts): Digest {
    const key = `${join(folder, file.name)}\n${file.identity}`;
    const sha256 = this.#known.get(key);
    if (sha256) return { kind: 'ready', sha256 };
    const failed = this.#failed.get(key);
    if (failed && performance.now() - failed.at < RETRY_MS) return { kind: 'failed', message: failed.message };
    const job = this.#queue.get(key) ?? { folder, file, progressPercent: 0 };
    // Of a file that is being written each look sees another one: only the last is worth the reading.
    for (const other of this.#queue.keys())
      if (other !== key && other.startsWith(`${join(folder, file.name)}\n`)) this.#queue.delete(other);
    this.#queue.set(key, job);
    if (!this.#running.has(folder))
      this.#running.set(
        folder,
        this.#run(folder).finally(() => this.#running.delete(folder)),
      );
    return { kind: 'hashing', progressPercent: job.progressPercent };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#running.values());
  }

  async #run(folder: string): Promise<void> {
    for (;;) {
      const [key, job] = [...this.#queue].find(([, queued]) => queued.folder === folder) ?? [];
      if (key === undefined || job === undefined || this.#closed) return;
      const path = join(job.folder, job.file.name);
      try {
        const started = performance.now();
        const sha256 = await this.#hash(path, key, job);
        if (sha256 === undefined) continue;
        for (const old of this.#known.keys()) if (old.startsWith(`${path}\n`)) this.#known.delete(old);
        this.#known.set(key, sha256);
        this.#failed.delete(key);
        await this.#keep();
        this.#log.info({ path, sha256, seconds: (performance.now() - started) / 1000 }, 'file hashed');
      } catch (error) {
        for (const old of this.#failed.keys()) if (old.startsWith(`${path}\n`)) this.#failed.delete(old);
        this.#failed.set(key, {
          message: errorMessage(error).includes(path) ? errorMessage(error) : `${path}: ${errorMessage(error)}`,
          at: performance.now(),
        });
      }
      this.#queue.delete(key);
    }
  }

  /** Of as many bytes as were seen. Undefined when closed midway, or when another identity is asked for by now: the answer would be for nobody. */
  async #hash(path: string, key: string, job: Job): Promise<string | undefined> {
    const { sizeBytes, identity } = job.file;
    const opened = await this.#open(path);
    if (!opened.ok) throw new Error(opened.error.message);
    await using file = opened.value.file;
    const hash = createHash('sha256');
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let done = 0; done < sizeBytes; ) {
      if (this.#closed || !this.#queue.has(key)) return undefined;
      const { bytesRead } = await file.read(chunk, 0, Math.min(CHUNK_BYTES, sizeBytes - done), done);
      if (bytesRead === 0) break;
      hash.update(chunk.subarray(0, bytesRead));
      done += bytesRead;
      job.progressPercent = Math.min(99, Math.floor((done / sizeBytes) * 100));
      await setImmediate();
    }
    // What was read is what was seen only if it was that from the first byte to the last.
    for (const stats of [opened.value.stats, await file.stat({ bigint: true })])
      if (identityOf(stats) !== identity) throw new Error('it changed while it was read, and is read again');
    return hash.digest('hex');
  }

  async #keep(): Promise<void> {
    const path = join(this.#stateDirectory, KEEP_FILE);
    await writeFile(`${path}.partial`, JSON.stringify(Object.fromEntries(this.#known)));
    await rename(`${path}.partial`, path);
  }
}
