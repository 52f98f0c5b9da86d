/** Whose database this is, who leads it, and the one fence of all that a leader writes. */
import { type Kysely, sql } from 'kysely';
import type { DatabaseIdentity } from '../farm/identity.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Answer, type Database, transact } from './connection.ts';
import type { Tables } from './tables.ts';

/** The Farm resource that a database belongs to. */
export interface Owner {
  readonly uid: string;
  /** namespace/name */
  readonly name: string;
}

export interface FoundDatabase extends DatabaseIdentity {
  /** It has the table of leaders: `lead` and a fence are possible before the next migration. */
  readonly led: boolean;
  readonly owner?: Owner;
  /** `metadata.uid` of the Secret with the owner's keys, which outlives it. */
  readonly keys?: string;
  /** `namespace/name` of the Farm that it belonged to until that was deleted. */
  readonly freedBy?: string;
}

interface IdentityRow {
  readonly cursor: {
    readonly revision?: number;
    readonly adoptions?: number;
    readonly replaces?: readonly string[];
    readonly stepped_at?: string;
  };
  readonly farm: string | null;
  readonly devices: boolean;
}

/** Of a database in any state: empty, of an earlier release, of a later one. Nothing is written. */
export async function readIdentity(db: Kysely<Tables>): Promise<FoundDatabase> {
  const nothing = { adoptions: 0, revision: 0, replaces: [], hasDevices: false, led: false };
  const { rows: tables } = await sql<{ made: boolean; led: boolean }>`
    select to_regclass('farm') is not null and to_regclass('device') is not null and to_regclass('feed_cursor') is not null as made,
      to_regclass('leader') is not null as led`.execute(db);
  if (!tables[0]?.made) return nothing;
  // As JSON: a column that this schema lacks is a field that is absent.
  const { rows } = await sql<IdentityRow>`select to_jsonb(feed_cursor) as cursor, (select id::text from farm) as farm,
    exists (select from device) as devices from feed_cursor`.execute(db);
  const [row] = rows;
  if (!row) return nothing;
  const { revision = 0, adoptions = 0, replaces = [], stepped_at } = row.cursor;
  const belongs = tables[0].led ? await readOwner(db) : {};
  return {
    revision,
    adoptions,
    replaces,
    hasDevices: row.devices,
    led: tables[0].led,
    ...(row.farm === null ? {} : { farm: row.farm }),
    ...(stepped_at === undefined ? {} : { steppedAt: Date.parse(stepped_at) }),
    ...belongs,
  };
}

/** All columns that there are: an earlier release has no `keys_uid`. */
async function readOwner(db: Kysely<Tables>): Promise<Pick<FoundDatabase, 'owner' | 'keys' | 'freedBy'>> {
  const row = await db.selectFrom('leader').selectAll().executeTakeFirst();
  const keys = row?.keys_uid ? { keys: row.keys_uid } : {};
  if (row?.farm_uid) return { owner: { uid: row.farm_uid, name: row.farm_name ?? '' }, ...keys };
  return row?.farm_name ? { freedBy: row.farm_name } : {};
}

export interface Lead {
  readonly owner: Owner;
  /** The new epoch is above it: that of the replica, which may have outlived its database. */
  readonly floor: number;
  /** This Farm takes the database over, from the owner that was found (`metadata.uid`; undefined: it was free), and from no later one. */
  readonly takeOver?: { readonly from: string | undefined };
}

/** Begins a leadership: gives its epoch, above every one before it. From now on no earlier leader writes. */
export async function lead(database: Database, { owner, floor, takeOver }: Lead): Answer<number> {
  const done = await database.run((db) =>
    transact(db, async (trx): Promise<Result<number, Fault<'Conflict'>>> => {
      const before = await trx.selectFrom('leader').selectAll().forUpdate().noWait().executeTakeFirstOrThrow();
      const isFree = [null, owner.uid, takeOver?.from].includes(before.farm_uid);
      if (!isFree) return fail('Conflict', `the database belongs to Farm ${before.farm_name} (${before.farm_uid})`);
      const { epoch } = await trx
        .updateTable('leader')
        .set({
          epoch: sql`greatest(leader.epoch, ${floor}::bigint, (select epoch from feed_cursor)) + 1`,
          farm_uid: owner.uid,
          farm_name: owner.name,
        })
        .returning('epoch')
        .executeTakeFirstOrThrow();
      return ok(epoch);
    }),
  );
  return done.ok ? done.value : done;
}

/** By what the next Farm of its name is known to come after it, though nobody could set the database free. */
export function recordKeys(database: Database, keys: string): Answer<void> {
  return database.run(async (db) => {
    await db.updateTable('leader').set({ keys_uid: keys }).execute();
  });
}

/** The Farm of this uid is deleted: its database is free for the next one of its name, which it remembers. One that is another Farm's stays that. */
export function release(database: Database, uid: string): Answer<void> {
  return database.run(async (db) => {
    await db.updateTable('leader').set({ farm_uid: null }).where('farm_uid', '=', uid).execute();
  });
}

/**
 * The same database for the writes of one leadership: each `run` is one transaction, in which this leader leads, or it is `Fenced` and
 * writes nothing. The number must be the very one: another database, or an older state of this one, has another.
 */
export function fencedBy(database: Database, epoch: number): Database {
  return {
    get state() {
      return database.state;
    },
    onState: (callback) => database.onState(callback),
    async run(work) {
      const done = await database.run((db) =>
        transact(db, async (trx) => {
          const row = await trx.selectFrom('leader').select('epoch').forShare().executeTakeFirst();
          return row?.epoch === epoch ? ok(await work(trx)) : fail('Fenced', fencedMessage(epoch, row?.epoch));
        }),
      );
      return done.ok ? done.value : done;
    },
    close: () => database.close(),
  };
}

export const fencedMessage = (own: number, found: number | undefined): string =>
  `the database knows leader ${found ?? 'none'}, and this one is ${own}: it writes nothing`;
