/** Brings the schema up to this release: each migration in a transaction of its own, one operator at a time. */
import { createHash } from 'node:crypto';
import { Client } from 'pg';
import { fail, ok } from '../kit/result.ts';
import type { Answer } from './connection.ts';
import { assertWritable, opening } from './driver.ts';
import { classify } from './fault.ts';
import { fencedMessage } from './identity.ts';
import { type Migration, migrations } from './migrations/index.ts';
import { secured } from './tls.ts';
import { type DatabaseHost, parseDatabaseUri } from './uri.ts';

/** Spells bootfarm: the advisory lock of this program on a database that others may share. */
const LOCK = '7093851286163812461';
/** An index on a large table takes long; a lock that somebody never gives back must not stop the operator for ever. */
const MIGRATION_TIMEOUT_MS = 300_000;
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Applies what is missing and gives the names of what it applied. Migrations of a later release are left alone: release N-1 runs on
 * the schema of N. Of several hosts the first that may be written is used. With the epoch of a leader (0: none was given yet) it is `Fenced` where a
 * later one leads.
 */
export async function migrate(
  uri: string,
  list: readonly Migration[] = migrations,
  epoch?: number,
  ca?: string,
): Answer<readonly string[]> {
  const place = parseDatabaseUri(uri);
  if (!place.ok) return fail('Refused', place.error.message);
  let answer = await migrateOn(place.value.hosts[0], list, epoch, ca);
  for (const host of place.value.hosts.slice(1)) {
    if (answer.ok || answer.error.code !== 'Unreachable') break;
    answer = await migrateOn(host, list, epoch, ca);
  }
  return answer;
}

async function migrateOn(
  { uri, name }: DatabaseHost,
  list: readonly Migration[],
  epoch: number | undefined,
  ca: string | undefined,
): Answer<readonly string[]> {
  const client = new Client({
    ...secured(uri, ca),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'bootfarm migrate',
  });
  client.on('error', () => {}); // the query that runs hears of it
  try {
    await client.connect();
    return await applyMissing(client, list, name, epoch);
  } catch (thrown) {
    const classified = classify(thrown, name);
    if (!classified) throw thrown;
    return { ok: false, error: classified.fault };
  } finally {
    await client.end().catch(() => {}); // ends a transaction, too
  }
}

async function applyMissing(
  client: Client,
  list: readonly Migration[],
  place: string,
  epoch: number | undefined,
): Answer<readonly string[]> {
  const done: string[] = [];
  await alone(client, () =>
    client.query(`create table if not exists migration (
    number integer constraint migration_pkey primary key, name text not null, sha256 text not null, applied_at timestamptz not null default now())`),
  );
  for (const migration of list) {
    const outcome = await alone(client, () => applyOne(client, migration, epoch));
    if (typeof outcome === 'object')
      return fail('Fenced', `database ${place}: ${fencedMessage(epoch ?? 0, outcome.later)}`);
    if (outcome === 'changed')
      return fail(
        'Refused',
        `database ${place}: migration ${migration.number} (${migration.name}) was applied with another text: it belongs to another program or a changed release`,
      );
    if (outcome === 'applied') done.push(migration.name);
  }
  return ok(done);
}

/** `later`: the epoch of the leader that came after ours. */
type Outcome = 'applied' | 'known' | 'changed' | { readonly later: number };

async function applyOne(client: Client, { number, name, sql }: Migration, epoch: number | undefined): Promise<Outcome> {
  const sha256 = createHash('sha256').update(sql).digest('hex');
  const { rows } = await client.query<{ sha256: string }>('select sha256 from migration where number = $1', [number]);
  const [known] = rows;
  if (known) return known.sha256 === sha256 ? 'known' : 'changed';
  const later = epoch === undefined ? undefined : await laterLeader(client, epoch);
  if (later !== undefined) return { later };
  await client.query(sql);
  await client.query('insert into migration (number, name, sha256) values ($1, $2, $3)', [number, name, sha256]);
  return 'applied';
}

/** In a transaction that one program at a time may be in. The lock is the transaction's: a pooler gives a session to many. */
async function alone<T>(client: Client, work: () => Promise<T>): Promise<T> {
  assertWritable(await client.query(opening({ statementMs: MIGRATION_TIMEOUT_MS, idleMs: MIGRATION_TIMEOUT_MS })));
  try {
    await client.query(`select pg_advisory_xact_lock(${LOCK})`);
    const value = await work();
    await client.query('commit');
    return value;
  } catch (thrown) {
    await client.query('rollback').catch(() => {});
    throw thrown;
  }
}

/** Kept from leading until this transaction ends. */
async function laterLeader(client: Client, epoch: number): Promise<number | undefined> {
  const { rows } = await client.query<{ led: boolean }>("select to_regclass('leader') is not null as led");
  if (!rows[0]?.led) return undefined;
  const leaders = await client.query<{ epoch: string }>(
    'select epoch from leader where farm_uid is not null and epoch > $1 for share',
    [epoch],
  );
  return leaders.rows[0] && Number(leaders.rows[0].epoch);
}
