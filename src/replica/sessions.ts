/**
 * Who streams what, written where it can be: to the database, or to the node's journal and, when the database returns, from there.
 * What comes while the journal is not empty goes behind it, so that nothing overtakes.
 */
import type { Database } from '../database/connection.ts';
import { applySessions, endSessionsBefore, replayJournal, type SessionChange } from '../database/servers.ts';
import type { Session } from '../farm/model.ts';
import { backoffMs } from '../kit/backoff.ts';
import { never } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';
import { collapse } from './collapse.ts';
import type { Journal, JournalChange, JournalEntry } from './journal.ts';

/** Where a change is safe. `Lost`: the database is away and the node's disk cannot be written; the device streams on. */
export type Kept = 'Database' | 'Journal' | 'Lost';

export interface SessionWriter {
  /** Never rejects; the caller need not wait. A change of the same device that still waits is replaced by a later one. */
  write(session: Session): Promise<Kept>;
  end(device: string, epoch: number): Promise<Kept>;
  /** Entries that the database has not seen. */
  readonly journalEntries: number;
  /** What was written and waits still; then no more replays. */
  close(): Promise<void>;
}

export interface SessionWriterOptions {
  readonly database: Database;
  readonly journal: Journal;
  /** Name of this server. */
  readonly server: string;
  readonly log: Logger;
}

/** Rows in one statement: well within 2 s. */
const BATCH = 500;
const RETRY = { baseMs: 500, maxMs: 10_000 };

export function sessionWriter(options: SessionWriterOptions): SessionWriter {
  return new QueuedSessionWriter(options);
}

class QueuedSessionWriter implements SessionWriter {
  readonly #options: SessionWriterOptions;
  readonly #unsubscribe: () => void;
  #queue: JournalChange[] = [];
  #waiters: ((kept: Kept) => void)[] = [];
  #running: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #failures = 0;
  #closed = false;
  readonly #startedMs = Date.now();
  #formerEnded = false;

  constructor(options: SessionWriterOptions) {
    this.#options = options;
    this.#unsubscribe = options.database.onState(({ reachable }) => {
      if (reachable) this.#wake();
    });
    this.#wake();
  }

  get journalEntries(): number {
    return this.#options.journal.pending.length;
  }

  write(session: Session): Promise<Kept> {
    return this.#put({ kind: 'SessionStarted', session });
  }

  end(device: string, epoch: number): Promise<Kept> {
    return this.#put({ kind: 'SessionEnded', device, epoch });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    clearTimeout(this.#retry);
    await this.#running;
  }

  #put(change: JournalChange): Promise<Kept> {
    this.#queue.push(change);
    const kept = new Promise<Kept>((resolve) => this.#waiters.push(resolve));
    this.#wake();
    return kept;
  }

  #wake(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#queue.length > 0) this.#wake();
    });
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // changes of one turn of the event loop share a statement
    if (!this.#closed && this.#options.database.state.reachable) {
      await this.#replay();
      await this.#endFormer();
    }
    while (this.#queue.length > 0) {
      const changes = this.#queue.splice(0, BATCH);
      const waiters = this.#waiters.splice(0, BATCH);
      const kept = await this.#keep(changes);
      for (const resolve of waiters) resolve(kept);
    }
  }

  async #keep(changes: readonly JournalChange[]): Promise<Kept> {
    const { database, journal, log } = this.#options;
    if (journal.pending.length === 0) {
      const written = await applySessions(database, collapse(changes.map(sessionChange)));
      if (written.ok) return 'Database';
      log.warn({ fault: written.error, changes: changes.length }, 'sessions go to the journal');
    }
    const appended = await journal.append(changes);
    this.#retryLater();
    if (appended.ok) return 'Journal';
    log.error({ fault: appended.error, changes: changes.length }, 'sessions lost');
    return 'Lost';
  }

  async #replay(): Promise<void> {
    const { database, journal, server, log } = this.#options;
    while (journal.pending.length > 0 && !this.#closed) {
      const entries = journal.pending.slice(0, BATCH);
      const replayed = await replayJournal(database, { server, entries: entries.map(replayEntry) }, collapse);
      if (!replayed.ok) {
        log.warn({ fault: replayed.error, entries: journal.pending.length }, 'journal not replayed');
        return this.#retryLater();
      }
      const forgotten = await journal.forget(entries);
      log.info({ entries: entries.length, applied: replayed.value }, 'journal replayed');
      if (!forgotten.ok) {
        log.error({ fault: forgotten.error }, 'journal not shortened');
        return this.#retryLater();
      }
    }
    this.#failures = 0;
  }

  /** Sessions that a killed process left. Its journal comes first: it may hold some of them. */
  async #endFormer(): Promise<void> {
    const { database, journal, server } = this.#options;
    if (this.#formerEnded || this.#closed || journal.pending.length > 0) return;
    this.#formerEnded = (await endSessionsBefore(database, server, this.#startedMs)).ok;
    if (!this.#formerEnded) this.#retryLater();
  }

  #retryLater(): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#wake(), backoffMs(RETRY, this.#failures++)).unref();
  }
}

const replayEntry = (entry: JournalEntry): { id: string; change: SessionChange } => ({
  id: entry.id,
  change: sessionChange(entry),
});

function sessionChange(change: JournalChange): SessionChange {
  switch (change.kind) {
    case 'SessionStarted':
      return { device: change.session.device, epoch: change.session.epoch, session: change.session, ended: false };
    case 'SessionEnded':
      return { device: change.device, epoch: change.epoch, ended: true };
    default:
      return never(change);
  }
}
