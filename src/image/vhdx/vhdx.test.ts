import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { bytesOf, type Layer, shownBy, writeImage } from '../../../test/builders/image.ts';
import {
  guidBytes,
  summed,
  VHDX_GUID,
  VHDX_METADATA,
  VHDX_TABLE,
  type VhdxOptions,
  vhdxImage,
} from '../../../test/builders/vhdx.ts';
import { diskContract } from '../../../test/contract/disk.ts';
import type { Disk } from '../disk.ts';
import { openImage, probeImage } from '../images.ts';
import { crc32c } from './crc32c.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-vhdx-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MIB = 1 << 20;
/** Four blocks, the last half a one, in the file in another order. */
const LAYER: Layer = {
  sizeBytes: 3.5 * MIB,
  blockBytes: MIB,
  sectorBytes: 512,
  seed: 0,
  blocks: new Map([3, 0, 2, 1].map((block) => [block, 'whole'])),
};
const some = Array.from({ length: MIB / 512 }, (_, sector) => sector % 8 === 2 || sector > 1_500);
const CHILD: Layer = {
  ...LAYER,
  blocks: new Map([
    [1, some],
    [3, some],
  ]),
};
const BESIDE = { parent_linkage: `{${VHDX_GUID.toUpperCase()}}`, relative_path: '.\\lab.vhdx' };

const put = (name: string, layer: Layer, options?: VhdxOptions): string =>
  writeImage(join(folder, name), vhdxImage(layer, options));

async function opened(path: string): Promise<Disk> {
  const disk = await openImage(path);
  if (!disk.ok) throw new Error(disk.error.message);
  return disk.value;
}

async function shown(path: string): Promise<Buffer | string> {
  const disk = await openImage(path);
  if (!disk.ok) return disk.error.message;
  const read = await disk.value.read(0, disk.value.sizeBytes);
  await disk.value.close();
  return read.ok ? read.value : read.error.message;
}

const sectorsOf4K = Array.from({ length: MIB / 4_096 }, (_, sector) => sector % 3 === 0);
describe('a dynamic disk', () => diskContract(() => opened(put('dynamic.vhdx', LAYER))));
describe('a difference', () =>
  diskContract(() => {
    put('lab.vhdx', LAYER);
    return opened(put('lab.1.avhdx', CHILD, { guid: VHDX_GUID.replaceAll('1', 'a'), parent: BESIDE }));
  }));
describe('a difference with sectors of 4,096 bytes', () =>
  diskContract(() => {
    put('four.vhdx', { ...LAYER, sectorBytes: 4_096 });
    const child: Layer = {
      ...LAYER,
      sectorBytes: 4_096,
      blocks: new Map([
        [0, sectorsOf4K],
        [3, sectorsOf4K],
      ]),
    };
    return opened(put('four.1.avhdx', child, { parent: { ...BESIDE, relative_path: 'four.vhdx' } }));
  }));

test.each([0, 1, 2, 3, 5])('blocks of state %i are zeros', async (emptyState) => {
  const layer: Layer = { ...LAYER, blocks: new Map([[1, 'whole']]) };
  expect(shownBy([layer]).equals((await shown(put('state.vhdx', layer, { emptyState }))) as Buffer)).toBe(true);
});

test.each([0, 1, 2, 3, 5])(
  "of a difference blocks of state %i are the parent's only where they never were",
  async (emptyState) => {
    put('states.vhdx', LAYER);
    const held = [0, 1, 2, 3].map((block) => [block, 'zeros'] as const);
    const child: Layer = { ...LAYER, blocks: new Map(emptyState === 0 ? [] : held) };
    const path = put('states.1.avhdx', { ...LAYER, blocks: new Map() }, { emptyState, parent: BESIDE });
    expect(shownBy([LAYER, child]).equals((await shown(path)) as Buffer)).toBe(true);
  },
);

test.each([1, 2, 32, 256])('blocks of %i MiB, over the end of a chunk', async (mib) => {
  const blockBytes = mib * MIB;
  // A chunk is 4 GiB: its last block, and the first of the next.
  const last = 4_096 / mib - 1;
  const layer: Layer = {
    ...LAYER,
    sizeBytes: (last + 2) * blockBytes,
    blockBytes,
    seed: 3,
    blocks: new Map([
      [last + 1, 'whole'],
      [last, 'whole'],
    ]),
  };
  const disk = await opened(put('chunk.vhdx', layer));
  const at = (last + 1) * blockBytes - 4_096;
  const read = await disk.read(at, 8_192);
  expect(read).toMatchObject({ ok: true });
  const { patternMismatch } = await import('../pattern/pattern.ts');
  expect(read.ok && patternMismatch(read.value, at, 3)).toBeUndefined();
  await disk.close();
});

test.each<{ what: string; change: (bytes: Buffer) => Buffer }>([
  { what: 'whose newer header is damaged', change: (bytes) => bytes.fill(1, 131_072 + 100, 131_072 + 101) },
  { what: 'whose older header is damaged', change: (bytes) => bytes.fill(1, 65_536 + 100, 65_536 + 101) },
  { what: 'whose first region table is damaged', change: (bytes) => bytes.fill(1, 196_608 + 100, 196_608 + 101) },
  { what: 'with reserved bits in its table', change: (bytes) => setBits(bytes, 0xffff8n) },
  { what: 'with an item that may be passed over', change: (bytes) => anItem(bytes, 2) },
  { what: 'whose file ends within no MiB', change: (bytes) => Buffer.concat([bytes, Buffer.alloc(512)]) },
])('a disk $what is read', async ({ change }) => {
  const path = join(folder, 'odd.vhdx');
  writeFileSync(path, change(bytesOf(vhdxImage(LAYER))));
  expect(shownBy([LAYER]).equals((await shown(path)) as Buffer)).toBe(true);
});

test('two headers of one number, as Disk2vhd writes them', async () => {
  const path = put('twins.vhdx', LAYER, { sequences: [7, 7] });
  expect(shownBy([LAYER]).equals((await shown(path)) as Buffer)).toBe(true);
});

function setBits(bytes: Buffer, bits: bigint): Buffer {
  bytes.writeBigUInt64LE(bytes.readBigUInt64LE(VHDX_TABLE) | bits, VHDX_TABLE);
  return bytes;
}

function anItem(bytes: Buffer, flags: number): Buffer {
  const many = bytes.readUInt16LE(VHDX_METADATA + 10);
  const at = VHDX_METADATA + 32 + 32 * many;
  bytes.writeUInt16LE(many + 1, VHDX_METADATA + 10);
  bytes.fill(0x22, at, at + 16);
  bytes.writeUInt32LE(65_536, at + 16);
  bytes.writeUInt32LE(flags, at + 24);
  return bytes;
}

const inHeaders =
  (change: (header: Buffer) => void) =>
  (bytes: Buffer): Buffer => {
    for (const at of [65_536, 131_072]) {
      change(bytes.subarray(at, at + 4_096));
      summed(bytes.subarray(at, at + 4_096));
    }
    return bytes;
  };
const inRegions =
  (change: (table: Buffer) => void) =>
  (bytes: Buffer): Buffer => {
    for (const at of [196_608, 262_144]) {
      change(bytes.subarray(at, at + 65_536));
      summed(bytes.subarray(at, at + 65_536));
    }
    return bytes;
  };
/** Values of the items of the builder: parameters, size, id, logical sector. */
const inItems =
  (at: number, value: number) =>
  (bytes: Buffer): Buffer => {
    bytes.writeUInt32LE(value, VHDX_METADATA + 65_536 + at);
    return bytes;
  };
const inTable =
  (value: bigint) =>
  (bytes: Buffer): Buffer => {
    bytes.writeBigUInt64LE(value, VHDX_TABLE);
    return bytes;
  };

test.each<{ what: string; code: string; says: string; change: (bytes: Buffer) => Buffer }>([
  { what: 'that is empty', code: 'ImageInvalid', says: 'does not begin', change: () => Buffer.alloc(0) },
  { what: 'that is none', code: 'ImageInvalid', says: 'does not begin', change: (bytes) => bytes.fill(0, 0, 8) },
  { what: 'that ends within its head', code: 'FileCut', says: '262144', change: (bytes) => bytes.subarray(0, 262_144) },
  { what: 'that ends within a block', code: 'FileCut', says: 'block 1', change: (bytes) => bytes.subarray(0, -MIB) },
  { what: 'with no header', code: 'ImageInvalid', says: 'headers', change: (bytes) => bytes.fill(0, 65_536, 196_608) },
  {
    what: 'of version 2',
    code: 'NotSupported',
    says: 'version 2',
    change: inHeaders((header) => header.writeUInt16LE(2, 66)),
  },
  {
    what: 'with no region table',
    code: 'ImageInvalid',
    says: 'region tables',
    change: (bytes) => bytes.fill(0, 196_608, 327_680),
  },
  {
    what: 'with a region that must be known',
    code: 'NotSupported',
    says: '11111111-1111-1111-1111-111111111111',
    change: inRegions((table) => table.fill(0x11, 16, 32)),
  },
  {
    what: 'with no block table',
    code: 'ImageInvalid',
    says: 'one block table',
    change: inRegions((table) => void table.fill(0x11, 16, 32).writeUInt32LE(0, 16 + 28)),
  },
  {
    what: 'with a region in its head',
    code: 'ImageInvalid',
    says: 'at 0',
    change: inRegions((table) => void table.fill(0, 32, 40)),
  },
  {
    what: 'with a region beyond its end',
    code: 'FileCut',
    says: 'region',
    change: inRegions((table) => void table.writeBigUInt64LE(2n ** 62n, 32)),
  },
  {
    what: 'with two regions in one place',
    code: 'ImageInvalid',
    says: 'over each other',
    change: inRegions((table) => void table.writeBigUInt64LE(BigInt(VHDX_METADATA), 32)),
  },
  {
    what: 'with an item that must be known',
    code: 'NotSupported',
    says: '22222222',
    change: (bytes) => anItem(bytes, 4),
  },
  {
    what: 'with no metadata',
    code: 'ImageInvalid',
    says: 'metadata',
    change: (bytes) => bytes.fill(0, VHDX_METADATA, VHDX_METADATA + 8),
  },
  {
    what: 'with an item beyond its metadata',
    code: 'ImageInvalid',
    says: 'fileParameters',
    change: (bytes) => bytes.fill(0xff, VHDX_METADATA + 48, VHDX_METADATA + 52),
  },
  { what: 'with blocks of 3 MiB', code: 'ImageInvalid', says: '3145728', change: inItems(0, 3 * MIB) },
  { what: 'with blocks of 0', code: 'ImageInvalid', says: '0 bytes', change: inItems(0, 0) },
  { what: 'with blocks of 512 MiB', code: 'ImageInvalid', says: '536870912', change: inItems(0, 512 * MIB) },
  { what: 'with sectors of 520', code: 'ImageInvalid', says: '520', change: inItems(32, 520) },
  { what: 'of no size', code: 'SizeInvalid', says: '0 bytes', change: inItems(8, 0) },
  { what: 'beyond 64 TiB', code: 'SizeInvalid', says: '140737492025344', change: inItems(12, 2 ** 15) },
  { what: 'with too short a table', code: 'ImageInvalid', says: 'needs', change: inItems(12, 2 ** 10) },
  { what: 'that is a difference of nothing', code: 'ImageInvalid', says: 'difference', change: inItems(4, 2) },
  { what: 'with a block of state 4', code: 'ImageInvalid', says: 'state 4', change: inTable(4n) },
  {
    what: 'that is no difference, with a block that is partly there',
    code: 'ImageInvalid',
    says: 'no bitmap',
    change: inTable((5n << 20n) | 7n),
  },
  { what: 'with a block over its head', code: 'ImageInvalid', says: 'over its head', change: inTable(6n) },
  { what: 'with a block over its table', code: 'ImageInvalid', says: 'block table', change: inTable((3n << 20n) | 6n) },
  {
    what: 'with a block over its metadata',
    code: 'ImageInvalid',
    says: 'over its metadata',
    change: inTable((2n << 20n) | 6n),
  },
  {
    what: 'with two blocks in one place',
    code: 'ImageInvalid',
    says: 'over each other',
    change: inTable((4n << 20n) | 6n),
  },
  { what: 'with a block beyond its end', code: 'FileCut', says: 'block 0', change: inTable((4_000n << 20n) | 6n) },
  {
    what: 'with a block at the end of all numbers',
    code: 'ImageInvalid',
    says: 'leads to',
    change: inTable(2n ** 64n - 2n),
  },
])('a file $what is refused', async ({ code, says, change }) => {
  const path = join(folder, 'wrong.vhdx');
  writeFileSync(path, change(bytesOf(vhdxImage(LAYER))));
  const refused = { ok: false, error: { code, message: expect.stringContaining(says) } };
  expect(await openImage(path)).toMatchObject(refused);
  expect(await probeImage(path, 0)).toMatchObject(refused);
  expect(await openImage(path)).toMatchObject({ error: { message: expect.stringContaining(path) } });
});

test('a difference whose bitmap is not there is refused', async () => {
  const bytes = bytesOf(vhdxImage(CHILD, { parent: BESIDE }));
  const ratio = (2 ** 23 * 512) / MIB;
  bytes.fill(0, VHDX_TABLE + 8 * ratio, VHDX_TABLE + 8 * ratio + 8);
  const path = join(folder, 'bare.avhdx');
  writeFileSync(path, bytes);
  expect(await probeImage(path, 0)).toMatchObject({
    ok: false,
    error: { message: expect.stringContaining('no bitmap') },
  });
});

const OTHER = '0'.repeat(8) + VHDX_GUID.slice(8);
test.each<{ what: string; parent: Readonly<Record<string, string>>; value: object }>([
  {
    what: 'all paths, the relative first',
    parent: { ...BESIDE, absolute_win32_path: 'C:\\b.vhdx', volume_path: '\\\\?\\Volume{1}\\c.vhdx' },
    value: { names: ['lab.vhdx', 'b.vhdx', 'c.vhdx'], ids: [`vhdx:${VHDX_GUID}`] },
  },
  {
    what: 'two linkages',
    parent: { ...BESIDE, parent_linkage2: OTHER },
    value: { names: ['lab.vhdx'], ids: [`vhdx:${VHDX_GUID}`, `vhdx:${OTHER}`] },
  },
  {
    what: 'a second linkage of zeros, as Windows 10 writes it',
    parent: { ...BESIDE, parent_linkage2: '{00000000-0000-0000-0000-000000000000}' },
    value: { names: ['lab.vhdx'], ids: [`vhdx:${VHDX_GUID}`] },
  },
  {
    what: 'a path out of the folder, after which none counts',
    parent: { ...BESIDE, relative_path: '..\\..\\etc\\shadow', absolute_win32_path: 'C:\\b.vhdx' },
    value: { names: ['shadow'], ids: [`vhdx:${VHDX_GUID}`] },
  },
])('a difference that names its parent by $what', async ({ parent, value }) => {
  expect(await probeImage(put('named.avhdx', CHILD, { parent }), 0)).toMatchObject({
    ok: true,
    value: { parent: value },
  });
});

test.each<{ what: string; parent: Readonly<Record<string, string>> }>([
  { what: 'no linkage', parent: { relative_path: 'lab.vhdx' } },
  { what: 'a linkage that is none', parent: { ...BESIDE, parent_linkage: '{lab}' } },
  { what: 'a linkage of zeros', parent: { ...BESIDE, parent_linkage: '{00000000-0000-0000-0000-000000000000}' } },
])('a difference with $what is refused', async ({ parent }) => {
  expect(await probeImage(put('unlinked.avhdx', CHILD, { parent }), 0)).toMatchObject({
    ok: false,
    error: { code: 'ImageInvalid' },
  });
});

// RFC 3720 B.4.
test.each([
  { bytes: Buffer.alloc(32), sum: 0x8a9136aa },
  { bytes: Buffer.alloc(32, 0xff), sum: 0x62a8ab43 },
  { bytes: Buffer.from(Array.from({ length: 32 }, (_, index) => index)), sum: 0x46dd794e },
  { bytes: Buffer.from('123456789'), sum: 0xe3069283 },
])('CRC-32C: $sum', ({ bytes, sum }) => {
  expect(crc32c(bytes)).toBe(sum);
  expect(crc32c(bytes.subarray(5), crc32c(bytes.subarray(0, 5)))).toBe(sum);
});

test('a GUID has its first three groups the other way round', () => {
  expect(guidBytes('00112233-4455-6677-8899-aabbccddeeff').toString('hex')).toBe('33221100554477668899aabbccddeeff');
});
