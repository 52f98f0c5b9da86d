/**
 * Kysely's driver over a `pg` pool, for a server behind a pooler or in a set that fails over: each use of a connection is one transaction,
 * which carries its limits itself and begins by asking whether the server may be written.
 *
 * PgBouncer refuses start-up parameters (08P01), and in transaction mode hands a session's settings on to somebody else; a primary that was
 * demoted goes on answering reads. `BEGIN; SET LOCAL …; SHOW` is one round trip, as BEGIN alone is.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import type { Pool, PoolClient } from 'pg';

/** Milliseconds. */
export interface TransactionLimits {
  readonly statementMs: number;
  readonly idleMs: number;
}

/** SQLSTATE read_only_sql_transaction, whether the server says it or we find it. */
const READ_ONLY = '25006';

export const opening = ({ statementMs, idleMs }: TransactionLimits): string =>
  `begin; set local statement_timeout = ${statementMs}; set local idle_in_transaction_session_timeout = ${idleMs}; show transaction_read_only`;

/** Throws what `classify` reads when the answer to `opening` says that this server is a standby. */
export function assertWritable(answers: unknown): void {
  const last: unknown = Array.isArray(answers) ? answers.at(-1) : undefined;
  const [row] = (last as { rows?: readonly { transaction_read_only?: unknown }[] } | undefined)?.rows ?? [];
  if (row?.transaction_read_only !== 'on') return;
  const message = 'it is read-only: a standby, or a primary that was demoted';
  throw Object.assign(new Error(message), { code: READ_ONLY, severity: 'ERROR' });
}

/** Rows that these commands changed are counted. */
const WRITES: readonly string[] = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'];

class Line implements DatabaseConnection {
  readonly #client: PoolClient;
  #open = true;
  #failed = false;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    try {
      const { command, rowCount, rows } = await this.#client.query(sql, [...parameters]);
      return { rows: rows ?? [], ...(WRITES.includes(command) ? { numAffectedRows: BigInt(rowCount ?? 0) } : {}) };
    } catch (thrown) {
      this.#failed = true;
      throw thrown;
    }
  }

  // biome-ignore lint/correctness/useYield: nothing of ours streams.
  async *streamQuery(): AsyncGenerator<never> {
    throw new Error('this driver does not stream');
  }

  async say(text: string): Promise<void> {
    await this.#client.query(text);
  }

  async end(how: 'commit' | 'rollback'): Promise<void> {
    this.#open = false;
    await this.say(how);
  }

  /** Commits what no transaction of the caller's has ended; what failed before has told it already. */
  async release(): Promise<void> {
    try {
      if (this.#open) await this.end(this.#failed ? 'rollback' : 'commit');
      this.#client.release();
    } catch (thrown) {
      this.#client.release(true);
      if (!this.#failed) throw thrown;
    }
  }
}

const lineOf = (connection: DatabaseConnection): Line => connection as Line;

/** What must hold of the database before anything else is asked of it: looked at in the same transaction, on each new connection and each `lifeMs`. */
export interface Proof<DB> {
  readonly lifeMs: number;
  readonly prove: (db: Kysely<DB>) => Promise<void>;
}

export const limitedDialect = <DB>(pool: Pool, limits: TransactionLimits, proof?: Proof<DB>): Dialect =>
  dialect(() => limitedDriver(pool, limits, proof));

const dialect = (createDriver: () => Driver): Dialect => ({
  createAdapter: () => new PostgresAdapter(),
  createDriver,
  createIntrospector: (db) => new PostgresIntrospector(db),
  createQueryCompiler: () => new PostgresQueryCompiler(),
});

/** Queries over one line, in the transaction that it is in. */
function over<DB>(line: Line): Kysely<DB> {
  const nothing = async (): Promise<void> => {};
  const driver: Driver = {
    init: nothing,
    acquireConnection: async () => line,
    beginTransaction: nothing,
    commitTransaction: nothing,
    rollbackTransaction: nothing,
    releaseConnection: nothing,
    destroy: nothing,
  };
  return new Kysely<DB>({ dialect: dialect(() => driver) });
}

function limitedDriver<DB>(pool: Pool, limits: TransactionLimits, proof?: Proof<DB>): Driver {
  const proven = new WeakMap<PoolClient, number>();
  return {
    init: async () => {},
    async acquireConnection() {
      const client = await pool.connect();
      try {
        assertWritable(await client.query(opening(limits)));
        const line = new Line(client);
        const now = performance.now();
        if (proof && now - (proven.get(client) ?? Number.NEGATIVE_INFINITY) >= proof.lifeMs) {
          await proof.prove(over(line));
          proven.set(client, now);
        }
        return line;
      } catch (thrown) {
        client.release(true);
        throw thrown;
      }
    },
    async beginTransaction(connection, { isolationLevel, accessMode }: TransactionSettings) {
      const modes = [isolationLevel && `isolation level ${isolationLevel}`, accessMode].filter(Boolean);
      if (modes.length > 0) await lineOf(connection).say(`set transaction ${modes.join(', ')}`);
    },
    commitTransaction: (connection) => lineOf(connection).end('commit'),
    rollbackTransaction: (connection) => lineOf(connection).end('rollback'),
    releaseConnection: (connection) => lineOf(connection).release(),
    destroy: () => pool.end(),
  };
}
