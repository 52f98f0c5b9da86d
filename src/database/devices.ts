/** Devices: what people and servers add, list and remove. Each change leaves a line in `audit`. */
import { type Kysely, sql } from 'kysely';
import { stringify } from 'safe-stable-stringify';
import { otherOrder } from '../farm/address.ts';
import type { Access, Device } from '../farm/model.ts';
import { canonicalUuid } from '../farm/uuids.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { slices } from '../kit/slices.ts';
import type { Answer, Database } from './connection.ts';
import type { DatabaseFault } from './fault.ts';
import { readEntries } from './kinds.ts';
import type { AuditSource, Tables } from './tables.ts';

export interface Actor {
  readonly source: AuditSource;
  /** A person, a server. */
  readonly who: string;
}

/** Devices of one statement, whatever the farm has: 15 ms, triggers included, of the 2 s after which a database counts as dead. */
const SLICE = 250;

/** What the farm holds of that which new devices could meet. */
export interface Neighbours {
  readonly collections: ReadonlySet<string>;
  readonly byName: Map<string, Device>;
  readonly byMac: Map<string, Device>;
  /** By `canonicalUuid`: a machine may send it in either byte order. */
  readonly byUuid: Map<string, Device>;
}

function neighbours(collections: readonly string[], devices: readonly Device[]): Neighbours {
  const made: Neighbours = {
    collections: new Set(collections),
    byName: new Map(),
    byMac: new Map(),
    byUuid: new Map(),
  };
  for (const device of devices) moveIn(made, device);
  return made;
}

/** From now on this device is there for those that come after it. */
export function moveIn({ byName, byMac, byUuid }: Neighbours, device: Device): void {
  byName.set(device.name, device);
  for (const mac of device.macs) byMac.set(mac, device);
  if (device.uuid !== undefined) byUuid.set(canonicalUuid(device.uuid), device);
}

const noCollection = (name: string, collections: ReadonlySet<string>): string =>
  `the farm has no collection ${name}; it has ${[...collections].sort().join(', ') || 'none: name one in the Farm resource'}`;

/** What keeps a device out. */
export interface Misfit extends Fault<'Conflict'> {
  readonly field: keyof Device;
  /** Who has that already: the message tells of it. */
  readonly other?: Device;
}

export type Verdict = Result<'Added' | 'Unchanged', Misfit>;

/** May this device join those that are there? Adding the same again changes nothing. */
export function judgeDevice(device: Device, { collections, byName, byMac, byUuid }: Neighbours): Verdict {
  const refuse = (field: keyof Device, message: string, other?: Device): Verdict => ({
    ok: false,
    error: { code: 'Conflict', message, field, ...(other ? { other } : {}) },
  });
  const same = byName.get(device.name);
  if (same && canonical(same) === canonical(device)) return ok('Unchanged');
  if (same)
    return refuse(
      'name',
      `device ${device.name} exists and differs: ${describeDevice(same)}. \`bootfarm device set\` changes it`,
      same,
    );
  if (!collections.has(device.collection)) return refuse('collection', noCollection(device.collection, collections));
  for (const mac of device.macs) {
    const owner = byMac.get(mac);
    if (owner)
      return refuse(
        'macs',
        `MAC ${mac} belongs to device ${owner.name}: remove that one, or add this one without it`,
        owner,
      );
  }
  const twin = device.uuid === undefined ? undefined : byUuid.get(canonicalUuid(device.uuid));
  if (twin)
    return refuse(
      'uuid',
      `UUID ${device.uuid} belongs to device ${twin.name}${twin.uuid === device.uuid ? '' : ` as ${twin.uuid}, its other byte order`}: add this one without a UUID, its MAC is enough. If it is the same machine, remove ${twin.name} first`,
      twin,
    );
  return ok('Added');
}

const describeDevice = (device: Device): string =>
  [
    `collection ${device.collection}`,
    `MAC ${device.macs.join(' ')}`,
    ...(device.uuid === undefined ? [] : [`UUID ${device.uuid}`]),
    ...(device.class === undefined ? [] : [`class ${device.class}`]),
    ...(device.enabled ? [] : ['disabled']),
  ].join(', ');

const canonical = ({ name, macs, uuid, collection, class: access, enabled, properties }: Device): string =>
  stringify([name, macs, uuid, collection, access, enabled, properties]);

/** All that `judgeDevice` has to know about these devices. */
export const neighboursOf = (database: Database, devices: readonly Device[]): Answer<Neighbours> =>
  database.run((db) => readNeighbours(db, devices));

/** `but`: the device that one of them is already. */
async function readNeighbours(db: Kysely<Tables>, wanted: readonly Device[], but?: string): Promise<Neighbours> {
  const collections = await db.selectFrom('collection').select('name').execute();
  const names = new Set<string>();
  for (const some of slices(wanted, SLICE)) {
    const uuids = some.flatMap(({ uuid }) => (uuid === undefined ? [] : [uuid, otherOrder(uuid)]));
    const { rows } = await sql<{ name: string }>`
      select name from device where name = any(${some.map(({ name }) => name)}) or uuid = any(${uuids}::uuid[])
      union select device from device_mac where mac = any(${some.flatMap(({ macs }) => macs)})`.execute(db);
    for (const { name } of rows) names.add(name);
  }
  if (but !== undefined) names.delete(but);
  return neighbours(
    collections.map(({ name }) => name),
    await readDevices(db, [...names]),
  );
}

async function readDevices(db: Kysely<Tables>, names: readonly string[]): Promise<Device[]> {
  const read: Device[] = [];
  for (const some of slices(names, SLICE))
    for (const { json } of await readEntries(db, 'device', some)) read.push(JSON.parse(json) as Device);
  return read;
}

export interface Added {
  readonly added: number;
  readonly unchanged: number;
}

/** So long an edit waits for another one of the same device: a statement that takes 2 s would count as a dead database. */
const LOCK_TIMEOUT_MS = 1_000;

/** One transaction that waits for no other one for long. */
async function edit<T, F extends Fault>(
  database: Database,
  work: (trx: Kysely<Tables>) => Promise<Result<T, F>>,
): Promise<Result<T, DatabaseFault | F>> {
  const done = await database.run((db) =>
    db.transaction().execute(async (trx) => {
      await sql`set local lock_timeout = ${sql.lit(LOCK_TIMEOUT_MS)}`.execute(trx);
      return work(trx);
    }),
  );
  return done.ok ? done.value : done;
}

/** Adds all of them or, when one cannot join, none: the `Misfit` says which and why. */
export function addDevices(
  database: Database,
  devices: readonly Device[],
  actor: Actor,
): Promise<Result<Added, DatabaseFault | Misfit>> {
  return edit(database, async (trx): Promise<Result<Added, Misfit>> => {
    const there = await readNeighbours(trx, devices);
    const fresh: Device[] = [];
    for (const device of devices) {
      const verdict = judgeDevice(device, there);
      if (!verdict.ok) return verdict;
      if (verdict.value === 'Unchanged') continue;
      fresh.push(device);
      moveIn(there, device);
    }
    for (const some of slices(fresh, SLICE)) await insertDevices(trx, some, actor);
    return ok({ added: fresh.length, unchanged: devices.length - fresh.length });
  });
}

/** How the name of a device is made that nobody named: the prefix, and the next number. */
export interface Numbering {
  readonly namePrefix: string;
  /** At least so many, with zeros in front. */
  readonly digits: number;
  /** At most so many devices of the farm have the same `source` among their properties. */
  readonly most?: number;
}

/**
 * Adds a machine under the name that comes after the highest of its prefix. Servers that meet the same machine, or several, at once wait for each
 * other: one MAC becomes one device, and whoever comes second gets it.
 */
export async function enrolDevice(
  database: Database,
  machine: Omit<Device, 'name'>,
  { namePrefix, digits, most }: Numbering,
  actor: Actor,
): Promise<Result<Device, DatabaseFault | Fault<'AutoAddFull'>>> {
  const done = await database.run((db) =>
    db.transaction().execute(async (trx): Promise<Result<Device, Fault<'Conflict' | 'AutoAddFull'>>> => {
      await sql`select pg_advisory_xact_lock(hashtext('bootfarm: names of devices'))`.execute(trx);
      const there = await readNeighbours(trx, [{ ...machine, name: '' }]);
      const [known] = machine.macs.flatMap((mac) => there.byMac.get(mac) ?? []);
      if (known) return ok(known);
      const full = most === undefined ? undefined : await fullFault(trx, machine.properties['source'] ?? '', most);
      if (full) return full;
      // Longer numbers are names that somebody gave. The name of a device that was removed would bring its tickets back to life.
      const { rows } = await sql<{ last: number }>`select coalesce(max(number::integer), 0) as last
        from (select substr(name, ${namePrefix.length + 1}) as number 
          from (select name from device union all select device from removed) as names where starts_with(name, ${namePrefix})) as named
        where number ~ '^[0-9]{1,9}$'`.execute(trx);
      const { uuid, ...withoutUuid } = machine;
      // It would have been found by a UUID that is one machine's: what another device has says nothing of this one.
      const own = uuid === undefined || there.byUuid.has(canonicalUuid(uuid)) ? withoutUuid : machine;
      const device = { ...own, name: `${namePrefix}${String((rows[0]?.last ?? 0) + 1).padStart(digits, '0')}` };
      const verdict = judgeDevice(device, there);
      if (!verdict.ok) return fail('Conflict', verdict.error.message);
      await insertDevices(trx, [device], actor);
      return ok(device);
    }),
  );
  return done.ok ? done.value : done;
}

async function fullFault(trx: Kysely<Tables>, source: string, most: number) {
  const { rows } = await sql<{ count: number }>`
    select count(*)::integer as count from device where properties ->> 'source' = ${source}`.execute(trx);
  const count = rows[0]?.count ?? 0;
  if (count < most) return undefined;
  const message = `the farm has ${count} devices with the property source=${source}, and spec.autoAdd.maxDevices of the Farm is ${most}: raise it, or remove those that are none (bootfarm device list)`;
  return fail('AutoAddFull', message);
}

async function insertDevices(trx: Kysely<Tables>, devices: readonly Device[], actor: Actor): Promise<void> {
  const macs = devices.flatMap(({ name, macs }) => macs.map((mac, position) => ({ mac, device: name, position })));
  await sql`insert into device (name, uuid, collection, class, enabled, properties)
    select name, uuid, collection, class, enabled, properties
    from jsonb_populate_recordset(null::device, ${JSON.stringify(devices)}::jsonb)`.execute(trx);
  await sql`insert into device_mac select * from jsonb_populate_recordset(null::device_mac, ${JSON.stringify(macs)}::jsonb)`.execute(
    trx,
  );
  await sql`insert into audit (source, who, action, kind, name, after)
    select ${actor.source}, ${actor.who}, 'add', 'device', device ->> 'name', device
    from jsonb_array_elements(${JSON.stringify(devices)}::jsonb) as device`.execute(trx);
}

export type ChangeFault = Fault<'Conflict' | 'Invalid'> | Misfit;

export interface Changed {
  readonly before: Device;
  readonly after: Device;
}

/**
 * What `change` makes of the device; undefined: there is none. Its name stays. A machine that streams goes on, but is Revoked within seconds when it is disabled
 * (server/refusals.ts); everything else is for its next boot. `Conflict`: what it becomes cannot join the others.
 */
export function changeDevice(
  database: Database,
  name: string,
  change: (device: Device) => Result<Device, ChangeFault>,
  actor: Actor,
): Promise<Result<Changed | undefined, DatabaseFault | ChangeFault>> {
  return edit(database, async (trx): Promise<Result<Changed | undefined, ChangeFault>> => {
    // Its key stays: sessions that refer to it go on being written.
    await sql`select from device where name = ${name} for no key update`.execute(trx);
    const [before] = await readDevices(trx, [name]);
    if (!before) return ok(undefined);
    const changed = change(before);
    if (!changed.ok) return changed;
    const after = { ...changed.value, name };
    if (canonical(before) === canonical(after)) return ok({ before, after: before });
    const verdict = judgeDevice(after, await readNeighbours(trx, [after], name));
    if (!verdict.ok) return verdict;
    await updateDevice(trx, before, after, actor);
    return ok({ before, after });
  });
}

async function updateDevice(trx: Kysely<Tables>, before: Device, after: Device, actor: Actor): Promise<void> {
  const { name, macs, uuid, collection, class: access, enabled, properties } = after;
  const row = { uuid: uuid ?? null, collection, class: access ?? null, enabled, properties };
  await trx.updateTable('device').set(row).where('name', '=', name).execute();
  if (before.macs.join() !== macs.join()) {
    await trx.deleteFrom('device_mac').where('device', '=', name).execute();
    await trx
      .insertInto('device_mac')
      .values(macs.map((mac, position) => ({ mac, device: name, position })))
      .execute();
  }
  // That another machine has it, too, was said of the one before.
  if (before.uuid !== uuid) await trx.deleteFrom('shared_uuid').where('device', '=', name).execute();
  await trx
    .insertInto('audit')
    .values({ ...actor, action: 'change', kind: 'device', name, before, after })
    .execute();
}

/**
 * The device that was removed, with its MACs; undefined when there was none. If it streams, it is Revoked within seconds (server/refusals.ts). `judge`: what it
 * finds wrong with the device as it is keeps it there.
 */
export function removeDevice(
  database: Database,
  name: string,
  actor: Actor,
  judge: (device: Device) => ChangeFault | undefined = () => undefined,
): Promise<Result<Device | undefined, DatabaseFault | ChangeFault>> {
  return edit(database, async (trx): Promise<Result<Device | undefined, ChangeFault>> => {
    await sql`select from device where name = ${name} for update`.execute(trx);
    const [device] = await readDevices(trx, [name]);
    if (!device) return ok(undefined);
    const wrong = judge(device);
    if (wrong) return { ok: false, error: wrong };
    await trx.deleteFrom('device').where('name', '=', name).execute();
    await trx.deleteFrom('session').where('device', '=', name).where('ended', '=', true).execute();
    await trx
      .insertInto('audit')
      .values({ ...actor, action: 'remove', kind: 'device', name, before: device, after: null })
      .execute();
    return ok(device);
  });
}

/** What all devices of a collection get; absent: it stays. */
export interface CollectionChange {
  readonly collection?: string;
  /** Null: the collection's. */
  readonly class?: Access | null;
  readonly enabled?: boolean;
}

/** All devices of a collection, or none: their number, and how many changed. What they become needs no comparison: no name, MAC or UUID changes. */
export function changeCollection(
  database: Database,
  collection: string,
  change: CollectionChange,
  actor: Actor,
): Promise<Result<{ readonly devices: number; readonly changed: number }, DatabaseFault | ChangeFault>> {
  return edit(database, async (trx): Promise<Result<{ devices: number; changed: number }, ChangeFault>> => {
    const { collections } = await readNeighbours(trx, []);
    for (const named of [collection, change.collection ?? collection])
      if (!collections.has(named)) return fail('Conflict', noCollection(named, collections));
    const { rows } = await sql<{
      name: string;
    }>`select name from device where collection = ${collection} order by name for no key update`.execute(trx);
    const names = rows.map(({ name }) => name);
    let changed = 0;
    for (const some of slices(names, SLICE)) changed += await changeSlice(trx, some, change, actor);
    return ok({ devices: names.length, changed });
  });
}

async function changeSlice(
  trx: Kysely<Tables>,
  names: readonly string[],
  { collection, class: access, enabled }: CollectionChange,
  actor: Actor,
): Promise<number> {
  const changes = (await readDevices(trx, names)).flatMap((before) => {
    const { class: had, ...rest } = before;
    const has = access === undefined ? had : (access ?? undefined);
    const after: Device = {
      ...rest,
      ...(has === undefined ? {} : { class: has }),
      ...(collection === undefined ? {} : { collection }),
      ...(enabled === undefined ? {} : { enabled }),
    };
    return canonical(before) === canonical(after) ? [] : [{ before, after }];
  });
  if (changes.length === 0) return 0;
  await sql`update device set collection = coalesce(${collection ?? null}::text, collection),
    enabled = coalesce(${enabled ?? null}::boolean, enabled),
    class = case when ${access !== undefined}::boolean then ${access ?? null}::text else class end
    where name = any(${changes.map(({ after }) => after.name)})`.execute(trx);
  await sql`insert into audit (source, who, action, kind, name, before, after)
    select ${actor.source}, ${actor.who}, 'change', 'device', change -> 'after' ->> 'name', change -> 'before', change -> 'after'
    from jsonb_array_elements(${JSON.stringify(changes)}::jsonb) as change`.execute(trx);
  return changes.length;
}

/** Another machine, `mac`, has the UUID of this device: no machine is found by it from now on, until the device is removed. */
export function markSharedUuid(
  database: Database,
  { name, uuid, mac }: { readonly name: string; readonly uuid: string; readonly mac: string },
): Answer<void> {
  return database.run(async (db) => {
    await sql`insert into shared_uuid (uuid, device, mac)
      select uuid, name, ${mac} from device where name = ${name} and uuid = ${uuid}::uuid on conflict do nothing`.execute(
      db,
    );
  });
}

export const getDevice = (database: Database, name: string): Answer<Device | undefined> =>
  database.run(async (db) => (await readDevices(db, [name]))[0]);

/** Those of these MACs that devices have. */
export const knownMacs = (database: Database, macs: readonly string[]): Answer<ReadonlySet<string>> =>
  database.run(async (db) => {
    const known = new Set<string>();
    for (const some of slices(macs, SLICE))
      for (const { mac } of await db.selectFrom('device_mac').select('mac').where('mac', 'in', some).execute())
        known.add(mac);
    return known;
  });

export const countDevices = (database: Database): Answer<number> =>
  database.run(async (db) => {
    const { count } = await db
      .selectFrom('device')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    return count;
  });

/** Names of the sites that the farm has. */
export const listSites = (database: Database): Answer<readonly string[]> =>
  database.run(async (db) => {
    const sites = await db.selectFrom('site').select('name').where('orphaned', '=', false).orderBy('name').execute();
    return sites.map(({ name }) => name);
  });

/** By name; of one collection, of one site, or all. */
export function listDevices(
  database: Database,
  only: { readonly collection?: string; readonly site?: string } = {},
): Answer<readonly Device[]> {
  return database.run(async (db) => {
    const names = await db
      .selectFrom('device')
      .innerJoin('collection', 'collection.name', 'device.collection')
      .select('device.name')
      .$if(only.collection !== undefined, (query) => query.where('collection', '=', only.collection ?? ''))
      .$if(only.site !== undefined, (query) => query.where('site', '=', only.site ?? ''))
      .execute();
    const devices = await readDevices(
      db,
      names.map(({ name }) => name),
    );
    return devices.sort((a, b) => (a.name < b.name ? -1 : 1));
  });
}
