/**
 * What the database has not seen yet, on the node's disk: one entry a device, its latest.
 *
 * What `append` resolved is there after any crash: it is on the disk then. What it did not resolve is cut off before anything is written
 * behind it. To forget writes one short mark; the file is emptied when nothing waits, and written anew only when most of it is past, so that all
 * of it costs what was appended. Appends that come while the disk works share the next sync.
 */
import { randomUUID } from 'node:crypto';
import type { SessionChange } from '../database/servers.ts';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { later } from './collapse.ts';
import { DiskFile, type JournalFile } from './journalfile.ts';
import { decodeJournal, encodeLine, type JournalEntry, Pending } from './journalformat.ts';

/** `JournalFull`: at its bound in bytes. `JournalUnusable`: the disk says no; the message has its words. */
export type JournalFault = Fault<'JournalUnusable' | 'JournalFull'>;

export interface Journal {
  /** How many wait. */
  readonly size: number;
  /** Lines that were dropped when it was read. */
  readonly dropped: number;
  /** Why the last entries could not be kept; gone with the next that are. */
  readonly fault: JournalFault | undefined;
  /** The first `count`, in the order in which they were appended. */
  first(count: number): readonly JournalEntry[];
  /** Reads what could not be read, and cuts what could not be cut. */
  load(): Promise<Result<void, JournalFault>>;
  /** `farm`: whose sessions they are, where that is known. */
  append(changes: readonly SessionChange[], farm?: string): Promise<Result<void, JournalFault>>;
  /** The database has this one and all before it. They are forgotten in any case; after a fault, a crash brings them back: their ids say that they are known. */
  forget(through: JournalEntry): Promise<Result<void, JournalFault>>;
  close(): Promise<void>;
}

/**
 * What waits, in bytes; the file takes twice as much at most, and as much again while it is written anew. 150,000 devices, a small part of any
 * node's disk. Without a bound, a fault elsewhere would fill the disk that the pods of the node share.
 */
const MAX_JOURNAL_BYTES = 64 << 20;
/** A file of this size is never written anew to make it smaller. */
const SMALL_BYTES = 64 << 10;

/** Never fails: a disk that cannot be read now is tried again with each append, and is a fault meanwhile. */
export async function openJournal(path: string, maxBytes?: number): Promise<Journal> {
  return openJournalOn(new DiskFile(path), maxBytes);
}

export async function openJournalOn(file: JournalFile, maxBytes = MAX_JOURNAL_BYTES): Promise<Journal> {
  const journal = new FileJournal(file, maxBytes);
  await journal.load();
  return journal;
}

interface OfFarm {
  readonly change: SessionChange;
  readonly farm: string | undefined;
}

class FileJournal implements Journal {
  dropped = 0;
  fault: JournalFault | undefined;
  readonly #file: JournalFile;
  readonly #maxBytes: number;
  #pending = new Pending();
  #lastNumber = 0;
  /** The file up to where it is known to be good. */
  #goodBytes = 0;
  /** `Torn`: something may stand behind `#goodBytes`. `Doubtful`: the disk failed to keep what it had taken, so nothing that it holds is trusted. */
  #state: 'Unread' | 'Whole' | 'Torn' | 'Doubtful' = 'Unread';
  /** Disk work, one piece after the other. */
  #work: Promise<unknown> = Promise.resolve();
  /** Changes that wait for the next sync, and those who wait for it. */
  #waiting: { readonly changes: OfFarm[]; readonly done: Promise<Result<void, JournalFault>> } | undefined;

  constructor(file: JournalFile, maxBytes: number) {
    this.#file = file;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#pending.size;
  }

  first(count: number): readonly JournalEntry[] {
    return this.#pending.first(count);
  }

  load(): Promise<Result<void, JournalFault>> {
    return this.#queue(() => this.#ready());
  }

  append(changes: readonly SessionChange[], farm?: string): Promise<Result<void, JournalFault>> {
    const batch = changes.map((change): OfFarm => ({ change, farm }));
    if (this.#waiting) {
      this.#waiting.changes.push(...batch);
      return this.#waiting.done;
    }
    const done = this.#queue(async () => {
      this.#waiting = undefined;
      await this.#ready();
      await this.#put(batch);
    });
    this.#waiting = { changes: batch, done };
    return done;
  }

  forget(through: JournalEntry): Promise<Result<void, JournalFault>> {
    return this.#queue(async () => {
      this.#pending.forgetThrough(through.number);
      await this.#ready();
      if (this.#pending.size === 0) return this.#truncate(0);
      await this.#write(encodeLine({ kind: 'Forgotten', through: through.number }));
      await this.#shrink();
    });
  }

  async close(): Promise<void> {
    await this.#work;
    await this.#file.close().catch(() => {});
  }

  /** The file ends where what counts ends. Cutting needs no room on the disk. */
  async #ready(): Promise<void> {
    if (this.#state === 'Unread') {
      const { pending, last, wholeBytes, dropped } = decodeJournal(await this.#file.read());
      this.#pending = pending;
      this.#lastNumber = last;
      this.#goodBytes = wholeBytes;
      this.dropped = dropped;
      this.#state = 'Torn';
    }
    if (this.#state === 'Torn') await this.#truncate(this.#goodBytes);
    if (this.#state === 'Doubtful') await this.#rewrite();
  }

  async #put(changes: readonly OfFarm[]): Promise<void> {
    const latest = new Map<string, OfFarm>();
    for (const { change, farm } of changes) {
      const known = latest.get(change.device) ?? this.#pending.get(change.device);
      // What another farm knew of a device of that name is no state of this one, whatever its epoch.
      const next = later(known?.farm === farm ? known?.change : undefined, change);
      if (next !== known?.change) latest.set(change.device, { change: next, farm });
    }
    let number = this.#lastNumber;
    const lines = [...latest.values()].map(({ change, farm }) => {
      const head = { kind: 'Session', number: ++number, id: randomUUID(), at: Date.now() } as const;
      const entry: JournalEntry = { ...head, ...(farm === undefined ? {} : { farm }), change };
      return { entry, line: encodeLine(entry) };
    });
    if (lines.length === 0) return;
    const text = Buffer.concat(lines.map(({ line }) => line));
    const replaced = lines.reduce((sum, { entry }) => sum + this.#pending.bytesOf(entry.change.device), 0);
    if (this.#pending.bytes - replaced + text.length > this.#maxBytes)
      throw new Full(this.#maxBytes, this.#pending.size);
    if (this.#goodBytes + text.length > 2 * this.#maxBytes + SMALL_BYTES) await this.#rewrite(); // it could not shrink before
    await this.#write(text);
    this.#lastNumber = number;
    for (const { entry, line } of lines) this.#pending.put(entry, line.length);
    await this.#shrink().catch(() => {}); // they are kept: that the file could be smaller is another matter
  }

  async #write(text: Buffer): Promise<void> {
    this.#state = 'Torn';
    try {
      await this.#file.append(text);
      await this.#sync();
    } catch (thrown) {
      await this.#ready().catch(() => {}); // a full disk has its room back; where even that fails, the next piece of work begins with it
      throw thrown;
    }
    this.#goodBytes += text.length;
    this.#state = 'Whole';
  }

  /** After a failed sync the kernel may have dropped what it could not write, and says so only once. */
  async #sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (thrown) {
      if (!NO_ROOM.includes(errorCode(thrown))) this.#state = 'Doubtful';
      throw thrown;
    }
  }

  async #truncate(length: number): Promise<void> {
    this.#state = 'Torn';
    this.#goodBytes = Math.min(length, this.#goodBytes);
    try {
      await this.#file.truncate(length);
    } catch (thrown) {
      this.#state = 'Doubtful';
      throw thrown;
    }
    await this.#sync();
    this.#state = 'Whole';
  }

  /** Half of it or more is past: all rewriting together is no more than what was appended. */
  async #shrink(): Promise<void> {
    if (this.#goodBytes > SMALL_BYTES && this.#goodBytes >= 2 * this.#pending.bytes) await this.#rewrite();
  }

  async #rewrite(): Promise<void> {
    const lines = this.#pending.first(this.#pending.size).map(encodeLine);
    const text = Buffer.concat(lines);
    await this.#file.prepare(text);
    this.#state = 'Doubtful'; // until it is known which of the two stands there
    await this.#file.exchange();
    this.#goodBytes = text.length;
    this.#state = 'Whole';
  }

  #queue(work: () => Promise<void>): Promise<Result<void, JournalFault>> {
    const done = this.#work.then(work).then(
      () => {
        this.fault = undefined;
        return ok(undefined);
      },
      (thrown) => {
        const failed = this.#faultOf(thrown);
        this.fault = failed.error;
        return failed;
      },
    );
    this.#work = done;
    return done;
  }

  #faultOf(thrown: unknown): { readonly ok: false; readonly error: JournalFault } {
    const { path } = this.#file;
    const error: JournalFault =
      thrown instanceof Full
        ? { code: 'JournalFull', message: `journal ${path}: ${thrown.message}` }
        : {
            code: 'JournalUnusable',
            message: `journal ${path}: ${errorMessage(thrown)}: sessions that begin or end while the database is away are not kept; devices stream on`,
          };
    return { ok: false, error };
  }
}

const NO_ROOM: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

class Full extends Error {
  constructor(maxBytes: number, entries: number) {
    super(
      `${entries} entries wait for the database and ${maxBytes} bytes are the most that they may take: further sessions are not kept until it is back; devices stream on`,
    );
  }
}
