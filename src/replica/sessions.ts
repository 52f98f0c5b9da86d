/**
 * Who streams what, written where it can be: to the database, or to the node's journal and, when the database returns, from there.
 * What comes while the journal is not empty goes behind it, so that nothing overtakes.
 *
 * Which of two servers' sessions of a device is the later one is said by its epoch. This server's clock makes it, and no clock is trusted: what a
 * server sees now is claimed, and gets an epoch above the one that is stored (database/servers.ts). A journal claims nothing: its entries are
 * of the past, compared by epoch. What came out wrong of that, or of an emptied database, is right again when all that is served is told anew.
 */
import type { Database } from '../database/connection.ts';
import {
  applySessions,
  type ClaimedChange,
  endSessionsExcept,
  replayJournal,
  type SessionChange,
} from '../database/servers.ts';
import type { Session } from '../farm/model.ts';
import { backoffMs } from '../kit/backoff.ts';
import { errorMessage } from '../kit/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import { collapse, later } from './collapse.ts';
import type { Journal, JournalFault } from './journal.ts';

/** Where a change is safe. `Lost`: the database is away and the node's disk cannot be written; the device streams on. */
export type Kept = 'Database' | 'Journal' | 'Lost';

export interface SessionWriter {
  /** Never rejects; the caller need not wait. A change of the same device that still waits is replaced by a later one. */
  write(session: Session): Promise<Kept>;
  end(device: string, epoch: number): Promise<Kept>;
  /** Tells the database all sessions, once what waits is written: it may have lost what it was told. */
  tellAll(): void;
  /** Entries that the database has not seen. */
  readonly journalEntries: number;
  /** Why the journal does not keep what it is given. */
  readonly fault: JournalFault | undefined;
  /** What was written and waits still; then no more replays. */
  close(): Promise<void>;
}

export interface SessionWriterOptions {
  readonly database: Database;
  readonly journal: Journal;
  /** Name of this server. */
  readonly server: string;
  /** All sessions that were written and have not ended, one a device. */
  readonly current: () => readonly Session[];
  /** Id of the farm that they are of, where it is known. */
  readonly farm?: () => string | undefined;
  readonly log: Logger;
  /** A device's row is written no more often; the last state wins. */
  readonly rowEveryMs?: number;
}

/** Rows in one statement: well within 2 s. */
const BATCH = 500;
const RETRY = { baseMs: 500, maxMs: 10_000 };
/** All sessions are told again: of thousands that did not change, one statement that writes nothing. */
const TELL_EVERY_MS = 60_000;
/** A device that flutters between two servers costs a row a second, not one a packet. */
const ROW_EVERY_MS = 1_000;
/** How exactly a second is kept. */
const RELEASE_MS = 100;

export function sessionWriter(options: SessionWriterOptions): SessionWriter {
  return new QueuedSessionWriter(options);
}

interface Waiting {
  readonly change: SessionChange;
  /** Of this moment. What was held back is a past, compared by its epoch. */
  readonly fresh: boolean;
  readonly waiters: readonly ((kept: Kept) => void)[];
}

/** What was written last of a device: the caller's epoch, and the one that it became. */
interface Told {
  readonly local: number;
  readonly epoch: number;
  /** The row was this session's. If it is another server's by now, the device went there later. */
  readonly held: boolean;
}

class QueuedSessionWriter implements SessionWriter {
  readonly #options: SessionWriterOptions;
  readonly #unsubscribe: () => void;
  readonly #teller: NodeJS.Timeout;
  #queue = new Map<string, Waiting>();
  /** Of devices that were written less than a second ago. */
  readonly #held = new Map<string, Waiting>();
  /** When, oldest first; of a clock that never jumps. */
  readonly #writtenMs = new Map<string, number>();
  readonly #told = new Map<string, Told>();
  #tellDue = true;
  #running: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #release: NodeJS.Timeout | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: SessionWriterOptions) {
    this.#options = options;
    this.#unsubscribe = options.database.onState(({ reachable }) => {
      if (reachable) this.tellAll();
    });
    this.#teller = setInterval(() => this.tellAll(), TELL_EVERY_MS).unref();
    this.#wake();
  }

  get journalEntries(): number {
    return this.#options.journal.size;
  }

  get fault(): JournalFault | undefined {
    return this.#options.journal.fault;
  }

  write(session: Session): Promise<Kept> {
    return this.#put({ device: session.device, epoch: session.epoch, session, ended: false });
  }

  end(device: string, epoch: number): Promise<Kept> {
    return this.#put({ device, epoch, ended: true });
  }

  tellAll(): void {
    this.#tellDue = true;
    this.#wake();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    clearInterval(this.#teller);
    clearTimeout(this.#retry);
    clearTimeout(this.#release);
    for (const device of [...this.#held.keys()]) this.#letGo(device);
    this.#wake();
    await this.#running;
  }

  #put(change: SessionChange): Promise<Kept> {
    const { device } = change;
    const fresh = this.#closed || this.#dueMs(device) <= 0;
    const place = fresh ? this.#queue : this.#held;
    const before = place.get(device);
    return new Promise((resolve) => {
      place.set(device, {
        change: later(before?.change, change),
        fresh,
        waiters: [...(before?.waiters ?? []), resolve],
      });
      if (fresh) this.#wake();
      else this.#releaseLater();
    });
  }

  #dueMs(device: string): number {
    const { rowEveryMs = ROW_EVERY_MS } = this.#options;
    const written = this.#writtenMs.get(device);
    return written === undefined ? 0 : written + rowEveryMs - performance.now();
  }

  #releaseLater(): void {
    this.#release ??= setTimeout(() => {
      this.#release = undefined;
      for (const device of this.#held.keys()) if (this.#dueMs(device) <= 0) this.#letGo(device);
      for (const device of this.#writtenMs.keys()) {
        if (this.#dueMs(device) > 0) break;
        this.#writtenMs.delete(device);
      }
      this.#wake();
      if (this.#writtenMs.size > 0 && !this.#closed) this.#releaseLater();
    }, RELEASE_MS).unref();
  }

  #letGo(device: string): void {
    const held = this.#held.get(device);
    if (!held) return;
    this.#held.delete(device);
    const before = this.#queue.get(device);
    const waiters = [...(before?.waiters ?? []), ...held.waiters];
    this.#queue.set(device, { change: later(before?.change, held.change), fresh: false, waiters });
  }

  #wake(): void {
    this.#running ??= this.#run()
      .catch((thrown) => {
        // a bug costs what was being written, until all is told again; never the process
        this.#options.log.error({ error: errorMessage(thrown) }, 'sessions not written');
        this.#tellDue = true;
        this.#retryLater();
      })
      .finally(() => {
        this.#running = undefined;
        if (this.#queue.size > 0) this.#wake();
      });
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // changes of one turn of the event loop share a statement
    if (!this.#closed && this.#options.database.state.reachable) await this.#replay();
    while (this.#queue.size > 0) {
      const batch = [...this.#queue.values()].slice(0, BATCH);
      const now = performance.now();
      for (const { change } of batch) {
        this.#queue.delete(change.device);
        this.#writtenMs.delete(change.device);
        this.#writtenMs.set(change.device, now);
      }
      this.#releaseLater();
      let kept: Kept = 'Lost';
      try {
        kept = await this.#keep(batch);
      } finally {
        for (const { waiters } of batch) for (const resolve of waiters) resolve(kept);
      }
    }
    await this.#tell();
  }

  async #keep(batch: readonly Waiting[]): Promise<Kept> {
    const { database, journal, farm, log } = this.#options;
    const changes = batch.map(({ change, fresh }) => this.#outward(change, fresh));
    if (journal.size === 0) {
      const written = await applySessions(database, changes);
      if (written.ok) {
        for (const { change } of batch) this.#remember(change, written.value.get(change.device), true);
        return 'Database';
      }
      log.warn({ fault: written.error, changes: changes.length }, 'sessions go to the journal');
    }
    const appended = await journal.append(
      changes.map(({ claim: _, ...change }) => change),
      farm?.(),
    );
    for (const [index, { change }] of batch.entries()) this.#remember(change, changes[index]?.epoch, false);
    this.#retryLater();
    if (appended.ok) return 'Journal';
    log.error({ fault: appended.error, changes: changes.length }, 'sessions lost');
    return 'Lost';
  }

  /** The caller's epochs grow by this node's clock; those that are written, by what was written before, too. */
  #outward({ device, epoch: local, session, ended }: SessionChange, fresh: boolean): ClaimedChange {
    const told = this.#told.get(device);
    const epoch = told?.local === local ? told.epoch : Math.max(local, told && local > told.local ? told.epoch + 1 : 0);
    if (!session) return { device, epoch, ended };
    return { device, epoch, session: { ...session, epoch }, ended, ...(fresh && !ended ? { claim: 'OverAll' } : {}) };
  }

  #remember({ device, epoch: local, ended }: SessionChange, epoch: number | undefined, held: boolean): void {
    if (!ended && epoch !== undefined) this.#told.set(device, { local, epoch, held });
    else if (ended && (this.#told.get(device)?.local ?? 0) <= local) this.#told.delete(device);
  }

  async #replay(): Promise<void> {
    const { database, journal, server, log } = this.#options;
    if (journal.fault) await journal.load();
    while (journal.size > 0 && !this.#closed) {
      const entries = journal.first(BATCH);
      const last = entries.at(-1);
      const replayed = await replayJournal(database, { server, entries }, collapse);
      if (!replayed.ok || !last) {
        if (!replayed.ok) log.warn({ fault: replayed.error, entries: journal.size }, 'journal not replayed');
        return this.#retryLater();
      }
      const forgotten = await journal.forget(last);
      log.info({ entries: entries.length, ...replayed.value }, 'journal replayed');
      if (!forgotten.ok) log.error({ fault: forgotten.error }, 'journal not shortened');
    }
    this.#failures = 0;
  }

  /** After the journal, which may know of sessions that an earlier process left; those end. */
  async #tell(): Promise<void> {
    const { database, journal, server, current, log } = this.#options;
    if (!this.#tellDue || this.#closed || journal.size > 0 || !database.state.reachable) return;
    this.#tellDue = false;
    const sessions = current();
    const changes = sessions.map((session): ClaimedChange => {
      const told = this.#told.get(session.device);
      const claim = told?.local === session.epoch && told.held ? 'OverEnded' : 'OverAll';
      const { claim: _, ...change } = this.#outward(
        { device: session.device, epoch: session.epoch, session, ended: false },
        true,
      );
      return { ...change, claim };
    });
    const written = await applySessions(database, changes);
    const devices = sessions.map(({ device }) => device);
    const ended = written.ok ? await endSessionsExcept(database, server, devices) : written;
    if (!written.ok || !ended.ok) {
      log.warn({ fault: ended.ok ? undefined : ended.error, sessions: sessions.length }, 'sessions not told again');
      this.#tellDue = true;
      return this.#retryLater();
    }
    for (const [index, { device, epoch: local }] of sessions.entries())
      this.#told.set(device, { local, epoch: written.value.get(device) ?? changes[index]?.epoch ?? local, held: true });
    if (written.value.size > 0)
      log.info({ sessions: sessions.length, written: written.value.size }, 'sessions told again');
  }

  #retryLater(): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#wake(), backoffMs(RETRY, this.#failures++)).unref();
  }
}
