/** Open disks in step with what may be served, on real files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { until } from '../../test/setup/services.ts';
import type { Disk } from '../image/disk.ts';
import { openImage } from '../image/images.ts';
import { silentLogger } from '../telemetry/log.ts';
import { Exports } from './exports.ts';
import type { Export } from './frontend.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-disks-'));
let applied: (readonly Export[])[];
let held: Exports;
beforeAll(() => {
  for (const name of ['lab.raw', 'office.raw', 'hung.raw']) writeFileSync(join(folder, name), Buffer.alloc(512));
});
let hung: PromiseWithResolvers<void>;
let letGo: (entries: readonly Export[]) => Promise<void>;
beforeEach(() => {
  applied = [];
  letGo = async () => undefined;
  const apply = (entries: readonly Export[]): Promise<void> => {
    applied.push(entries);
    return letGo(entries);
  };
  hung = Promise.withResolvers();
  held = new Exports(apply, silentLogger, async (path) => {
    if (path.endsWith('hung.raw')) await hung.promise;
    return openImage(path);
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

const aCopy = (vdisk: string, manifest = 'a') => ({
  vdisk,
  version: 0,
  manifest,
  imagePath: join(folder, `${vdisk}.raw`),
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
