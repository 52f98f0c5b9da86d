import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { connect, type Database, type DatabaseState } from '../../src/database/connection.ts';
import {
  acceptContent,
  allCopies,
  type CopyRow,
  copiesOf,
  recordCopies,
  versionsUsed,
} from '../../src/database/copies.ts';
import { databaseData } from '../../src/database/data.ts';
import { addDevices, enrolDevice, getDevice, listDevices, removeDevice } from '../../src/database/devices.ts';
import { fencedBy, lead, readIdentity, recordKeys, release } from '../../src/database/identity.ts';
import { migrate } from '../../src/database/migrate.ts';
import { migrations } from '../../src/database/migrations/index.ts';
import { type Projection, project, remove, setVersionContent, snapshot } from '../../src/database/project.ts';
import {
  applySessions,
  endSession,
  heartbeatAges,
  registerServer,
  sessionCounts,
  sessions,
  unregisterServer,
  upsertSession,
} from '../../src/database/servers.ts';
import { otherOrder } from '../../src/farm/address.ts';
import type { FarmSnapshot } from '../../src/farm/model.ts';
import { ok, type Result } from '../../src/kit/result.ts';
import { CopyRecord } from '../../src/operator/copies.ts';
import { aDevice } from '../builders/farm.ts';
import { aFarm, aSession, sorted } from '../builders/rows.ts';
import { farmDataContract } from '../contract/farmdata.ts';
import { loadDatabase, projectionOf } from '../fakes/database.ts';
import { type PostgresServer, startPostgres } from '../setup/services.ts';
import { quietClock, until } from '../setup/time.ts';

let postgres: PostgresServer;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.close());

const opened: Database[] = [];
afterAll(async () => {
  for (const database of opened) await database.close();
});

function open(uri: string, maxConnections = 4): Database {
  const connected = connect({ uri, maxConnections });
  if (!connected.ok) throw new Error(connected.error.message);
  opened.push(connected.value);
  return connected.value;
}

async function fresh(name: string): Promise<Database> {
  const uri = await postgres.createDatabase(name);
  value(await migrate(uri));
  return open(uri);
}

function value<T>(result: Result<T, { code: string; message: string }>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

const dirty = async (database: Database): Promise<string[]> =>
  value(await database.run((db) => db.deleteFrom('dirty').returning(['kind', 'key']).execute()))
    .map(({ kind, key }) => `${kind} ${key}`)
    .sort();

const command = { source: 'command', who: 'test' } as const;

farmDataContract('PostgreSQL', async () => {
  const database = await fresh('contract');
  const data = databaseData(database, 20);
  return { data, load: (contents) => loadDatabase(database, contents), close: () => data.close() };
});

describe('migrations', () => {
  test('from nothing, then again, then two at a time', async () => {
    const uri = await postgres.createDatabase('migrations');
    const all = migrations.map(({ name }) => name);
    expect(value(await migrate(uri))).toEqual(all);
    expect(value(await migrate(uri))).toEqual([]);
    const other = await postgres.createDatabase('migrations2');
    const both = await Promise.all([migrate(other), migrate(other)]);
    // They take turns: each migration is made by one of them.
    expect(both.flatMap(value).toSorted()).toEqual(all.toSorted());
  });

  test('a failing one leaves nothing behind and is named; one with a changed text is refused', async () => {
    const uri = await postgres.createDatabase('migrations3');
    const good = { number: 1, name: 'good', sql: 'create table a (x int)' };
    const bad = { number: 2, name: 'bad', sql: 'create table b (x int); select 1/0' };
    expect(await migrate(uri, [good, bad])).toMatchObject({ error: { code: 'Invalid', message: /division by zero/ } });
    expect(value(await migrate(uri, [good, { ...bad, sql: 'create table b (x int)' }]))).toEqual(['bad']);
    expect(await migrate(uri, [{ ...good, sql: 'select 1' }])).toMatchObject({
      error: { code: 'Refused', message: /another text/ },
    });
  });

  test('a schema that is missing is refused by name', async () => {
    const database = open(await postgres.createDatabase('empty'));
    expect(await sessions(database)).toMatchObject({
      error: { code: 'Refused', message: /relation "session" does not exist/ },
    });
    expect(database.state.reachable).toBe(true);
  });
});

describe('projection', () => {
  let database: Database;
  const wanted: Projection = projectionOf(aFarm());
  beforeAll(async () => {
    database = await fresh('projection');
  });
  const stored = async (): Promise<FarmSnapshot | undefined> => value(await snapshot(database));

  test('there is no farm before the first', async () => expect(await stored()).toBeUndefined());

  test('writes every field, makes an id once, and the same again changes no row', async () => {
    const first = value(await project(database, wanted));
    expect(first.orphaned).toEqual([]);
    await dirty(database);
    expect(value(await project(database, wanted)).farmId).toBe(first.farmId);
    expect(await dirty(database)).toEqual([]);
    const versions = aFarm().versions.map(({ content: _, settledAt: _at, ...version }) => version);
    const bare = { ...aFarm(), servers: [], overrides: [], versions };
    const read = await stored();
    expect(read && sorted(read)).toEqual(sorted({ ...bare, farm: { ...bare.farm, id: first.farmId } }));
  });

  test('a changed field is written and marks its row alone', async () => {
    value(await project(database, { ...wanted, vdisks: wanted.vdisks.map((vdisk) => ({ ...vdisk, overlayMiB: 77 })) }));
    expect(await dirty(database)).toEqual(['vdisk lab', 'vdisk pinned']);
    const { autoAdd: _, ...without } = wanted.farm;
    value(await project(database, { ...wanted, farm: without }));
    expect(await dirty(database)).toEqual(['farm true', 'vdisk lab', 'vdisk pinned']);
    value(await project(database, { ...wanted, farm: without }));
    expect(await dirty(database)).toEqual([]);
    expect((await stored())?.farm).not.toHaveProperty('autoAdd');
    value(await project(database, wanted));
    expect((await stored())?.farm.autoAdd).toEqual(wanted.farm.autoAdd);
  });

  test('content is kept by a projection, and kept while its version is left out', async () => {
    const content = { manifest: 'c'.repeat(64), files: [{ name: 'lab.raw', sizeBytes: 1, sha256: 'd'.repeat(64) }] };
    expect(value(await setVersionContent(database, 'lab', 0, content))).toBe(true);
    expect(value(await setVersionContent(database, 'lab', 9, content))).toBe(false);
    value(await project(database, { ...wanted, versions: wanted.versions.slice(1) }));
    expect((await stored())?.versions.map(({ number }) => number)).toEqual([1]);
    value(await project(database, wanted));
    expect((await stored())?.versions.find(({ number }) => number === 0)?.content).toEqual(content);
  });

  test('a resource that is absent is orphaned and served on, with its versions; removed only by name', async () => {
    const lost = { ...wanted, vdisks: wanted.vdisks.slice(1), versions: [], collections: [] };
    expect(value(await project(database, lost)).orphaned).toEqual([
      { kind: 'collection', name: 'room-101' },
      { kind: 'collection', name: 'room-102' },
      { kind: 'vdisk', name: 'lab' },
    ]);
    const read = await stored();
    expect([read?.vdisks.length, read?.versions.length, read?.collections.length]).toEqual([2, 2, 2]);
    value(await remove(database, 'vdisk', 'lab'));
    expect((await stored())?.versions).toEqual([]);
    expect(value(await project(database, wanted)).orphaned).toEqual([]);
  });

  test('what does not fit is a conflict that says why, and changes nothing', async () => {
    const before = await stored();
    const collections = [...wanted.collections, { name: 'x', site: 'lyon', class: 'Test', template: {} } as const];
    expect(await project(database, { ...wanted, sites: [], vdisks: [], collections })).toMatchObject({
      error: { code: 'Conflict', message: /a collection needs its site: .*lyon/ },
    });
    expect(await stored()).toEqual(before);
    value(await addDevices(database, [aDevice()], command));
    expect(await remove(database, 'collection', 'room-101')).toMatchObject({
      error: { code: 'Conflict', message: /device/ },
    });
  });
});

describe('servers', () => {
  let database: Database;
  const [server] = aFarm().servers;
  if (!server) throw new Error('the farm of the tests has a server');
  beforeAll(async () => {
    database = await fresh('servers');
  });

  test('registers, and only changes mark it: registering again, its heartbeat, does not', async () => {
    expect(value(await registerServer(database, server))).toBe(true);
    expect(await dirty(database)).toEqual(['server node-a']);
    expect(value(await registerServer(database, server))).toBe(false);
    expect(await dirty(database)).toEqual([]);
    expect(value(await heartbeatAges(database)).get('node-a')).toBeLessThan(5);
    value(await registerServer(database, { ...server, powerRating: 9 }));
    expect(await dirty(database)).toEqual(['server node-a']);
  });

  test('a server that is taken out leaves no session', async () => {
    const session = aSession({ server: 'node-a' });
    value(await upsertSession(database, session));
    const { server, vdisk } = session;
    expect(value(await sessionCounts(database))).toEqual([{ server, vdisk, devices: 1 }]);
    value(await unregisterServer(database, 'node-b'));
    expect(value(await sessions(database))).toEqual([session]);
    value(await unregisterServer(database, 'node-a'));
    expect([value(await sessions(database)), value(await sessionCounts(database))]).toEqual([[], []]);
    value(await database.run((db) => sql`delete from session`.execute(db)));
  });

  test('of sessions the highest epoch wins, whatever the order; an ended one stays ended', async () => {
    const at = (epoch: number, on: string) => aSession({ epoch, server: on });
    value(await upsertSession(database, at(5, 'node-a')));
    value(await upsertSession(database, at(7, 'node-b')));
    value(await upsertSession(database, at(6, 'node-a')));
    expect(value(await sessions(database))).toEqual([at(7, 'node-b')]);
    value(await endSession(database, 'pc0001', 6));
    expect(value(await sessions(database))).toEqual([at(7, 'node-b')]);
    value(await endSession(database, 'pc0001', 7));
    value(await upsertSession(database, at(7, 'node-b')));
    expect(value(await sessions(database))).toEqual([]);
    value(await applySessions(database, [{ device: 'pc0001', epoch: 8, session: at(8, 'node-a'), ended: true }]));
    value(await upsertSession(database, at(8, 'node-a')));
    expect(value(await sessions(database))).toEqual([]);
    value(await upsertSession(database, at(9, 'node-a')));
    expect(value(await sessions(database))).toEqual([at(9, 'node-a')]);
  });
});

describe('devices', () => {
  let database: Database;
  const uuid = '6d3c8a62-0000-4000-8000-000000000001';
  beforeAll(async () => {
    database = await fresh('devices');
    await loadDatabase(database, { snapshot: aFarm(), devices: [aDevice({ uuid })], sessions: [] });
  });
  const refusal = async (...devices: Parameters<typeof aDevice>[0][]): Promise<string> => {
    const answer = await addDevices(database, devices.map(aDevice), command);
    return answer.ok ? 'added' : answer.error.message;
  };

  test('a removal leaves a mark for the life of a ticket, which adding again takes away; its name is not given to another machine', async () => {
    const marks = async () =>
      value(await database.run((db) => db.selectFrom('removed').select('device').orderBy('device').execute()));
    const machine = (n: number) => aDevice({ name: `mark000${n}`, macs: [`52:54:00:00:0a:0${n}`] });
    const actor = { source: 'command', who: 'test' } as const;
    value(await addDevices(database, [machine(1), machine(2)], actor));
    value(await removeDevice(database, 'mark0001', actor));
    value(await removeDevice(database, 'mark0002', actor));
    expect(await marks()).toEqual([{ device: 'mark0001' }, { device: 'mark0002' }]);
    const read = value(await databaseData(database).devicesByName(['mark0001', 'nobody']));
    expect([...read]).toEqual([
      ['mark0001', { removed: true }],
      ['nobody', { removed: false }],
    ]);
    const { name: _, ...unnamed } = machine(2);
    const numbering = { namePrefix: 'mark', digits: 4 };
    expect(value(await enrolDevice(database, unnamed, numbering, actor)).name).toBe('mark0003');
    value(await addDevices(database, [machine(1)], actor));
    expect(await marks()).toEqual([{ device: 'mark0002' }]);
    value(await database.run((db) => sql`update removed set at = now() - interval '9 days'`.execute(db)));
    value(await removeDevice(database, 'mark0001', actor));
    value(await removeDevice(database, 'mark0003', actor));
    expect(await marks()).toEqual([{ device: 'mark0001' }, { device: 'mark0003' }]);
  });

  test('a machine that has the UUID of another device is added without it', async () => {
    const machine = { macs: ['52:54:00:00:0b:01'], uuid, collection: 'room-101', enabled: true, properties: {} };
    const enrolled = value(await enrolDevice(database, machine, { namePrefix: 'twin', digits: 1 }, command));
    expect(enrolled).toMatchObject({ name: 'twin1', macs: machine.macs });
    expect(enrolled.uuid).toBeUndefined();
    value(await removeDevice(database, 'twin1', command));
  });

  test('adding the same again changes nothing', async () => {
    expect(value(await addDevices(database, [aDevice({ uuid })], command))).toEqual({ added: 0, unchanged: 1 });
  });

  test.each([
    ['a name that is taken', [{ collection: 'room-102', uuid }], /pc0001 exists and differs: collection room-101/],
    [
      'a collection that is not there',
      [{ name: 'b', macs: ['52:54:00:00:00:0b'], collection: 'x' }],
      /no collection x; it has room-101, room-102/,
    ],
    ['a MAC of another device', [{ name: 'b' }], /52:54:00:00:00:01 belongs to device pc0001/],
    [
      'a UUID of another device',
      [{ name: 'b', macs: ['52:54:00:00:00:0b'], uuid }],
      /belongs to device pc0001: add this one without a UUID, .* remove pc0001 first/,
    ],
    [
      'the same in the other byte order',
      [{ name: 'b', macs: ['52:54:00:00:00:0b'], uuid: otherOrder(uuid) }],
      /belongs to device pc0001 as 6d3c8a62-0000-4000-8000-000000000001, its other byte order: add this one without/,
    ],
    [
      'a MAC twice in one call',
      [
        { name: 'b', macs: ['52:54:00:00:00:0b'] },
        { name: 'c', macs: ['52:54:00:00:00:0b'] },
      ],
      /belongs to device b/,
    ],
    ['a name that is no label', [{ name: 'Not a label', macs: ['52:54:00:00:00:0c'] }], /a device name is 1 to 63/],
  ])('refuses %s, and adds none of the call', async (_, devices, reason) => {
    expect(await refusal(...devices)).toMatch(reason);
    expect(value(await listDevices(database))).toEqual([aDevice({ uuid })]);
  });

  test('lists by collection and by site, gets one, removes with all its MACs; audit tells', async () => {
    const second = aDevice({
      name: 'b',
      macs: ['52:54:00:00:00:0b', '52:54:00:00:00:0c'],
      collection: 'room-102',
      class: 'Test',
    });
    value(await addDevices(database, [second], command));
    expect(value(await listDevices(database, { collection: 'room-102' }))).toEqual([second]);
    expect(value(await listDevices(database, { site: 'default' }))).toHaveLength(2);
    expect(value(await listDevices(database, { site: 'lyon' }))).toEqual([]);
    expect(value(await getDevice(database, 'b'))).toEqual(second);
    await dirty(database);
    expect(value(await removeDevice(database, 'b', command))).toEqual(second);
    expect(new Set(await dirty(database))).toEqual(
      new Set(['device b', 'mac 52:54:00:00:00:0b', 'mac 52:54:00:00:00:0c', 'removed b']),
    );
    expect(value(await removeDevice(database, 'b', command))).toBeUndefined();
    const audit = value(
      await database.run((db) => db.selectFrom('audit').selectAll().where('name', '=', 'b').orderBy('id').execute()),
    );
    expect(audit).toMatchObject([
      { action: 'add', source: 'command', who: 'test', before: null, after: second },
      { action: 'remove', before: second, after: null },
    ]);
  });
});

/** 2 s for a statement are not many on a slow machine: what a farm has 10,000 of tells the feed once a statement. */
describe('what a farm has thousands of', () => {
  const TABLES = ['device', 'device_mac', 'session', 'removed'];
  const CHANGES = [
    sql`insert into device (name, uuid, collection) select 'm' || n, case when n % 2 = 0 then
      ('00000000-0000-4000-8000-0000000000' || (10 + n))::uuid end, 'room-101' from generate_series(1, 8) n`,
    sql`insert into device_mac select '52:54:00:00:00:' || (10 + n), 'm' || n, 0 from generate_series(1, 8) n`,
    sql`update device set enabled = n < 3 from generate_series(1, 4) n where name = 'm' || n`,
    sql`update device set uuid = null where name in ('m1', 'm2', 'm4')`,
    sql`update device set enabled = enabled`,
    sql`update device_mac set mac = '52:54:00:00:00:99' where device = 'm5'`,
    sql`insert into session (device, server, vdisk, version, since, epoch, protocol)
      select 'm' || n, 'node-a', 'lab', 0, 1, 1, 'bsp' from generate_series(1, 4) n`,
    sql`insert into session (device, server, vdisk, version, since, epoch, protocol)
      select 'm' || n, 'node-b', 'lab', 0, 1, 2, 'bsp' from generate_series(3, 6) n
      on conflict (device) do update set server = excluded.server where session.device <> 'm3'`,
    sql`update session set ended = true where server = 'node-a'`,
    sql`delete from device where name <> 'm8'`,
    sql`insert into device (name, collection) values ('m1', 'room-102'), ('m9', 'room-102')`,
    sql`delete from session`,
    sql`delete from device where false`,
  ];

  async function told(name: string, list: typeof migrations): Promise<string[][]> {
    const uri = await postgres.createDatabase(name);
    value(await migrate(uri, list));
    const database = open(uri);
    value(await project(database, projectionOf(aFarm())));
    await dirty(database);
    const each: string[][] = [];
    for (const change of CHANGES) {
      value(await database.run((db) => change.execute(db)));
      each.push([...new Set(await dirty(database))]);
    }
    return each;
  }

  test('tells the feed by the statement what it told by the row', async () => {
    const [byRow, byStatement] = await Promise.all([
      told('rows', migrations.slice(0, 9)),
      told('statements', migrations),
    ]);
    expect(byStatement).toEqual(byRow);
    expect(byRow.map((keys) => keys.length)).toEqual([12, 16, 3, 4, 0, 3, 4, 3, 3, 22, 3, 6, 0]);
  });

  test('and has no trigger of ours that a row calls', async () => {
    const database = await fresh('triggers');
    const { rows } = value(
      await database.run((db) =>
        sql<{ name: string }>`select tgrelid::regclass || ' ' || tgname as name from pg_trigger
          where not tgisinternal and tgtype & 1 = 1 and tgrelid = any(${TABLES}::regclass[])`.execute(db),
      ),
    );
    expect(rows).toEqual([]);
  });
});

describe('a machine that is enrolled', () => {
  let database: Database;
  const how = { namePrefix: 'pc', digits: 4 };
  const actor = { source: 'auto-add', who: 'node-a' } as const;
  const machine = (last: string) => {
    const { name: _, ...rest } = aDevice({ macs: [`52:54:00:00:01:${last}`] });
    return rest;
  };
  const enrol = async (last: string, numbering = how) =>
    value(await enrolDevice(database, machine(last), numbering, actor)).name;
  beforeAll(async () => {
    database = await fresh('enrolled');
    await loadDatabase(database, { snapshot: aFarm(), devices: [], sessions: [] });
  });

  test('gets the first number, and the next one the next', async () => {
    expect(await enrol('01')).toBe('pc0001');
    expect(await enrol('02')).toBe('pc0002');
    expect(value(await listDevices(database))).toEqual(
      ['1', '2'].map((n) => ({ ...machine(`0${n}`), name: `pc000${n}` })),
    );
  });

  test('is none when as many have come so, and is still the device that it is already', async () => {
    const most = { ...how, most: 1 };
    const byItself = (last: string) => ({ ...machine(last), properties: { source: 'auto-add' } });
    const full = await fresh('full');
    await loadDatabase(full, { snapshot: aFarm(), devices: [aDevice({ name: 'by-hand' })], sessions: [] });
    expect(value(await enrolDevice(full, byItself('01'), most, actor)).name).toBe('pc0001');
    expect(await enrolDevice(full, byItself('02'), most, actor)).toMatchObject({
      ok: false,
      error: { code: 'AutoAddFull', message: expect.stringContaining('spec.autoAdd.maxDevices') },
    });
    expect(value(await enrolDevice(full, byItself('01'), most, actor)).name).toBe('pc0001');
  });

  test('is the device that it is already', async () => {
    expect(await enrol('02')).toBe('pc0002');
    expect(value(await listDevices(database))).toHaveLength(2);
  });

  test('comes after the highest number, whatever the names that are none, and outgrows the digits', async () => {
    const names = ['pc0041', 'pc-boss', 'pc99x', 'pc525400000099', 'room-9999', 'pcs9999'];
    const there = names.map((name, n) => aDevice({ name, macs: [`52:54:00:00:02:0${n}`] }));
    value(await addDevices(database, there, command));
    expect(await enrol('03')).toBe('pc0042');
    expect(await enrol('04', { namePrefix: 'pc', digits: 1 })).toBe('pc43');
    expect(await enrol('05', { namePrefix: 'room-', digits: 2 })).toBe('room-10000');
  });

  test('at several servers at once, is one device; many machines are as many, each with its own number', async () => {
    const lasts = Array.from({ length: 24 }, (_, n) => String(10 + (n % 8)));
    const names = await Promise.all(lasts.map((last) => enrol(last)));
    expect(new Set(names).size).toBe(8);
    expect(names.slice(0, 8)).toEqual(names.slice(8, 16));
  });

  test('is refused with the reason when its collection is gone', async () => {
    expect(await enrolDevice(database, { ...machine('66'), collection: 'x' }, how, actor)).toMatchObject({
      error: { code: 'Conflict', message: expect.stringContaining('no collection x') },
    });
  });
});

describe('a database that must be proven', () => {
  const foreign = { code: 'DatabaseForeign', message: 'the database is that of farm b' } as const;

  test('what is not the farm’s is away: no work reaches it, until it is the right one', async () => {
    const uri = await postgres.createDatabase('proven');
    let fault: typeof foreign | undefined = foreign;
    let asked = 0;
    const prove = async () => {
      asked += 1;
      return fault;
    };
    const connected = value(connect({ uri, prove }));
    opened.push(connected);
    let worked = 0;
    const work = () =>
      connected.run(async (db) => {
        const answer = await sql`select 1`.execute(db);
        worked += 1;
        return answer;
      });
    expect(await work()).toEqual({ ok: false, error: foreign });
    expect(connected.state).toMatchObject({ reachable: false, fault: foreign });
    fault = undefined;
    await until('a probe proves it', () => connected.state.reachable);
    value(await work());
    expect(worked).toBe(1);
    const before = asked;
    await until('it is proven again, though the connection lives', async () => value(await work()) && asked > before);
    fault = foreign;
    await until('and found to be another', async () => !(await work()).ok);
    expect(connected.state.reachable).toBe(false);
  });

  test('each new connection is asked, and a proof that fails leaves none behind', async () => {
    const uri = await postgres.createDatabase('proven2');
    let asked = 0;
    const database = value(
      connect({
        uri,
        prove: async (db) => {
          asked += 1;
          await sql`select 1`.execute(db);
          return undefined;
        },
      }),
    );
    opened.push(database);
    const together = await Promise.all(
      [1, 2, 3, 4].map(() => database.run((db) => sql`select pg_sleep(0.1)`.execute(db))),
    );
    expect(together.every(({ ok }) => ok)).toBe(true);
    expect(asked).toBeGreaterThanOrEqual(4);
    const broken = value(connect({ uri, prove: (db) => sql`select from nowhere`.execute(db).then(() => undefined) }));
    opened.push(broken);
    expect(await broken.run((db) => sql`select 1`.execute(db))).toMatchObject({
      error: { code: 'Refused', message: /nowhere/ },
    });
    expect(broken.state.reachable).toBe(false);
  });
});

describe('copies', () => {
  const M = 'c'.repeat(64);
  const right: CopyRow = {
    server: 'node-a',
    version: 0,
    state: 'UpToDate',
    message: '',
    manifest: M,
    verifiedAt: 1_700_000_000,
  };
  const copying: CopyRow = {
    ...{ server: 'node-b', version: 0, state: 'Copying', message: 'copies lab.raw' },
    ...{ progressPercent: 40, secondsLeft: 120 },
  };
  const files = [{ name: 'lab.1.avhdx', sizeBytes: 512, sha256: 'd'.repeat(64) }];
  const inConflict: CopyRow = {
    server: 'node-a',
    version: 1,
    state: 'Conflict',
    message: 'who is right?',
    manifest: M,
    files,
  };
  let database: Database;
  beforeAll(async () => {
    database = await fresh('copies');
    value(await project(database, projectionOf(aFarm())));
    await dirty(database);
  });
  const put = async (...rows: readonly CopyRow[]) =>
    value(await recordCopies(database, 'lab', { put: rows, gone: [] }));
  const lab = async () => value(await copiesOf(database, 'lab'));
  const since = async (server: string): Promise<number> =>
    value(await allCopies(database)).find((copy) => copy.server === server)?.since ?? Number.NaN;

  test('are recorded as they are judged, and the feed hears of each that changes', async () => {
    await put(right, copying, inConflict);
    expect(await lab()).toEqual(expect.arrayContaining([right, copying, inConflict]));
    expect(await dirty(database)).toEqual(['copy lab/0/node-a', 'copy lab/0/node-b', 'copy lab/1/node-a']);
    const { files: _, ...told } = inConflict;
    const at = { since: expect.any(Number), reportedAt: expect.any(Number) };
    expect(value(await allCopies(database))).toEqual(
      [right, copying, told].map((row) => ({ ...row, vdisk: 'lab', ...at })),
    );
    await put(right, { ...copying, secondsLeft: 60 });
    expect(await dirty(database)).toEqual([]);
  });

  test('a state has begun when it became another one, whatever else changes', async () => {
    value(await database.run((db) => sql`update copy set since = to_timestamp(1000)`.execute(db)));
    await put({ ...copying, progressPercent: 50, secondsLeft: 100 });
    expect([await since('node-b'), (await lab()).find(({ server }) => server === 'node-b')]).toEqual([
      1_000,
      { ...copying, progressPercent: 50, secondsLeft: 100 },
    ]);
    await put({ ...copying, state: 'Missing' });
    expect(await since('node-b')).toBeGreaterThan(1_700_000_000);
  });

  test('what was recorded is not written again, nor read before a while; what somebody emptied is', async () => {
    const done: string[] = [];
    const counted = { ...database, run: (work: never) => database.run(work) } as Database;
    const writes = {
      ...counted,
      run: (work: never) => {
        done.push('asked');
        return database.run(work);
      },
    } as Database;
    const found = { copies: [right, inConflict], images: new Map([['node-a', new Set([0, 1])]]) };
    const record = new CopyRecord();
    expect(await record.record(writes, 'lab', found)).toEqual(ok(undefined));
    expect((await lab()).toSorted((a, b) => a.version - b.version)).toEqual([right, inConflict]);
    expect(done).toHaveLength(2);
    await dirty(database);
    expect(await record.record(writes, 'lab', found)).toEqual(ok(undefined));
    expect(done).toHaveLength(2);
    expect(await new CopyRecord().record(writes, 'lab', found)).toEqual(ok(undefined));
    expect([done.length, await dirty(database)]).toEqual([3, []]);
    value(await recordCopies(database, 'lab', { put: [], gone: [right] }));
    expect(await new CopyRecord().record(database, 'lab', found)).toEqual(ok(undefined));
    expect(await lab()).toHaveLength(2);
  });

  test('count for who removes a version while their server lives', async () => {
    expect(value(await versionsUsed(database)).copies).toEqual([]);
    const [server] = aFarm().servers;
    if (server) value(await registerServer(database, server));
    expect(value(await versionsUsed(database)).copies).toContainEqual({
      ...{ server: 'node-a', vdisk: 'lab', version: 0, state: 'UpToDate' },
    });
    value(await database.run((db) => sql`update server set heartbeat = now() - interval '2 minutes'`.execute(db)));
    expect(value(await versionsUsed(database)).copies).toEqual([]);
  });

  test('what a person accepts is right from then on, once, and nobody who knew nothing of it writes over it', async () => {
    const of = { vdisk: 'lab', number: 1, server: 'node-a' };
    const accept = async (manifest: string, number = 1) =>
      value(await acceptContent(database, { ...of, number }, { manifest, files }, command));
    expect(await accept(M, 7)).toBe('NoVersion');
    expect(await accept(M)).toBe('Accepted');
    expect(await accept(M)).toBe('Unchanged');
    expect(await accept('e'.repeat(64))).toEqual({ right: M });
    const other = { manifest: 'e'.repeat(64), files };
    expect(value(await setVersionContent(database, 'lab', 1, other))).toBe(false);
    expect(value(await snapshot(database))?.versions.find(({ number }) => number === 1)?.content).toEqual({
      manifest: M,
      files,
    });
    expect(value(await setVersionContent(database, 'lab', 1, other, M))).toBe(true);
    const audit = await database.run((db) => db.selectFrom('audit').select(['action', 'name', 'after']).execute());
    expect(value(audit)).toEqual([{ action: 'accept', name: 'lab/1', after: { server: 'node-a', manifest: M } }]);
  });

  test('of two persons who accept at once one is first, and that word holds', async () => {
    const of = { vdisk: 'lab', number: 0, server: 'node-a' };
    const word = (digit: string) => acceptContent(database, of, { manifest: digit.repeat(64), files }, command);
    const words = (await Promise.all(['a', 'b'].map(word))).map(value);
    const first = words.indexOf('Accepted');
    expect(words.toSpliced(first, 1)).toEqual([{ right: 'ab'.charAt(first).repeat(64) }]);
  });

  test('go with their server, and with their vDisk', async () => {
    await put(right, copying);
    value(await unregisterServer(database, 'node-a'));
    expect((await lab()).map(({ server }) => server)).toEqual(['node-b']);
    value(await remove(database, 'vdisk', 'lab'));
    expect(await lab()).toEqual([]);
  });
});

describe('leading', () => {
  const owner = { uid: 'one', name: 'lab/farm' };

  test('each leader is above all before it, and above the replica; only the last one writes', async () => {
    const database = await fresh('leading');
    const begin = { owner, floor: 0 };
    const first = value(await lead(database, begin));
    const second = value(await lead(database, { ...begin, floor: 1_000 }));
    expect([first, second]).toEqual([1, 1_001]);
    const [old, now] = [fencedBy(database, first), fencedBy(database, second)];
    value(await project(now, projectionOf(aFarm())));
    const suspended = { ...projectionOf(aFarm()), farm: { ...projectionOf(aFarm()).farm, suspend: true } };
    for (const late of [
      () => project(old, suspended),
      () => remove(old, 'vdisk', 'lab'),
      () => setVersionContent(old, 'lab', 0, { manifest: 'e'.repeat(64), files: [] }),
      () => unregisterServer(old, 'node-a'),
    ])
      expect(await late()).toMatchObject({ error: { code: 'Fenced', message: /leader 1001, and this one is 1:/ } });
    expect(value(await snapshot(database))?.farm.suspend).toBe(false);
    value(await remove(now, 'vdisk', 'pinned'));
  });

  test('a migration of a leader that was paused changes nothing', async () => {
    const uri = await postgres.createDatabase('leading2');
    value(await migrate(uri));
    const database = open(uri);
    const epoch = value(await lead(database, { owner, floor: 0 }));
    const more = [...migrations, { number: 99, name: 'late', sql: 'create table late (x int)' }];
    expect(await migrate(uri, more, epoch - 1)).toMatchObject({ error: { code: 'Fenced' } });
    expect(value(await migrate(uri, more, epoch))).toEqual(['late']);
  });

  test('of two Farms that find it empty at once one has it; the other by a person’s word, or when that one is deleted', async () => {
    const database = await fresh('leading3');
    const begin = (uid: string) => ({ owner: { uid, name: `lab/${uid}` }, floor: 0 });
    value(await lead(database, begin('one')));
    expect(await lead(database, begin('two'))).toMatchObject({
      error: { code: 'Conflict', message: /belongs to Farm lab\/one/ },
    });
    expect(await lead(database, { ...begin('two'), takeOver: { from: 'zero' } })).toMatchObject({
      error: { code: 'Conflict' },
    });
    value(await lead(database, { ...begin('two'), takeOver: { from: 'one' } }));
    expect(value(await database.run(readIdentity)).owner).toEqual({ uid: 'two', name: 'lab/two' });
    value(await release(database, 'one'));
    expect(await lead(database, begin('one'))).toMatchObject({ error: { code: 'Conflict' } });
    value(await recordKeys(fencedBy(database, 2), 'secret'));
    expect(value(await database.run(readIdentity))).toMatchObject({ owner: { uid: 'two' }, keys: 'secret' });
    expect(await recordKeys(fencedBy(database, 1), 'late')).toMatchObject({ error: { code: 'Fenced' } });
    value(await release(database, 'two'));
    const freed = value(await database.run(readIdentity));
    expect([freed.owner, freed.freedBy]).toEqual([undefined, 'lab/two']);
    value(await lead(database, begin('one')));
  });

  test('a database of any state is read: empty, and of the release before', async () => {
    const uri = await postgres.createDatabase('leading4');
    const database = open(uri);
    const nothing = { adoptions: 0, revision: 0, replaces: [], hasDevices: false, led: false };
    expect(value(await database.run(readIdentity))).toEqual(nothing);
    value(await migrate(uri, migrations.slice(0, 1)));
    expect(value(await database.run(readIdentity))).toEqual(nothing);
    const row = sql`insert into farm (name, mode, offline, suspend) values ('farm', 'Trusted', '{}', false)`;
    value(await database.run((db) => row.execute(db)));
    expect(value(await database.run(readIdentity))).toEqual({
      ...nothing,
      farm: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    value(await migrate(uri));
    expect(value(await database.run(readIdentity))).toMatchObject({ led: true, revision: 0 });
  });
});

describe('a database in trouble', () => {
  test('a uri that is none is refused at once', () => {
    expect(connect({ uri: 'mysql://x' })).toMatchObject({ ok: false, error: { code: 'InvalidUri' } });
  });

  test.each([
    [
      'a wrong password',
      (uri: string) => uri.replace('secret', 'wrong'),
      'AuthenticationFailed',
      /check user and password/,
    ],
    ['no such database', (uri: string) => `${uri}x`, 'Refused', /does not exist/],
    ['nobody listening', (uri: string) => uri.replace(/:\d+\//, ':1/'), 'Unreachable', /ECONNREFUSED/],
    ['TLS where there is none', (uri: string) => `${uri}?sslmode=require`, 'Refused', /SSL/],
  ])('%s is named, without the secret, by calls and by the state', async (_, change, code, message) => {
    const database = open(change(postgres.uri));
    const answer = await sessions(database);
    expect(answer).toMatchObject({ ok: false, error: { code, message } });
    expect(JSON.stringify(answer)).not.toMatch(/:secret|wrong/);
    expect(database.state).toMatchObject({ reachable: false, fault: { code } });
  });

  test('a bug in the caller is thrown, not taken for a fault', async () => {
    const database = open(postgres.uri);
    await expect(database.run(() => Promise.reject(new TypeError('bug')))).rejects.toThrow('bug');
  });

  test('a slow statement trips the breaker; then calls answer at once until a probe succeeds', async () => {
    const database = open(postgres.uri);
    const states: DatabaseState[] = [];
    database.onState((state) => states.push(state));
    const slow = await database.run((db) => sql`select pg_sleep(30)`.execute(db));
    expect(slow).toMatchObject({ ok: false, error: { code: 'TimedOut' } });
    const passed = quietClock();
    expect(await database.run((db) => sql`select 1`.execute(db))).toMatchObject({ error: { code: 'TimedOut' } });
    expect(passed()).toBeLessThan(1_000); // the statement itself has 2 s
    await until('the breaker closes', () => database.state.reachable);
    expect(states.map(({ reachable }) => reachable)).toEqual([false, true]);
  });

  test('a probe that is refused, whatever the reason, is not the last', async () => {
    const owner = open(await postgres.createDatabase('barred'));
    const say = async (statement: string) => value(await owner.run((db) => sql.raw(statement).execute(db)));
    await say(`create role guest login password 'secret'`);
    const uri = new URL(postgres.uri);
    uri.username = 'guest';
    uri.pathname = '/barred';
    const database = open(uri.href);
    value(await database.run((db) => sql`select 1`.execute(db)));
    await say('revoke connect on database barred from public');
    await database.run((db) => sql`select pg_sleep(30)`.execute(db));
    await until(
      'the state gives the reason',
      () => !database.state.reachable && database.state.fault.code === 'Refused',
    );
    await say('grant connect on database barred to public');
    await until('it is reachable again', () => database.state.reachable);
  });

  test('an exhausted pool trips it', async () => {
    const database = open(postgres.uri, 1);
    const hold = database.run((db) =>
      db.connection().execute(async (one) => {
        for (let n = 0; n < 3; n++) await sql`select pg_sleep(1)`.execute(one);
      }),
    );
    expect(await database.run((db) => sql`select 1`.execute(db))).toMatchObject({ error: { code: 'TimedOut' } });
    expect(await hold).toMatchObject({ ok: false });
    await until('the breaker closes', () => database.state.reachable);
  });

  test('killed: idle connections tell at once; started again: it heals by itself', async () => {
    const database = open(postgres.uri);
    value(await database.run((db) => sql`select 1`.execute(db)));
    await postgres.kill();
    await until('the state says so', () => !database.state.reachable);
    expect(await database.run((db) => sql`select 1`.execute(db))).toMatchObject({ error: { code: 'Unreachable' } });
    await postgres.start();
    await until('it is reachable again', () => database.state.reachable);
    value(await database.run((db) => sql`select 1`.execute(db)));
  });

  test('frozen: takes connections and says nothing: dead after 2 s', async () => {
    const database = open(postgres.uri);
    postgres.freeze();
    try {
      const passed = quietClock();
      expect(await database.run((db) => sql`select 1`.execute(db))).toMatchObject({ error: { code: 'TimedOut' } });
      expect(passed()).toBeLessThan(4_000);
    } finally {
      postgres.thaw();
    }
    await until('it is reachable again', () => database.state.reachable);
  });
});
