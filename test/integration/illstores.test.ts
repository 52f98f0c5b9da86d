/** Stores whose disk is ill: each is a state of that store or that file, with a message, and the rest is served. Real file systems; needs root. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { manifestDigest } from '../../src/farm/files.ts';
import { identityOf } from '../../src/image/identity.ts';
import { Copies } from '../../src/server/copies.ts';
import { lookInto, SERVER_CALLS } from '../../src/store/inventory.ts';
import { claim, deviceOf, vanished } from '../../src/store/mark.ts';
import { type PullOrder, pullFile } from '../../src/store/pullfile.ts';
import { WANTS_FILE } from '../../src/store/wants.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { openTarget } from '../../src/transfer/target.ts';
import { aSnapshot, aVDisk, aVersion } from '../builders/farm.ts';
import { FuseFolder } from '../fakes/fuse.ts';
import { giver, makeFarm, manifestOf } from '../fakes/transfer.ts';
import { until } from '../setup/time.ts';

let root: string;
let folder: string;
let undo: (() => unknown)[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bootfarm-illstores-'));
  folder = join(root, 'srv');
  for (const name of ['srv', 'state']) mkdirSync(join(root, name));
  undo = [];
});
afterEach(async () => {
  for (const one of undo.reverse()) await one();
  rmSync(root, { recursive: true });
});

/** Of 8 MiB and 16 inodes, of which four are left. */
function smallDisk(): void {
  const disk = join(root, 'disk');
  writeFileSync(disk, '');
  truncateSync(disk, 8 << 20);
  execFileSync('mkfs.ext4', ['-q', '-N', '16', '-m', '0', '-O', '^has_journal', disk]);
  execFileSync('mount', ['-o', 'loop', disk, folder]);
  undo.push(() => execFileSync('umount', ['-l', folder]));
  writeFileSync(join(folder, 'lab.raw'), Buffer.alloc(512));
}

/** Until the disk says why not. */
function fill(bytes: number): void {
  try {
    for (let file = 0; ; file++) writeFileSync(join(folder, `other-${file}`), Buffer.alloc(bytes));
  } catch {} // full
}

const seen = async () => {
  const { state, files, message } = await lookInto(folder);
  return { state, message, isRead: files.some(({ name, image }) => name === 'lab.raw' && image?.ok === true) };
};
const pulled = async () => {
  const opened = await openTarget(join(folder, 'new.raw'), 'a'.repeat(64));
  if (!opened.ok) return opened.error;
  const lacks = await opened.value.lacksRoom(1_000);
  await opened.value.remove();
  return lacks;
};

test.each<{ what: string; make: () => void; state: string; says: string; pull: object }>([
  {
    what: 'full',
    make: () => fill(3 << 20),
    state: 'Accessible',
    says: '',
    pull: { code: 'NoSpace', message: expect.stringContaining('make room there') },
  },
  {
    what: 'without inodes',
    make: () => fill(0),
    state: 'Accessible',
    says: 'no inodes left',
    pull: { code: 'NoSpace', message: expect.stringContaining('has no inodes left') },
  },
  {
    what: 'read-only since an error',
    make: () => execFileSync('mount', ['-o', 'remount,ro', folder]),
    state: 'ReadOnly',
    says: '',
    pull: { code: 'WriteFailed', message: expect.stringContaining('read-only') },
  },
])('a disk that is $what: what is there is read, and what comes says why it does not', async (row) => {
  smallDisk();
  row.make();
  expect(await seen()).toEqual({ state: row.state, message: expect.stringContaining(row.says), isRead: true });
  expect(await pulled()).toMatchObject(row.pull);
});

test('a store that a server has read-only may be written, where its file system is not', async () => {
  smallDisk();
  const states = async () => [(await lookInto(folder)).state, (await lookInto(folder, { calls: SERVER_CALLS })).state];
  execFileSync('mount', ['-o', 'remount,bind,ro', folder]);
  expect(await states()).toEqual(['ReadOnly', 'Accessible']);
  execFileSync('mount', ['-o', 'remount,bind,rw', folder]);
  execFileSync('mount', ['-o', 'remount,ro', folder]);
  expect(await states()).toEqual(['ReadOnly', 'ReadOnly']);
});

/** By the container `work`, of nobody. */
async function pulledInto(more: Pick<PullOrder, 'owner' | 'device'>): ReturnType<typeof pullFile> {
  mkdirSync(join(root, 'tls'));
  for (const name of ['peer.crt', 'peer.key', 'ca.crt']) writeFileSync(join(root, 'tls', name), '');
  const paths = { folder, stateDirectory: root, pulling: join(root, 'pulls'), tlsDirectory: join(root, 'tls') };
  const file = { name: 'new.raw', sha256: 'a'.repeat(64), sizeBytes: 1, bases: [] };
  const running = { signal: new AbortController().signal, onProgress: () => undefined };
  return pullFile({ kind: 'pull', ...paths, sources: [], file, ...more }, running);
}

test('a disk on which not even the mark has room is full: what was put aside there may go', async () => {
  smallDisk();
  fill(0);
  expect(await pulledInto({ owner: { farm: 'lab', lineage: '0123456789abcdef' } })).toMatchObject({
    error: { code: 'NoSpace' },
  });
});

test('where the disk of a store went, nothing is copied to the node’s own; a new one in its place is filled', async () => {
  smallDisk();
  const owner = { farm: 'lab', lineage: '0123456789abcdef' };
  await claim(folder, owner);
  const device = await deviceOf(folder);
  expect(device).not.toBe(await deviceOf(root));
  const gone = () => vanished(folder, { device, system: root });
  expect(await gone()).toBeUndefined();
  execFileSync('umount', [folder]);
  const message = await gone();
  expect(message).toContain(`the disk that was mounted on ${folder} is not there`);
  expect(await pulledInto({ owner, device })).toEqual({ ok: false, error: { code: 'StoreVanished', message } });
  expect(readdirSync(folder)).toEqual([]);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', folder]);
  expect(await gone()).toBeUndefined();
});

interface Ill {
  readonly copies: Copies;
  readonly disk: FuseFolder;
  /** Numbers of versions. */
  readonly served: () => Promise<string>;
}

/** Version 0 lies on a disk that is well, version 1 on one that may be ill. */
function twoStores(verifyEverySeconds: number): Ill {
  const well = join(root, 'well');
  mkdirSync(well);
  const contents = [0, 1].map((number) => ({
    'lab.raw': Buffer.alloc(1 << 20, number + 1),
    'lab.vmlinuz': Buffer.from('kernel'),
    'lab.initrd': Buffer.from('initrd'),
  }));
  for (const [name, data] of Object.entries(contents[0] ?? {})) writeFileSync(join(well, name), data);
  const disk = new FuseFolder(folder, contents[1] ?? {}, false);
  undo.push(() => disk.close());
  const stores = [well, folder].map((path) => ({
    ...{ name: path, pools: [], servers: [], verifyEverySeconds, local: { path, nodes: {} } },
  }));
  const vdisks = stores.map(({ name }, index) => aVDisk({ name: `vdisk-${index}`, store: name, fileName: 'lab' }));
  const versions = contents.map((content, index) => {
    const files = Object.entries(content).map(([name, data]) => ({
      ...{ name, sizeBytes: data.length, sha256: createHash('sha256').update(data).digest('hex') },
    }));
    return aVersion({ vdisk: `vdisk-${index}`, number: 0, content: { manifest: manifestDigest(files), files } });
  });
  const copies = new Copies({
    ...{ server: { name: 'node-a', site: 'default', pool: 'main' }, storeRoots: [well, folder], log: silentLogger },
    ...{ stateDirectory: join(root, 'state'), onLooked: () => undefined },
    snapshot: () => aSnapshot({ stores, vdisks, versions }),
  });
  undo.push(() => copies.close());
  const served = async (): Promise<string> => {
    await copies.look();
    return copies.served
      .map(({ vdisk }) => vdisk)
      .toSorted()
      .join();
  };
  return { copies, disk, served };
}

test('a sector that cannot be read takes its version out of service, with the reason, and no other', async () => {
  const { copies, disk, served } = twoStores(0);
  await copies.start();
  await until('both are served', async () => (await served()) === 'vdisk-0,vdisk-1');
  disk.sick = { name: 'lab.raw', at: 700_000 };
  await until('one is', async () => (await served()) === 'vdisk-0');
  expect(copies.reports.find(({ vdisk }) => vdisk === 'vdisk-1')).toMatchObject({
    state: 'Faulty',
    message: expect.stringMatching(/lab\.raw: EIO/),
  });
  expect(copies.stores.map(({ state }) => state)).toEqual(['Accessible', 'Accessible']);
});

test('a disk whose reads hang holds up no other, and its version is served when it answers', async () => {
  const { copies, disk, served } = twoStores(3_600);
  const answer = disk.hang();
  await copies.start();
  await until('the other is served', async () => (await served()) === 'vdisk-0');
  for (let look = 0; look < 2; look++) expect(await served()).toBe('vdisk-0');
  answer();
  await until('both are', async () => (await served()) === 'vdisk-0,vdisk-1');
});

test('of a file with a sector that cannot be read another server gives what lies around it, and the rest is its own; nothing gives way for what is not wanted any more', async () => {
  const content = randomBytes(8 << 20);
  const disk = new FuseFolder(folder, { 'lab.raw': content }, false);
  undo.push(() => disk.close());
  disk.sick = { name: 'lab.raw', at: 5_000_000 };
  const [there, tls] = [join(root, 'there'), join(root, 'tls')];
  for (const made of [there, tls]) mkdirSync(made);
  symlinkSync(join(folder, 'lab.raw'), join(there, 'lab.raw'));
  const farm = await makeFarm();
  const other = await giver(farm, 'node-b');
  undo.push(() => other.close());
  const { identity } = farm;
  for (const [name, text] of [
    ['peer.crt', identity.cert],
    ['peer.key', identity.key],
    ['ca.crt', identity.ca],
  ] as const)
    writeFileSync(join(tls, name), text);
  writeFileSync(join(root, 'right.raw'), content);
  const manifest = manifestOf(content);
  other.holdings.offer({ manifest, path: join(root, 'right.raw'), has: 'all' });
  const replaces = identityOf(await stat(join(there, 'lab.raw'), { bigint: true }));
  const file = { name: 'lab.raw', sha256: manifest.sha256, sizeBytes: content.length, bases: [], replaces };
  const order = {
    ...{ kind: 'pull' as const, folder: there, stateDirectory: join(root, 'state'), pulling: join(root, 'pulls') },
    ...{ tlsDirectory: tls, sources: [{ name: 'node-b', ...other.address }], file },
  } as const;
  const want = (...files: readonly object[]): void => {
    const store = { store: 'images', folder: there, sources: [], parallel: 1, keepStaleSeconds: 0, whole: [], files };
    mkdirSync(join(root, 'state', 'wants'), { recursive: true });
    writeFileSync(join(root, 'state', WANTS_FILE), JSON.stringify([store]));
  };
  const running = { signal: new AbortController().signal, onProgress: () => undefined };
  want({ ...file, sha256: 'a'.repeat(64) });
  expect(await pullFile(order, running)).toMatchObject({ error: { message: expect.stringContaining('not wanted') } });
  expect(readlinkSync(join(there, 'lab.raw'))).toBe(join(folder, 'lab.raw'));
  for (const name of readdirSync(there)) if (name.endsWith('.partial')) rmSync(join(there, name));
  want(file);
  const pulled = await pullFile(order, running);
  expect(pulled).toMatchObject({
    ok: true,
    value: { peerBytes: { 'node-b': 1 << 20 }, localBytes: 7 << 20, blamed: [] },
  });
  expect(readFileSync(join(there, 'lab.raw')).equals(content)).toBe(true);
});
