/** Pages of devices, sessions and the audit, and what changed since a moment: what the API of the operator reads, and nothing else does. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Copy, Device, Session } from '../farm/model.ts';
import { parseCopy } from '../farm/parse.ts';
import type { Answer, Database } from './connection.ts';
import { entries, readEntries } from './kinds.ts';
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

function ordered(key: Condition, name: Condition, descending: boolean): Condition {
  const way = descending ? sql`desc` : sql`asc`;
  return sql`order by ${key} collate "C" ${way}, ${name} collate "C" ${way}`;
}

/** One beyond the limit says that there is another page. */
function paged(key: Condition, name: Condition, { descending, limit, after }: PageOrder<string>) {
  const than = descending ? sql`<` : sql`>`;
  return {
    behind: after && sql`(${key} collate "C", ${name} collate "C") ${than} (${after.key}, ${after.name})`,
    end: sql`${ordered(key, name, descending)} limit ${limit + 1}`,
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
  const key = DEVICE_KEYS[order.field];
  const { behind, end } = paged(key, sql`device.name`, order);
  const page = sql`select device.name, ${key} as key from ${FROM_DEVICES} where ${all([ofDevice(filter), behind])} ${end}`;
  return database.run((db) => rowsOf(db, page, order.descending));
}

export function deviceRow(database: Database, name: string): Answer<DeviceRow | undefined> {
  const page = sql`select name, name as key from device where name = ${name}`;
  return database.run(async (db) => (await rowsOf(db, page, false))[0]);
}

/** Names of the properties that devices have, of these collections or of all; so many and one more at most. */
export const propertyNames = (
  database: Database,
  within: readonly string[] | undefined,
  most: number,
): Answer<readonly string[]> =>
  database.run(async (db) => {
    const { rows } = await sql<{
      name: string;
    }>`select distinct key as name from device, jsonb_object_keys(properties) as key
      where ${ofDevice(within ? { within } : {})} limit ${most + 1}`.execute(db);
    return rows.map(({ name }) => name);
  });

/** By name, those after `after`. */
export const devicesAfter = (
  database: Database,
  within: readonly string[] | undefined,
  after: string,
  limit: number,
): Answer<readonly Device[]> =>
  database.run(async (db) => {
    const { rows } = await sql<{ name: string }>`select device.name from device
      where ${ofDevice(within ? { within } : {})} and device.name collate "C" > ${after} order by device.name collate "C" limit ${limit}`.execute(
      db,
    );
    const names = rows.map(({ name }) => name);
    const devices = (await readEntries(db, 'device', names)).map(({ json }) => JSON.parse(json) as Device);
    return devices.sort((a, b) => (a.name < b.name ? -1 : 1));
  });

/** `page`: names and the key of their order. Which devices, what they are and what they stream is of one statement, hence of one moment. */
async function rowsOf(db: Kysely<Tables>, page: Condition, descending: boolean): Promise<readonly DeviceRow[]> {
  const { rows } = await sql<{ device: string; session: string | null }>`with page as materialized (${page})
    select device.json as device, session.json as session from page
    join (${entries('device')}) as device on device.key = page.name
    left join (${entries('session')}) as session on session.key = page.name
    ${ordered(sql`page.key`, sql`page.name`, descending)}`.execute(db);
  return rows.map(({ device, session }) => ({
    device: JSON.parse(device),
    ...(session === null ? {} : { session: JSON.parse(session) }),
  }));
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

/** Those of one vDisk. An entry that is not as the farm model says is left out. */
export function vdiskCopies(database: Database, vdisk: string): Answer<readonly Copy[]> {
  return database.run(async (db) => {
    const { rows } = await sql<{ json: string }>`select json from (${entries('copy')}) as entry
      where key in (select vdisk || '/' || version || '/' || server from copy where vdisk = ${vdisk})`.execute(db);
    return rows.flatMap(({ json }) => {
      const copy = parseCopy(json);
      return copy.ok ? [copy.value] : [];
    });
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
  readonly devices: readonly Device[];
  /** Devices that were removed, and the collection that they were in. */
  readonly removed: readonly { readonly name: string; readonly collection: string | null }[];
  /** And those of devices that moved. `ended`: it streams no more. `collection`: of its device; null: the farm has no such device. */
  readonly sessions: readonly (Session & { readonly ended: boolean; readonly collection: string | null })[];
  /** By device: each collection that an edit since the mark found it in. */
  readonly from: ReadonlyMap<string, readonly string[]>;
}

/** At most so many rows a look of each kind: who lags further behind reads the list anew. */
const MAX_CHANGES = 1_000;

/**
 * Rows that transactions wrote which had not ended at `mark` (absent: none, only the mark is given), in any order. A row may come again: whoever asks
 * knows what it saw. A transaction id is a mark that PostgreSQL keeps beside each row: no column, no trigger, and nothing is written.
 */
export function changesSince(database: Database, mark: number | undefined): Answer<RecentChanges> {
  return database.run(async (db) => {
    const none = { devices: [], removed: [], sessions: [], from: new Map() };
    if (mark === undefined) {
      const { rows } = await sql<{ mark: number }>`select ${MARK} as mark`.execute(db);
      return { mark: rows[0]?.mark ?? 0, ...none };
    }
    // Ids of transactions are 32 bits and go round: what is less than half way ahead is later.
    const since = (table: string) =>
      sql<boolean>`((${sql.ref(`${table}.xmin`)}::text::bigint - ${mark}) & 4294967295) < 2147483648`;
    // One statement, of one moment: it is asked four times a second, and mostly nothing but sessions changed.
    const { rows } = await sql<Seen>`select ${MARK} as mark,
      array(select name from device where ${since('device')} limit ${MAX_CHANGES}) as changed,
      array(select device from removed where ${since('removed')} limit ${MAX_CHANGES}) as gone,
      (select coalesce(json_agg(one), '[]') from (${sessionsWhere(since('session'))}) one) as sessions`.execute(db);
    const { mark: next, changed, gone, sessions } = rows[0] ?? { mark, changed: [], gone: [], sessions: [] };
    if ([changed, gone, sessions].some(isFull)) return { mark: next, isTooMuch: true, ...none };
    const were = await lastCollections(db, [...changed, ...gone], since('audit'));
    const devices = (await readEntries(db, 'device', changed)).map(({ json }) => JSON.parse(json) as Device);
    const moved = devices.flatMap(({ name, collection }) =>
      were.get(name)?.from.some((one) => one !== collection) ? [name] : [],
    );
    const ofMoved =
      moved.length > 0
        ? await sessionsWhere(sql`session.device = any(${moved}) and not ${since('session')}`).execute(db)
        : undefined;
    return {
      mark: next,
      devices,
      removed: gone.map((name) => ({ name, collection: were.get(name)?.was ?? null })),
      sessions: [...sessions, ...(ofMoved?.rows ?? [])],
      from: new Map([...were].map(([name, { from }]) => [name, from])),
    };
  });
}

const MARK = sql<number>`pg_snapshot_xmin(pg_current_snapshot())::text::bigint`;

interface Seen {
  readonly mark: number;
  readonly changed: readonly string[];
  readonly gone: readonly string[];
  readonly sessions: RecentChanges['sessions'];
}

const sessionsWhere = (condition: Condition) => sql<RecentChanges['sessions'][number]>`
  select session.device, session.server, session.vdisk, session.version, session.since, session.epoch, session.protocol, session.ended, device.collection
  from session left join device on device.name = session.device where ${condition} limit ${MAX_CHANGES}`;

const isFull = (rows: readonly unknown[]): boolean => rows.length >= MAX_CHANGES;

interface Whereabouts {
  /** Before its last edit. */
  readonly was: string | null;
  /** Before each edit since the mark. */
  readonly from: readonly string[];
}

/** What just changed stands among the last lines of the audit: one look at those for all names, or each would be a look of its own. */
async function lastCollections(
  db: Kysely<Tables>,
  names: readonly string[],
  isSince: Condition,
): Promise<ReadonlyMap<string, Whereabouts>> {
  if (names.length === 0) return new Map();
  const { rows } = await sql<Whereabouts & { readonly name: string }>`
    select name, (array_agg(before ->> 'collection' order by id desc))[1] as was,
      coalesce(array_agg(distinct before ->> 'collection') filter (where before is not null and ${isSince}), '{}') as "from"
    from audit where id > (select max(id) - 20000 from audit) and kind = 'device' and name = any(${names}) group by name`.execute(
    db,
  );
  return new Map(rows.map(({ name, was, from }) => [name, { was, from }]));
}
