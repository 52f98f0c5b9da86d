/** One release after the other on the same data, and two at once on one database and one replica: what the one writes, the other reads right. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { stringify } from 'safe-stable-stringify';
import { connect, type Database } from '../../src/database/connection.ts';
import { addDevices } from '../../src/database/devices.ts';
import { migrate } from '../../src/database/migrate.ts';
import { migrations } from '../../src/database/migrations/index.ts';
import { snapshot } from '../../src/database/project.ts';
import { registerServer, upsertSession } from '../../src/database/servers.ts';
import type { FarmSnapshot } from '../../src/farm/model.ts';
import type { Fault, Result } from '../../src/kit/result.ts';
import { META, SHAPE } from '../../src/replica/layout.ts';
import { startProjector } from '../../src/replica/projector.ts';
import { openReplica } from '../../src/replica/reader.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aDevice } from '../builders/farm.ts';
import { aFarm, aSession, sorted } from '../builders/rows.ts';
import { type ReplicaServers, startReplica } from '../fakes/replica.ts';
import { type PostgresServer, startPostgres } from '../setup/services.ts';
import { until } from '../setup/time.ts';
import { type Edit, nextRelease, Part, type Release, thisRelease } from '../upgrade/release.ts';

/** A field of a VDisk is three edits. */
const FIELD: readonly Edit[] = [
  [
    'src/resources/vdisk.ts',
    '    os: optional(os),\n',
    "    os: optional(os),\n    splash: defaulted(message('Shown while it boots.', 64), ''),\n",
  ],
  [
    'src/farm/model.ts',
    '  enabled: Type.Boolean(),\n  loadBalancing',
    "  enabled: Type.Boolean(),\n  splash: Type.String({ default: '' }),\n  loadBalancing",
  ],
  ['src/reconcile/projection.ts', '  enabled: spec.enabled,\n', '  enabled: spec.enabled,\n  splash: spec.splash,\n'],
];
/** A column with a default is no change of a row: no trigger tells of it. */
const COLUMN: readonly Edit[] = [
  [
    'src/database/migrations/9000-rack.ts',
    '',
    "export const sql = `alter table server add column rack text not null default 'none'`;\n",
  ],
  ['src/database/migrations/index.ts', '\n];', "\n  { number: 9000, name: 'rack', sql: rack },\n];"],
  [
    'src/database/migrations/index.ts',
    '\nexport interface',
    "\nimport { sql as rack } from './9000-rack.ts';\n\nexport interface",
  ],
  ['src/database/kinds.ts', "'ports', ports,", "'ports', ports, 'rack', rack,"],
  ['src/farm/model.ts', '  powerRating:', "  rack: Type.String({ default: 'unread' }),\n  powerRating:"],
];

let postgres: PostgresServer;
let next: Release;
const open: { close(): Promise<unknown> }[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  next = nextRelease([...FIELD, ...COLUMN]);
});
afterAll(async () => {
  next?.remove();
  for (const one of open) await one.close();
  await postgres?.close();
});

interface Scene {
  readonly uri: string;
  readonly database: Database;
  readonly replica: ReplicaServers;
}

async function scene(name: string): Promise<Scene> {
  const uri = await postgres.createDatabase(name);
  const database = connect({ uri });
  if (!database.ok) throw new Error(database.error.message);
  const replica = await startReplica();
  open.push(database.value, replica);
  return { uri, database: database.value, replica };
}

const leader = (release: Release, { uri, replica }: Scene, vdisk: object): Promise<Part> =>
  Part.start(release, 'leader', { uri, redis: replica.redis, vdisk });

test('what the release before the documents left in database and replica is read as it was', async () => {
  const old = await scene('before');
  const client = new Client({ connectionString: old.uri });
  await client.connect();
  await client.query(golden('database-4.sql'));
  await client.end();
  const redis = new Redis(old.replica.testUrl, { tls: { ca: old.replica.redis.ca } });
  open.unshift({ close: async () => redis.disconnect() });
  for (const [key, fields] of Object.entries(JSON.parse(golden('replica-4.json'))))
    await redis.hset(key, fields as object);
  const { farm: farmId = '' } = await redis.hgetall(META);

  expect(value(await migrate(old.uri))).toEqual(migrations.filter(({ number }) => number > 4).map(({ name }) => name));
  // As it was then: what has come since is not said, or has its default.
  const stores = aFarm().stores.map(({ verifyEverySeconds: _, ...store }) => store);
  // What was known then had been booted all along: it is settled by the migration.
  const settledAt = expect.any(Number) as unknown as number;
  const versions = aFarm().versions.map((version) => (version.content ? { ...version, settledAt } : version));
  const farm = { ...aFarm(), stores, versions, overrides: [], farm: { ...aFarm().farm, id: farmId } };
  expect(sorted(value(await snapshot(old.database)) as FarmSnapshot)).toEqual(sorted(farm));

  const redisAccess = old.replica.redis;
  const projector = startProjector({ database: old.database, redis: redisAccess, farmId, epoch: 2, log: silentLogger });
  open.unshift(projector);
  await until('in sync', () => projector.health.state === 'InSync');
  expect(await redis.hget(META, 'shape')).toBe(SHAPE);
  const replica = openReplica({ socketPath: old.replica.follower.socketPath });
  open.unshift(replica);
  await until('followed', async () => (await replica.snapshot()).ok, 15_000);
  expect(sorted(value(await replica.snapshot()))).toEqual(sorted(farm));
  expect(value(await replica.deviceByMac('52:54:00:00:00:01'))).toEqual(aDevice());
  expect(value(await replica.sessionOf('pc0001'))).toEqual(aSession());
});

/** What the next release added, of each answer; the rest of all answers is one. */
async function answersOf(
  part: Part,
): Promise<{ readonly later: (string | undefined)[][]; readonly rest: Set<string> }> {
  const later: (string | undefined)[][] = [];
  const rest = new Set<string>();
  for (const line of await part.end()) {
    const { snapshot: said, ...one } = JSON.parse(line);
    if (!said.ok) throw new Error(line);
    const [[{ splash, ...vdisk }], [{ rack, ...server }]] = [said.value.vdisks, said.value.servers];
    rest.add(String(stringify({ ...one, snapshot: { ...said.value, vdisks: [vdisk], servers: [server] } })));
    later.push([splash, rack]);
  }
  return { later, rest };
}

test('a release leads, the next one, and the first again, while servers of both read', async () => {
  const both = await scene('both');
  const first = await leader(thisRelease, both, {});
  const [server] = aFarm().servers;
  if (!server) throw new Error('no server');
  value(await registerServer(both.database, server));
  value(await addDevices(both.database, [aDevice()], { source: 'command', who: 'test' }));
  value(await upsertSession(both.database, aSession()));
  const socket = { socketPath: both.replica.follower.socketPath };
  const follower = openReplica(socket);
  open.unshift(follower);
  await until('all is there', async () => value(await follower.sessionOf('pc0001')));
  const [ours, theirs] = [await Part.start(thisRelease, 'reader', socket), await Part.start(next, 'reader', socket)];
  await first.end();
  const second = await leader(next, both, { splash: 'quiet' });
  const oursOfDatabase = await Part.start(thisRelease, 'reader', { uri: both.uri });
  const theirsOfDatabase = await Part.start(next, 'reader', { uri: both.uri });
  await second.end();
  await (await leader(thisRelease, both, {})).end();
  await (await leader(next, both, { splash: 'quiet' })).end();
  const [a, b, c, d] = [
    await answersOf(ours),
    await answersOf(theirs),
    await answersOf(oursOfDatabase),
    await answersOf(theirsOfDatabase),
  ];
  const [old, now] = [
    ['', 'unread'],
    ['quiet', 'none'],
  ];
  expect(b.later).toEqual([old, now, old, now]);
  expect(d.later).toEqual([now, ['', 'none'], now]); // the column stays
  expect(new Set([a, b, c, d].flatMap(({ rest }) => [...rest])).size).toBe(1);
});

const golden = (name: string): string => readFileSync(join(import.meta.dirname, '../golden', name), 'utf8');

function value<T>(result: Result<T, Fault>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}
