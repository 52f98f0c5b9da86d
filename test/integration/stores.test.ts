/** Stores on a file system whose inode numbers do not last, and whose names and attributes take long: what is served of them. Real FUSE; needs root. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Exports } from '../../src/export/exports.ts';
import { manifestDigest } from '../../src/farm/files.ts';
import { patternBytes, patternMismatch } from '../../src/image/pattern/pattern.ts';
import { Copies } from '../../src/server/copies.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aSnapshot, aVersion } from '../builders/farm.ts';
import { FuseFolder } from '../fakes/fuse.ts';
import { until } from '../setup/time.ts';

const FILES = {
  'lab.raw': patternBytes(0, 1 << 20),
  'lab.vmlinuz': Buffer.from('kernel'),
  'lab.initrd': Buffer.from('initrd'),
};

let root: string;
let folder: FuseFolder;
let copies: Copies;
let exports: Exports;
let hashed: string[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bootfarm-stores-'));
  for (const name of ['srv', 'state']) mkdirSync(join(root, name));
  folder = new FuseFolder(join(root, 'srv'), FILES);
  hashed = [];
  const info = (facts: { path?: string }, said: string) =>
    void (said === 'file hashed' && hashed.push(`${facts.path}`));
  const log = { ...silentLogger, info } as typeof silentLogger;
  exports = new Exports({ apply: async () => undefined, inUse: () => true, log });
  const files = Object.entries(FILES).map(([name, data]) => ({
    name,
    sizeBytes: data.length,
    sha256: createHash('sha256').update(data).digest('hex'),
  }));
  copies = new Copies({
    server: { name: 'node-a', site: 'default', pool: 'main' },
    storeRoots: [join(root, 'srv')],
    stateDirectory: join(root, 'state'),
    snapshot: () =>
      aSnapshot({
        stores: [{ name: 'images', pools: [], servers: [], local: { path: join(root, 'srv'), nodes: {} } }],
        versions: [aVersion({ content: { manifest: manifestDigest(files), files } })],
      }),
    onLooked: (served, offers) => void exports.set(served, offers),
    log,
  });
});
afterEach(async () => {
  await copies.close();
  await exports.close();
  folder.close();
  rmSync(root, { recursive: true });
});

test('where each look shows another inode, each file is hashed once, and the disk is served as one', async () => {
  // Never synchronously: the file system is this process.
  const inode = async (): Promise<number> => (await stat(join(root, 'srv/lab.raw'))).ino;
  expect(await inode()).not.toBe(await inode());
  await copies.start();
  await until('it is served', () => exports.list.length === 1);
  const disk = exports.list[0]?.disk;
  for (let look = 0; look < 5; look++) await copies.look();
  expect([copies.served.length, exports.list[0]?.disk === disk]).toEqual([1, true]);
  expect(hashed.toSorted()).toEqual(
    Object.keys(FILES)
      .map((name) => join(root, 'srv', name))
      .toSorted(),
  );
});

test('where a question about a file takes 0.5 s, what is open is read on, what is served stays so, and the store is said to be slow', async () => {
  await copies.start();
  await until('it is served', () => exports.list.length === 1);
  const disk = exports.list[0]?.disk;
  folder.metadataMs = 500;
  const [seen, right] = [new Set<number>(), new Set<boolean>()];
  await until(
    'it is said to be slow',
    async () => {
      await copies.look();
      seen.add(copies.served.length);
      const read = await disk?.read(4_096, 4_096);
      right.add(read?.ok === true && patternMismatch(read.value, 4_096) === undefined);
      return copies.stores[0]?.message.includes('is slow');
    },
    30_000,
  );
  expect([[...right], [...seen], copies.stores[0]?.state, exports.list[0]?.disk === disk]).toEqual([
    [true],
    [1],
    'Accessible',
    true,
  ]);
});
