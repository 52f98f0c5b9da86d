/** `bootfarm replication` and `bootfarm vdisk accept` on a real PostgreSQL, and on a follower while that is away. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { replicationCommand } from '../../src/commands/replication.ts';
import { vdiskCommand } from '../../src/commands/vdisk.ts';
import { connect, type Database } from '../../src/database/connection.ts';
import { type CopyRow, recordCopies } from '../../src/database/copies.ts';
import { migrate } from '../../src/database/migrate.ts';
import { project, snapshot } from '../../src/database/project.ts';
import type { Result } from '../../src/kit/result.ts';
import { META } from '../../src/replica/layout.ts';
import { startProjector } from '../../src/replica/projector.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aFarm } from '../builders/rows.ts';
import { projectionOf } from '../fakes/database.ts';
import { type ReplicaServers, startReplica } from '../fakes/replica.ts';
import { fakeTerminal, type Said } from '../fakes/terminal.ts';
import { type PostgresServer, startPostgres } from '../setup/services.ts';
import { until } from '../setup/time.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-copies-'));
const uriFile = join(folder, 'uri');
let postgres: PostgresServer;
let database: Database;
let replica: ReplicaServers;
let projector: ReturnType<typeof startProjector>;

beforeAll(async () => {
  [postgres, replica] = await Promise.all([startPostgres(), startReplica()]);
  value(await migrate(postgres.uri));
  database = value(connect({ uri: postgres.uri }));
  writeFileSync(uriFile, postgres.uri);
  const { farmId } = value(await project(database, projectionOf(aFarm())));
  projector = startProjector({ database, redis: replica.redis, farmId, epoch: 1, log: silentLogger });
});
afterAll(async () => {
  await projector?.close();
  await database?.close();
  await replica?.close();
  await postgres?.close();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  delete process.env['BOOTFARM_REPLICA_SOCKET'];
});

function value<T>(answer: Result<T, { message: string }>): T {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

const ofDatabase = ['--database-uri-file', uriFile];
async function replication(...words: string[]): Promise<Said> {
  const { said, terminal } = fakeTerminal();
  await replicationCommand(terminal).parseAsync(words, { from: 'user' });
  return said;
}
async function accept(server: string, number = '1'): Promise<Said> {
  const { said, terminal } = fakeTerminal();
  const words = ['accept', 'lab', number, '--server', server, ...ofDatabase];
  await vdiskCommand(terminal).parseAsync(words, { from: 'user' });
  return said;
}
const put = async (vdisk: string, ...rows: readonly CopyRow[]) =>
  value(await recordCopies(database, vdisk, { put: rows, gone: [] }));
const row = (server: string, version: number, more: Partial<CopyRow> = {}): CopyRow => ({
  ...{ server, version, state: 'UpToDate', message: '' },
  ...more,
});
const inConflict = (server: string, digit: string): CopyRow =>
  row(server, 1, {
    ...{ state: 'Conflict', message: 'who is right?', manifest: digit.repeat(64) },
    files: [{ name: 'lab.1.avhdx', sizeBytes: 512, sha256: digit.repeat(64) }],
  });

test('where each version lies: nothing, then all of a vDisk, then a copy that is not right', async () => {
  expect(await replication(...ofDatabase)).toMatchObject({
    out: 'VERSION\nlab/0\nlab/1\n\nlab/0, lab/1: nothing is recorded of it yet\n',
    ...{ err: '', status: 0 },
  });
  await put(
    'lab',
    row('node-a', 0),
    row('node-b', 0),
    row('node-a', 1),
    row('node-b', 1, { state: 'Copying', progressPercent: 40, secondsLeft: 3_600 }),
  );
  const { out, status } = await replication(...ofDatabase, '--exit-code');
  expect([out.split('\n').slice(0, 4), status]).toEqual([
    [
      'VERSION   node-a     node-b',
      'lab/0     UpToDate   UpToDate',
      expect.stringMatching(/^lab\/1 {5}UpToDate {3}Copying 40 % (59m|1h)$/),
      '',
    ],
    3,
  ]);
  await put('lab', row('node-b', 1));
  expect(await replication(...ofDatabase, '--exit-code', 'lab')).toMatchObject({ err: '', status: 0 });
  expect(await replication(...ofDatabase, 'win')).toMatchObject({
    err: 'error: the farm has no vDisk win: it has lab, pinned\n',
    status: 1,
  });
});

test('in a server its follower says it, while the database is away, too', async () => {
  process.env['BOOTFARM_REPLICA_SOCKET'] = replica.follower.socketPath;
  const told = async () => JSON.parse((await replication('-o', 'json')).out || '{}');
  await until('the follower has it', async () => (await told()).versions?.[1]?.upToDate === 2);
  const { asOf, versions } = await told();
  expect(Math.abs(Date.now() - Date.parse(asOf))).toBeLessThan(60_000);
  expect(versions).toEqual(
    JSON.parse((await replication('-o', 'json', '--from', 'database', ...ofDatabase)).out).versions,
  );
  await projector.close();
  const { said, terminal } = fakeTerminal();
  const later = { now: () => Date.now() + 300_500, left: () => AbortSignal.abort(), watchMs: 1 };
  await replicationCommand(terminal, later).parseAsync(['lab', '-w'], { from: 'user' });
  expect(said).toMatchObject({
    out: expect.stringContaining('lab/1     UpToDate   UpToDate'),
    err: 'as the database was 5m ago: it, or the operator, does not answer\n',
  });
  const redis = new Redis(replica.testUrl, { tls: { ca: replica.redis.ca } });
  await redis.hdel(META, 'kinds');
  redis.disconnect();
  await until(
    'what another release may have left counts for nothing',
    async () => (await told()).versions?.[1]?.upToDate === 0,
  );
});

test('watched, it says what changes and nothing else; on a screen it draws anew', async () => {
  const left = new AbortController();
  let looks = 0;
  const now = () => {
    looks++;
    return Date.now();
  };
  const surroundings = { now, left: () => left.signal, watchMs: 1 };
  const plain = fakeTerminal();
  const screen = fakeTerminal(undefined, 80);
  const words = ['-w', '--exit-code', ...ofDatabase];
  const watching = [plain, screen].map(({ terminal }) =>
    replicationCommand(terminal, surroundings).parseAsync(words, { from: 'user' }),
  );
  const tables = () => plain.said.out.match(/VERSION/g)?.length ?? 0;
  const drawn = () => screen.said.out.split('\u001b[H\u001b[2J').length - 1;
  await until('both looked again and again', () => looks > 20);
  expect(tables()).toBe(1);
  await put('lab', row('node-b', 1, { state: 'Missing', message: 'put it there' }));
  await until('both said it', () => tables() === 2 && drawn() >= 2);
  left.abort();
  await Promise.all(watching);
  expect([tables(), plain.said.out.match(/put it there/g)?.length, plain.said.status]).toEqual([2, 1, 3]);
});

test('a conflict is settled by a person, once, and the database says who did it', async () => {
  await put(
    'lab',
    inConflict('node-a', 'a'),
    inConflict('node-b', 'b'),
    row('node-c', 1, { state: 'Missing', message: 'put it there' }),
  );
  expect(await accept('node-c')).toMatchObject({
    err: 'error: version 1 of lab on node-c is not whole, as far as is known: Missing: put it there\n',
    status: 1,
  });
  expect(await accept('node-a')).toMatchObject({
    out: expect.stringContaining('what node-a holds is right: lab.1.avhdx'),
    err: '',
  });
  const { files, manifest } = inConflict('node-a', 'a');
  expect(value(await snapshot(database))?.versions.find(({ number }) => number === 1)?.content).toEqual({
    manifest,
    files,
  });
  expect(await accept('node-a')).toMatchObject({
    out: 'version 1 of lab: what node-a holds is right already: unchanged\n',
    err: '',
  });
  expect(await accept('node-b')).toMatchObject({
    err: expect.stringContaining(`right is the manifest ${'a'.repeat(64)}, which node-a has`),
    status: 1,
  });
  const audit = await database.run((db) => db.selectFrom('audit').select(['source', 'action', 'name']).execute());
  expect(value(audit)).toEqual([{ source: 'command', action: 'accept', name: 'lab/1' }]);
});

test('a server may not say what is right: it says who may', async () => {
  const before = { ...process.env };
  Object.assign(process.env, { BOOTFARM_DATABASE_URI_FILE: uriFile, BOOTFARM_SERVER_OF: 'lab/farm' });
  try {
    const { said, terminal } = fakeTerminal();
    await vdiskCommand(terminal).parseAsync(['accept', 'lab', '1', '--server', 'node-a'], { from: 'user' });
    expect(said).toMatchObject({ err: expect.stringContaining('-- bootfarm vdisk accept --farm lab/farm'), status: 1 });
  } finally {
    process.env = before;
  }
});

test('without a database nothing is accepted, and where copies are told it says who else knows', async () => {
  writeFileSync(uriFile, 'postgresql://nobody@127.0.0.1:1/farm?sslmode=disable');
  expect(await accept('node-a')).toMatchObject({ err: expect.stringContaining('127.0.0.1:1'), out: '', status: 1 });
  const { err } = await replication(...ofDatabase);
  expect(err).toContain('127.0.0.1:1');
  expect(err).toContain('kubectl exec deploy/main-NODE -c server -- bootfarm replication');
});
