/** Stores whose disk is ill: each is a state of that store or that file, with a message, and the rest is served. Real file systems; needs root. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { manifestDigest } from '../../src/farm/files.ts';
import type { Version } from '../../src/farm/model.ts';
import { Copies } from '../../src/server/copies.ts';
import { lookInto } from '../../src/store/inventory.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { openTarget } from '../../src/transfer/target.ts';
import { aSnapshot, aVersion } from '../builders/farm.ts';
import { FuseFolder } from '../fakes/fuse.ts';
import { until } from '../setup/services.ts';

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

test('a sector that cannot be read takes its version out of service, with the reason, and no other', async () => {
  const contents: Record<string, Buffer> = {};
  const versions = [0, 1].map((number): Version => {
    const stem = number === 0 ? 'lab' : 'lab.1';
    const own = {
      [`${stem}.raw`]: Buffer.alloc(1 << 20, number + 1),
      [`${stem}.vmlinuz`]: Buffer.from('kernel'),
      [`${stem}.initrd`]: Buffer.from('initrd'),
    };
    Object.assign(contents, own);
    const files = Object.entries(own).map(([name, data]) => ({
      name,
      sizeBytes: data.length,
      sha256: createHash('sha256').update(data).digest('hex'),
    }));
    return aVersion({ number, content: { manifest: manifestDigest(files), files } });
  });
  const disk = new FuseFolder(folder, contents, false);
  undo.push(() => disk.close());
  const copies = new Copies({
    ...{ server: { name: 'node-a', site: 'default', pool: 'main' }, storeRoots: [folder], log: silentLogger },
    ...{ stateDirectory: join(root, 'state'), onLooked: () => undefined },
    snapshot: () =>
      aSnapshot({
        stores: [{ name: 'images', pools: [], servers: [], verifyEverySeconds: 0, local: { path: folder, nodes: {} } }],
        versions,
      }),
  });
  undo.push(() => copies.close());
  const served = async (): Promise<string> => {
    await copies.look();
    return copies.served
      .map(({ version }) => version)
      .toSorted()
      .join();
  };
  await copies.start();
  await until('both are served', async () => (await served()) === '0,1');
  disk.sick = { name: 'lab.1.raw', at: 700_000 };
  await until('one is', async () => (await served()) === '0');
  expect(copies.reports.find(({ version }) => version === 1)).toMatchObject({
    state: 'Faulty',
    message: expect.stringMatching(/lab\.1\.raw: EIO/),
  });
  expect(copies.stores[0]).toMatchObject({ state: 'Accessible' });
});
