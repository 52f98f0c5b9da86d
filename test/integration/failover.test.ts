/** A farm database as operators of PostgreSQL run it: behind PgBouncer, and as a pair that fails over. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { Client } from 'pg';
import { connect, type Database } from '../../src/database/connection.ts';
import { migrate } from '../../src/database/migrate.ts';
import { migrations } from '../../src/database/migrations/index.ts';
import type { Result } from '../../src/kit/result.ts';
import { type PostgresServer, startPgBouncer, startPostgres } from '../setup/services.ts';
import { quietClock, until } from '../setup/time.ts';

const closing: { close(): Promise<unknown> }[] = [];
afterAll(async () => {
  for (const each of closing.reverse()) await each.close();
});
const closed = <T extends { close(): Promise<unknown> }>(each: T): T => {
  closing.push(each);
  return each;
};

function value<T>(result: Result<T, { code: string; message: string }>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

const open = (uri: string): Database => closed(value(connect({ uri })));
const setting = (database: Database, name: string) =>
  database.run(async (db) => (await sql<{ v: string }>`select current_setting(${name}) as v`.execute(db)).rows[0]?.v);

describe('behind PgBouncer in transaction mode', () => {
  const made = (async () => {
    const postgres = closed(await startPostgres());
    return { postgres, bouncer: closed(await startPgBouncer(postgres)) };
  })();

  test('migrations are applied once, though six ask at a time', async () => {
    const { bouncer } = await made;
    const all = await Promise.all(Array.from({ length: 6 }, () => migrate(bouncer.uri)));
    // The six share the work as they get the lock: each name stands in one list, the lists in no order.
    const applied = all.flatMap(value);
    expect(applied.toSorted()).toEqual(migrations.map(({ name }) => name).toSorted());
  });

  test('every statement has its limit, and none stays on a connection that somebody else gets', async () => {
    const { postgres, bouncer } = await made;
    const database = open(bouncer.uri);
    expect(await setting(database, 'statement_timeout')).toEqual({ ok: true, value: '2s' });
    expect(await setting(database, 'idle_in_transaction_session_timeout')).toEqual({ ok: true, value: '10s' });
    expect(await database.run((db) => sql`select pg_sleep(30)`.execute(db))).toMatchObject({
      error: { code: 'TimedOut' },
    });
    await until('the breaker closes', () => database.state.reachable);
    const direct = open(postgres.uri);
    const left = await direct.run((db) =>
      sql<{ n: number }>`select count(*) as n from pg_stat_activity where state like 'idle in transaction%'`.execute(
        db,
      ),
    );
    expect(value(left).rows).toEqual([{ n: 0 }]);
  });
});

describe('a pair of servers', () => {
  test('primary killed, standby promoted, under load, twice: written again at once, nothing acknowledged is lost', async () => {
    const first = closed(await startPostgres());
    const second = closed(await first.startStandby());
    const uri = first.uri.replace(`:${first.port}/`, `:${first.port},127.0.0.1:${second.port}/`);
    const database = open(uri);
    value(await migrate(uri));
    value(await database.run((db) => sql`create table mark (n int)`.execute(db)));
    const acknowledged: number[] = [];
    let [next, over] = [0, false];
    const load = (async () => {
      for (; !over; next++) {
        const mark = next;
        if ((await database.run((db) => sql`insert into mark values (${mark})`.execute(db))).ok)
          acknowledged.push(mark);
        else await delay(5);
      }
    })();

    const failOver = async (primary: PostgresServer, standby: PostgresServer): Promise<void> => {
      await acknowledgeOnStandby(primary);
      const before = acknowledged.length;
      await until('the load runs', () => acknowledged.length > before + 20);
      await primary.kill();
      await until('it is away', () => !database.state.reachable);
      await until(
        'the standby is asked',
        () => !database.state.reachable && /read-only/.test(database.state.fault.message),
      );
      const lost = acknowledged.length;
      const promoted = performance.now();
      await standby.promote();
      await until('it is written again', () => acknowledged.length > lost);
      process.stdout.write(
        `fail-over: written ${Math.round(performance.now() - promoted)} ms after the promotion began\n`,
      );
    };
    await failOver(first, second);
    const third = closed(await second.startStandby(first.port)); // the machine of the first comes back as a standby
    await failOver(second, third);

    over = true;
    await load;
    const there = value(await open(third.uri).run((db) => sql<{ n: number }>`select n from mark`.execute(db)));
    const kept = new Set(there.rows.map(({ n }) => n));
    expect(acknowledged.filter((mark) => !kept.has(mark))).toEqual([]);
    expect(value(await migrate(uri))).toEqual([]);
  });

  test('a primary that turns read-only while connections are open is away at the next call, and back by itself', async () => {
    const postgres = closed(await startPostgres());
    const database = open(postgres.uri);
    const turn = async (how: 'on' | 'off'): Promise<void> => {
      await statement(postgres.uri, `alter system set default_transaction_read_only = ${how}`, how === 'off');
      await statement(postgres.uri, 'select pg_reload_conf()', how === 'off');
    };
    value(await database.run((db) => sql`select 1`.execute(db)));
    await turn('on');
    const passed = quietClock();
    await until('a read is refused', async () => !(await database.run((db) => sql`select 1`.execute(db))).ok);
    expect(passed()).toBeLessThan(2_000);
    expect(database.state).toMatchObject({ fault: { code: 'Unreachable', message: /read-only: a standby/ } });
    await turn('off');
    await until('it is reachable again', () => database.state.reachable);
  });
});

/** A commit is acknowledged when the standby has it. */
async function acknowledgeOnStandby({ uri }: PostgresServer): Promise<void> {
  await statement(uri, "alter system set synchronous_standby_names = '*'");
  await statement(uri, 'select pg_reload_conf()');
}

async function statement(uri: string, text: string, writable = false): Promise<void> {
  const client = new Client({ connectionString: uri });
  await client.connect();
  try {
    if (writable) await client.query('set default_transaction_read_only = off');
    await client.query(text);
  } finally {
    await client.end();
  }
}
