/** Leaf tables on real files: made, opened, cut, changed; and disks whose reads are compared with them. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { tableOf, withLeaves } from '../../../test/setup/leaves.ts';
import { ok } from '../../kit/result.ts';
import type { Disk } from '../disk.ts';
import { PAGE_SPAN_BYTES, rootOf, shapeOf } from './layout.ts';
import { HASH_BYTES, PIECE_BYTES, type Pieces, pieces } from './pieces.ts';
import { LeafTable, type TableRef } from './table.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-tree-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const library = (): Pieces => {
  const loaded = pieces();
  if (!loaded.ok) throw new Error(loaded.error.message);
  return loaded.value;
};
const hashOf = (data: Uint8Array): Buffer => {
  const out = Buffer.alloc(HASH_BYTES);
  library().hash(out, 0, data);
  return out;
};

/** Bytes that no two pieces share. */
function content(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 512) bytes.writeDoubleLE(at + 1, at);
  return bytes;
}

const memoryDisk = (bytes: Buffer): Disk => ({
  sizeBytes: bytes.length,
  blockSize: 512,
  read: async (offset, length) => ok(Buffer.from(bytes.subarray(offset, offset + length))),
  close: async () => undefined,
});

async function aTable(bytes: Buffer): Promise<TableRef> {
  return tableOf(memoryDisk(bytes), folder);
}

const layer = (bytes: Buffer, ref: TableRef): Promise<Disk> => withLeaves(memoryDisk(bytes), ref);

/** Flips a bit of a file. */
async function rot(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
  await file.close();
}

const SIZES = [
  512,
  PIECE_BYTES,
  PIECE_BYTES + 512,
  PAGE_SPAN_BYTES - 512,
  PAGE_SPAN_BYTES,
  PAGE_SPAN_BYTES + 512,
  5 * PAGE_SPAN_BYTES + 1_536,
  130 * PAGE_SPAN_BYTES,
];

describe('a table', () => {
  test.each(SIZES)('of %i bytes: its root is the tree of the hashes of all pieces', async (sizeBytes) => {
    const bytes = content(sizeBytes);
    const { path, root } = await aTable(bytes);
    const { fileBytes } = shapeOf(sizeBytes);
    expect(statSync(path).size).toBe(fileBytes);
    let level: Buffer[] = [];
    for (let at = 0; at < sizeBytes; at += PIECE_BYTES) level.push(hashOf(bytes.subarray(at, at + PIECE_BYTES)));
    expect(
      readFileSync(path)
        .subarray(0, level.length * HASH_BYTES)
        .equals(Buffer.concat(level)),
    ).toBe(true);
    do {
      const nodes: Buffer[] = [];
      for (let at = 0; at < level.length; at += 128) {
        const node = Buffer.alloc(4_096);
        node.set(Buffer.concat(level.slice(at, at + 128)));
        nodes.push(hashOf(node));
      }
      level = nodes;
    } while (level.length > 1);
    expect(root).toBe(level[0]?.toString('hex'));
  });

  test('two disks of which one byte differs have two roots', async () => {
    const [one, other] = [content(3 * PAGE_SPAN_BYTES), content(3 * PAGE_SPAN_BYTES)];
    other.writeUInt8(other.readUInt8(2 * PAGE_SPAN_BYTES + 77) ^ 1, 2 * PAGE_SPAN_BYTES + 77);
    const first = (await aTable(one)).root;
    expect((await aTable(other)).root).not.toBe(first);
  });

  test.each<{ what: string; happens: (path: string) => void | Promise<void>; code: string }>([
    { what: 'removed', happens: (path) => rmSync(path), code: 'TableMissing' },
    { what: 'cut', happens: (path) => truncateSync(path, statSync(path).size - 4_096), code: 'TableWrong' },
    { what: 'emptied', happens: (path) => truncateSync(path, 0), code: 'TableWrong' },
    {
      what: 'rotten in a hash of a page',
      happens: (path) => rot(path, shapeOf(SIZE).hashesAt + 40),
      code: 'TableWrong',
    },
    {
      what: 'another one',
      happens: (path) => writeFileSync(path, Buffer.alloc(shapeOf(SIZE).fileBytes)),
      code: 'TableWrong',
    },
  ])('$what is $code, and named', async ({ happens, code }) => {
    const ref = await aTable(content(SIZE));
    await happens(ref.path);
    const opened = await LeafTable.open(ref, SIZE);
    expect(opened).toMatchObject({ ok: false, error: { code } });
    expect(!opened.ok && opened.error.message).toContain(ref.path);
  });

  test('of one page is its own tree', () => {
    const hash = Buffer.alloc(HASH_BYTES, 7);
    expect(rootOf(library(), hash)).toBe('07'.repeat(32));
  });
});

const SIZE = 3 * PAGE_SPAN_BYTES + 1_024;

describe('a disk with its table', () => {
  test('any read is the disk’s', async () => {
    const bytes = content(SIZE);
    const disk = await layer(bytes, await aTable(bytes));
    const place = fc
      .integer({ min: 0, max: SIZE })
      .chain((offset) => fc.tuple(fc.constant(offset), fc.integer({ min: 0, max: Math.min(70_000, SIZE - offset) })));
    await fc.assert(
      fc.asyncProperty(place, async ([offset, length]) => {
        const read = await disk.read(offset, length);
        expect(read.ok && read.value.equals(bytes.subarray(offset, offset + length))).toBe(true);
      }),
      { seed: 13, numRuns: 300 },
    );
    await disk.close();
  });

  test('a bit that flips anywhere is a fault of the reads that touch its piece, and of no other', async () => {
    const bytes = content(SIZE);
    const disk = await layer(bytes, await aTable(bytes));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: SIZE - 1 }), fc.integer({ min: 0, max: 7 }), async (at, bit) => {
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        const sector = Math.floor(at / 512) * 512;
        expect(await disk.read(sector, 512)).toMatchObject({ ok: false, error: { code: 'ContentWrong' } });
        const other = (sector + 2 * PIECE_BYTES) % (SIZE - 512);
        expect((await disk.read(other - (other % 512), 512)).ok).toBe(true);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        expect((await disk.read(sector, 512)).ok).toBe(true);
      }),
      { seed: 13, numRuns: 100 },
    );
    await disk.close();
  });

  test('a page of the table that rots under it is made again from the disk, and put back', async () => {
    const bytes = content(SIZE);
    const ref = await aTable(bytes);
    const before = createHash('sha256').update(readFileSync(ref.path)).digest('hex');
    const disk = await layer(bytes, ref);
    for (const at of [5, 4_096 + 100, 3 * 4_096]) await rot(ref.path, at);
    for (let at = 0; at < SIZE; at += 65_536) expect((await disk.read(at, Math.min(65_536, SIZE - at))).ok).toBe(true);
    expect(createHash('sha256').update(readFileSync(ref.path)).digest('hex')).toBe(before);
    await disk.close();
  });

  test('a page that rots beside a block that rots is no proof: what lies there is a fault', async () => {
    const bytes = content(SIZE);
    const ref = await aTable(bytes);
    const disk = await layer(bytes, ref);
    await rot(ref.path, 5);
    bytes.writeUInt8(bytes.readUInt8(PIECE_BYTES * 9) ^ 1, PIECE_BYTES * 9);
    expect(await disk.read(0, 512)).toMatchObject({ ok: false, error: { code: 'ContentWrong' } });
    expect((await disk.read(PAGE_SPAN_BYTES, 512)).ok).toBe(true);
    await disk.close();
  });
});
