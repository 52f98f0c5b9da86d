/** The leaf tables of a server's disks, in its state directory: 0.8 % of the disks' size, named by the digests of the images that they lie in. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpenFile } from '../image/disk.ts';
import { formatOf } from '../image/formats.ts';
import { TableBuilder } from '../image/tree/builder.ts';
import { MAX_DISK_BYTES, shapeOf } from '../image/tree/layout.ts';
import { type Pieces, pieces } from '../image/tree/pieces.ts';
import type { TableRef } from '../image/tree/table.ts';
import { errorMessage } from '../kit/errors.ts';
import { inTime } from '../kit/patience.ts';
import type { Logger } from '../telemetry/log.ts';
import { freeBytes, LEAST_FREE_BYTES } from './room.ts';

/** A table that is being made: what goes wrong costs the table, and not the digest beside it. */
export interface Making {
  /** The next bytes of the disk: a multiple of 512 KiB, but for the last. */
  add(data: Uint8Array): Promise<void>;
  /** The next leaves, of so many bytes. */
  addLeaves(leaves: Uint8Array, bytes: number): Promise<void>;
  /** It went wrong, and what is added is for nobody. */
  readonly isLost: boolean;
  /** The root of the table; undefined: there is none. */
  finish(key: string): Promise<string | undefined>;
  /** Nothing is left of it. After `finish` it does nothing. */
  abandon(): Promise<void>;
}

/** An image as the look found it whose digest is known. */
export interface ChainImage extends OpenFile {
  readonly sha256: string;
  /** Of the disk that it shows. */
  readonly diskBytes: number;
}

/** Its table is made in the pass that digests it. */
export const isPlain = (name: string): boolean => formatOf(name)?.plain === true;

/** Raised when a release reads an image otherwise than the one before: the table of another reading is another. */
const READING = 1;

/**
 * What decides a disk: its images' content and formats, the image first. 64 hex digits; of a plain image its digest.
 */
export function tableKey(images: readonly Pick<ChainImage, 'name' | 'sha256'>[]): string {
  const [image] = images;
  if (image && isPlain(image.name)) return image.sha256;
  const lines = images.map(({ name, sha256 }) => `${sha256} ${formatOf(name)?.extension}`);
  return createHash('sha256')
    .update([`disk ${READING}`, ...lines].join('\n'))
    .digest('hex');
}

const END = '.leaves';
/** A state directory that hangs holds up no digest: as for a look into a folder. The last step waits for the disk to have it all. */
const PATIENCE_MS = 60_000;

export async function answered<T>(step: Promise<T>): Promise<T> {
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
  /** The roots of those that are there. By key, as all is. */
  readonly #roots = new Map<string, string>();

  constructor(stateDirectory: string, log: Logger) {
    this.#folder = join(stateDirectory, 'leaves');
    this.#log = log;
  }

  /** Takes up these of an earlier process; all else goes, also what it began and did not end. */
  async load(roots: ReadonlyMap<string, string>): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names) {
      const key = name.slice(0, -END.length);
      const root = name.endsWith(END) ? roots.get(key) : undefined;
      if (root !== undefined) this.#roots.set(key, root);
      else await rm(join(this.#folder, name), { force: true }).catch(() => undefined);
    }
  }

  /** Whether a disk of this size has a table at all. */
  isWithin(diskBytes: number): boolean {
    return diskBytes > 0 && diskBytes <= MAX_DISK_BYTES && pieces().ok;
  }

  refOf(key: string): TableRef | undefined {
    const root = this.#roots.get(key);
    return root === undefined ? undefined : { path: this.pathOf(key), root };
  }

  pathOf(key: string): string {
    return join(this.#folder, key + END);
  }

  /** Of a disk that has one. */
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

  made(key: string, root: string): void {
    this.#roots.set(key, root);
  }

  failed(thrown: unknown): void {
    this.#log.warn({ error: errorMessage(thrown) }, 'no leaf table: answers are tagged byte by byte');
  }

  async remove(key: string): Promise<void> {
    this.#roots.delete(key);
    await rm(this.pathOf(key), { force: true }).catch(() => undefined);
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

  addLeaves(leaves: Uint8Array, bytes: number): Promise<void> {
    return this.#try(async (builder) => builder.addLeaves(leaves, bytes));
  }

  get isLost(): boolean {
    return this.#builder === undefined;
  }

  async finish(key: string): Promise<string | undefined> {
    const root = await this.#try((builder) => builder.finish(this.#tables.pathOf(key)));
    if (root !== undefined) this.#tables.made(key, root);
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
