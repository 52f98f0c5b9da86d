/** Open disks in step with what may be served, on real files. */
import { mkdtempSync, renameSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { VHDX, writeChain } from '../../test/builders/chain.ts';
import { type Held, type Layer, shownBy } from '../../test/builders/image.ts';
import { tableOf } from '../../test/setup/leaves.ts';
import { until } from '../../test/setup/time.ts';
import type { Content, Disk, OpenFile } from '../image/disk.ts';
import { identityOf } from '../image/identity.ts';
import { openImage } from '../image/images.ts';
import type { TableRef } from '../image/tree/table.ts';
import { ok } from '../kit/result.ts';
import { silentLogger } from '../telemetry/log.ts';
import { Exports, type Offer } from './exports.ts';
import type { Export } from './frontend.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-disks-'));
let applied: (readonly Export[])[];
let lost: TableRef[];
let held: Exports;
beforeAll(() => {
  for (const name of ['lab.raw', 'office.raw', 'hung.raw']) writeFileSync(join(folder, name), Buffer.alloc(512));
});
let hung: PromiseWithResolvers<void>;
let inUse: boolean;
let clock: number;
let letGo: (entries: readonly Export[]) => Promise<void>;
beforeEach(() => {
  applied = [];
  lost = [];
  letGo = async () => undefined;
  const apply = (entries: readonly Export[]): Promise<void> => {
    applied.push(entries);
    return letGo(entries);
  };
  hung = Promise.withResolvers();
  inUse = true;
  clock = 0;
  held = new Exports({
    apply,
    inUse: () => inUse,
    log: silentLogger,
    open: async (path) => {
      if (path.endsWith('hung.raw')) await hung.promise;
      return openImage(path);
    },
    onTableLost: (table) => lost.push(table),
    patienceMs: 1_000,
    now: () => clock,
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Where `vdisk` lies now. */
const filesNow = (vdisk: string): readonly OpenFile[] => {
  const stats = statSync(join(folder, `${vdisk}.raw`), { bigint: true, throwIfNoEntry: false });
  return stats ? [{ name: `${vdisk}.raw`, identity: identityOf(stats) }] : [];
};
const aCopy = (vdisk: string, manifest = 'a') => ({
  vdisk,
  version: 0,
  manifest,
  imagePath: join(folder, `${vdisk}.raw`),
  imageFiles: filesNow(vdisk),
});
/** It is to be kept, with what is known of its content. */
const anOffer = (content: Content, vdisk = 'lab'): Offer => ({
  vdisk,
  version: 0,
  manifest: 'a',
  contentOf: () => content,
});
const shown = (entries: readonly Export[] = held.list): readonly string[] =>
  entries.map(({ vdisk, manifest }) => `${vdisk}@${manifest}`).sort();
const isOpen = async (disk: Disk | undefined): Promise<boolean | undefined> => (await disk?.read(0, 512))?.ok;

test('a disk stays open while its copy stays, and is closed after the stream let go of it', async () => {
  await held.set([aCopy('lab'), aCopy('office')]);
  expect(shown()).toEqual(['lab@a', 'office@a']);
  const [lab, office] = ['lab', 'office'].map((name) => held.list.find(({ vdisk }) => vdisk === name)?.disk);
  const open: (boolean | undefined)[] = [];
  letGo = async () => void open.push(await isOpen(office));
  await held.set([aCopy('lab'), aCopy('office', 'b')]);
  expect(open[0]).toBe(true);
  expect(shown()).toEqual(['lab@a', 'office@b']);
  expect(held.list.some(({ disk }) => disk === lab)).toBe(true);
  expect([await isOpen(lab), await isOpen(office)]).toEqual([true, false]);
  expect(applied.map(shown)).toContainEqual(['lab@a']);
  await held.close();
  expect([shown(), await isOpen(lab)]).toEqual([[], false]);
});

test('the same set again asks nothing of the stream', async () => {
  await held.set([aCopy('lab')]);
  const asked = applied.length;
  await held.set([aCopy('lab')]);
  expect(applied).toHaveLength(asked);
  await held.close();
});

test('an image that cannot be opened keeps back none but itself', async () => {
  await held.set([aCopy('nowhere'), aCopy('lab')]);
  expect(shown()).toEqual(['lab@a']);
  await held.close();
});

test('an image that hangs keeps back none but itself; when it opens and is no longer wanted, it is not given out', async () => {
  const hangs = held.set([aCopy('hung'), aCopy('lab')]);
  await until('the other is open', () => held.list.length === 1);
  await held.set([aCopy('office')]);
  expect(shown()).toEqual(['office@a']);
  hung.resolve();
  await hangs;
  expect(shown()).toEqual(['office@a']);
  await held.close();
});

test('a disk that opens when its copy has gone is not given out', async () => {
  const opening = held.set([aCopy('lab')]);
  await held.set([]);
  await opening;
  expect([shown(), applied.map(shown)]).toEqual([[], []]);
});

const LAB = join(folder, 'lab.raw');
const touch = (seconds: number): void => utimesSync(LAB, seconds, seconds);

describe('a copy with a leaf table', () => {
  let table: TableRef;
  beforeEach(async () => {
    writeFileSync(LAB, Buffer.alloc(4_096, 'a'));
    const disk = await openImage(LAB);
    if (!disk.ok) throw new Error(disk.error.message);
    table = await tableOf(disk.value, folder);
    await disk.value.close();
  });
  afterEach(() => held.close());

  test('is served with it; when it comes later, the disk that is open gets it, and no reader notices', async () => {
    await held.set([aCopy('lab')]);
    const [before] = held.list;
    expect(before?.disk.leaves).toBeUndefined();
    await held.set([{ ...aCopy('lab'), table }]);
    const [after] = held.list;
    expect(after?.disk.leaves?.root).toBe(table.root);
    expect(applied).toHaveLength(2);
    expect([await isOpen(before?.disk), await isOpen(after?.disk)]).toEqual([true, true]);
    await held.set([{ ...aCopy('lab'), table }]);
    expect(applied).toHaveLength(2);
    await held.close();
    expect([await isOpen(before?.disk), await isOpen(after?.disk)]).toEqual([false, false]);
  });

  test.each<{ what: string; happens: (path: string) => void }>([
    { what: 'wrong', happens: (path) => writeFileSync(path, Buffer.alloc(8_192)) },
    { what: 'cut', happens: (path) => truncateSync(path, 100) },
    { what: 'gone', happens: (path) => rmSync(path) },
  ])('that is $what is served without it, and the table is told to be lost', async ({ happens }) => {
    happens(table.path);
    await held.set([{ ...aCopy('lab'), table }]);
    expect([shown(), held.list[0]?.disk.leaves]).toEqual([['lab@a'], undefined]);
    expect([lost, await isOpen(held.list[0]?.disk)]).toEqual([[table], true]);
  });
});

test('a chain has the table of the disk that it shows; one of another image of it costs suite 1', async () => {
  const layer = (seed: number, held: Held): Layer => ({
    ...{ sizeBytes: 2 << 20, blockBytes: 1 << 20, sectorBytes: 512, seed, blocks: new Map([[seed - 1, held]]) },
  });
  const layers = [layer(1, 'whole'), layer(2, 'whole')];
  const paths = [...writeChain(folder, VHDX, layers)].reverse();
  const [imagePath = '', base = ''] = paths;
  const tableFor = async (path: string): Promise<TableRef> => {
    const disk = await openImage(path);
    if (!disk.ok) throw new Error(disk.error.message);
    const table = await tableOf(disk.value, folder, undefined, basename(path));
    await disk.value.close();
    return table;
  };
  const imageFiles = paths.map((path) => ({
    name: basename(path),
    identity: identityOf(statSync(path, { bigint: true })),
  }));
  const copy = { ...aCopy('lab'), imagePath, imageFiles };
  const [table, ofBase] = [await tableFor(imagePath), await tableFor(base)];
  await held.set([{ ...copy, table: { ...table, path: ofBase.path } }]);
  const [unproved] = held.list;
  expect([unproved?.disk.leaves, lost.length]).toEqual([undefined, 1]);
  await held.set([{ ...copy, table }]);
  const [proved] = held.list;
  const reads = await Promise.all([unproved, proved].map(async (each) => each?.disk.read(0, 2 << 20)));
  expect(proved?.disk.leaves?.root).toBe(table.root);
  expect(reads.map((read) => read?.ok && read.value.equals(shownBy(layers)))).toEqual([true, true]);
  await held.close();
});

describe('a disk whose copy is not right, for who reads it', () => {
  let disk: Disk | undefined;
  beforeEach(async () => {
    writeFileSync(LAB, Buffer.alloc(4_096, 'a'));
    touch(1);
    await held.set([aCopy('lab')]);
    disk = held.list[0]?.disk;
    applied = [];
  });
  afterEach(() => held.close());

  test.each<{ what: string; happens: () => void; content: Content; kept: number; advertised: number }>([
    { what: 'renamed over', happens: () => replace('b'), content: 'Elsewhere', kept: 1, advertised: 1 },
    { what: 'removed', happens: () => rmSync(LAB), content: 'Elsewhere', kept: 1, advertised: 1 },
    { what: 'without its initrd', happens: () => undefined, content: 'Right', kept: 1, advertised: 1 },
    { what: 'touched', happens: () => touch(2), content: 'Hashing', kept: 1, advertised: 0 },
    { what: 'in a folder that is silent', happens: () => undefined, content: 'Unseen', kept: 1, advertised: 0 },
    { what: 'cut', happens: () => writeFileSync(LAB, ''), content: 'Hashing', kept: 0, advertised: 0 },
    { what: 'wrong by its digest', happens: () => undefined, content: 'Wrong', kept: 0, advertised: 0 },
    {
      what: 'cut in a folder that is silent',
      happens: () => writeFileSync(LAB, ''),
      content: 'Unseen',
      kept: 0,
      advertised: 0,
    },
  ])(
    '$what: kept $kept, told to who looks for a server $advertised',
    async ({ happens, content, kept, advertised }) => {
      happens();
      for (let look = 0; look < 3; look++) await held.set([], [anOffer(content)]);
      expect([held.list.length, held.kept.length, await isOpen(disk)]).toEqual([kept, advertised, kept === 1]);
      expect(applied).toHaveLength(1 - kept);
    },
  );

  const replace = (fill: string): void => {
    writeFileSync(`${LAB}.new`, Buffer.alloc(4_096, fill));
    renameSync(`${LAB}.new`, LAB);
  };

  test('touched, and right: goes on, and is opened anew, for its tables may be others now', async () => {
    touch(2);
    await held.set([], [anOffer('Hashing')]);
    await held.set([aCopy('lab')], [anOffer('Right')]);
    const anew = held.list[0]?.disk;
    expect([anew === disk, held.kept, applied.length]).toEqual([false, [], 1]);
    expect([await isOpen(disk), await isOpen(anew)]).toEqual([false, true]);
    await held.set([aCopy('lab')], [anOffer('Right')]);
    expect([held.list[0]?.disk === anew, applied.length]).toEqual([true, 1]);
    touch(3);
    await held.set([], [anOffer('Hashing')]);
    expect(held.list).toHaveLength(1); // the change before was proved
  });

  test('touched twice before its digest is there: closed, for so a writer begins', async () => {
    touch(2);
    await held.set([], [anOffer('Hashing')]);
    touch(3);
    await held.set([], [anOffer('Hashing')]);
    expect([held.list, await isOpen(disk)]).toEqual([[], false]);
  });

  test('replaced by the same bytes: the new file takes its turn, and the old one is closed after it', async () => {
    replace('a');
    await held.set([], [anOffer('Elsewhere')]);
    let seen: unknown;
    letGo = async ([entry]) => {
      seen ??= [entry?.disk === disk, await isOpen(disk)];
    };
    await held.set([aCopy('lab')], [anOffer('Right')]);
    expect(seen).toEqual([false, true]);
    expect([shown(), applied.length, await isOpen(disk), await isOpen(held.list[0]?.disk)]).toEqual([
      ['lab@a'],
      1,
      false,
      true,
    ]);
  });

  test('of a version that the farm does not name any more: closed', async () => {
    await held.set([], []);
    expect([held.list, await isOpen(disk)]).toEqual([[], false]);
  });

  test('that nobody reads: closed after a minute, and not before', async () => {
    const open: boolean[] = [];
    for (const [at, used] of [
      [0, true],
      [50_000, true],
      [60_000, false],
      [110_000, false],
      [110_001, false],
    ] as const) {
      [clock, inUse] = [at, used];
      await held.set([], [anOffer('Elsewhere')]);
      open.push(held.list.length === 1);
    }
    expect(open).toEqual([true, true, true, true, false]);
  });
});

test('a folder that is silent, and a disk that is, too: closed', async () => {
  const silent: Disk = {
    sizeBytes: 4_096,
    blockSize: 512,
    read: () => new Promise(() => undefined),
    close: async () => undefined,
  };
  const dead = new Exports({
    apply: async () => undefined,
    inUse: () => true,
    log: silentLogger,
    open: async () => ok(silent),
    patienceMs: 20,
  });
  await dead.set([aCopy('lab')]);
  await dead.set([], [anOffer('Unseen')]);
  expect(dead.list).toEqual([]);
});

test('what cannot be opened is tried at each look, and told once', async () => {
  const told: unknown[] = [];
  const log = { ...silentLogger, warn: ({ code }: { code: string }) => void told.push(code) } as typeof silentLogger;
  const tried: string[] = [];
  const open: typeof openImage = async (path) => {
    tried.push(path);
    return openImage(path);
  };
  const exports = new Exports({ apply: async () => undefined, inUse: () => true, log, open });
  for (let look = 0; look < 3; look++) await exports.set([aCopy('nowhere')]);
  expect([told, tried.length]).toEqual([['FileMissing'], 3]);
  await exports.close();
});

test('a file that was put in the place of the one that was found right is not given out', async () => {
  const copy = aCopy('lab');
  writeFileSync(`${LAB}.new`, Buffer.alloc(512));
  renameSync(`${LAB}.new`, LAB);
  await held.set([copy]);
  expect(held.list).toEqual([]);
  await held.set([aCopy('lab')]);
  expect(held.list).toHaveLength(1);
  await held.close();
});
