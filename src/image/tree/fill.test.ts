/** Tables of disks by their maps: as those of all their bytes, and nothing read that is known. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { tableOf } from '../../../test/setup/leaves.ts';
import { fail, ok } from '../../kit/result.ts';
import type { Disk, MappedFile, Piece } from '../disk.ts';
import { type Below, fillTable } from './fill.ts';
import { PAGE_SPAN_BYTES } from './layout.ts';
import { PIECE_BYTES, pieces } from './pieces.ts';
import { LeafTable } from './table.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-fill-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Run {
  readonly sectors: number;
  readonly depth: number;
  readonly isZero: boolean;
}

interface Scene {
  readonly bytes: Buffer;
  /** What lies below the two images on top of the chain. */
  readonly below: Buffer;
  readonly map: readonly Piece[];
}

const CHAIN_DEPTH = 2;

const sectorsOf = (runs: readonly Run[]): number => runs.reduce((sum, { sectors }) => sum + sectors, 0);

/** Bytes that no two sectors share, and that are the run's image's. */
const fill = (bytes: Buffer, from: number, to: number, depth: number): void => {
  for (let at = from; at < to; at += 512) bytes.fill(1 + depth, at, at + 512).writeDoubleLE(at + 1, at);
};

function sceneOf(runs: readonly Run[], belowSectors: number): Scene {
  const bytes = Buffer.alloc(sectorsOf(runs) * 512);
  const below = Buffer.alloc(belowSectors * 512);
  fill(below, 0, below.length, 9);
  const map: Piece[] = [];
  for (const { sectors, depth, isZero } of runs) {
    const offset = map.reduce((sum, { length }) => sum + length, 0);
    const end = offset + sectors * 512;
    const there = depth < CHAIN_DEPTH ? end : Math.min(end, Math.max(offset, below.length));
    if (!isZero) fill(bytes, offset, there, depth);
    if (depth >= CHAIN_DEPTH) bytes.copy(below, offset, offset, there);
    if (there > offset) map.push({ offset, length: there - offset, depth, isZero });
    if (end > there)
      map.push({ offset: there, length: end - there, depth: CHAIN_DEPTH - 1, isZero: true, isAbsent: true });
  }
  return { bytes, below, map };
}

/** The same pieces in a file that has the disk from `SHIFT` on, of which the page cache has so much of each range that is asked for. */
function inFile(bytes: Buffer, map: readonly Piece[], cachedBytes: number): Piece[] {
  const file: MappedFile = {
    path: 'disk',
    readCached: (into, place, length, offset) => {
      const many = Math.min(length, cachedBytes);
      return bytes.copy(into, place, offset - SHIFT, offset - SHIFT + many);
    },
  };
  return map.map((piece) => ({ ...piece, at: { file, offset: piece.offset + SHIFT } }));
}

const SHIFT = 1_536;

/** A disk of these bytes; `read` has the offset of each piece that was asked for. */
function diskOf(bytes: Buffer, map?: readonly Piece[]): Disk & { readonly asked: Set<number> } {
  const offsets = new Set<number>();
  const within = (offset: number, length: number): Piece[] =>
    (map ?? []).flatMap((piece) => {
      const from = Math.max(piece.offset, offset);
      const end = Math.min(piece.offset + piece.length, offset + length);
      const at = piece.at && { ...piece.at, offset: piece.at.offset + from - piece.offset };
      return end > from ? [{ ...piece, offset: from, length: end - from, ...(at && { at }) }] : [];
    });
  return {
    sizeBytes: bytes.length,
    blockSize: 512,
    asked: offsets,
    read: async (offset, length) => {
      for (let at = offset - (offset % PIECE_BYTES); at < offset + length; at += PIECE_BYTES) offsets.add(at);
      return ok(Buffer.from(bytes.subarray(offset, offset + length)));
    },
    ...(map ? { map: async (offset, length) => ok(within(offset, length)) } : {}),
    close: async () => undefined,
  };
}

async function belowOf(bytes: Buffer): Promise<Below & { readonly table: LeafTable }> {
  const ref = await tableOf(diskOf(bytes), folder, undefined, 'below');
  const opened = await LeafTable.open(ref, bytes.length);
  if (!opened.ok) throw new Error(opened.error.message);
  return { table: opened.value, sizeBytes: bytes.length, depth: CHAIN_DEPTH };
}

/** Pieces of which neither all parts are zeros nor all parts lie below. */
function unknown({ bytes, below, map }: Scene): Set<number> {
  const offsets = new Set<number>();
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const end = Math.min(at + PIECE_BYTES, bytes.length);
    const parts = map.filter(({ offset, length }) => offset < end && offset + length > at);
    const isLike = end % PIECE_BYTES === 0 || bytes.length === below.length;
    if (parts.every(({ isZero }) => isZero)) continue;
    if (isLike && parts.every(({ depth }) => depth >= CHAIN_DEPTH)) continue;
    offsets.add(at);
  }
  return offsets;
}

const runs = fc.array(
  fc.record({
    sectors: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3_000 })),
    depth: fc.integer({ min: 0, max: 3 }),
    isZero: fc.boolean(),
  }),
  { minLength: 1, maxLength: 12 },
);

test('a table by any map is the table of all bytes; only what nobody knows is read', async () => {
  await fc.assert(
    fc.asyncProperty(runs, fc.option(fc.integer({ min: 1, max: 9_000 })), async (all, belowSectors) => {
      const scene = sceneOf(all, belowSectors ?? sectorsOf(all));
      const [disk, whole] = [diskOf(scene.bytes, scene.map), diskOf(scene.bytes)];
      const below = await belowOf(scene.below);
      const [made, model] = [await tableOf(disk, folder, below), await tableOf(whole, folder, undefined, 'model')];
      expect(made.root).toBe(model.root);
      expect(readFileSync(made.path).equals(readFileSync(model.path))).toBe(true);
      expect(disk.asked).toEqual(unknown(scene));
      await below.table.close();
    }),
    { seed: 14, numRuns: 60 },
  );
});

test('what the page cache has is read from where the map says that it lies, the rest through the disk', async () => {
  const cached = fc.oneof(fc.nat(5_000), fc.constant(Number.POSITIVE_INFINITY));
  await fc.assert(
    fc.asyncProperty(runs, cached, async (all, cachedBytes) => {
      const { bytes, map } = sceneOf(all, sectorsOf(all));
      const disk = diskOf(bytes, inFile(bytes, map, cachedBytes));
      const [made, model] = [await tableOf(disk, folder), await tableOf(diskOf(bytes), folder, undefined, 'model')];
      expect(made.root).toBe(model.root);
      if (cachedBytes === Number.POSITIVE_INFINITY) expect(disk.asked).toEqual(new Set());
    }),
    { seed: 14, numRuns: 40 },
  );
});

test('a page that the table below lost is read', async () => {
  const bytes = Buffer.alloc(3 * PAGE_SPAN_BYTES, 7);
  const map: Piece[] = [{ offset: 0, length: bytes.length, depth: CHAIN_DEPTH, isZero: false }];
  const below = await belowOf(bytes);
  const disk = diskOf(bytes, map);
  const lost = { ...below, table: { page: async (page: number) => (page === 1 ? undefined : below.table.page(page)) } };
  const made = await tableOf(disk, folder, lost);
  expect(made.root).toBe((await tableOf(diskOf(bytes), folder, undefined, 'model')).root);
  expect([Math.min(...disk.asked), disk.asked.size]).toEqual([PAGE_SPAN_BYTES, PAGE_SPAN_BYTES / PIECE_BYTES]);
  await below.table.close();
});

test('it ends where it is told to, and where the disk cannot be read', async () => {
  const library = pieces();
  if (!library.ok) throw new Error(library.error.message);
  const done: number[] = [];
  const builder = { addLeaves: async (_: Uint8Array, bytes: number) => void done.push(bytes) };
  const disk = diskOf(Buffer.alloc(5 << 20, 7));
  const goOn = async (_: number, doneBytes: number) => doneBytes < 3 << 20;
  expect(await fillTable(disk, builder, library.value, { goOn })).toEqual(ok(undefined));
  expect(done).toHaveLength(3);
  const cut: Disk = { ...disk, read: async () => fail('FileCut', 'it was cut') };
  expect(await fillTable(cut, builder, library.value)).toMatchObject({ ok: false, error: { code: 'FileCut' } });
});
