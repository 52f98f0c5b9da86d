/** The file of a journal: the few things that are done to a disk, so that tests can have one that fails. Decides nothing. */
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from '../kit/errors.ts';

/** Each rejects with what the disk says. Never called while another call runs. */
export interface JournalFile {
  readonly path: string;
  /** Whole; empty when there is none. */
  read(): Promise<Buffer>;
  /** At its end; after a rejection any part of it may be there. */
  append(bytes: Buffer): Promise<void>;
  truncate(length: number): Promise<void>;
  /** What was written is on the disk, and so is the file's name. */
  sync(): Promise<void>;
  /** Other contents beside it, on the disk. A rejection leaves all as it was. */
  prepare(bytes: Buffer): Promise<void>;
  /** What was prepared takes its place. After a rejection either may stand there. */
  exchange(): Promise<void>;
  close(): Promise<void>;
}

export class DiskFile implements JournalFile {
  readonly path: string;
  #file: FileHandle | undefined;
  /** Is the name in the folder on the disk, too? */
  #named = false;

  constructor(path: string) {
    this.path = path;
  }

  async read(): Promise<Buffer> {
    await mkdir(dirname(this.path), { recursive: true });
    await rm(this.#partial, { force: true }); // of a process that ended before it exchanged them
    try {
      return await readFile(this.path);
    } catch (thrown) {
      if (errorCode(thrown) === 'ENOENT') return Buffer.alloc(0);
      throw thrown;
    }
  }

  async append(bytes: Buffer): Promise<void> {
    await (await this.#opened()).appendFile(bytes);
  }

  async truncate(length: number): Promise<void> {
    await (await this.#opened()).truncate(length);
  }

  async sync(): Promise<void> {
    await (await this.#opened()).sync();
    if (this.#named) return;
    const folder = await open(dirname(this.path), 'r');
    await folder.sync().finally(() => folder.close());
    this.#named = true;
  }

  async prepare(bytes: Buffer): Promise<void> {
    try {
      const next = await open(this.#partial, 'w', 0o600);
      await next
        .writeFile(bytes)
        .then(() => next.sync())
        .finally(() => next.close());
    } catch (thrown) {
      await rm(this.#partial, { force: true }).catch(() => {}); // its room is wanted
      throw thrown;
    }
  }

  async exchange(): Promise<void> {
    this.#named = false;
    await this.close();
    await rename(this.#partial, this.path);
    await this.sync();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  get #partial(): string {
    return `${this.path}.partial`;
  }

  async #opened(): Promise<FileHandle> {
    this.#file ??= await open(this.path, 'a', 0o600);
    return this.#file;
  }
}
