/**
 * What the replica holds, by kind and key, each as one statement that gives the farm model's JSON: the documents of the resources as they are, the
 * rest from its columns. The projector, and reads that go to the database itself, use these and no others.
 */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { FarmSnapshot } from '../farm/model.ts';
import { type EntryFault, parseSnapshot } from '../farm/parse.ts';
import type { Result } from '../kit/result.ts';
import type { Tables } from './tables.ts';

/** Kinds of a `FarmSnapshot`, of which there are few: read together, whole. */
export const SMALL_KINDS = ['farm', 'site', 'collection', 'store', 'vdisk', 'version', 'override', 'server'] as const;
/** Thousands: asked for by key. `mac` and `uuid` give the name of a device. */
export const LARGE_KINDS = ['device', 'mac', 'uuid', 'session', 'removed', 'copy'] as const;

export type SmallKind = (typeof SMALL_KINDS)[number];
export type Kind = SmallKind | (typeof LARGE_KINDS)[number];

export const KINDS: readonly Kind[] = [...SMALL_KINDS, ...LARGE_KINDS];

export const isKind = (text: string): text is Kind => (KINDS as readonly string[]).includes(text);

/** Each gives `key text, value jsonb`; nulls stand for absent fields. */
const SELECT: Readonly<Record<Kind, RawBuilder<unknown>>> = {
  farm: sql`select one::text as key, doc || jsonb_build_object('id', id) as value from farm`,
  site: sql`select name as key, doc as value from site`,
  collection: sql`select name as key, doc as value from collection`,
  store: sql`select name as key, doc as value from store`,
  vdisk: sql`select name as key, doc as value from vdisk`,
  version: sql`select vdisk || '/' || number as key, 
    doc || jsonb_build_object('content', content, 'settledAt', settled_at) as value from vdisk_version where listed`,
  override: sql`select vdisk as key, jsonb_build_object('vdisk', vdisk, 'version', version, 'until', until) as value
    from version_override`,
  server: sql`select name as key, jsonb_build_object('name', name, 'site', site, 'pool', pool, 'address', address,
    'ports', ports, 'powerRating', power_rating) as value from server`,
  device: sql`select name as key, jsonb_build_object('name', name,
    'macs', (select coalesce(jsonb_agg(mac order by position), '[]') from device_mac where device = name), 'uuid', uuid,
    'uuidSharedWith', (select mac from shared_uuid where shared_uuid.uuid = device.uuid),
    'collection', collection, 'class', class, 'enabled', enabled, 'properties', properties) as value from device`,
  mac: sql`select mac as key, to_jsonb(device) as value from device_mac`,
  uuid: sql`select uuid::text as key, to_jsonb(name) as value from device where uuid is not null`,
  session: sql`select device as key, jsonb_build_object('device', device, 'server', server, 'vdisk', vdisk,
    'version', version, 'since', since, 'epoch', epoch, 'protocol', protocol) as value from session where not ended`,
  removed: sql`select device as key, to_jsonb(at) as value from removed`,
  copy: sql`select vdisk || '/' || version || '/' || server as key, jsonb_build_object('vdisk', vdisk, 'version', version,
    'server', server, 'state', state, 'progressPercent', case when state = 'Copying' then progress_percent end,
    'secondsLeft', seconds_left, 'message', message, 'manifest', manifest, 'since', extract(epoch from since)::bigint,
    'reportedAt', extract(epoch from reported_at)::bigint, 'verifiedAt', extract(epoch from verified_at)::bigint) as value from copy`,
};

/** The value as JSON text: what goes into the replica needs no parsing on its way. */
export interface Entry {
  readonly key: string;
  readonly json: string;
}

/** All entries of a kind: columns `key` and `json`. */
export const entries = (kind: Kind): RawBuilder<unknown> =>
  sql`select key, jsonb_strip_nulls(value)::text as json from (${SELECT[kind]}) as entry`;

/** The entries behind these keys; a key that has none is not in the answer. */
export async function readEntries(db: Kysely<Tables>, kind: Kind, keys: readonly string[]): Promise<readonly Entry[]> {
  return (await sql<Entry>`${entries(kind)} where key = any(${keys})`.execute(db)).rows;
}

/** A page of all entries of a kind, in the order of their keys: those after `after`. */
export async function readPage(
  db: Kysely<Tables>,
  kind: Kind,
  after: string,
  limit: number,
): Promise<readonly Entry[]> {
  return (
    await sql<Entry>`${entries(kind)} where key collate "C" > ${after} order by key collate "C" limit ${limit}`.execute(
      db,
    )
  ).rows;
}

/** All small kinds in one statement, hence at one moment; undefined while the database holds no farm. */
export async function readSnapshot(db: Kysely<Tables>): Promise<Result<FarmSnapshot | undefined, EntryFault>> {
  const all = SMALL_KINDS.map((kind) => sql`select ${sql.lit(kind)} as kind, json from (${entries(kind)}) as small`);
  const { rows } = await sql<{ kind: SmallKind; json: string }>`${sql.join(all, sql` union all `)}`.execute(db);
  return parseSnapshot((kind) => rows.filter((row) => row.kind === kind).map(({ json }) => json));
}
