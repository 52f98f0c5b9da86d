import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { sql } from 'kysely';
import { stringify } from 'safe-stable-stringify';
import { askFarm } from '../../src/commands/vdisk-known.ts';
import { connect, type Database } from '../../src/database/connection.ts';
import { recordCopies } from '../../src/database/copies.ts';
import { databaseData } from '../../src/database/data.ts';
import { addDevices, markSharedUuid, removeDevice } from '../../src/database/devices.ts';
import { readIdentity } from '../../src/database/identity.ts';
import { KINDS, readPage } from '../../src/database/kinds.ts';
import { migrate } from '../../src/database/migrate.ts';
import { project } from '../../src/database/project.ts';
import { endSession, registerServer, unregisterServer, upsertSession } from '../../src/database/servers.ts';
import type { Server } from '../../src/farm/model.ts';
import { type Fault, fail, type Result } from '../../src/kit/result.ts';
import { openJournal } from '../../src/replica/journal.ts';
import { kindKey, META, SHAPE } from '../../src/replica/layout.ts';
import { READER } from '../../src/replica/link.ts';
import { type Projector, startProjector } from '../../src/replica/projector.ts';
import { type FarmReplica, openReplica } from '../../src/replica/reader.ts';
import { sessionWriter } from '../../src/replica/sessions.ts';
import { serverIdentity } from '../../src/server/identity.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aDevice } from '../builders/farm.ts';
import { aFarm, aSession, sorted } from '../builders/rows.ts';
import { farmDataContract } from '../contract/farmdata.ts';
import { loadDatabase, projectionOf } from '../fakes/database.ts';
import { type ReplicaServers, startReplica } from '../fakes/replica.ts';
import { type PostgresServer, type RedisServer, startPostgres, startRedis } from '../setup/services.ts';
import { until } from '../setup/time.ts';

let postgres: PostgresServer;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.close());

function value<T>(result: Result<T, Fault>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

const command = { source: 'command', who: 'test' } as const;

/** A farm database, a primary and a follower, as in a cluster; the projector is started by the test. */
class Scene {
  database: Database;
  uri: string;
  readonly primary: RedisServer;
  readonly follower: RedisServer;
  readonly replica: FarmReplica;
  readonly #servers: ReplicaServers;
  readonly #projectors: Projector[] = [];
  farmId = '';

  constructor(uri: string, servers: ReplicaServers) {
    this.uri = uri;
    this.database = value(connect({ uri }));
    this.primary = servers.primary;
    this.follower = servers.follower;
    this.#servers = servers;
    this.replica = openReplica({ socketPath: servers.follower.socketPath, pollMs: 10 });
  }

  static async create(name: string): Promise<Scene> {
    const uri = await postgres.createDatabase(name);
    value(await migrate(uri));
    return new Scene(uri, await startReplica());
  }

  async fill(): Promise<void> {
    await loadDatabase(this.database, { snapshot: aFarm(), devices: [aDevice()], sessions: [aSession()] });
    this.farmId = value(await project(this.database, projectionOf(aFarm()))).farmId;
  }

  /** From now on the farm's uri names this database. */
  async move(uri: string): Promise<void> {
    await this.database.close();
    value(await migrate(uri));
    this.uri = uri;
    this.database = value(connect({ uri }));
  }

  project(epoch = 1, farmId = this.farmId): Projector {
    const options = { database: this.database, redis: this.#servers.redis, farmId, epoch };
    const projector = startProjector({ ...options, settledMs: 0, log: silentLogger });
    this.#projectors.push(projector);
    return projector;
  }

  /** A raw look at the primary, with every right. */
  async atPrimary<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(this.#servers.testUrl, { retryStrategy: () => null, tls: { ca: this.#servers.redis.ca } });
    redis.on('error', () => {});
    try {
      return await work(redis);
    } finally {
      redis.disconnect();
    }
  }

  /** Do the follower and the database hold the same, entry for entry? */
  equal(): Promise<boolean> {
    return this.#atFollower(async (redis) => {
      for (const kind of KINDS) {
        const page = value(await this.database.run((db) => readPage(db, kind, '', 100_000)));
        const wanted = Object.fromEntries(page.map(({ key, json }) => [key, json]));
        const held = await redis.hgetall(kindKey(kind));
        if (stringify(wanted) !== stringify(held)) return false;
      }
      return true;
    });
  }

  async #atFollower<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis({ path: this.follower.socketPath, ...READER, retryStrategy: () => null });
    redis.on('error', () => {});
    try {
      return await work(redis);
    } finally {
      redis.disconnect();
    }
  }

  /** Each has in its file what it holds: nothing waits for a slow sync, and after a full copy the file is written anew. */
  async written(): Promise<void> {
    const atFollower = () => this.#atFollower((redis) => redis.info('persistence'));
    const atPrimary = () => this.atPrimary((redis) => redis.info('persistence'));
    const waits = /^aof_(buffer_length|rewrite_in_progress|rewrite_scheduled|pending_rewrite):[^0]/m;
    for (const info of [atPrimary, atFollower])
      await until('all is in the file', async () => !waits.test(await info()), 20_000);
  }

  async close(): Promise<void> {
    for (const projector of this.#projectors) await projector.close();
    await this.replica.close();
    await this.database.close();
    await this.#servers.close();
  }
}

const inSync = (scene: Scene, projector: Projector): Promise<boolean> =>
  until('the follower holds what the database holds', async () => projector.health.state === 'InSync' && scene.equal());

farmDataContract('the replica', async () => {
  const scene = await Scene.create('contract_replica');
  let projector: Projector | undefined;
  return {
    data: scene.replica,
    async load(contents) {
      await scene.fill();
      await loadDatabase(scene.database, contents);
      projector ??= scene.project();
      await inSync(scene, projector);
    },
    close: () => scene.close(),
  };
});

describe('the feed', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.create('feed');
    await scene.fill();
  });
  afterAll(() => scene.close());

  test('brings every change of every kind, rolled back ones excepted, to the follower', async () => {
    const projector = scene.project();
    await inSync(scene, projector);
    const device = fc.record({ n: fc.nat(5), mac: fc.nat(7), uuid: fc.option(fc.nat(4)), enabled: fc.boolean() });
    const change = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), device }),
      fc.record({ kind: fc.constant('drop' as const), n: fc.nat(5) }),
      fc.record({ kind: fc.constant('session' as const), n: fc.nat(5), epoch: fc.nat(9) }),
      fc.record({ kind: fc.constant('end' as const), n: fc.nat(5), epoch: fc.nat(9) }),
      fc.record({ kind: fc.constant('shared' as const), n: fc.nat(5), uuid: fc.nat(4) }),
      fc.record({ kind: fc.constant('server' as const), n: fc.nat(2), rating: fc.nat(3) }),
      fc.record({ kind: fc.constant('away' as const), n: fc.nat(2) }),
      fc.record({
        kind: fc.constant('copy' as const),
        n: fc.nat(2),
        percent: fc.constantFrom(10, 20),
        gone: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('vdisk' as const), enabled: fc.boolean(), keep: fc.boolean() }),
      fc.record({
        kind: fc.constant('raw' as const),
        text: fc.constantFrom(
          'update device set enabled = not enabled',
          'delete from device_mac',
          'truncate device cascade',
        ),
      }),
    );
    type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;
    const [server] = aFarm().servers;
    const farm = projectionOf(aFarm());
    const uuidOf = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
    const apply = async (it: Change): Promise<unknown> => {
      const { database } = scene;
      switch (it.kind) {
        case 'add': {
          const uuid = it.device.uuid === null ? {} : { uuid: uuidOf(it.device.uuid) };
          const macs = [`52:54:00:00:01:0${it.device.mac}`];
          return addDevices(
            database,
            [aDevice({ name: `d${it.device.n}`, macs, enabled: it.device.enabled, ...uuid })],
            command,
          );
        }
        case 'shared':
          return markSharedUuid(database, { name: `d${it.n}`, uuid: uuidOf(it.uuid), mac: '52:54:00:00:01:99' });
        case 'drop':
          return removeDevice(database, `d${it.n}`, command);
        case 'session':
          return upsertSession(database, aSession({ device: `d${it.n}`, epoch: it.epoch }));
        case 'end':
          return endSession(database, `d${it.n}`, it.epoch);
        case 'server':
          return server && registerServer(database, { ...server, name: `s${it.n}`, powerRating: it.rating });
        case 'away':
          return unregisterServer(database, `s${it.n}`);
        case 'copy': {
          const copy = { server: `s${it.n}`, version: 0, state: 'Copying', message: '' } as const;
          const changes = it.gone
            ? { put: [], gone: [copy] }
            : { put: [{ ...copy, progressPercent: it.percent }], gone: [] };
          return recordCopies(database, 'lab', changes);
        }
        case 'vdisk':
          return project(database, {
            ...farm,
            vdisks: farm.vdisks.map((vdisk) => ({ ...vdisk, enabled: it.enabled })),
            versions: it.keep ? farm.versions : [],
          });
        case 'raw':
          return database.run((db) => sql.raw(it.text).execute(db));
      }
    };
    /** The same inside a transaction that is given up. */
    const rollBack = (text: string) =>
      scene.database
        .run((db) =>
          db.transaction().execute(async (trx) => {
            await sql.raw(text).execute(trx);
            throw new Error('given up');
          }),
        )
        .catch(() => undefined);
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 30 }), async (changes) => {
        await Promise.all([
          ...changes.map(apply),
          rollBack('delete from device'),
          rollBack(`update collection set doc = doc - 'vdisk'`),
        ]);
        await inSync(scene, projector);
      }),
      { seed: 20261123, numRuns: 25, endOnFailure: true },
    );
    await projector.close();
  });

  test('a change that commits late, after another one of the same device was brought over, is not lost', async () => {
    const { database } = scene;
    value(await addDevices(database, [aDevice({ name: 'slow', macs: ['52:54:00:00:02:00'] })], command));
    const projector = scene.project();
    await inSync(scene, projector);
    const macOf = (mac: string, position: number) => ({ mac, device: 'slow', position });
    const late = database.run((db) =>
      db.transaction().execute(async (trx) => {
        await trx.insertInto('device_mac').values(macOf('52:54:00:00:02:01', 1)).execute();
        value(
          await database.run((other) => other.insertInto('device_mac').values(macOf('52:54:00:00:02:02', 2)).execute()),
        );
        await until('the other one arrives', async () => value(await scene.replica.deviceByMac('52:54:00:00:02:02')));
      }),
    );
    value(await late);
    await until('the late one arrives', async () => value(await scene.replica.deviceByMac('52:54:00:00:02:01')));
    await inSync(scene, projector);
    await projector.close();
  });

  test('heartbeats write nothing into it', async () => {
    const projector = scene.project();
    const quiet = { ...aFarm().servers[0], name: 'quiet' } as Server;
    value(await registerServer(scene.database, quiet));
    await inSync(scene, projector);
    const token = () => scene.atPrimary((redis) => redis.hget(META, 'token'));
    const before = await token();
    for (let n = 0; n < 20; n++) value(await registerServer(scene.database, quiet));
    const copy = { server: 'quiet', version: 0, state: 'UpToDate', message: '' } as const;
    value(await recordCopies(scene.database, 'lab', { put: [copy], gone: [] }));
    value(await upsertSession(scene.database, aSession({ device: 'witness' })));
    await until('the session is there', async () => value(await scene.replica.sessionOf('witness')));
    const known = value(await askFarm({ replicaSocket: scene.follower.socketPath }));
    expect(known.sessions).toContainEqual(value(await scene.replica.sessionOf('witness')));
    expect(known.snapshot.vdisks).toHaveLength(aFarm().vdisks.length);
    expect(known.copies).toContainEqual(expect.objectContaining({ ...copy, vdisk: 'lab' }));
    const after = await token();
    const rows = value(await scene.database.run((db) => db.selectFrom('dirty').select('kind').execute()));
    expect([before === after, rows]).toEqual([false, []]);
    await projector.close();
  });

  test.each([
    ['emptied', (redis: Redis) => redis.flushall()],
    ['of another schema', (redis: Redis) => redis.hset(META, 'schema', 99)],
    ['of another shape', (redis: Redis) => redis.hset(META, 'shape', 'other')],
    ['at another token', (redis: Redis) => redis.hset(META, 'token', 'another')],
    ['full of something else', (redis: Redis) => redis.multi().flushall().set(kindKey('device'), 'text').exec()],
  ])('a primary that is %s is built anew while the projector runs', async (_, spoil) => {
    const projector = scene.project();
    await inSync(scene, projector);
    await scene.atPrimary<unknown>(spoil);
    await until(
      'rebuilt',
      async () =>
        (await scene.atPrimary((redis) => redis.hget(META, 'schema'))) === '1' &&
        (await scene.atPrimary((redis) => redis.hget(META, 'shape'))) === SHAPE &&
        scene.equal(),
    );
    await projector.close();
  });

  test('what changed while no projector ran is caught up without a rebuild', async () => {
    const before = await scene.atPrimary((redis) => redis.hget(META, 'snapshot'));
    value(await upsertSession(scene.database, aSession({ device: 'meanwhile' })));
    const projector = scene.project();
    await inSync(scene, projector);
    expect(await scene.atPrimary((redis) => redis.hget(META, 'snapshot'))).toBe(before);
    await projector.close();
  });

  test('a write that reached Redis and not the database is found and built anew', async () => {
    await scene.atPrimary((redis) =>
      redis.multi().hset(kindKey('device'), 'ghost', '{}').hset(META, 'token', 'uncommitted').exec(),
    );
    const projector = scene.project();
    await inSync(scene, projector);
    expect(await scene.atPrimary((redis) => redis.hexists(kindKey('device'), 'ghost'))).toBe(0);
    await projector.close();
  });
});

describe('two projectors', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.create('fence');
    await scene.fill();
  });
  afterAll(() => scene.close());

  test('the later leader fences the earlier one, which ends; an earlier one cannot come back', async () => {
    const first = scene.project(100);
    await inSync(scene, first);
    const second = scene.project(200);
    expect(await first.done).toEqual({ fencedBy: 200 });
    value(await upsertSession(scene.database, aSession({ device: 'fenced', epoch: 1 })));
    await inSync(scene, second);
    expect(await scene.project(150).done).toEqual({ fencedBy: 200 });
    expect(second.health.state).toBe('InSync');
    expect(await scene.atPrimary((redis) => redis.hget(META, 'epoch'))).toBe('200');
    await second.close();
  });

  test('one that finds the feed taken for seconds asks again, and takes no database for dead', async () => {
    const { database } = scene;
    let state: 'open' | 'taken' | 'free' = 'open';
    const taken = database.run((db) =>
      db.transaction().execute(async (trx) => {
        await trx.selectFrom('feed_cursor').selectAll().forUpdate().execute();
        state = 'taken';
        for (let n = 0; n < 2; n++) await sql`select pg_sleep(1.3)`.execute(trx);
        state = 'free';
      }),
    );
    await until('it is taken', () => state === 'taken');
    const projector = scene.project(200);
    const states: boolean[] = [];
    database.onState(({ reachable }) => states.push(reachable));
    await until('InSync', () => projector.health.state === 'InSync');
    expect([state, states]).toEqual(['free', []]);
    value(await taken);
    await projector.close();
  });

  test('Redis alone fences too: a leader that lost the database to another one writes nothing', async () => {
    await scene.atPrimary((redis) => redis.hset(META, 'epoch', 999));
    expect(await scene.project(300).done).toEqual({ fencedBy: 999 });
    await scene.atPrimary((redis) => redis.hset(META, 'epoch', 200));
  });

  test('the database alone fences too: an empty Redis lets no earlier leader in', async () => {
    await scene.atPrimary((redis) => redis.flushall());
    expect(await scene.project(150).done).toEqual({ fencedBy: 200 });
    expect(await scene.atPrimary((redis) => redis.dbsize())).toBe(0);
  });
});

describe('a primary that is lost', () => {
  let scene: Scene;
  let projector: Projector;
  beforeAll(async () => {
    scene = await Scene.create('lost');
    await scene.fill();
    projector = scene.project();
    await inSync(scene, projector);
  });
  afterAll(() => scene.close());

  test('its followers serve on, and its state is said', async () => {
    await until('the follower is counted', () => projector.health.followers === 1);
    await scene.primary.kill();
    await until('Stale is said', () => projector.health.state === 'Stale');
    const device = () => scene.replica.deviceByMac('52:54:00:00:00:01');
    expect(await until('it answers', async () => value(await device()))).toEqual(aDevice());
    expect(value(await scene.replica.checkedAt())).toBeGreaterThan(Date.now() - 60_000);
  });

  test('restarted empty, without a projector, it wipes no follower', async () => {
    await projector.close();
    scene.primary.wipe();
    await scene.primary.start();
    const asked = () => scene.atPrimary((redis) => redis.info('commandstats'));
    await until('the follower asked', async () => /cmdstat_psync:calls=[2-9]/.test(await asked()), 15_000);
    expect(await scene.atPrimary((redis) => redis.info('replication'))).toContain('connected_slaves:0');
    expect(value(await scene.replica.deviceByMac('52:54:00:00:00:01'))).toEqual(aDevice());
    expect(await scene.equal()).toBe(true);
  });

  test('then a projector fills it and lets the follower in', async () => {
    value(await addDevices(scene.database, [aDevice({ name: 'late', macs: ['52:54:00:00:00:99'] })], command));
    projector = scene.project(2);
    await until('the follower has the new device', async () => value(await scene.replica.deviceByName('late')), 15_000);
    await inSync(scene, projector);
  });

  test('a follower that is killed comes back from its own disk with the last change, with primary and projector gone', async () => {
    value(await addDevices(scene.database, [aDevice({ name: 'last', macs: ['52:54:00:00:00:98'] })], command));
    await until(
      'the follower has the last device',
      async () => value(await scene.replica.deviceByName('last')),
      15_000,
    );
    await projector.close();
    await scene.written();
    await scene.primary.kill();
    await scene.follower.kill();
    expect(await scene.replica.snapshot()).toMatchObject({ ok: false, error: { code: 'Unreachable' } });
    await scene.follower.start();
    const snapshot = await until('it answers', async () => value(await scene.replica.snapshot()));
    expect(sorted(snapshot).vdisks).toEqual(aFarm().vdisks);
    expect(await scene.equal()).toBe(true);
  });

  test('a primary that is killed comes back as what it was: META outlives its process', async () => {
    await scene.primary.start();
    const held = () =>
      scene.atPrimary(async (redis) => [await redis.hget(META, 'farm'), await redis.hlen(kindKey('device'))]);
    expect(await held()).toEqual([scene.farmId, 3]);
  });
});

describe('a database that is not the one that the replica is of', () => {
  const MANY = 2_000;
  let scene: Scene;
  let original: string;
  let yesterday: string;
  const meta = (field: string) => scene.atPrimary((redis) => redis.hget(META, field));
  const held = async (): Promise<number> => value(await scene.replica.deviceCount());

  beforeAll(async () => {
    scene = await Scene.create('identity');
    original = postgres.uri.replace(/postgres$/, 'identity');
    await scene.fill();
    const many = Array.from({ length: MANY }, (_, n) => {
      const hex = n.toString(16).padStart(4, '0');
      return aDevice({ name: `many${n}`, macs: [`52:54:01:00:${hex.slice(0, 2)}:${hex.slice(2)}`] });
    });
    value(await addDevices(scene.database, many, command));
    const projector = scene.project();
    await inSync(scene, projector);
    await projector.close();
    await scene.database.close();
    yesterday = await postgres.createDatabase('identity_yesterday', 'identity');
    await scene.move(original);
  });
  afterAll(() => scene.close());

  /** A projector that is refused has written nothing, and a follower holds all that it held. */
  async function refused(projector: Projector, reason: string, says: RegExp): Promise<void> {
    const before = await scene.atPrimary((redis) => redis.hgetall(META));
    // What goes wrong before that is tried again, up to 5 s later each time.
    await until(`${reason} is said`, () => projector.health.refused === reason, 60_000).catch((cause) => {
      throw new Error(JSON.stringify(projector.health), { cause });
    });
    expect(projector.health).toMatchObject({ state: 'Stale', message: says });
    expect(await scene.atPrimary((redis) => redis.hgetall(META))).toEqual(before);
    expect(await held()).toBe(MANY + 1);
    await projector.close();
  }

  /** As a server: by what its follower holds, and by its mark when that holds nothing. What it has to write stays in its journal. */
  async function serverRefuses(code: string, says: RegExp): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'bootfarm-mark-'));
    const uri = scene.uri;
    const { farm = '' } = value(await scene.replica.identity());
    const asks = { ...scene.replica, identity: () => scene.replica.identity() };
    const unloaded = { identity: async () => fail('NotLoaded', 'the follower holds nothing') };
    for (const replica of [asks, unloaded]) {
      const { prove } = serverIdentity(replica, folder, silentLogger);
      const database = value(connect({ uri, prove }));
      const journal = await openJournal(join(folder, 'journal'));
      const sessions = sessionWriter({ database, journal, server: 'node-a', current: () => [], log: silentLogger });
      expect(await sessions.write(aSession({ device: 'kept' }))).toBe('Journal');
      expect(await databaseData(database).deviceByName('many1')).toMatchObject({ error: { code } });
      if (replica === asks) expect(database.state).toMatchObject({ fault: { code, message: says } });
      await sessions.close();
      await journal.close();
      await database.close();
    }
    expect(readFileSync(join(folder, 'farm'), 'utf8')).toMatch(new RegExp(`^${farm}@`));
    rmSync(folder, { recursive: true });
  }

  test('empty: refused by the farm that it should hold, and by the one that is made in it', async () => {
    await scene.move(await postgres.createDatabase('identity_empty'));
    await refused(scene.project(2), 'DatabaseForeign', /holds no farm, and this Farm is that of farm/);
    await serverRefuses('DatabaseForeign', /holds no farm, and this server's replica is that of farm/);
    const made = value(await project(scene.database, projectionOf(aFarm()))).farmId;
    await refused(scene.project(3, made), 'DatabaseForeign', /is that of farm .*, and the replica is that of farm/);
    await refused(scene.project(4), 'DatabaseForeign', /is that of farm .*, and this Farm is that of farm/);
  });

  test('then the old one is back: taken over as it is, without a rebuild', async () => {
    const before = await meta('snapshot');
    await scene.move(original);
    const projector = scene.project(5);
    await inSync(scene, projector);
    expect(await meta('snapshot')).toBe(before);
    value(await upsertSession(scene.database, aSession({ device: 'later' })));
    await until('the session is there', async () => value(await scene.replica.sessionOf('later')));
    const { revision } = value(await scene.database.run(readIdentity));
    await until('META knows the revision', async () => Number(await meta('revision')) === revision);
    await projector.close();
  });

  test('restored to yesterday: refused, with both revisions', async () => {
    await scene.move(yesterday);
    await refused(
      scene.project(6),
      'DatabaseBehind',
      /restored to the past: it stands at revision \d+ of .*, and the replica at revision \d+ of/,
    );
  });

  test('its many devices gone by TRUNCATE: refused; the few of a farm that begins are not asked about', async () => {
    await scene.database.close();
    await scene.move(await postgres.createDatabase('identity_truncated', 'identity'));
    value(await scene.database.run((db) => sql`truncate device cascade`.execute(db)));
    await refused(scene.project(7), 'DatabaseBehind', /holds no device, and the replica holds 2001/);
  });

  test('adopted by a person: the replica is built from it, and the one given up is behind from then on', async () => {
    await scene.move(yesterday);
    const farm = value(await scene.database.run(readIdentity)).farm ?? '';
    const adoption = { farm, adoptions: 1, replaces: [`${farm}@0`], revision: 1 };
    value(await project(scene.database, projectionOf(aFarm()), adoption));
    const adopted = scene.project(8);
    await inSync(scene, adopted);
    expect([await meta('adoptions'), await held()]).toEqual(['1', MANY + 1]);
    await adopted.close();
    await scene.move(original);
    await refused(scene.project(9), 'DatabaseBehind', /restored to the past/);
  });

  test('a META of which half is lost still says whose it is', async () => {
    await scene.move(await postgres.createDatabase('identity_other'));
    const made = value(await project(scene.database, projectionOf(aFarm()))).farmId;
    await scene.atPrimary((redis) => redis.hdel(META, 'token', 'epoch', 'snapshot', 'revision'));
    await until('refused', async () => {
      const projector = scene.project(10, made);
      await until('it is said', () => projector.health.refused === 'DatabaseForeign');
      await projector.close();
      return true;
    });
    expect(await scene.atPrimary((redis) => redis.hlen(kindKey('device')))).toBe(MANY + 1);
  });
});

describe('a database that is lost', () => {
  test('Offline is said, followers serve on, and what comes after its return reaches them', async () => {
    const scene = await Scene.create('offline');
    await scene.fill();
    const projector = scene.project();
    await inSync(scene, projector);
    await postgres.kill();
    await until('Offline is said', () => projector.health.state === 'Offline');
    expect(value(await scene.replica.deviceByMac('52:54:00:00:00:01'))).toEqual(aDevice());
    expect(await databaseData(scene.database).snapshot()).toMatchObject({ error: { code: 'Unreachable' } });
    await postgres.start();
    await until('the database is back', () => scene.database.state.reachable);
    value(await upsertSession(scene.database, aSession({ device: 'back' })));
    await until('the session arrives', async () => value(await scene.replica.sessionOf('back')));
    await scene.close();
  });
});

test('what a reader finds wrong has a name', async () => {
  const redis = await startRedis();
  const replica = openReplica({ socketPath: redis.socketPath });
  const client = new Redis({ path: redis.socketPath });
  await until('NotLoaded', async () => {
    const answer = await replica.snapshot();
    return !answer.ok && answer.error.code === 'NotLoaded';
  });
  await client.hset(META, { schema: 99, snapshot: 'x' });
  expect(await replica.snapshot()).toMatchObject({
    error: { code: 'SchemaUnknown', message: /schema 99; this release reads 1/ },
  });
  await client.hset(META, { schema: 1, snapshot: 'y' });
  expect(await replica.snapshot()).toMatchObject({ error: { code: 'SchemaUnknown' } });
  await client.hset(kindKey('device'), 'x', 'no json');
  expect(await replica.deviceByName('x')).toMatchObject({
    error: { code: 'EntryInvalid', message: expect.stringContaining('device no json') },
  });
  await client.hset(META, { schema: 1, snapshot: 'z' });
  await client.call('CONFIG', 'SET', 'requirepass', 'x');
  client.disconnect();
  await redis.kill();
  expect(await replica.deviceCount()).toMatchObject({ error: { code: 'Unreachable' } });
  await replica.close();
  await redis.close();
});
