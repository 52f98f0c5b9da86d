/** Copies that make themselves: servers and their keepers as processes, on loopback, each with a folder of its own. The farm database, its replica, TLS: real. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ServerConfig } from '../../src/control/config.ts';
import type { CopyReport } from '../../src/control/status.ts';
import { recordCopies } from '../../src/database/copies.ts';
import { setVersionContent } from '../../src/database/project.ts';
import { manifestDigest } from '../../src/farm/files.ts';
import type { CopyState, FarmSnapshot, Version } from '../../src/farm/model.ts';
import { parseStale } from '../../src/store/stale.ts';
import { aSnapshot, aVDisk, aVersion } from '../builders/farm.ts';
import { aPvp } from '../builders/pvs.ts';
import { LoopbackFarm, must, type ServerProcess } from '../fakes/farm.ts';
import { until } from '../setup/time.ts';
import { Random } from '../simulation/random.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const NAMES = ['node-a', 'node-b', 'node-c'] as const;
type Name = (typeof NAMES)[number];
const MIB = 1 << 20;
const DEADLINE_MS = 40_000;
/** 42 processes, some of them several times, and tries that wait for 16 s after the fourth failure, beside two other suites. */
const KILLED_DEADLINE_MS = 120_000;
const SEED = 1_515;

let farm: LoopbackFarm;
let versions: Version[] = [];
const servers = new Map<Name, { server: ServerProcess; readonly config: ServerConfig; keeper: ChildProcess }>();
const random = new Random(SEED, 'copies');

const folder = (name: Name): string => farm.path(`stores/${name}`);
const at = (name: Name, file: string): string => join(folder(name), file);
const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Whole at once on one server, as a rename makes it; and what the operator would record of it. */
function put(name: Name, number: number, mib: number): Version {
  const stem = number === 0 ? 'lab' : `lab.${number}`;
  const contents = {
    [`${stem}.raw`]: random.bytes(mib * MIB),
    [`${stem}.vmlinuz`]: random.bytes(9),
    [`${stem}.initrd`]: random.bytes(0),
  };
  const files = Object.entries(contents).map(([file, bytes]) => {
    writeFileSync(at(name, file), bytes);
    utimesSync(at(name, file), 1_700_000_000, 1_700_000_000);
    return { name: file, sizeBytes: bytes.length, sha256: digestOf(bytes) };
  });
  return aVersion({ number, content: { manifest: manifestDigest(files), files } });
}

const snapshot = (more: Partial<FarmSnapshot> = {}): FarmSnapshot =>
  aSnapshot({
    stores: [
      {
        ...{ name: 'images', pools: [], servers: [], verifyEverySeconds: 2 },
        local: { path: '/nowhere', nodes: Object.fromEntries(NAMES.map((name) => [name, folder(name)])) },
        replication: { parallel: 2, keepStaleSeconds: 3_600 },
      },
    ],
    versions,
    servers: [],
    ...more,
  });

async function add(version: Version): Promise<void> {
  versions = [...versions.filter(({ number }) => number !== version.number), version];
  await farm.project(snapshot());
}

function keep({ name, stateDirectory, tlsDirectory, replicaSocket }: ServerConfig, orders?: string): ChildProcess {
  const words = [
    ...['work', '--folder', join(stateDirectory, 'work'), '--state', stateDirectory, '--tls', tlsDirectory],
    ...(orders === undefined ? [] : ['--orders', orders]),
  ];
  const env = { ...process.env, BOOTFARM_REPLICA_SOCKET: replicaSocket };
  const child = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env });
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => process.env['LOUD'] && process.stderr.write(`${name} ${chunk}`));
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

const nodeOf = (name: Name) => servers.get(name) ?? Promise.reject(new Error(`no ${name}`));

async function copyOf(name: Name, number: number): Promise<CopyReport | undefined> {
  const { server } = await nodeOf(name);
  return (await server.status()).copies.find(({ version }) => version === number);
}

const isRight = async (name: Name, { number, content }: Version): Promise<boolean> => {
  const copy = await copyOf(name, number).catch(() => undefined);
  return copy?.state === 'Present' && copy.manifest === content?.manifest;
};

const allRight = (
  version: Version,
  names: readonly Name[] = NAMES,
  deadlineMs: number = DEADLINE_MS,
): Promise<unknown> =>
  until(
    `version ${version.number} is right on ${names.join(', ')}`,
    async () => (await Promise.all(names.map((name) => isRight(name, version)))).every(Boolean),
    deadlineMs,
  );

beforeAll(async () => {
  farm = await LoopbackFarm.start(NAMES);
  for (const name of NAMES) mkdirSync(folder(name), { recursive: true });
  versions = [put('node-a', 0, 24)];
  await farm.replicate(await farm.project(snapshot()));
  for (const name of NAMES) {
    const config = await farm.config(name, { storeRoots: [farm.path('stores')] });
    for (const part of ['work', 'wants', 'chunks']) mkdirSync(join(config.stateDirectory, part), { recursive: true });
    servers.set(name, { server: farm.serve(config), config, keeper: keep(config) });
  }
});
afterAll(async () => {
  for (const { keeper } of servers.values()) await end(keeper, 'SIGTERM');
  await farm.close();
});

test('what one server has, the others take; each says how far it is', async () => {
  const [version] = versions as [Version];
  const seen = new Set<string>();
  await until(
    'B and C have it',
    async () => {
      for (const name of ['node-b', 'node-c'] as const) {
        const copy = await copyOf(name, 0).catch(() => undefined);
        if (copy) seen.add(copy.copying && !copy.copying.fails ? 'Copying' : copy.state);
      }
      return (await isRight('node-b', version)) && isRight('node-c', version);
    },
    DEADLINE_MS,
  );
  expect(seen).toContain('Copying');
  for (const name of NAMES)
    for (const { name: file, sha256 } of version.content?.files ?? [])
      expect(digestOf(readFileSync(at(name, file)))).toBe(sha256);
});

test('an older file gives way to the right one, and stays beside it', async () => {
  const [version] = versions as [Version];
  const older = random.bytes(5 * MIB);
  writeFileSync(at('node-b', 'lab.raw'), older);
  utimesSync(at('node-b', 'lab.raw'), 1_600_000_000, 1_600_000_000);
  await until('it is noticed', async () => !(await isRight('node-b', version)), DEADLINE_MS);
  await allRight(version);
  const aside = readdirSync(folder('node-b')).filter((file) => parseStale(file)?.name === 'lab.raw');
  expect(aside.map((file) => readFileSync(at('node-b', file)).equals(older))).toEqual([true]);
});

test('of properties those that were changed most often take the place of others, which stay beside them', async () => {
  const [newer, older] = [aPvp({ version: 7 }), aPvp({ version: 6 })];
  const place = (name: Name, bytes: Buffer): void => {
    writeFileSync(at(name, 'lab.pvp'), bytes);
    utimesSync(at(name, 'lab.pvp'), 1_700_000_000, 1_700_000_000);
  };
  place('node-a', newer);
  await until('A shows it', async () => (await copyOf('node-a', 0))?.properties?.changes === 7, DEADLINE_MS);
  place('node-b', older);
  await until('B has it', () => readFileSync(at('node-b', 'lab.pvp')).equals(newer), DEADLINE_MS);
  const aside = readdirSync(folder('node-b')).filter((file) => parseStale(file)?.name === 'lab.pvp');
  expect(aside.map((file) => readFileSync(at('node-b', file)).equals(older))).toEqual([true]);
});

test('a byte that flips on a disk is found, and is mended', async () => {
  const [version] = versions as [Version];
  const path = at('node-c', 'lab.raw');
  // To the nanosecond.
  execFileSync('touch', ['-r', path, farm.path('then')]);
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.from('rot'), 0, 3, 7 * MIB);
  closeSync(file);
  execFileSync('touch', ['-r', farm.path('then'), path]);
  await until(
    'it is found',
    async () => (await copyOf('node-c', 0))?.rotten?.includes('lab.raw') === true,
    DEADLINE_MS,
  );
  await allRight(version);
  expect(digestOf(readFileSync(path))).toBe(version.content?.files[0]?.sha256);
});

test('keepers and servers that are killed while seven versions (21 files to two servers) are copied: each file is whole or absent, and in the end all are there', async () => {
  const copied = Array.from({ length: 7 }, (_, index) => put('node-a', index + 1, 4));
  versions = [...versions, ...copied];
  await farm.project(snapshot());
  const right = new Map(
    copied.flatMap(({ content }) => content?.files.map(({ name, sha256 }) => [name, sha256] as const) ?? []),
  );
  const wrong: string[] = [];
  const judge = (): void => {
    for (const name of ['node-b', 'node-c'] as const)
      for (const [file, sha256] of right)
        if (existsSync(at(name, file)) && digestOf(readFileSync(at(name, file))) !== sha256)
          wrong.push(`${name} ${file}`);
  };
  for (let kill = 0; kill < 12; kill++) {
    await delay(random.between(100, 900));
    const name = random.of(['node-b', 'node-c', 'node-a'] as const);
    const node = await nodeOf(name);
    if (random.chance(0.3)) {
      await node.server.end('SIGKILL');
      node.server = farm.serve(node.config);
    } else {
      await end(node.keeper, 'SIGKILL');
      node.keeper = keep(node.config);
    }
    judge();
  }
  for (const version of copied) await allRight(version, NAMES, KILLED_DEADLINE_MS);
  judge();
  expect(wrong).toEqual([]);
  const left = NAMES.flatMap((name) => readdirSync(folder(name)).filter((file) => file.endsWith('.partial')));
  expect(left).toEqual([]);
});

test('where nobody who has it answers, the server says so, and takes it when one comes back', async () => {
  const version = put('node-a', 30, 2);
  const giver = await nodeOf('node-a');
  await giver.server.end('SIGKILL');
  await add(version);
  await until('B says so', async () => (await copyOf('node-b', 30))?.copying?.fails === true, DEADLINE_MS);
  expect((await copyOf('node-b', 30))?.copying?.message).toContain('no server gives all of the file');
  giver.server = farm.serve(giver.config);
  await allRight(version);
  expect(
    must(await setVersionContent(farm.database, 'lab', 30, version.content as NonNullable<Version['content']>)),
  ).toBe(true);
});

test('of two copies that are wanted the third server makes none, and gives back what it has when it is ordered to, and the two have theirs', async () => {
  const copies = { wanted: 2, servers: ['node-a', 'node-b'] };
  const version = put('node-a', 31, 2);
  versions = [...versions, version];
  await farm.project(snapshot({ vdisks: [aVDisk({ copies })] }));
  await allRight(version, ['node-a', 'node-b']);
  const record = (state: CopyState): Promise<unknown> =>
    recordCopies(farm.database, 'lab', {
      put: versions.flatMap(({ number }) =>
        NAMES.map((server) => ({
          ...{ server, version: number, message: '' },
          state: server === 'node-b' ? state : number === 31 && server === 'node-c' ? 'Missing' : 'UpToDate',
        })),
      ),
      gone: [],
    });
  await record('Copying');
  const node = await nodeOf('node-c');
  const orders = join(node.config.stateDirectory, 'orders.json');
  const { volume } = (await node.server.status()).stores[0] ?? {};
  const order = { kind: 'give-back', folder: folder('node-c'), fileName: 'lab', server: 'node-c', volume };
  const say = (id: string): void => writeFileSync(orders, JSON.stringify([{ ...order, id }]));
  const jobOf = async (id: string) => (await node.server.status()).work?.find((job) => job.id === id);
  const endOf = async (id: string): Promise<{ readonly state: string; readonly message: string } | undefined> => {
    say(id);
    await until(
      `job ${id} ends`,
      async () => !['Queued', 'Running', undefined].includes((await jobOf(id))?.state),
      DEADLINE_MS,
    );
    return jobOf(id);
  };
  await end(node.keeper, 'SIGTERM');
  say('00000001');
  node.keeper = keep(node.config, orders);
  const refused = await endOf('00000001');
  expect(refused).toMatchObject({ state: 'Failed' });
  expect(refused?.message).toMatch(
    /VDisk lab wants 2 copies, and 1 of the servers that were chosen have version \d+ right/,
  );
  const before = versions.filter(({ number }) => number < 31);
  for (const { content } of before)
    for (const { name } of content?.files ?? []) expect(existsSync(at('node-c', name))).toBe(true);

  await record('UpToDate');
  let tries = 1;
  // Its follower is a moment behind the database.
  await until('it is given back', async () => (await endOf(`0000000${++tries}`))?.state === 'Done', DEADLINE_MS);
  const left = (name: Name): readonly string[] =>
    readdirSync(folder(name)).filter((file) => /^lab[.\d]*[.](raw|vmlinuz|initrd)$/.test(file));
  expect(left('node-c')).toEqual([]);
  expect(left('node-b')).toHaveLength(3 * versions.length);
  await until('it wants nothing', async () => (await copyOf('node-c', 0))?.state === 'Missing', DEADLINE_MS);
  expect((await copyOf('node-c', 31))?.copying).toBeUndefined();
  expect((await node.server.status()).stores[0]?.needBytes).toBeUndefined();
});
