import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from '@jest/globals';
import { bytesOf, type Held, type Layer, writeImage } from '../../test/builders/image.ts';
import { VHD_ID, type VhdOptions, vhdImage } from '../../test/builders/vhd.ts';
import { LOG_GUID, logOf, VHDX_GUID, VHDX_TABLE, type VhdxOptions, vhdxImage } from '../../test/builders/vhdx.ts';
import { checkChain } from './check.ts';
import { describeChain } from './facts.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-check-'));
  folders.push(folder);
});
const folders: string[] = [];
afterAll(() => folders.forEach((each) => void rmSync(each, { recursive: true })));

const MIB = 1 << 20;
const half: Held = Array.from({ length: 128 }, (_, sector) => sector % 2 === 0);
const layer = (blockBytes: number, blocks: ReadonlyMap<number, Held> = new Map([[1, 'whole']])): Layer => ({
  sizeBytes: 4 * blockBytes,
  ...{ blockBytes, sectorBytes: 512, seed: 0, blocks },
});
const put = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
};
const vhd = (options?: VhdOptions, blocks?: Layer['blocks']): Buffer =>
  bytesOf(vhdImage(layer(65_536, blocks), options));
const vhdx = (options?: VhdxOptions, blocks?: Layer['blocks']): Buffer =>
  bytesOf(vhdxImage(layer(MIB, blocks), options));
const changed = (bytes: Buffer, change: (bytes: Buffer) => unknown): Buffer => {
  change(bytes);
  return bytes;
};

const checked = async (name: string) => {
  const all = await checkChain(join(folder, name));
  return all.ok
    ? all.value.map(({ path, ...image }) => ({ ...image, name: path.slice(folder.length + 1) }))
    : all.error;
};

test('a chain is whole, image by image', async () => {
  put('lab.vhd', vhd());
  put('lab.1.avhd', vhd({ id: 'c'.repeat(32), parent: { id: VHD_ID } }, new Map([[0, half]])));
  expect(await checked('lab.1.avhd')).toEqual([
    { name: 'lab.1.avhd', blocks: { all: 4, here: 1, partly: 1 }, leakedBytes: 0, odd: [] },
    { name: 'lab.vhd', blocks: { all: 4, here: 1, partly: 0 }, leakedBytes: 0, odd: [] },
  ]);
});

/** A block more lies in the file than the table leads to. */
const withoutBlock = (bytes: Buffer): Buffer => changed(bytes, (all) => all.writeUInt32BE(0xffffffff, 1_536 + 4 * 2));
const two: Layer['blocks'] = new Map([1, 2].map((block) => [block, 'whole']));
test('room in the file that nothing leads to has leaked, if a block fits into it', async () => {
  put('lab.vhd', withoutBlock(vhd({}, two)));
  expect(await checked('lab.vhd')).toMatchObject([{ leakedBytes: 65_536 + 512 }]);
  put('lab.vhdx', Buffer.concat([vhdx(), Buffer.alloc(3 * MIB)]));
  expect(await checked('lab.vhdx')).toMatchObject([{ leakedBytes: 3 * MIB }]);
});

const footersOf = (bytes: Buffer): Buffer[] => [bytes.subarray(0, 512), bytes.subarray(-512)];

/** As that of Disk2vhd: far more than the disk has. */
function withGeometry(footer: Buffer): void {
  footer.writeUInt16BE(65_280, 56);
  footer.set([16, 255], 58);
  footer.writeUInt32BE(0, 64);
  footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte) >>> 0, 64);
}

test('room that a block keeps which was discarded has not leaked', async () => {
  const entry = VHDX_TABLE + 8;
  const bytes = vhdx({}, two);
  const other = bytes.readBigUInt64LE(entry + 8);
  for (const { value, leakedBytes } of [
    { value: (other & ~7n) | 3n, leakedBytes: 0 },
    { value: 3n, leakedBytes: MIB },
  ]) {
    put(
      'lab.vhdx',
      changed(bytes, (all) => all.writeBigUInt64LE(value, entry + 8)),
    );
    expect(await checked('lab.vhdx')).toMatchObject([{ leakedBytes, blocks: { here: 1 } }]);
  }
});

const ODD: readonly { readonly what: string; readonly name: string; readonly bytes: () => Buffer }[] = [
  { what: 'the copy of its footer', name: 'lab.vhd', bytes: () => changed(vhd(), (all) => all.fill(7, 16, 20)) },
  {
    what: 'the footer at its end',
    name: 'lab.vhd',
    bytes: () => changed(vhd(), (all) => all.fill(0, all.length - 500)),
  },
  {
    what: 'its geometry says 136367308800 bytes',
    name: 'lab.vhd',
    bytes: () => changed(vhd(), (all) => footersOf(all).forEach((footer) => void withGeometry(footer))),
  },
  { what: '511 bytes', name: 'lab.vhd', bytes: () => vhd({ tailBytes: 511 }) },
  { what: 'no identifier', name: 'lab.vhd', bytes: () => vhd({ id: '0'.repeat(32) }) },
  {
    what: 'checksums are wrong throughout',
    name: 'lab.vhd',
    bytes: () => changed(vhd(), (all) => [64, all.length - 448].forEach((at) => void all.writeUInt32BE(1, at))),
  },
  {
    what: 'one of its two headers',
    name: 'lab.vhdx',
    bytes: () => changed(vhdx(), (all) => all.fill(0, 65_536, 65_540)),
  },
  { what: 'sequence number 3', name: 'lab.vhdx', bytes: () => vhdx({ sequences: [3, 3] }) },
  {
    what: 'one of its two region tables',
    name: 'lab.vhdx',
    bytes: () => changed(vhdx(), (all) => all.fill(0, 196_608, 196_612)),
  },
  { what: 'no whole MiB', name: 'lab.vhdx', bytes: () => Buffer.concat([vhdx(), Buffer.alloc(512)]) },
];
test.each(ODD)('what is read all the same is said: $what', async ({ what, name, bytes }) => {
  put(name, bytes());
  expect(await checked(name)).toMatchObject([{ leakedBytes: 0, odd: [expect.stringContaining(what)] }]);
});

test('what lies over a locator is found, though it keeps no image from being read', async () => {
  const locators = { W2ru: Buffer.from('.\\lab.vhd', 'utf16le') };
  const child = vhd({ id: 'c'.repeat(32), parent: { id: VHD_ID, locators } }, two);
  const block = child.readUInt32BE(1_536 + 4) * 512;
  child.writeBigUInt64BE(BigInt(block + 1_024), 512 + 576 + 16);
  const header = child.subarray(512, 1_536);
  header.writeUInt32BE(0, 36);
  header.writeUInt32BE(~header.reduce((sum, byte) => sum + byte, 0) >>> 0, 36);
  put('lab.vhd', vhd());
  put('lab.1.avhd', child);
  expect(await checked('lab.1.avhd')).toMatchObject({
    code: 'ImageInvalid',
    message: expect.stringMatching(/lies over its locator W2ru/),
  });
});

test('a cut file, a parent that lacks and a bitmap that cannot be read are faults', async () => {
  put('lab.vhdx', vhdx());
  put('lab.1.avhdx', vhdx({ guid: LOG_GUID, parent: { parent_linkage: VHDX_GUID, relative_path: 'lab.vhdx' } }));
  expect(await checked('lab.1.avhdx')).toHaveLength(2);
  truncateSync(join(folder, 'lab.vhdx'), 4 * MIB);
  expect(await checked('lab.1.avhdx')).toMatchObject({ code: 'FileCut', message: expect.stringMatching(/lab\.vhdx/) });
  rmSync(join(folder, 'lab.vhdx'));
  expect(await checked('lab.1.avhdx')).toMatchObject({ code: 'FileMissing' });
});

test('of a chain whose parent lacks the facts of the child stay', async () => {
  const path = put(
    'lab.1.avhd',
    vhd({ creator: 'tap ', id: 'c'.repeat(32), parent: { id: VHD_ID, name: 'gone.vhd' } }),
  );
  expect(await describeChain(path)).toMatchObject({
    value: {
      images: [{ format: 'vhd', description: { subformat: 'differencing', creator: 'tap 0.0', blockBytes: 65_536 } }],
      missing: { code: 'FileMissing' },
    },
  });
});

test('a log that is not replayed is said', async () => {
  const writes = [{ offset: 6 * MIB, data: 8_192 }];
  const log = logOf([{ sequence: 5, at: 0, tail: 0, writes }]);
  const path = writeImage(join(folder, 'lab.vhdx'), vhdxImage(layer(MIB), { log }));
  expect(await describeChain(path)).toMatchObject({ value: { images: [{ description: { loggedBytes: 8_192 } }] } });
});
