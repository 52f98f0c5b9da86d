/** Pages of devices, sessions and the audit, and what changed since a moment: what the API of the operator reads, and nothing else does. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Device, Session } from '../farm/model.ts';
import type { Answer, Database } from './connection.ts';
import { readEntries } from './kinds.ts';
import type { AuditSource, Tables } from './tables.ts';

/** Absent fields select nothing. */
export interface DeviceFilter {
  readonly collection?: string;
  readonly site?: string;
  readonly enabled?: boolean;
  readonly streaming?: boolean;
  /** Part of its name or of one of its MACs, lower case. */
  readonly search?: string;
  /** Of these collections alone. */
  readonly within?: readonly string[];
}

export interface PageOrder<Field extends string> {
  readonly field: Field;
  readonly descending: boolean;
  readonly limit: number;
  readonly after?: { readonly key: string; readonly name: string };
}

export type DeviceField = 'name' | 'collection';
export type SessionField = 'device' | 'server' | 'since';

/** A device and, while it streams, its session. */
export interface DeviceRow {
  readonly device: Device;
  readonly session?: Session;
}

type Condition = RawBuilder<unknown>;

const all = (conditions: readonly (Condition | undefined)[]): Condition => {
  const some = conditions.filter((condition) => condition !== undefined);
  return some.length === 0 ? sql`true` : sql.join(some, sql` and `);
};

/** One beyond the limit says that there is another page. */
function paged(key: Condition, name: Condition, { descending, limit, after }: PageOrder<string>) {
  const way = descending ? sql`desc` : sql`asc`;
  const than = descending ? sql`<` : sql`>`;
  return {
    behind: after && sql`(${key} collate "C", ${name} collate "C") ${than} (${after.key}, ${after.name})`,
    end: sql`order by ${key} collate "C" ${way}, ${name} collate "C" ${way} limit ${limit + 1}`,
  };
}

const ofDevice = ({ collection, site, enabled, streaming, search, within }: DeviceFilter): Condition =>
  all([
    collection === undefined ? undefined : sql`device.collection = ${collection}`,
    site === undefined ? undefined : sql`collection.site = ${site}`,
    enabled === undefined ? undefined : sql`device.enabled = ${enabled}`,
    streaming === undefined ? undefined : sql`(session.device is not null) = ${streaming}`,
    within && sql`device.collection = any(${within})`,
    search === undefined
      ? undefined
      : sql`(position(${search} in device.name) > 0 or exists (
          select from device_mac where device_mac.device = device.name and position(${search} in mac) > 0))`,
  ]);

const FROM_DEVICES = sql`device join collection on collection.name = device.collection
  left join session on session.device = device.name and not session.ended`;

const DEVICE_KEYS: Readonly<Record<DeviceField, Condition>> = {
  name: sql`device.name`,
  collection: sql`device.collection`,
};

/** In order; one more than `limit` where there is another page. */
export function deviceRows(
  database: Database,
  filter: DeviceFilter,
  order: PageOrder<DeviceField>,
): Answer<readonly DeviceRow[]> {
  return database.run(async (db) => {
    const { behind, end } = paged(DEVICE_KEYS[order.field], sql`device.name`, order);
    const { rows } = await sql<{ name: string }>`select device.name from ${FROM_DEVICES}
      where ${all([ofDevice(filter), behind])} ${end}`.execute(db);
    const names = rows.map(({ name }) => name);
    const devices = new Map((await readEntries(db, 'device', names)).map(({ key, json }) => [key, json]));
    const sessions = new Map((await readEntries(db, 'session', names)).map(({ key, json }) => [key, json]));
    return names.flatMap((name): DeviceRow[] => {
      const [device, session] = [devices.get(name), sessions.get(name)];
      if (device === undefined) return [];
      return [{ device: JSON.parse(device), ...(session === undefined ? {} : { session: JSON.parse(session) }) }];
    });
  });
}

export function deviceRow(database: Database, name: string): Answer<DeviceRow | undefined> {
  return database.run(async (db) => {
    const [device] = await readEntries(db, 'device', [name]);
    if (!device) return undefined;
    const [session] = await readEntries(db, 'session', [name]);
    return { device: JSON.parse(device.json), ...(session ? { session: JSON.parse(session.json) } : {}) };
  });
}

/** Absent fields select nothing. */
export interface SessionFilter {
  readonly server?: string;
  readonly vdisk?: string;
  readonly collection?: string;
  /** Of devices of these collections alone. */
  readonly within?: readonly string[];
}

const SESSION_KEYS: Readonly<Record<SessionField, Condition>> = {
  device: sql`session.device`,
  server: sql`session.server`,
  since: sql`lpad(session.since::text, 16, '0')`,
};

/** Those that have not ended, in order; one more than `limit` where there is another page. */
export function sessionRows(
  database: Database,
  { server, vdisk, collection, within }: SessionFilter,
  order: PageOrder<SessionField>,
): Answer<readonly Session[]> {
  return database.run(async (db) => {
    const { behind, end } = paged(SESSION_KEYS[order.field], sql`session.device`, order);
    const where = all([
      sql`not session.ended`,
      server === undefined ? undefined : sql`session.server = ${server}`,
      vdisk === undefined ? undefined : sql`session.vdisk = ${vdisk}`,
      collection === undefined ? undefined : sql`device.collection = ${collection}`,
      within && sql`device.collection = any(${within})`,
      behind,
    ]);
    const { rows } =
      await sql<Session>`select session.device, session.server, session.vdisk, session.version, session.since,
      session.epoch, session.protocol from session left join device on device.name = session.device where ${where} ${end}`.execute(
        db,
      );
    return rows;
  });
}

export interface AuditFilter {
  readonly kind?: string;
  readonly name?: string;
  readonly who?: string;
  readonly source?: AuditSource;
}

export interface AuditRow {
  readonly id: number;
  readonly at: Date;
  readonly source: AuditSource;
  readonly who: string;
  readonly action: string;
  readonly kind: string;
  readonly name: string;
  readonly before: object | null;
  readonly after: object | null;
}

/** The newest first, those before `before`; one more than `limit` where there is another page. */
export function auditRows(
  database: Database,
  filter: AuditFilter,
  { limit, before }: { readonly limit: number; readonly before?: number },
): Answer<readonly AuditRow[]> {
  return database.run(async (db) => {
    const where = all([
      ...(['kind', 'name', 'who', 'source'] as const).map((field) =>
        filter[field] === undefined ? undefined : sql`${sql.ref(field)} = ${filter[field]}`,
      ),
      before === undefined ? undefined : sql`id < ${before}`,
    ]);
    return (await sql<AuditRow>`select * from audit where ${where} order by id desc limit ${limit + 1}`.execute(db))
      .rows;
  });
}

export interface RecentChanges {
  /** Where the next look begins. */
  readonly mark: number;
  /** More than `MAX_CHANGES` of a kind: none is given. */
  readonly isTooMuch?: boolean;
  /** `was`: the collection before the last edit; absent: it is not known, or there was none. */
  readonly devices: readonly (Device & { readonly was?: string })[];
  /** Devices that were removed, and the collection that they were in. */
  readonly removed: readonly { readonly name: string; readonly collection: string | null }[];
  /** `ended`: it streams no more. `collection`: of its device; null: the farm has no such device. */
  readonly sessions: readonly (Session & { readonly ended: boolean; readonly collection: string | null })[];
}

/** At most so many rows a look of each kind: who lags further behind reads the list anew. */
const MAX_CHANGES = 1_000;

/**
 * Rows that transactions wrote which had not ended at `mark` (absent: none, only the mark is given), in any order. A row may come again: whoever asks
 * knows what it saw. A transaction id is a mark that PostgreSQL keeps beside each row: no column, no trigger, and nothing is written.
 */
export function changesSince(database: Database, mark: number | undefined): Answer<RecentChanges> {
  return database.run(async (db) => {
    const { rows } = await sql<{
      mark: number;
    }>`select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as mark`.execute(db);
    const next = rows[0]?.mark ?? 0;
    if (mark === undefined) return { mark: next, devices: [], removed: [], sessions: [] };
    // Ids of transactions are 32 bits and go round: what is less than half way ahead is later.
    const since = (table: string) =>
      sql`((${sql.ref(`${table}.xmin`)}::text::bigint - ${mark}) & 4294967295) < 2147483648`;
    const names = await sql<{ name: string }>`select name from device
      where ${since('device')} limit ${MAX_CHANGES}`.execute(db);
    const gone = await sql<{ name: string }>`select device as name from removed
      where ${since('removed')} limit ${MAX_CHANGES}`.execute(db);
    const sessions = await sql<
      RecentChanges['sessions'][number]
    >`select session.device, session.server, session.vdisk, session.version,
      session.since, session.epoch, session.protocol, session.ended, device.collection
      from session left join device on device.name = session.device where ${since('session')} limit ${MAX_CHANGES}`.execute(
      db,
    );
    const isTooMuch = [names, gone, sessions].some(({ rows: found }) => found.length >= MAX_CHANGES);
    if (isTooMuch) return { mark: next, isTooMuch, devices: [], removed: [], sessions: [] };
    const changed = names.rows.map(({ name }) => name);
    const were = await lastCollections(db, [...changed, ...gone.rows.map(({ name }) => name)]);
    const entries = await readEntries(db, 'device', changed);
    return {
      mark: next,
      devices: entries.map(({ key, json }) => {
        const was = were.get(key);
        return { ...(JSON.parse(json) as Device), ...(was ? { was } : {}) };
      }),
      removed: gone.rows.map(({ name }) => ({ name, collection: were.get(name) ?? null })),
      sessions: sessions.rows,
    };
  });
}

/** What just changed stands among the last lines of the audit: one look at those for all names, or each would be a look of its own. */
async function lastCollections(
  db: Kysely<Tables>,
  names: readonly string[],
): Promise<ReadonlyMap<string, string | null>> {
  if (names.length === 0) return new Map();
  const { rows } = await sql<{ name: string; was: string | null }>`
    select distinct on (name) name, before ->> 'collection' as was from audit
    where id > (select max(id) - 20000 from audit) and kind = 'device' and name = any(${names}) order by name, id desc`.execute(
    db,
  );
  return new Map(rows.map(({ name, was }) => [name, was]));
}
