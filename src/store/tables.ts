/** The leaf tables of a server's images, in its state directory: 0.8 % of the images' size, made in the pass that digests them, named by that digest. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatOf } from '../image/formats.ts';
import { TableBuilder } from '../image/tree/builder.ts';
import { MAX_DISK_BYTES, shapeOf } from '../image/tree/layout.ts';
import { type Pieces, pieces } from '../image/tree/pieces.ts';
import { errorMessage } from '../kit/errors.ts';
import { inTime } from '../kit/patience.ts';
import type { Logger } from '../telemetry/log.ts';
import { freeBytes } from './room.ts';

/** A table that is being made: what goes wrong costs the table, and not the digest beside it. */
export interface Making {
  /** The next bytes of the file: a multiple of 512 KiB, but for the last. */
  add(data: Uint8Array): Promise<void>;
  /** The root of the table; undefined: there is none. */
  finish(sha256: string): Promise<string | undefined>;
  /** Nothing is left of it. After `finish` it does nothing. */
  abandon(): Promise<void>;
}

/** Left free for what the server keeps beside: a table that would take it is not made. */
const LEAST_FREE_BYTES = 256 << 20;
const END = '.leaves';
/** A state directory that hangs holds up no digest: as for a look into a folder. The last step waits for the disk to have it all. */
const PATIENCE_MS = 60_000;

async function answered<T>(step: Promise<T>): Promise<T> {
  const ended = await inTime(
    step.then((value) => ({ value })),
    PATIENCE_MS,
  );
  if (!ended) throw new Error(`the state directory did not answer for ${PATIENCE_MS / 1_000} s`);
  return ended.value;
}

export class Tables {
  readonly #folder: string;
  readonly #log: Logger;
  /** Digests of the images whose tables are there. */
  readonly #there = new Set<string>();

  constructor(stateDirectory: string, log: Logger) {
    this.#folder = join(stateDirectory, 'leaves');
    this.#log = log;
  }

  /** Takes up those of an earlier process that are of these images; all else goes, also what it began and did not end. */
  async load(digests: ReadonlySet<string>): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names) {
      const sha256 = name.slice(0, -END.length);
      if (name.endsWith(END) && digests.has(sha256)) this.#there.add(sha256);
      else await rm(join(this.#folder, name), { force: true }).catch(() => undefined);
    }
  }

  /** Whether an image has a table at all. */
  makes(name: string, sizeBytes: number): boolean {
    return formatOf(name)?.plain === true && sizeBytes > 0 && sizeBytes <= MAX_DISK_BYTES && pieces().ok;
  }

  has(sha256: string): boolean {
    return this.#there.has(sha256);
  }

  pathOf(sha256: string): string {
    return join(this.#folder, sha256 + END);
  }

  /** Of an image that `makes` said has one. */
  async begin(sizeBytes: number): Promise<Making | undefined> {
    const library = pieces();
    if (!library.ok) return undefined;
    try {
      return await answered(this.#begin(sizeBytes, library.value));
    } catch (thrown) {
      this.failed(thrown);
      return undefined;
    }
  }

  async #begin(sizeBytes: number, library: Pieces): Promise<Making> {
    await mkdir(this.#folder, { recursive: true });
    const free = await freeBytes(this.#folder);
    const least = shapeOf(sizeBytes).fileBytes + LEAST_FREE_BYTES;
    if (free < least) throw new Error(`${this.#folder} has ${free} bytes free, and ${least} are needed`);
    return new Unfailing(await TableBuilder.begin(join(this.#folder, randomUUID()), sizeBytes, library), this);
  }

  made(sha256: string): void {
    this.#there.add(sha256);
  }

  failed(thrown: unknown): void {
    this.#log.warn({ error: errorMessage(thrown) }, 'no leaf table: answers are tagged byte by byte');
  }

  async remove(sha256: string): Promise<void> {
    this.#there.delete(sha256);
    await rm(this.pathOf(sha256), { force: true }).catch(() => undefined);
  }
}

class Unfailing implements Making {
  #builder: TableBuilder | undefined;
  readonly #tables: Tables;

  constructor(builder: TableBuilder, tables: Tables) {
    this.#builder = builder;
    this.#tables = tables;
  }

  add(data: Uint8Array): Promise<void> {
    return this.#try(async (builder) => builder.add(data));
  }

  async finish(sha256: string): Promise<string | undefined> {
    const root = await this.#try((builder) => builder.finish(this.#tables.pathOf(sha256)));
    if (root !== undefined) this.#tables.made(sha256);
    this.#builder = undefined;
    return root;
  }

  async abandon(): Promise<void> {
    await this.#builder?.abandon();
    this.#builder = undefined;
  }

  async #try<T>(step: (builder: TableBuilder) => Promise<T>): Promise<T | undefined> {
    try {
      return this.#builder && (await answered(step(this.#builder)));
    } catch (thrown) {
      this.#tables.failed(thrown);
      void this.abandon();
      return undefined;
    }
  }
}
