/** Open disks in step with what may be served, on real files; a FIFO stands for a file that hangs. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { until } from '../../test/setup/services.ts';
import type { Disk } from '../image/disk.ts';
import type { DiskEntry } from '../stream/server.ts';
import { silentLogger } from '../telemetry/log.ts';
import type { ServedCopy } from './copies.ts';
import { Disks } from './disks.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-disks-'));
let applied: (readonly DiskEntry[])[];
let disks: Disks;
beforeAll(() => {
  for (const name of ['lab.raw', 'office.raw']) writeFileSync(join(folder, name), Buffer.alloc(512));
  execFileSync('mkfifo', [join(folder, 'hung.raw')]);
});
let letGo: (entries: readonly DiskEntry[]) => Promise<void>;
beforeEach(() => {
  applied = [];
  letGo = async () => undefined;
  const apply = (entries: readonly DiskEntry[]): Promise<void> => {
    applied.push(entries);
    return letGo(entries);
  };
  disks = new Disks(apply, silentLogger);
});
afterAll(() => rmSync(folder, { recursive: true }));

const aCopy = (vdisk: string, manifest = 'a'): ServedCopy => ({
  vdisk,
  version: 0,
  manifest,
  imagePath: join(folder, `${vdisk}.raw`),
  sizeBytes: 512,
  files: new Map(),
});
const shown = (entries: readonly DiskEntry[] = disks.entries): readonly string[] =>
  entries.map(({ vdisk, manifest }) => `${vdisk}@${manifest}`).sort();
const isOpen = async (disk: Disk | undefined): Promise<boolean | undefined> => (await disk?.read(0, 512))?.ok;

test('a disk stays open while its copy stays, and is closed after the stream let go of it', async () => {
  await disks.set([aCopy('lab'), aCopy('office')]);
  expect(shown()).toEqual(['lab@a', 'office@a']);
  const [lab, office] = ['lab', 'office'].map((name) => disks.entries.find(({ vdisk }) => vdisk === name)?.disk);
  const open: (boolean | undefined)[] = [];
  letGo = async () => void open.push(await isOpen(office));
  await disks.set([aCopy('lab'), aCopy('office', 'b')]);
  expect(open[0]).toBe(true);
  expect(shown()).toEqual(['lab@a', 'office@b']);
  expect(disks.entries.some(({ disk }) => disk === lab)).toBe(true);
  expect([await isOpen(lab), await isOpen(office)]).toEqual([true, false]);
  expect(applied.map(shown)).toContainEqual(['lab@a']);
  await disks.close();
  expect([shown(), await isOpen(lab)]).toEqual([[], false]);
});

test('the same set again asks nothing of the stream', async () => {
  await disks.set([aCopy('lab')]);
  const asked = applied.length;
  await disks.set([aCopy('lab')]);
  expect(applied).toHaveLength(asked);
  await disks.close();
});

test('an image that cannot be opened keeps back none but itself', async () => {
  await disks.set([aCopy('nowhere'), aCopy('lab')]);
  expect(shown()).toEqual(['lab@a']);
  await disks.close();
});

test('an image that hangs keeps back none but itself; when it opens and is no longer wanted, it is not given out', async () => {
  const hangs = disks.set([aCopy('hung'), aCopy('lab')]);
  await until('the other is open', () => disks.entries.length === 1);
  await disks.set([aCopy('office')]);
  expect(shown()).toEqual(['office@a']);
  await (await open(join(folder, 'hung.raw'), 'w')).close();
  await hangs;
  expect(shown()).toEqual(['office@a']);
  await disks.close();
});

test('a disk that opens when its copy has gone is not given out', async () => {
  const opening = disks.set([aCopy('lab')]);
  await disks.set([]);
  await opening;
  expect([shown(), applied.map(shown)]).toEqual([[], []]);
});
