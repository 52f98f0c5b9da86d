import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aHasher } from '../../test/fakes/hasher.ts';
import { until } from '../../test/setup/time.ts';
import { openRegular } from '../kit/file.ts';
import { silentLogger } from '../telemetry/log.ts';
import { type Digest, Digests } from './digests.ts';
import { type FileFacts, lookInto } from './inventory.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bootfarm-store-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Files of this name hang when they are opened, until they are let go. */
function hanging(name: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const open: typeof openRegular = async (path) => {
    if (path.endsWith(`/${name}`)) await promise;
    return openRegular(path);
  };
  return { open, letGo: resolve };
}

const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

async function digestOf(digests: Digests, name: string, within = folder): Promise<string> {
  for (let turn = 0; turn < 10_000; turn++) {
    const file = (await lookInto(within)).files.find((found) => found.name === name);
    const digest: Digest = file ? digests.of(within, file) : { kind: 'failed', message: 'gone' };
    if (digest.kind === 'ready') return digest.sha256;
    if (digest.kind === 'failed') throw new Error(digest.message);
  }
  throw new Error('no digest within 10,000 looks');
}

test('a digest is computed once, kept across processes, and computed anew when the file changes', async () => {
  const first = Buffer.alloc(3 << 20, 'a');
  await writeFile(join(folder, 'lab.raw'), first);
  const digests = new Digests(folder, silentLogger, { hasher: aHasher() });
  await digests.load();
  expect(await digestOf(digests, 'lab.raw')).toBe(sha256(first));
  await digests.close();

  const again = new Digests(folder, silentLogger, { hasher: aHasher() });
  await again.load();
  const file = (await lookInto(folder)).files[0];
  expect(file && again.of(folder, file)).toMatchObject({ kind: 'ready', sha256: sha256(first) });

  const second = Buffer.alloc(3 << 20, 'b');
  await writeFile(join(folder, 'lab.raw'), second);
  expect(await digestOf(again, 'lab.raw')).toBe(sha256(second));
  await again.close();
});

test('of a file that is being written only the last state is read', async () => {
  const read: string[] = [];
  const log = { ...silentLogger, info: ({ path }: { path: string }) => void read.push(path) } as typeof silentLogger;
  const growing = join(folder, 'growing');
  await mkdir(growing);
  await writeFile(join(growing, 'before.raw'), '');
  const { open, letGo } = hanging('before.raw');
  const digests = new Digests(folder, log, { hasher: aHasher(), open });
  const ask = async (name: string) => {
    for (const file of (await lookInto(growing)).files) if (file.name === name) digests.of(growing, file);
  };
  await ask('before.raw'); // hangs, and the other waits for it
  for (let length = 1; length < 20; length++) {
    await writeFile(join(growing, 'big.raw'), Buffer.alloc(length));
    await ask('big.raw');
  }
  letGo();
  expect(await digestOf(digests, 'big.raw', growing)).toBe(sha256(Buffer.alloc(19)));
  await digests.close();
  expect(read).toEqual([join(growing, 'before.raw'), join(growing, 'big.raw')]);
});

test('a folder that is not there is Missing and says what to do', async () => {
  expect(await lookInto(join(folder, 'nowhere'))).toMatchObject({
    state: 'Missing',
    message: expect.stringContaining('nowhere'),
  });
});

test('a file that hangs holds up its own folder alone', async () => {
  const [hung, well] = [join(folder, 'hung'), join(folder, 'well')];
  for (const each of [hung, well]) await mkdir(each);
  await writeFile(join(hung, 'lab.initrd'), 'x');
  await writeFile(join(well, 'lab.raw'), 'x');
  const { open, letGo } = hanging('lab.initrd');
  const digests = new Digests(folder, silentLogger, { hasher: aHasher(), open });
  const [slow] = (await lookInto(hung)).files;
  const [file] = (await lookInto(well)).files;
  expect(slow && digests.of(hung, slow)).toEqual({ kind: 'hashing', progressPercent: 0 });
  await until('the other folder is hashed', () => file && digests.of(well, file).kind === 'ready');
  expect(slow && digests.of(hung, slow)).toEqual({ kind: 'hashing', progressPercent: 0 });
  letGo();
  await digests.close();
});

/** Ends when the digest of what was seen is there, or cannot be. */
async function answerOf(digests: Digests, within: string, file: FileFacts): Promise<Digest> {
  await until('it is answered', () => digests.of(within, file).kind !== 'hashing');
  return digests.of(within, file);
}

test.each<{ what: string; after: (path: string) => Promise<unknown> }>([
  {
    what: 'another file by then',
    after: (path) => writeFile(`${path}.new`, 'new').then(() => rename(`${path}.new`, path)),
  },
  { what: 'one that has no end', after: (path) => rm(path).then(() => symlink('/dev/zero', path)) },
  {
    what: 'a pipe that nobody writes to',
    after: async (path) => void execFileSync('sh', ['-c', 'rm $0; mkfifo $0', path]),
  },
  { what: 'longer by then', after: (path) => truncate(path, 8) },
  { what: 'cut by then', after: (path) => truncate(path, 1) },
  { what: 'touched by then', after: (path) => utimes(path, 1, 1) },
])('no digest is made of $what, and the next file has its own', async ({ after }) => {
  const within = await mkdtemp(join(folder, 'race-'));
  for (const name of ['lab.initrd', 'lab.raw']) await writeFile(join(within, name), 'old');
  const [first, second] = (await lookInto(within)).files;
  if (!first || !second) throw new Error('two files are there');
  await after(join(within, first.name));
  const digests = new Digests(within, silentLogger, { hasher: aHasher() });
  expect(await answerOf(digests, within, first)).toMatchObject({
    kind: 'failed',
    message: expect.stringContaining(within),
  });
  expect(await answerOf(digests, within, second)).toMatchObject({ kind: 'ready', sha256: sha256(Buffer.from('old')) });
  await digests.close();
});

test('a file whose inode is another at each look is hashed once', async () => {
  const within = await mkdtemp(join(folder, 'inode-'));
  const data = Buffer.alloc(5 << 20, 'c');
  await writeFile(join(within, 'lab.raw'), data);
  const read: string[] = [];
  const log = { ...silentLogger, info: ({ path }: { path: string }) => void read.push(path) } as typeof silentLogger;
  const digests = new Digests(within, log, { hasher: aHasher() });
  let inode = 0;
  const look = async (): Promise<Digest> => {
    const [file] = (await lookInto(within)).files;
    if (!file) throw new Error('it is there');
    const identity = file.identity.replace(/^[0-9]+/, `${inode++}`).replace(':lasting', '');
    return digests.of(within, { ...file, identity });
  };
  await until('it is hashed', async () => (await look()).kind === 'ready');
  await chmod(join(within, 'lab.raw'), 0o600);
  inode--; // the file system forgets between two looks, never at the very time of a chmod
  for (let again = 0; again < 3; again++) expect(await look()).toMatchObject({ kind: 'ready', sha256: sha256(data) });
  expect(read).toEqual([join(within, 'lab.raw')]);
  await digests.close();
});

test('content that changed while size and time did not is found after verifyEvery, at a bounded speed, and a new file before it', async () => {
  const within = await mkdtemp(join(folder, 'verify-'));
  const path = join(within, 'lab.raw');
  const [before, after] = ['d', 'e'].map((fill) => Buffer.alloc(8 << 20, fill)) as [Buffer, Buffer];
  await writeFile(path, before);
  await utimes(path, 1, 1);
  let clock = 0;
  const told: string[] = [];
  const tell = ({ path: of }: { path: string }) => void told.push(basename(of));
  const digests = new Digests(within, { ...silentLogger, info: tell } as typeof silentLogger, {
    hasher: aHasher(),
    clock: () => clock,
  });
  const [file] = (await lookInto(within)).files;
  if (!file) throw new Error('it is there');
  const ask = (): Digest => digests.of(within, file, 1_000);
  await until('it is hashed', () => ask().kind === 'ready');
  await writeFile(path, after);
  await utimes(path, 1, 1);
  clock = 1_000;
  expect([ask(), told]).toEqual([{ kind: 'ready', sha256: sha256(before), at: 0 }, ['lab.raw']]);
  clock = 1_001;
  const began = performance.now();
  expect(ask()).toMatchObject({ kind: 'ready', sha256: sha256(before) });
  await writeFile(join(within, 'new.initrd'), 'new');
  expect(await digestOf(digests, 'new.initrd', within)).toBe(sha256(Buffer.from('new')));
  await until('it is read again', () => told.length === 3);
  expect(told).toEqual(['lab.raw', 'new.initrd', 'lab.raw']);
  expect(ask()).toEqual({ kind: 'ready', sha256: sha256(after), at: 1_001, rotten: true });
  expect(performance.now() - began).toBeGreaterThan(100); // 8 MiB at 64 MiB/s
  await digests.close();

  const again = new Digests(within, silentLogger, { hasher: aHasher(), clock: () => clock });
  await again.load();
  expect(again.of(within, file, 1_000)).toMatchObject({ kind: 'ready', sha256: sha256(after), rotten: true });
  await again.close();
});

test('an image that machines read is read before all that wait, one that is being read gives way to it, and what waited is read then', async () => {
  const within = await mkdtemp(join(folder, 'order-'));
  for (const name of ['large.raw', 'last.raw']) await writeFile(join(within, name), Buffer.alloc(4 << 20, name));
  const used = join(within, 'used.raw');
  const told: string[] = [];
  const tell = ({ path }: { path: string }) => void told.push(basename(path));
  const { open, letGo } = hanging('large.raw');
  const digests = new Digests(within, { ...silentLogger, info: tell } as typeof silentLogger, {
    hasher: aHasher(),
    open,
  });
  const ask = async (name: string, inUse = false): Promise<Digest['kind'] | undefined> => {
    const file = (await lookInto(within)).files.find((found) => found.name === name);
    return file && digests.of(within, file, undefined, inUse).kind;
  };
  expect([await ask('large.raw'), await ask('last.raw')]).toEqual(['hashing', 'hashing']);
  await writeFile(used, 'used');
  expect([await ask('used.raw'), await ask('used.raw', true)]).toEqual(['hashing', 'hashing']);
  letGo();
  await until('all are hashed', () => told.length === 3);
  expect(told).toEqual(['used.raw', 'large.raw', 'last.raw']);
  await digests.close();
});

test('an image that is touched again and again while it is read holds up no new file beside it', async () => {
  const within = await mkdtemp(join(folder, 'touched-'));
  const image = join(within, 'used.raw');
  await writeFile(image, Buffer.alloc(64 << 20));
  const digests = new Digests(within, silentLogger, { hasher: aHasher() });
  /** As a second of `rsync --inplace`: each look sees another file, long before all of the one before was read. */
  let touches = 0;
  const touch = async (): Promise<void> => {
    await utimes(image, 1, ++touches);
    const file = (await lookInto(within)).files.find(({ name }) => name === 'used.raw');
    if (!file) throw new Error('it is there');
    digests.of(within, file);
    expect(digests.of(within, file, undefined, true)).toMatchObject({ kind: 'hashing' });
    await delay(2);
  };
  for (let before = 0; before < 5; before++) await touch();
  await writeFile(join(within, 'new.initrd'), Buffer.alloc(512, 'n'));
  const added = (await lookInto(within)).files.find(({ name }) => name === 'new.initrd');
  if (!added) throw new Error('it is there');
  let rounds = 0;
  for (; digests.of(within, added).kind !== 'ready' && rounds < 100; rounds++) await touch();
  expect(rounds).toBeLessThan(20);
  await digests.close();
});

test('digests of two folders at once, and those that cannot be kept, are right all the same', async () => {
  const warned: string[] = [];
  const log = { ...silentLogger, warn: (_: unknown, message: string) => void warned.push(message) };
  const folders = ['one', 'two'].map((name) => join(folder, name));
  for (const each of folders) {
    await mkdir(each);
    for (const n of [1, 2, 3, 4]) await writeFile(join(each, `v${n}.raw`), `${each} ${n}`);
  }
  for (const state of [folder, join(folder, 'gone')]) {
    const digests = new Digests(state, log, { hasher: aHasher() });
    await Promise.all(
      folders.flatMap((each) =>
        [1, 2, 3, 4].map(async (n) =>
          expect(await digestOf(digests, `v${n}.raw`, each)).toBe(sha256(Buffer.from(`${each} ${n}`))),
        ),
      ),
    );
    await digests.close();
  }
  expect(warned).toEqual(['digests are not kept']);
});

test('no digest is made of a file of which its mount gives less than it says', async () => {
  const within = await mkdtemp(join(folder, 'short-'));
  await writeFile(join(within, 'lab.raw'), 'all of it');
  const open: typeof openRegular = async (path) => {
    const opened = await openRegular(path);
    if (!opened.ok) return opened;
    const { file } = opened.value;
    const all = file.read.bind(file);
    const read = (to: Uint8Array, at: number, _: number, from: number) => all(to, at, Math.max(0, 5 - from), from);
    file.read = read as typeof file.read;
    return opened;
  };
  const digests = new Digests(within, silentLogger, { hasher: aHasher(), open });
  const [file] = (await lookInto(within)).files;
  expect(file && (await answerOf(digests, within, file))).toMatchObject({
    kind: 'failed',
    message: expect.stringContaining('ends after 5 bytes, and has 9'),
  });
  await digests.close();
});
