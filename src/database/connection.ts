/** A pool on the PostgreSQL that may be written, behind a breaker: every call ends within its limits, in a value or in a named fault. */
import { Kysely, sql, type Transaction } from 'kysely';
import { type ClientBase, Pool, type PoolClient, types } from 'pg';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Breaker, stepBreaker } from './breaker.ts';
import { limitedDialect } from './driver.ts';
import { type Classified, classify, type DatabaseFault } from './fault.ts';
import type { Tables } from './tables.ts';
import { secured } from './tls.ts';
import { type DatabaseHost, type DatabasePlace, parseDatabaseUri } from './uri.ts';

export type Answer<T> = Promise<Result<T, DatabaseFault>>;

export type DatabaseState =
  | { readonly reachable: true; readonly since: number }
  | { readonly reachable: false; readonly since: number; readonly fault: DatabaseFault };

export interface Database {
  /** Reachable until a call has shown otherwise. `since` is in Unix milliseconds. */
  readonly state: DatabaseState;
  /** Calls back on every change of `state.reachable` or of the fault's code. Gives the way to stop. */
  onState(callback: (state: DatabaseState) => void): () => void;
  /** Runs `work` on one connection. While the breaker is open it answers at once. What is no fault of the database is a bug and is thrown. */
  run<T>(work: (db: Kysely<Tables>) => Promise<T>): Answer<T>;
  close(): Promise<void>;
}

export interface DatabaseAccess {
  /** `postgresql://user:password@host:port,host:port/database?sslmode=…`; never logged. Of several hosts the first that may be written is used. */
  readonly uri: string;
  /** PEM: the server must show a certificate of it for its host. Absent: TLS as the uri says. */
  readonly ca?: string;
}

export interface DatabaseOptions extends DatabaseAccess {
  /** Connections at most; 4 carry a server with thousands of sessions. */
  readonly maxConnections?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  /**
   * Says what is wrong with the database behind a connection: asked on each new one, and each second. A fault, or anything thrown, makes the
   * database away.
   */
  readonly prove?: (db: Kysely<Tables>) => Promise<DatabaseFault | undefined>;
}

/** A proof is this long good: a backup may be restored under connections that live on. */
const PROOF_LIFE_MS = 1_000;

/** A statement, and the wait for a connection. The design calls slower than this dead. */
const STATEMENT_TIMEOUT_MS = 2_000;
/** The same from our side, for a server that no longer answers at all. */
const READ_TIMEOUT_MS = 2_500;
/** A transaction whose owner has stopped must not hold its locks. */
const IDLE_IN_TRANSACTION_MS = 10_000;

const INT8 = 20;

/** In the transaction that runs, or in one of its own. */
export const transact = <T>(db: Kysely<Tables>, work: (trx: Transaction<Tables>) => Promise<T>): Promise<T> =>
  db.isTransaction ? work(db as Transaction<Tables>) : db.transaction().execute(work);

/** Connects lazily: a database that is away at the start is a state like any other. */
export function connect(options: DatabaseOptions): Result<Database, Fault<'InvalidUri'>> {
  const place = parseDatabaseUri(options.uri);
  return place.ok ? ok(new PooledDatabase(options, place.value)) : place;
}

/** The pool of one stretch between two trips, on one host, with its connections, so that all of them can be dropped at once. */
interface Lines {
  readonly host: DatabaseHost;
  readonly db: Kysely<Tables>;
  drop(): void;
}

class PooledDatabase implements Database {
  readonly #options: DatabaseOptions;
  readonly #place: DatabasePlace;
  readonly #listeners = new Set<(state: DatabaseState) => void>();
  #breaker: Breaker = { kind: 'Closed', since: Date.now() };
  #lines: Lines;
  #probe: NodeJS.Timeout | undefined;
  /** Index of the host in use. */
  #host = 0;
  #closed = false;

  constructor(options: DatabaseOptions, place: DatabasePlace) {
    this.#options = options;
    this.#place = place;
    this.#lines = this.#open();
  }

  get state(): DatabaseState {
    return this.#breaker.kind === 'Closed'
      ? { reachable: true, since: this.#breaker.since }
      : { reachable: false, since: this.#breaker.since, fault: this.#breaker.fault };
  }

  onState(callback: (state: DatabaseState) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  async run<T>(work: (db: Kysely<Tables>) => Promise<T>): Answer<T> {
    if (this.#closed) return fail('Unreachable', `database ${this.#place.name}: the connection was closed`);
    if (this.#breaker.kind === 'Open') return { ok: false, error: this.#breaker.fault };
    return this.#try(work);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#probe);
    this.#listeners.clear();
    this.#lines.drop();
  }

  async #try<T>(work: (db: Kysely<Tables>) => Promise<T>): Answer<T> {
    const lines = this.#lines;
    try {
      const value = await work(lines.db);
      if (lines === this.#lines) this.#step({ kind: 'Succeeded' });
      return ok(value);
    } catch (thrown) {
      const classified = read(thrown, lines.host);
      if (!classified) throw thrown;
      if (classified.trips && lines === this.#lines) this.#trip(classified.fault);
      return { ok: false, error: classified.fault };
    }
  }

  /** Nobody waits on old connections: a half-dead server would keep them for minutes. */
  #trip(fault: DatabaseFault): void {
    if (this.#closed) return;
    this.#turn();
    this.#step({ kind: 'Failed', fault });
  }

  /** To the next host, where there are several. */
  #turn(): void {
    this.#lines.drop();
    this.#host = (this.#host + 1) % this.#place.hosts.length;
    this.#lines = this.#open();
  }

  /** Asks each host once. Any refusal keeps the breaker open, as no other call would find out when it ends. */
  async #ask(): Promise<void> {
    const faults: DatabaseFault[] = [];
    for (const _ of this.#place.hosts) {
      const lines = this.#lines;
      try {
        await sql`select 1`.execute(lines.db);
        return this.#step({ kind: 'Succeeded' });
      } catch (thrown) {
        const classified = read(thrown, lines.host);
        if (!classified) throw thrown;
        if (this.#closed) return;
        faults.push(classified.fault);
        if (lines === this.#lines) this.#turn();
      }
    }
    const [first] = faults;
    if (first)
      this.#step({ kind: 'Failed', fault: { ...first, message: faults.map(({ message }) => message).join('; ') } });
  }

  #step(event: Parameters<typeof stepBreaker>[1]): void {
    const before = this.state;
    const now = Date.now();
    this.#breaker = stepBreaker(this.#breaker, event, now, Math.random);
    if (this.#breaker.kind === 'Open') {
      const { attempt, probeAt } = this.#breaker;
      // Another host may be the primary already.
      const waitMs = attempt === 0 && this.#place.hosts.length > 1 ? 0 : probeAt - now;
      clearTimeout(this.#probe);
      this.#probe = setTimeout(() => void this.#ask(), waitMs).unref();
    }
    const after = this.state;
    if (before.reachable === after.reachable && faultCode(before) === faultCode(after)) return;
    for (const listener of this.#listeners) listener(after);
  }

  #open(): Lines {
    const clients = new Set<ClientBase>();
    const host = this.#place.hosts[this.#host] ?? this.#place.hosts[0];
    const pool = new Pool({
      ...secured(host.uri, this.#options.ca),
      max: this.#options.maxConnections ?? 4,
      connectionTimeoutMillis: STATEMENT_TIMEOUT_MS,
      query_timeout: READ_TIMEOUT_MS,
      application_name: this.#options.applicationName ?? 'bootfarm',
      keepAlive: true,
      types: { getTypeParser: (oid, format) => (oid === INT8 ? Number : types.getTypeParser(oid, format)) },
    });
    const limits = { statementMs: STATEMENT_TIMEOUT_MS, idleMs: IDLE_IN_TRANSACTION_MS };
    const { prove } = this.#options;
    const proof = prove && { lifeMs: PROOF_LIFE_MS, prove: (db: Kysely<Tables>) => unproven(prove, db, host) };
    const lines: Lines = {
      host,
      db: new Kysely<Tables>({ dialect: limitedDialect(pool, limits, proof) }),
      drop() {
        for (const client of clients) streamOf(client)?.destroy();
        pool.end().catch(() => {}); // its connections are gone already
      },
    };
    const lost = (thrown: unknown): void => {
      const classified = classify(thrown, host.name);
      if (classified && lines === this.#lines) this.#trip(classified.fault);
    };
    pool.on('connect', (client: PoolClient) => {
      clients.add(client);
      client.on('error', lost); // also between its last answer and its return to the pool, when nobody else hears of it
    });
    pool.on('remove', (client) => clients.delete(client));
    pool.on('error', lost);
    return lines;
  }
}

/** Carries what a proof found out of the work that needed it. */
class Unproven extends Error {
  readonly classified: Classified;
  constructor(fault: DatabaseFault) {
    super(fault.message);
    this.classified = { fault, trips: true };
  }
}

const read = (thrown: unknown, { name }: DatabaseHost): Classified | undefined =>
  thrown instanceof Unproven ? thrown.classified : classify(thrown, name);

/** A proof that cannot be made is none: whatever it meets, the database is away. */
async function unproven(
  prove: NonNullable<DatabaseOptions['prove']>,
  db: Kysely<Tables>,
  host: DatabaseHost,
): Promise<void> {
  const fault = await prove(db).catch((thrown: unknown) => {
    const classified = read(thrown, host);
    if (!classified) throw thrown;
    return classified.fault;
  });
  if (fault) throw new Unproven(fault);
}

const faultCode = (state: DatabaseState): string | undefined => (state.reachable ? undefined : state.fault.code);

/** `pg` ends connections politely only; its socket is no part of its types. */
const streamOf = (client: ClientBase): { destroy(): void } | undefined =>
  (client as { connection?: { stream?: { destroy(): void } } }).connection?.stream;
