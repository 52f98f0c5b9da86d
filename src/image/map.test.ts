import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { type Held, type Layer, writeImage } from '../../test/builders/image.ts';
import { logOf, VHDX_GUID, vhdxImage } from '../../test/builders/vhdx.ts';
import { openImage } from './images.ts';
import { type MapEntry, mapDisk } from './map.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-map-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MIB = 1 << 20;
const layer = (sizeBytes: number, blocks: readonly [number, Held][]): Layer => ({
  sizeBytes,
  ...{ blockBytes: MIB, sectorBytes: 512, seed: 0, blocks: new Map(blocks) },
});

async function mapOf(path: string): Promise<MapEntry[]> {
  const opened = await openImage(path);
  if (!opened.ok) throw new Error(opened.error.message);
  const entries: MapEntry[] = [];
  for await (const entry of mapDisk(opened.value, { plain: false, wholeFiles: false }))
    if (entry.ok) entries.push(entry.value);
  await opened.value.close();
  return entries;
}

test('of a chain: what an image has, what it says are zeros, what lies below, and what nobody says anything of', async () => {
  const lab = writeImage(join(folder, 'lab.vhdx'), vhdxImage(layer(3 * MIB, [[1, 'whole']])));
  const sectors = Array.from({ length: 2_048 }, (_, sector) => sector < 8);
  const parent = { parent_linkage: VHDX_GUID, relative_path: '.\\lab.vhdx' };
  const child = layer(5 * MIB, [
    [0, 'zeros'],
    [1, sectors],
    [4, 'whole'],
  ]);
  const path = writeImage(
    join(folder, 'lab.1.avhdx'),
    vhdxImage(child, { guid: `${VHDX_GUID.slice(0, -1)}6`, parent }),
  );
  const own = { depth: 0, present: true };
  const [data, zeros] = [
    { zero: false, data: true },
    { zero: true, data: false },
  ];
  expect(await mapOf(path)).toEqual([
    { start: 0, length: MIB, ...own, ...zeros },
    { start: MIB, length: 4_096, ...own, ...data, offset: 5 * MIB, filename: path },
    { start: MIB + 4_096, length: MIB - 4_096, ...own, depth: 1, ...data, offset: 4 * MIB + 4_096, filename: lab },
    { start: 2 * MIB, length: MIB, ...own, depth: 1, ...zeros },
    { start: 3 * MIB, length: MIB, ...own, present: false, ...zeros },
    { start: 4 * MIB, length: MIB, ...own, ...data, offset: 6 * MIB, filename: path },
  ]);
});

test('what a log lays over the file has no place in it, or is zeros', async () => {
  const writes = [
    { offset: 4 * MIB + 4_096, data: Buffer.alloc(4_096, 7) },
    { offset: 4 * MIB + 8_192, data: 4_096 },
    { offset: 5 * MIB - 4_096, data: 4_096 },
  ];
  const log = logOf([{ sequence: 5, at: 0, tail: 0, writes }]);
  const path = writeImage(join(folder, 'logged.vhdx'), vhdxImage(layer(MIB, [[0, 'whole']]), { log }));
  const own = { depth: 0, present: true };
  const plain = { ...own, zero: false, data: true, filename: path };
  expect(await mapOf(path)).toEqual([
    { start: 0, length: 4_096, ...plain, offset: 4 * MIB },
    { start: 4_096, length: 4_096, ...own, zero: false, data: true },
    { start: 8_192, length: 4_096, ...own, zero: true, data: false },
    { start: 12_288, length: MIB - 16_384, ...plain, offset: 4 * MIB + 12_288 },
    { start: MIB - 4_096, length: 4_096, ...own, zero: true, data: false },
  ]);
});
