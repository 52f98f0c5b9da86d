/** Brings the schema up to this release: each migration in a transaction of its own, one operator at a time. */
import { createHash } from 'node:crypto';
import { Client } from 'pg';
import { fail, ok } from '../kit/result.ts';
import { type Answer, placeOf } from './connection.ts';
import { classify } from './fault.ts';
import { type Migration, migrations } from './migrations/index.ts';
import { secured } from './tls.ts';

/** Spells bootfarm: the advisory lock of this program on a database that others may share. */
const LOCK = '7093851286163812461';
/** An index on a large table takes long; a lock that somebody never gives back must not stop the operator for ever. */
const MIGRATION_TIMEOUT_MS = 300_000;
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Applies what is missing and gives the names of what it applied. Migrations of a later release are left alone: release N-1 runs on
 * the schema of N.
 */
export async function migrate(
  uri: string,
  list: readonly Migration[] = migrations,
  ca?: string,
): Answer<readonly string[]> {
  const place = placeOf(uri) ?? 'with an invalid uri';
  const client = new Client({
    ...secured(uri, ca),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: MIGRATION_TIMEOUT_MS,
    application_name: 'bootfarm migrate',
  });
  client.on('error', () => {}); // the query that runs hears of it
  try {
    await client.connect();
    await client.query(`select pg_advisory_lock(${LOCK})`);
    return await applyMissing(client, list, place);
  } catch (thrown) {
    const classified = classify(thrown, place);
    if (!classified) throw thrown;
    return { ok: false, error: classified.fault };
  } finally {
    await client.end().catch(() => {}); // frees the lock, too
  }
}

async function applyMissing(client: Client, list: readonly Migration[], place: string): Answer<readonly string[]> {
  await client.query(`create table if not exists migration (
    number integer constraint migration_pkey primary key, name text not null, sha256 text not null, applied_at timestamptz not null default now())`);
  const { rows } = await client.query<{ number: number; sha256: string }>('select number, sha256 from migration');
  const applied = new Map(rows.map((row) => [row.number, row.sha256]));
  const done: string[] = [];
  for (const { number, name, sql } of list) {
    const sha256 = createHash('sha256').update(sql).digest('hex');
    const known = applied.get(number);
    if (known === sha256) continue;
    if (known !== undefined)
      return fail(
        'Refused',
        `database ${place}: migration ${number} (${name}) was applied with another text: it belongs to another program or a changed release`,
      );
    await client.query('begin');
    try {
      await client.query(sql);
      await client.query('insert into migration (number, name, sha256) values ($1, $2, $3)', [number, name, sha256]);
      await client.query('commit');
    } catch (thrown) {
      await client.query('rollback').catch(() => {});
      throw thrown;
    }
    done.push(name);
  }
  return ok(done);
}
