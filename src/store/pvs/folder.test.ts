import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { anImage, aPvsFolder, CHAIN_OF_FIVE } from '../../../test/builders/pvs.ts';
import { findVDisk, vdisksIn } from './folder.ts';

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-pvs-'));
  await aPvsFolder(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

async function find(fileName = 'lab') {
  const found = await findVDisk({ folder, fileName });
  if (!found.ok) throw new Error(found.error.message);
  return found.value;
}

test('a chain of five is as its manifest says, with what is there of it', async () => {
  const { versions, ...vdisk } = await find();
  expect(vdisk).toEqual({ folder, fileName: 'lab', manifestName: 'lab.xml', startingVersion: 0 });
  expect(versions).toMatchObject(CHAIN_OF_FIVE);
  expect(versions.map(({ image }) => image.ok && image.value.chain.length)).toEqual([1, 2, 3, 4, 5]);
  expect(versions[2]).toMatchObject({
    ...{ isAssumed: false, propertiesName: 'lab.2.pvp', properties: { value: { version: 102 } }, bootFiles: [] },
    image: { value: { chain: ['lab.2.avhd', 'lab.1.avhd', 'lab.vhd'], diskBytes: 1 << 20 } },
  });
  // Of an import, a download and a merge that are under way.
  for (const name of ['new.vhdx.partial.raw', 'lab.partial.vhd', 'lab.5.partial.raw', 'lab.5.vhd.partial'])
    writeFileSync(at(name), '');
  expect(await vdisksIn(folder)).toEqual({ ok: true, value: ['lab'] });
});

test.each<{ what: string; change: () => unknown; number: number; is: object }>([
  {
    what: 'an image that lacks',
    change: () => rmSync(at('lab.2.avhd')),
    number: 2,
    is: { image: { error: { code: 'FileMissing' } } },
  },
  {
    what: 'an image above one that lacks',
    change: () => rmSync(at('lab.2.avhd')),
    number: 4,
    is: { image: { error: { message: expect.stringContaining('lab.2.avhd, which is not in its folder') } } },
  },
  {
    what: 'an image in other case',
    change: () => renameSync(at('lab.4.avhd'), at('Lab.4.AVHD')),
    number: 4,
    is: { image: { error: { message: expect.stringContaining('Lab.4.AVHD is: rename it to lab.4.avhd') } } },
  },
  { what: 'a .pvp that lacks', change: () => rmSync(at('lab.3.pvp')), number: 3, is: { properties: undefined } },
  {
    what: 'a .pvp in other case',
    change: () => renameSync(at('lab.3.pvp'), at('LAB.3.PVP')),
    number: 3,
    is: { propertiesName: 'LAB.3.PVP', properties: { ok: true } },
  },
  {
    what: 'a .pvp that was cut',
    change: () => truncateSync(at('lab.3.pvp'), 9),
    number: 3,
    is: { properties: { error: { code: 'PropertiesCut', message: expect.stringContaining('lab.3.pvp: it has 9') } } },
  },
  {
    what: 'a .pvp without an end',
    change: () => truncateSync(at('lab.3.pvp'), 2 ** 40),
    number: 3,
    is: { properties: { error: { code: 'PropertiesTooLong' } } },
  },
  {
    what: 'a .pvp that is a link to nowhere',
    change: () => {
      rmSync(at('lab.3.pvp'));
      symlinkSync('/nowhere', at('lab.3.pvp'));
    },
    number: 3,
    is: { properties: { error: { code: 'LinkBroken' } } },
  },
  {
    what: 'kernel and initrd',
    change: () => ['lab.1.initrd', 'lab.1.vmlinuz'].map((name) => writeFileSync(at(name), name)),
    number: 1,
    is: { bootFiles: ['lab.1.vmlinuz', 'lab.1.initrd'] },
  },
  {
    what: 'an image that the manifest does not name',
    change: () => anImage(folder, 'lab.7.avhd', 'lab.4.avhd'),
    number: 7,
    is: { isAssumed: true, access: 'Maintenance', type: 'Manual' },
  },
])('$what is said of its version, and the others are as they were', async ({ change, number, is }) => {
  await change();
  const { versions } = await find();
  expect({ properties: undefined, ...versions.find((version) => version.number === number) }).toMatchObject(is);
  expect(versions[0]?.image.ok).toBe(true);
});

test('without a manifest versions are those of the images, and access is assumed', async () => {
  rmSync(at('lab.xml'));
  await anImage(folder, 'lab.5.vhd');
  const said = async () =>
    (await find()).versions.map(({ number, type, access, isAssumed }) => [number, type, access, isAssumed]);
  const four = [[0, 'Base', 'Production', true], ...[1, 2, 3].map((number) => [number, 'Manual', 'Production', true])];
  expect(await said()).toEqual([...four, [4, 'Manual', 'Production', true], [5, 'MergeBase', 'Production', true]]);
  rmSync(at('lab.5.vhd'));
  expect(await said()).toEqual([...four, [4, 'Manual', 'Maintenance', true]]);
});

test.each<{ what: string; change: () => unknown; code: string; fileName?: string }>([
  { what: 'no such vDisk', change: () => undefined, fileName: 'win', code: 'NoVDisk' },
  { what: 'a folder that is none', change: () => rmSync(folder, { recursive: true }), code: 'FileMissing' },
  { what: 'a manifest that is none', change: () => writeFileSync(at('lab.xml'), 'no'), code: 'NotXml' },
  { what: 'a manifest without an end', change: () => truncateSync(at('lab.xml'), 2 ** 40), code: 'TooLarge' },
])('$what is $code', async ({ change, fileName = 'lab', code }) => {
  await change();
  expect(await findVDisk({ folder, fileName })).toMatchObject({ error: { code } });
  mkdirSync(folder, { recursive: true });
});
