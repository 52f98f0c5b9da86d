/** A pool on one PostgreSQL behind a breaker: every call ends within its limits, in a value or in a named fault. */
import { Kysely, PostgresDialect, sql } from 'kysely';
import { type ClientBase, Pool, type PoolClient, types } from 'pg';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Breaker, stepBreaker } from './breaker.ts';
import { classify, type DatabaseFault } from './fault.ts';
import type { Tables } from './tables.ts';
import { secured } from './tls.ts';

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
  /** `postgresql://user:password@host:port/database?sslmode=…`; never logged. */
  readonly uri: string;
  /** PEM: the server must show a certificate of it for its host. Absent: TLS as the uri says. */
  readonly ca?: string;
}

export interface DatabaseOptions extends DatabaseAccess {
  /** Connections at most; 4 carry a server with thousands of sessions. */
  readonly maxConnections?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
}

/** A statement, and the wait for a connection. The design calls slower than this dead. */
export const STATEMENT_TIMEOUT_MS = 2_000;
/** The same from our side, for a server that no longer answers at all. */
const READ_TIMEOUT_MS = 2_500;
/** A transaction whose owner has stopped must not hold its locks. */
const IDLE_IN_TRANSACTION_MS = 10_000;

const INT8 = 20;

/** Connects lazily: a database that is away at the start is a state like any other. */
export function connect(options: DatabaseOptions): Result<Database, Fault<'InvalidUri'>> {
  const place = placeOf(options.uri);
  if (place === undefined)
    return fail('InvalidUri', 'the database uri must look like postgresql://user:password@host:port/database');
  return ok(new PooledDatabase(options, place));
}

/** `host:port/database`, for messages; undefined when the text is no uri of a PostgreSQL. */
export function placeOf(uri: string): string | undefined {
  if (!URL.canParse(uri)) return undefined;
  const { protocol, host, pathname, searchParams } = new URL(uri);
  if (protocol !== 'postgresql:' && protocol !== 'postgres:') return undefined;
  return `${host || searchParams.get('host') || 'localhost'}${pathname}`;
}

/** The pool of one stretch between two trips, with its connections, so that all of them can be dropped at once. */
interface Lines {
  readonly db: Kysely<Tables>;
  drop(): void;
}

class PooledDatabase implements Database {
  readonly #options: DatabaseOptions;
  readonly #place: string;
  readonly #listeners = new Set<(state: DatabaseState) => void>();
  #breaker: Breaker = { kind: 'Closed', since: Date.now() };
  #lines: Lines;
  #probe: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: DatabaseOptions, place: string) {
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
    if (this.#closed) return fail('Unreachable', `database ${this.#place}: the connection was closed`);
    if (this.#breaker.kind === 'Open') return { ok: false, error: this.#breaker.fault };
    return this.#try(work);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#probe);
    this.#listeners.clear();
    this.#lines.drop();
  }

  /** @param probing any refusal keeps the breaker open, as no other call would find out when it ends. */
  async #try<T>(work: (db: Kysely<Tables>) => Promise<T>, probing = false): Answer<T> {
    const lines = this.#lines;
    try {
      const value = await work(lines.db);
      if (lines === this.#lines) this.#step({ kind: 'Succeeded' });
      return ok(value);
    } catch (thrown) {
      const classified = classify(thrown, this.#place);
      if (!classified) throw thrown;
      if ((classified.trips || probing) && lines === this.#lines) this.#trip(classified.fault);
      return { ok: false, error: classified.fault };
    }
  }

  /** Nobody waits on old connections: a half-dead server would keep them for minutes. */
  #trip(fault: DatabaseFault): void {
    if (this.#closed) return;
    this.#lines.drop();
    this.#lines = this.#open();
    this.#step({ kind: 'Failed', fault });
  }

  #step(event: Parameters<typeof stepBreaker>[1]): void {
    const before = this.state;
    const now = Date.now();
    this.#breaker = stepBreaker(this.#breaker, event, now, Math.random);
    if (this.#breaker.kind === 'Open') {
      clearTimeout(this.#probe);
      this.#probe = setTimeout(() => this.#try((db) => sql`select 1`.execute(db), true), this.#breaker.probeAt - now);
      this.#probe.unref();
    }
    const after = this.state;
    if (before.reachable === after.reachable && faultCode(before) === faultCode(after)) return;
    for (const listener of this.#listeners) listener(after);
  }

  #open(): Lines {
    const clients = new Set<ClientBase>();
    const pool = new Pool({
      ...secured(this.#options.uri, this.#options.ca),
      max: this.#options.maxConnections ?? 4,
      connectionTimeoutMillis: STATEMENT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: READ_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      application_name: this.#options.applicationName ?? 'bootfarm',
      keepAlive: true,
      types: { getTypeParser: (oid, format) => (oid === INT8 ? Number : types.getTypeParser(oid, format)) },
    });
    const lines: Lines = {
      db: new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) }),
      drop() {
        for (const client of clients) streamOf(client)?.destroy();
        pool.end().catch(() => {}); // its connections are gone already
      },
    };
    const lost = (thrown: unknown): void => {
      const classified = classify(thrown, this.#place);
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

const faultCode = (state: DatabaseState): string | undefined => (state.reachable ? undefined : state.fault.code);

/** `pg` ends connections politely only; its socket is no part of its types. */
const streamOf = (client: ClientBase): { destroy(): void } | undefined =>
  (client as { connection?: { stream?: { destroy(): void } } }).connection?.stream;
