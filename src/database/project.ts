/** The resources as rows: what the operator writes. Projecting the same again writes nothing. */
import { type Kysely, sql } from 'kysely';
import type { Collection, Farm, FarmSnapshot, Moving, Site, Store, VDisk, Version } from '../farm/model.ts';
import { carried } from '../farm/moving.ts';
import { fail } from '../kit/result.ts';
import { type Answer, type Database, transact } from './connection.ts';
import { readSnapshot } from './kinds.ts';
import type { Pool, Tables } from './tables.ts';

/** All resources of one farm. */
export interface Projection {
  readonly farm: Omit<Farm, 'id'>;
  readonly sites: readonly Site[];
  readonly collections: readonly Collection[];
  readonly stores: readonly Store[];
  readonly pools: readonly Pool[];
  /** `moving`: as it was told last, for a database that knows nothing of it; else the database says where each was. */
  readonly vdisks: readonly VDisk[];
  /** Their content is stated by `setVersionContent` alone, and that enough servers have it by `settleVersion`. */
  readonly versions: readonly Omit<Version, 'content' | 'settledAt'>[];
}

export type ProjectedKind = 'site' | 'collection' | 'store' | 'server_pool' | 'vdisk';

export interface Projected {
  readonly farmId: string;
  readonly adoptions: number;
  /** Rows without a resource; they are served on until `remove` says that their deletion was witnessed. */
  readonly orphaned: readonly { readonly kind: ProjectedKind; readonly name: string }[];
}

/** What each table has beside its documents: what SQL joins or checks; all of it stands in the document, too. */
const COLUMNS = {
  site: ['name'],
  collection: ['name', 'site'],
  store: ['name'],
  server_pool: ['name'],
  vdisk: ['name'],
  vdisk_version: ['vdisk', 'number'],
} as const satisfies { readonly [Table in Projectable]: readonly (keyof Tables[Table]['doc'])[] };
type Projectable = ProjectedKind | 'vdisk_version';

/** A person said that the farm goes on from this database, in place of what `replaces` names (`farm/identity.ts`). */
export interface Adoption {
  readonly farm: string;
  readonly adoptions: number;
  readonly replaces: readonly string[];
  readonly revision: number;
}

/**
 * Makes the rows what the resources say, in one transaction; makes the farm's id when the database holds none. `Conflict` names what
 * does not fit, such as a collection of a site that is not there.
 */
export function project(database: Database, projection: Projection, adoption?: Adoption): Answer<Projected> {
  return database.run((db) =>
    transact(db, async (trx) => {
      if (adoption) await adopt(trx, adoption);
      const farmId = await writeFarm(trx, projection.farm, adoption?.farm);
      await write(trx, 'site', projection.sites);
      await write(trx, 'collection', projection.collections);
      await write(trx, 'store', projection.stores);
      await write(trx, 'server_pool', projection.pools);
      await write(trx, 'vdisk', await carriedRows(trx, projection.vdisks));
      await writeVersions(trx, projection);
      const orphaned = [
        ...(await markOrphans(trx, 'site', projection.sites)),
        ...(await markOrphans(trx, 'collection', projection.collections)),
        ...(await markOrphans(trx, 'store', projection.stores)),
        ...(await markOrphans(trx, 'server_pool', projection.pools)),
        ...(await markOrphans(trx, 'vdisk', projection.vdisks)),
      ];
      const { adoptions } = await trx.selectFrom('feed_cursor').select('adoptions').executeTakeFirstOrThrow();
      return { farmId, adoptions, orphaned };
    }),
  );
}

/** The row of a resource whose deletion was witnessed. `Conflict` when others need it: devices their collection, collections their site. */
export function remove(database: Database, kind: ProjectedKind, name: string): Answer<void> {
  return database.run((db) =>
    transact(db, async (trx) => {
      await sql`delete from ${sql.table(kind)} where name = ${name}`.execute(trx);
      if (kind === 'vdisk') await trx.deleteFrom('copy').where('vdisk', '=', name).execute();
      if (kind === 'store') await forgetStore(trx, name);
    }),
  );
}

/** States what is right about a version. False: the farm has no such version, or something else than `before` (a manifest) was right until now. */
export function setVersionContent(
  database: Database,
  vdisk: string,
  number: number,
  content: NonNullable<Version['content']>,
  before?: string,
): Answer<boolean> {
  return database.run(async (db) => {
    const json = JSON.stringify(content);
    const { rows } = await sql<{ found: number }>`
      with there as (select vdisk, number from vdisk_version where vdisk = ${vdisk} and number = ${number}
          and (content is null or content ->> 'manifest' in (${content.manifest}, ${before ?? ''})) for update),
        changed as (update vdisk_version set content = ${json}::jsonb, settled_at = null from there
          where vdisk_version.vdisk = there.vdisk and vdisk_version.number = there.number and content is distinct from ${json}::jsonb)
      select count(*)::int as found from there`.execute(db);
    return rows[0]?.found === 1;
  });
}

/**
 * Enough servers have the version right, since `atSeconds`: it may be the default from here on, whoever goes. Undefined: it may not any more.
 * False: the farm has no such version, or nobody said what is right of it.
 */
export function settleVersion(
  database: Database,
  vdisk: string,
  number: number,
  atSeconds: number | undefined,
): Answer<boolean> {
  return database.run(async (db) => {
    const { numUpdatedRows } = await db
      .updateTable('vdisk_version')
      .set(({ fn, val }) => ({
        settled_at: atSeconds === undefined ? null : fn.coalesce('settled_at', val(atSeconds)),
      }))
      .where('vdisk', '=', vdisk)
      .where('number', '=', number)
      .where('listed', '=', true)
      .where('content', 'is not', null)
      .executeTakeFirstOrThrow();
    return numUpdatedRows === 1n;
  });
}

/** What becomes of a move; undefined: it is over. False: it is not as it was when that was found, or there is no such vDisk. */
export function setMoving(
  database: Database,
  { name, store, moving: before }: Pick<VDisk, 'name' | 'store' | 'moving'>,
  moving: Moving | undefined,
): Answer<boolean> {
  return database.run(async (db) => {
    const doc =
      moving === undefined ? sql`doc - 'moving'` : sql`jsonb_set(doc, '{moving}', ${JSON.stringify(moving)}::jsonb)`;
    const { numAffectedRows } = await sql`update vdisk set doc = ${doc}
      where name = ${name} and doc ->> 'store' = ${store} and doc -> 'moving' = ${JSON.stringify(before ?? null)}::jsonb`.execute(
      db,
    );
    return numAffectedRows === 1n;
  });
}

/** All small tables at one moment; undefined while nothing was projected yet. */
export async function snapshot(database: Database): Answer<FarmSnapshot | undefined> {
  const read = await database.run(readSnapshot);
  if (!read.ok) return read;
  return read.value.ok ? read.value : fail('Refused', read.value.error.message);
}

/** With where each was until now: those that move, or begin to, are held until this is written. */
async function carriedRows(trx: Kysely<Tables>, vdisks: readonly VDisk[]): Promise<readonly VDisk[]> {
  const places = JSON.stringify(vdisks.map(({ name, store }) => ({ name, store })));
  const { rows } = await sql<{ name: string; store: string; moving: Moving | null }>`
    select vdisk.name, doc ->> 'store' as store, doc -> 'moving' as moving
    from vdisk join jsonb_to_recordset(${places}::jsonb) as now (name text, store text) on now.name = vdisk.name
    where doc -> 'moving' is not null or doc ->> 'store' <> now.store order by vdisk.name for update of vdisk`.execute(
    trx,
  );
  const { rows: known } = await sql<{ name: string }>`select name from vdisk`.execute(trx);
  const before = new Map(rows.map(({ name, store, moving }) => [name, { store, ...(moving ? { moving } : {}) }]));
  const there = new Set(known.map(({ name }) => name));
  return vdisks.map((vdisk) =>
    carried(vdisk, before.get(vdisk.name) ?? (there.has(vdisk.name) ? { store: vdisk.store } : undefined)),
  );
}

/** It was removed, as a person said: nothing comes from it any more. */
async function forgetStore(trx: Kysely<Tables>, name: string): Promise<void> {
  await sql`update vdisk set doc = case
      when jsonb_array_length(doc #> '{moving,from}') > 1 then jsonb_set(doc, '{moving,from}', (doc #> '{moving,from}') - ${name}::text)
      else doc - 'moving' end
    where doc #> '{moving,from}' @> ${JSON.stringify([name])}::jsonb`.execute(trx);
}

/** The token goes: the replica is built anew. */
async function adopt(trx: Kysely<Tables>, { adoptions, replaces, revision }: Adoption): Promise<void> {
  await trx.updateTable('feed_cursor').set({ adoptions, replaces, revision, token: '' }).execute();
}

async function writeFarm(trx: Kysely<Tables>, doc: Projection['farm'], id?: string): Promise<string> {
  const found = await trx.selectFrom('farm').select('id').forUpdate().executeTakeFirst();
  if (!found) {
    const values = id === undefined ? { doc } : { doc, id };
    return (await trx.insertInto('farm').values(values).returning('id').executeTakeFirstOrThrow()).id;
  }
  const json = JSON.stringify(doc);
  await sql`update farm set doc = ${json}::jsonb where doc is distinct from ${json}::jsonb`.execute(trx);
  return found.id;
}

/** One statement a table, whatever the number of rows; rows that are right already are not touched. */
async function write<T extends Projectable>(
  trx: Kysely<Tables>,
  table: T,
  docs: readonly Tables[T]['doc'][],
): Promise<void> {
  const [own, keys] = table === 'vdisk_version' ? ['listed', ['vdisk', 'number']] : ['orphaned', ['name']];
  const served = sql.lit(own === 'listed');
  const list = (names: readonly string[]) => sql.join(names.map((name) => sql.ref(name)));
  const columns = [...COLUMNS[table], 'doc', own];
  await sql`
    insert into ${sql.table(table)} (${list(columns)})
    select ${list(COLUMNS[table].map((column) => `key.${column}`))}, given.doc, ${served}
    from jsonb_array_elements(${JSON.stringify(docs)}::jsonb) as given (doc), jsonb_populate_record(null::${sql.table(table)}, given.doc) as key
    on conflict (${list(keys)}) do update
      set ${sql.join(columns.map((column) => sql`${sql.ref(column)} = ${sql.ref(`excluded.${column}`)}`))}
      where (${list([`${table}.doc`, `${table}.${own}`])}) is distinct from (excluded.doc, ${served})`.execute(trx);
}

/**
 * A version that its VDisk names no more is not served; those of a VDisk that is merely absent stay as they are. What is not Production is not settled: each
 * release is judged anew.
 */
async function writeVersions(trx: Kysely<Tables>, { vdisks, versions }: Projection): Promise<void> {
  await write(trx, 'vdisk_version', versions);
  await sql`update vdisk_version set settled_at = null
    where settled_at is not null and doc ->> 'access' <> 'Production'`.execute(trx);
  await sql`update vdisk_version set listed = false, settled_at = null
    where listed and vdisk = any(${vdisks.map(({ name }) => name)})
      and vdisk || '/' || number <> all(${versions.map((version) => `${version.vdisk}/${version.number}`)})`.execute(
    trx,
  );
}

async function markOrphans(
  trx: Kysely<Tables>,
  kind: ProjectedKind,
  present: readonly { readonly name: string }[],
): Promise<Projected['orphaned'][number][]> {
  await sql`update ${sql.table(kind)} set orphaned = true
    where not orphaned and name <> all(${present.map(({ name }) => name)})`.execute(trx);
  const { rows } = await sql<{
    name: string;
  }>`select name from ${sql.table(kind)} where orphaned order by name`.execute(trx);
  return rows.map(({ name }) => ({ kind, name }));
}
