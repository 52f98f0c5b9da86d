import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { bytesOf, type Layer, shownBy, writeImage } from '../../../test/builders/image.ts';
import { VHD_ID, type VhdOptions, type VhdParent, vhdFooter, vhdImage } from '../../../test/builders/vhd.ts';
import { diskContract } from '../../../test/contract/disk.ts';
import type { Disk } from '../disk.ts';
import { openImage, probeImage } from '../images.ts';
import { checksum } from './footer.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-vhd-'));
afterAll(() => rmSync(folder, { recursive: true }));

const BLOCK = 64 << 10;
/** Four blocks, the last half a one, in the file in another order. */
const LAYER: Layer = {
  sizeBytes: 3.5 * BLOCK,
  blockBytes: BLOCK,
  sectorBytes: 512,
  seed: 0,
  blocks: new Map([3, 0, 2, 1].map((block) => [block, 'whole'])),
};
/** The third sector of each block, and a part of others. */
const some = Array.from({ length: BLOCK / 512 }, (_, sector) => sector % 8 === 2 || sector > 100);
const CHILD: Layer = {
  ...LAYER,
  blocks: new Map([
    [1, some],
    [3, some],
  ]),
};
const BESIDE: VhdParent = { id: VHD_ID, name: 'lab.vhd' };
const CHILD_ID = 'c1'.repeat(16);

const put = (name: string, layer: Layer, options?: VhdOptions): string =>
  writeImage(join(folder, name), vhdImage(layer, options));

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

describe('a fixed disk', () => diskContract(() => opened(put('fixed.vhd', LAYER, { type: 'fixed' }))));
describe('a dynamic disk', () => diskContract(() => opened(put('dynamic.vhd', LAYER))));
describe('a difference', () =>
  diskContract(() => {
    put('lab.vhd', LAYER);
    return opened(put('lab.1.avhd', CHILD, { id: CHILD_ID, parent: BESIDE }));
  }));

test('blocks that are not there are zeros, and no file is asked for them', async () => {
  const path = put('sparse.vhd', { ...LAYER, blocks: new Map([[1, 'whole']]) });
  const disk = await opened(path);
  truncateSync(path, 2_560);
  expect(await disk.read(2 * BLOCK, BLOCK)).toEqual({ ok: true, value: Buffer.alloc(BLOCK) });
  expect(await disk.read(BLOCK, 512)).toMatchObject({ ok: false, error: { code: 'FileCut' } });
  expect([...(disk.extents?.(0, disk.sizeBytes) ?? [])]).toMatchObject([{ offset: BLOCK, length: BLOCK }]);
  await disk.close();
});

test.each<{ what: string; options: VhdOptions; change?: (bytes: Buffer) => Buffer | undefined }>([
  { what: 'with the footer of 511 bytes of old writers, fixed', options: { type: 'fixed', tailBytes: 511 } },
  { what: 'with the footer of 511 bytes of old writers', options: { tailBytes: 511 } },
  { what: 'with a table that is longer than needed', options: { moreEntries: 1_000 } },
  { what: 'of Virtual PC, whose geometry says less', options: { creator: 'vpc ' } },
  { what: 'whose footer at the end is damaged', options: {}, change: (bytes) => bytes.fill(0, bytes.length - 400) },
  { what: 'whose footer at the end was cut off', options: {}, change: (bytes) => bytes.subarray(0, -512) },
  { what: 'whose copy of the footer is damaged', options: {}, change: (bytes) => bytes.fill(7, 16, 20) },
  { what: 'with more after the disk than its footer says', options: { type: 'fixed' }, change: longer },
  { what: 'of a writer that computes no checksums', options: {}, change: unsummed },
  { what: 'whose bitmaps say that nothing was written', options: {}, change: (bytes) => bytes.fill(0, 2_048, 2_064) },
])('a disk $what is read', async ({ options, change }) => {
  const path = join(folder, 'odd.vhd');
  const bytes = bytesOf(vhdImage(LAYER, options));
  writeFileSync(path, change?.(bytes) ?? bytes);
  expect(shownBy([LAYER]).equals((await shown(path)) as Buffer)).toBe(true);
});

function longer(bytes: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, -512), Buffer.alloc(512), bytes.subarray(-512)]);
}

function unsummed(bytes: Buffer): Buffer {
  for (const at of [64, bytes.length - 448, 512 + 36]) bytes.writeUInt32BE(0, at);
  return bytes;
}

/** Of the header, and then its sum is right again. */
const inHeader =
  (change: (header: Buffer) => void) =>
  (bytes: Buffer): Buffer => {
    const header = bytes.subarray(512, 1_536);
    change(header);
    header.writeUInt32BE(checksum(header, 36), 36);
    return bytes;
  };
const inFooters =
  (change: (footer: Buffer) => void) =>
  (bytes: Buffer): Buffer => {
    for (const footer of [bytes.subarray(0, 512), bytes.subarray(-512)]) {
      change(footer);
      footer.writeUInt32BE(checksum(footer, 64), 64);
    }
    return bytes;
  };

test.each<{ what: string; code: string; says: string; change: (bytes: Buffer) => Buffer }>([
  { what: 'that is empty', code: 'ImageInvalid', says: '0 bytes', change: () => Buffer.alloc(0) },
  { what: 'that is none', code: 'ImageInvalid', says: 'no footer', change: () => Buffer.alloc(4_096) },
  { what: 'that begins elsewhere', code: 'FileCut', says: 'block', change: (bytes) => bytes.subarray(0, 4 * BLOCK) },
  {
    what: 'whose header is damaged',
    code: 'ImageInvalid',
    says: 'checksum',
    change: (bytes) => bytes.fill(1, 600, 601),
  },
  {
    what: 'of which both footers are damaged',
    code: 'ImageInvalid',
    says: 'footer is damaged',
    change: (bytes) => bytes.fill(1, 90, 91).fill(2, bytes.length - 100, bytes.length - 99),
  },
  {
    what: 'of version 2',
    code: 'NotSupported',
    says: 'version 2',
    change: inFooters((all) => all.writeUInt32BE(0x20000, 12)),
  },
  { what: 'of type 5', code: 'ImageInvalid', says: 'type 5', change: inFooters((all) => all.writeUInt32BE(5, 60)) },
  {
    what: 'of no size',
    code: 'SizeInvalid',
    says: '0 bytes',
    change: inFooters((all) => all.writeBigUInt64BE(0n, 48)),
  },
  {
    what: 'of half a sector',
    code: 'SizeInvalid',
    says: '1000',
    change: inFooters((all) => all.writeBigUInt64BE(1_000n, 48)),
  },
  {
    what: 'beyond 2,040 GiB',
    code: 'SizeInvalid',
    says: String(2n ** 63n),
    change: inFooters((all) => all.writeBigUInt64BE(2n ** 63n, 48)),
  },
  {
    what: 'whose header lies beyond its end',
    code: 'FileCut',
    says: 'header',
    change: inFooters((all) => all.writeBigUInt64BE(2n ** 64n - 1n, 16)),
  },
  {
    what: 'with no header',
    code: 'ImageInvalid',
    says: 'none',
    change: inFooters((all) => all.writeBigUInt64BE(2_048n, 16)),
  },
  {
    what: 'with a header of version 2',
    code: 'NotSupported',
    says: 'version 2',
    change: inHeader((all) => all.writeUInt8(2, 25)),
  },
  {
    what: 'with blocks of 0',
    code: 'ImageInvalid',
    says: '0 bytes',
    change: inHeader((all) => all.writeUInt32BE(0, 32)),
  },
  {
    what: 'with blocks of 96 KiB',
    code: 'ImageInvalid',
    says: '98304',
    change: inHeader((all) => all.writeUInt32BE(98_304, 32)),
  },
  {
    what: 'with too short a table',
    code: 'ImageInvalid',
    says: '3 entries',
    change: inHeader((all) => all.writeUInt32BE(3, 28)),
  },
  {
    what: 'whose table lies beyond its end',
    code: 'FileCut',
    says: 'block table',
    change: inHeader((all) => all.writeBigUInt64BE(2n ** 63n, 16)),
  },
  {
    what: 'with a block over its header',
    code: 'ImageInvalid',
    says: 'over its header',
    change: (bytes) => entry(bytes, 1),
  },
  {
    what: 'with a block over its table',
    code: 'ImageInvalid',
    says: 'over its block table',
    change: (bytes) => entry(bytes, 3),
  },
  {
    what: 'with two blocks in one place',
    code: 'ImageInvalid',
    says: 'over each other',
    change: (bytes) => entry(bytes, 5),
  },
  {
    what: 'with a block beyond its end',
    code: 'FileCut',
    says: 'block 1',
    change: (bytes) => entry(bytes, 0xfffffffe),
  },
])('a file $what is refused', async ({ code, says, change }) => {
  const path = join(folder, 'wrong.vhd');
  writeFileSync(path, change(bytesOf(vhdImage(LAYER))));
  const refused = { ok: false, error: { code, message: expect.stringContaining(says) } };
  expect(await openImage(path)).toMatchObject(refused);
  expect(await probeImage(path, 0)).toMatchObject(refused);
  expect(await openImage(path)).toMatchObject({ error: { message: expect.stringContaining(path) } });
});

/** That of block 1. */
function entry(bytes: Buffer, sector: number): Buffer {
  bytes.writeUInt32BE(sector, 1_536 + 4);
  return bytes;
}

test('a table of 16 GiB, and one of more blocks than are read, are not taken into memory', async () => {
  const path = join(folder, 'huge.vhd');
  const huge = inFooters((footer) => footer.writeBigUInt64BE(2_040n * 2n ** 30n, 48));
  const small = inHeader((header) => {
    header.writeUInt32BE(512, 32);
    header.writeUInt32BE(0xffffffff, 28);
  });
  writeFileSync(path, small(huge(bytesOf(vhdImage(LAYER)))));
  expect(await probeImage(path, 0)).toMatchObject({ ok: false, error: { code: 'NotSupported' } });
});

const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');
test.each<{ what: string; parent: Omit<VhdParent, 'id'>; names: readonly string[] }>([
  { what: 'a relative path', parent: { locators: { W2ru: utf16('.\\base.vhd') } }, names: ['base.vhd'] },
  { what: 'an absolute path', parent: { locators: { W2ku: utf16('C:\\VMs\\base.vhd\0\0') } }, names: ['base.vhd'] },
  {
    what: 'a file URL',
    parent: { locators: { MacX: Buffer.from('file:///Users/me/the%20base.vhd') } },
    names: ['the base.vhd'],
  },
  { what: 'a URL that is none', parent: { locators: { MacX: Buffer.from('file://%') } }, names: [] },
  { what: 'a Unix path', parent: { locators: { W2ru: utf16('./vms/base.vhd') } }, names: ['base.vhd'] },
  {
    what: 'all of them, the relative first',
    parent: {
      name: 'd.vhd',
      locators: { W2ku: utf16('C:\\b.vhd'), W2ru: utf16('.\\a.vhd'), MacX: Buffer.from('c.vhd') },
    },
    names: ['a.vhd', 'b.vhd', 'c.vhd', 'd.vhd'],
  },
  { what: 'an alias of a Mac', parent: { name: 'd.vhd', locators: { 'Mac ': Buffer.alloc(90, 1) } }, names: ['d.vhd'] },
  {
    what: 'a relative path out of the folder, after which none counts',
    parent: { name: 'd.vhd', locators: { W2ru: utf16('..\\..\\etc\\shadow'), W2ku: utf16('C:\\b.vhd') } },
    names: ['shadow'],
  },
  { what: 'nothing', parent: {}, names: [] },
])('a difference that names its parent by $what', async ({ parent, names }) => {
  const path = put('named.vhd', CHILD, { id: CHILD_ID, parent: { id: VHD_ID, ...parent } });
  expect(await probeImage(path, 0)).toEqual({
    ok: true,
    value: {
      sizeBytes: LAYER.sizeBytes,
      id: `vhd:${CHILD_ID}`,
      idStays: true,
      parent: { names, ids: [`vhd:${VHD_ID}`] },
    },
  });
});

test('a locator beyond the end of the file is none', async () => {
  const path = put('beyond.vhd', CHILD, { parent: { ...BESIDE, locators: { W2ru: utf16('a.vhd') } } });
  const bytes = bytesOf(vhdImage(CHILD, { parent: { ...BESIDE, locators: { W2ru: utf16('a.vhd') } } }));
  writeFileSync(path, inHeader((header) => header.writeBigUInt64BE(2n ** 63n, 576 + 16))(bytes));
  expect(await probeImage(path, 0)).toMatchObject({ ok: true, value: { parent: { names: ['lab.vhd'] } } });
});

test('the checksum is that of the specification', () => {
  const footer = vhdFooter(1 << 20);
  expect(checksum(footer, 64)).toBe(footer.readUInt32BE(64));
});
