/** What servers write about themselves: that they are there, and who streams from them. */
import { type Kysely, sql } from 'kysely';
import type { Server, Session } from '../farm/model.ts';
import { slices } from '../kit/slices.ts';
import { type Answer, type Database, transact } from './connection.ts';
import type { Tables } from './tables.ts';

/**
 * Adds a server or brings its row up to date, and counts as its heartbeat. True: it was not there, so the database knows nothing of this
 * server: it is new, or somebody emptied it.
 */
export function registerServer(database: Database, server: Server): Answer<boolean> {
  const { name, site, pool, address, ports, powerRating } = server;
  const row = { site, pool, address, ports, power_rating: powerRating };
  return database.run(async (db) => {
    const { added } = await db
      .insertInto('server')
      .values({ name, ...row })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ ...row, heartbeat: sql`now()` }))
      .returning(sql<boolean>`xmax = 0`.as('added'))
      .executeTakeFirstOrThrow();
    return added;
  });
}

/** Takes a server out of the farm for good, with what was said of its copies: nobody else would end its sessions. */
export function unregisterServer(database: Database, name: string): Answer<void> {
  return database.run((db) =>
    transact(db, async (trx) => {
      await trx.deleteFrom('copy').where('server', '=', name).execute();
      await trx.deleteFrom('server').where('name', '=', name).execute();
      await sql`update session set ended = true where server = ${name} and not ended`.execute(trx);
    }),
  );
}

/** Seconds since each server's last heartbeat, by the database's own clock. */
export function heartbeatAges(database: Database): Answer<ReadonlyMap<string, number>> {
  return database.run(async (db) => {
    const rows = await db
      .selectFrom('server')
      .select(['name', sql<number>`extract(epoch from now() - heartbeat)::float8`.as('age')])
      .execute();
    return new Map(rows.map(({ name, age }) => [name, age]));
  });
}

/** One device's latest state: it streams (`session`), or its session of this epoch has ended. */
export interface SessionChange {
  readonly device: string;
  readonly epoch: number;
  /** Absent only when the end is all that is known. */
  readonly session?: Session;
  readonly ended: boolean;
}

/**
 * What a server sees at this moment and not from a journal, so that its word may count more than an epoch, which another server's clock may have
 * made. `OverEnded`: it wins over a session that has ended. `OverAll`: over the session of another server, too.
 */
export type Claim = 'OverEnded' | 'OverAll';

export interface ClaimedChange extends SessionChange {
  readonly claim?: Claim;
}

export function upsertSession(database: Database, session: Session): Answer<unknown> {
  return applySessions(database, [{ device: session.device, epoch: session.epoch, session, ended: false }]);
}

/** Ends the session of this epoch or an older one; a newer one stays. */
export function endSession(database: Database, device: string, epoch: number): Answer<unknown> {
  return applySessions(database, [{ device, epoch, ended: true }]);
}

/** Ends what this server's rows say of all other devices: those of a process that was killed, or of a past that was restored. */
export function endSessionsExcept(database: Database, server: string, devices: readonly string[]): Answer<void> {
  return database.run(async (db) => {
    await sql`update session set ended = true where server = ${server} and not ended
      and device not in (select unnest(${devices}::text[]))`.execute(db);
  });
}

/** Gives the epoch of each session that was written; where it is claimed, it is above any that was there. Unchanged rows are not touched. */
export function applySessions(
  database: Database,
  changes: readonly ClaimedChange[],
): Answer<ReadonlyMap<string, number>> {
  return database.run((db) => db.transaction().execute((trx) => writeSessions(trx, changes)));
}

/** Entries of a server's journal, and the sessions that they come to. An entry that was applied before is not applied again. */
export interface Replay {
  readonly server: string;
  readonly entries: readonly { readonly id: string; readonly farm?: string; readonly change: SessionChange }[];
}

export interface Replayed {
  /** Entries that were not known. */
  readonly fresh: number;
  /** Of another farm: not applied. A person let this database take that one's place, and a device of that name is another one here. */
  readonly foreign: number;
}

/** No journal comes back after a year. */
const ENTRY_LIFE = sql`interval '400 days'`;

/** All or nothing. `collapse` keeps the latest change of each device. */
export function replayJournal(
  database: Database,
  { server, entries }: Replay,
  collapse: (changes: readonly SessionChange[]) => readonly SessionChange[],
): Answer<Replayed> {
  return database.run((db) =>
    db.transaction().execute(async (trx) => {
      const here = await trx.selectFrom('farm').select('id').executeTakeFirst();
      const ours = entries.filter(({ farm }) => farm === undefined || farm === here?.id);
      await sql`delete from journal_entry where applied_at < now() - ${ENTRY_LIFE}`.execute(trx);
      const { rows } = await sql<{ id: string }>`insert into journal_entry (id, server)
        select unnest(${ours.map(({ id }) => id)}::uuid[]), ${server} on conflict do nothing returning id`.execute(trx);
      const fresh = new Set(rows.map(({ id }) => id));
      await writeSessions(trx, collapse(ours.filter(({ id }) => fresh.has(id)).map(({ change }) => change)));
      return { fresh: fresh.size, foreign: entries.length - ours.length };
    }),
  );
}

const RANKS: readonly (Claim | undefined)[] = [undefined, 'OverEnded', 'OverAll'];

/** Sessions of one statement: a server that tells all again has thousands. */
const SLICE = 1_000;

/** At most one change a device. In the order of devices, so that two servers cannot wait for each other. */
async function writeSessions(
  trx: Kysely<Tables>,
  changes: readonly ClaimedChange[],
): Promise<ReadonlyMap<string, number>> {
  const written = new Map<string, number>();
  const rows = changes
    .flatMap(({ session, ended, claim }) => (session ? [{ ...session, ended, rank: RANKS.indexOf(claim) }] : []))
    .sort((a, b) => (a.device < b.device ? -1 : 1));
  for (const some of slices(rows, SLICE)) {
    const stored = await sql<{ device: string; epoch: number }>`
      with told as (
        select * from jsonb_to_recordset(${JSON.stringify(some)}::jsonb)
          as row (device text, server text, vdisk text, version integer, since bigint, epoch bigint, protocol text, ended boolean, rank integer)
      ), wins as (
        select told.*, greatest(told.epoch, case when rank > 0 then there.epoch + 1 end) as next
        from told left join session as there using (device)
        where there.device is null or there.epoch < told.epoch
          or (there.epoch = told.epoch and told.ended and not there.ended)
          or (rank > 0 and there.ended)
          or (rank > 1 and (there.server, there.vdisk, there.version) is distinct from (told.server, told.vdisk, told.version))
      )
      insert into session (device, server, vdisk, version, since, epoch, protocol, ended)
      select device, server, vdisk, version, since, next, protocol, ended from wins order by device
      on conflict (device) do update set server = excluded.server, vdisk = excluded.vdisk, version = excluded.version,
        since = excluded.since, epoch = excluded.epoch, protocol = excluded.protocol, ended = excluded.ended
      where session.epoch < excluded.epoch or (session.epoch = excluded.epoch and excluded.ended and not session.ended)
      returning device, epoch`.execute(trx);
    for (const { device, epoch } of stored.rows) written.set(device, epoch);
  }
  const ends = changes.filter(({ session, ended }) => ended && !session);
  for (const some of slices(ends, SLICE))
    await sql`update session set ended = true, epoch = gone.epoch
      from jsonb_to_recordset(${JSON.stringify(some)}::jsonb) as gone (device text, epoch bigint)
      where session.device = gone.device and session.epoch <= gone.epoch and not session.ended`.execute(trx);
  return written;
}

/** Who streams what from whom. */
export function sessions(database: Database): Answer<readonly Session[]> {
  return database.run((db) =>
    db
      .selectFrom('session')
      .select(['device', 'server', 'vdisk', 'version', 'since', 'epoch', 'protocol'])
      .where('ended', '=', false)
      .orderBy('device')
      .execute(),
  );
}

export interface SessionCount {
  readonly server: string;
  readonly vdisk: string;
  readonly devices: number;
}

/** How many devices stream each vDisk from each server. */
export function sessionCounts(database: Database): Answer<readonly SessionCount[]> {
  return database.run((db) =>
    db
      .selectFrom('session')
      .select(['server', 'vdisk', sql<number>`count(*)::int`.as('devices')])
      .where('ended', '=', false)
      .groupBy(['server', 'vdisk'])
      .orderBy('server')
      .orderBy('vdisk')
      .execute(),
  );
}
