/**
 * What the database has not seen yet, on the node's disk.
 *
 * ```
 * one entry a line:  crc32, 8 hex digits │ space │ JSON {id, at, kind, …} │ \n
 * ```
 * An entry counts when `append` resolves: it is on the disk then. A torn tail, and a line whose sum is wrong, are dropped and counted; the
 * lines around them stay good. Appends that come while the disk works share the next fsync.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Session } from '../farm/model.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

/** A closed union, so that later kinds join here and every reader is made to look at them. */
export type JournalChange =
  | { readonly kind: 'SessionStarted'; readonly session: Session }
  | { readonly kind: 'SessionEnded'; readonly device: string; readonly epoch: number };

export type JournalEntry = JournalChange & {
  readonly id: string;
  /** Unix milliseconds, by this node's clock: for people. */
  readonly at: number;
};

export type JournalFault = Fault<'JournalUnusable'>;

export interface Journal {
  /** In the order in which they were appended. */
  readonly pending: readonly JournalEntry[];
  /** Lines that were dropped when it was opened. */
  readonly dropped: number;
  append(changes: readonly JournalChange[]): Promise<Result<void, JournalFault>>;
  /** The database has these: they go from the disk, too. */
  forget(entries: readonly JournalEntry[]): Promise<Result<void, JournalFault>>;
  close(): Promise<void>;
}

/** Reads what an earlier process left. `JournalUnusable` names the file and why. */
export async function openJournal(path: string): Promise<Result<Journal, JournalFault>> {
  try {
    await mkdir(dirname(path), { recursive: true });
    const text = await readFile(path, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code === 'ENOENT') return '';
      throw thrown;
    });
    const { entries, dropped } = decodeJournal(text);
    const journal = new FileJournal(path, entries, dropped);
    await journal.rewrite(); // a torn tail must not run into the next entry
    return ok(journal);
  } catch (thrown) {
    return unusable(path, thrown);
  }
}

/** Total: any text gives the entries whose sums are right, and how many lines are not. */
export function decodeJournal(text: string): { readonly entries: readonly JournalEntry[]; readonly dropped: number } {
  const lines = text.split('\n').filter((line) => line !== '');
  const entries = lines.flatMap((line) => decodeLine(line) ?? []);
  return { entries, dropped: lines.length - entries.length };
}

export const encodeEntry = (entry: JournalEntry): string => {
  const json = JSON.stringify(entry);
  return `${sum(json)} ${json}\n`;
};

const sum = (json: string): string => crc32(json).toString(16).padStart(8, '0');

function decodeLine(line: string): JournalEntry | undefined {
  const json = line.slice(9);
  if (line.slice(0, 9) !== `${sum(json)} `) return undefined;
  try {
    const entry = JSON.parse(json) as JournalEntry;
    return entry.kind === 'SessionStarted' || entry.kind === 'SessionEnded' ? entry : undefined;
  } catch {
    return undefined;
  }
}

class FileJournal implements Journal {
  readonly dropped: number;
  readonly #path: string;
  #entries: readonly JournalEntry[];
  #file: FileHandle | undefined;
  /** Disk work, one piece after the other. */
  #work: Promise<unknown> = Promise.resolve();
  /** Entries that wait for the next fsync, and those who wait for it. */
  #waiting: { entries: JournalEntry[]; done: Promise<Result<void, JournalFault>> } | undefined;

  constructor(path: string, entries: readonly JournalEntry[], dropped: number) {
    this.#path = path;
    this.#entries = entries;
    this.dropped = dropped;
  }

  get pending(): readonly JournalEntry[] {
    return this.#entries;
  }

  append(changes: readonly JournalChange[]): Promise<Result<void, JournalFault>> {
    const entries = changes.map((change) => ({ ...change, id: randomUUID(), at: Date.now() }));
    if (this.#waiting) {
      this.#waiting.entries.push(...entries);
      return this.#waiting.done;
    }
    const batch: JournalEntry[] = entries;
    const done = this.#queue(async () => {
      this.#waiting = undefined;
      await this.#write(batch);
    });
    this.#waiting = { entries: batch, done };
    return done;
  }

  forget(entries: readonly JournalEntry[]): Promise<Result<void, JournalFault>> {
    const gone = new Set(entries.map(({ id }) => id));
    return this.#queue(async () => {
      this.#entries = this.#entries.filter(({ id }) => !gone.has(id));
      await this.rewrite();
    });
  }

  async close(): Promise<void> {
    await this.#work;
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Beside the old file, then in its place. */
  async rewrite(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    const next = `${this.#path}.partial`;
    const file = await open(next, 'w', 0o600);
    try {
      await file.writeFile(this.#entries.map(encodeEntry).join(''));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, this.#path);
    await syncFolder(dirname(this.#path));
  }

  async #write(entries: readonly JournalEntry[]): Promise<void> {
    this.#file ??= await open(this.#path, 'a', 0o600);
    try {
      await this.#file.appendFile(entries.map(encodeEntry).join(''));
      await this.#file.sync();
    } catch (thrown) {
      await this.rewrite().catch(() => {}); // what was half written must not come before the next entry
      throw thrown;
    }
    this.#entries = [...this.#entries, ...entries];
  }

  #queue(work: () => Promise<void>): Promise<Result<void, JournalFault>> {
    const done = this.#work.then(work).then(
      () => ok(undefined),
      (thrown) => unusable(this.#path, thrown),
    );
    this.#work = done;
    return done;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

const unusable = (path: string, thrown: unknown): Result<never, JournalFault> =>
  fail(
    'JournalUnusable',
    `journal ${path}: ${thrown instanceof Object && 'message' in thrown ? thrown.message : thrown}`,
  );
