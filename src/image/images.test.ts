/** What a store does with the table of formats, shown by a format that is a line of another table: a header, then a disk that is larger than its file. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { aVDisk } from '../../test/builders/farm.ts';
import { writeImage } from '../../test/builders/image.ts';
import { VHD_ID, vhdImage } from '../../test/builders/vhd.ts';
import { ok, type Result } from '../kit/result.ts';
import { lookInto } from '../store/inventory.ts';
import { copyFacts } from '../store/report.ts';
import type { Disk, Format, ImageFacts, OpenFault } from './disk.ts';
import { FORMATS, MAX_CHAIN } from './formats.ts';
import { openImage } from './images.ts';
import { patternDisk } from './pattern/pattern.ts';

/** Its file is its facts. */
const factsIn = (path: string): ImageFacts => JSON.parse(readFileSync(path, 'utf8'));
const toy: Format = {
  extension: '.toy',
  differencing: '.atoy',
  probe: async (path) => ok(factsIn(path)),
  async open(path, openParent): Promise<Result<Disk, OpenFault>> {
    const { sizeBytes, parent } = factsIn(path);
    const below = parent === undefined ? undefined : await openParent(parent);
    return below && !below.ok ? below : ok(below?.value ?? patternDisk({ sizeBytes, seed: 9 }));
  },
};
const TABLE = [...FORMATS, toy];

const layer = { sizeBytes: 4_096, blockBytes: 4_096, sectorBytes: 512, seed: 0, blocks: new Map() } as const;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-images-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function put(name: string, facts: ImageFacts): void {
  writeFileSync(join(folder, name), JSON.stringify(facts));
}

/** Of a version of lab, all digests being there. */
async function reported(number: number) {
  const inventory = await lookInto(folder, { formats: TABLE });
  const digest = { kind: 'ready', sha256: 'a'.repeat(64) } as const;
  return copyFacts(aVDisk(), { vdisk: 'lab', number, access: 'Test' }, folder, inventory, () => digest, {
    formats: TABLE,
  });
}

/** A VHD and a difference of it, in which the name of it is a hint. */
function putChain(parentName: string): string {
  mkdirSync(join(folder, 'store'));
  writeImage(join(folder, 'outside.vhd'), vhdImage(layer));
  return writeImage(
    join(folder, 'store/lab.avhd'),
    vhdImage(layer, { id: 'c'.repeat(32), parent: { id: VHD_ID, name: parentName } }),
  );
}

test('a link out of its folder is followed to no parent, but where a look has found it right', async () => {
  const child = putChain('linked.vhd');
  const link = join(folder, 'store/linked.vhd');
  symlinkSync('../outside.vhd', link);
  expect(await openImage(child)).toMatchObject({
    error: { code: 'LinkOutside', message: expect.stringContaining(`${link} leads to ${folder}/outside.vhd`) },
  });
  expect(await openImage(child, { parents: new Set(['other.vhd']) })).toMatchObject({ error: { code: 'FileMissing' } });
  const opened = await openImage(child, { parents: new Set(['linked.vhd']) });
  expect(opened).toMatchObject({ ok: true });
  if (opened.ok) await opened.value.close();
});

test('a link within its folder is followed, and one out of it beside the right parent is not looked into', async () => {
  const child = putChain('linked.vhd');
  writeFileSync(join(folder, 'store/base.vhd'), readFileSync(join(folder, 'outside.vhd')));
  symlinkSync('base.vhd', join(folder, 'store/linked.vhd'));
  symlinkSync('../outside.vhd', join(folder, 'store/LINKED.VHD'));
  const opened = await openImage(child);
  expect(opened.ok && (await opened.value.files?.())?.map(({ name }) => name)).toEqual(['lab.avhd', 'linked.vhd']);
  if (opened.ok) await opened.value.close();
});

function putBoot(stem: string): void {
  for (const end of ['vmlinuz', 'initrd']) writeFileSync(join(folder, `${stem}.${end}`), 'boot');
}

test('the size of a disk is what its image says, not what its file has', async () => {
  put('lab.toy', { sizeBytes: 1 << 30 });
  putBoot('lab');
  expect(await reported(0)).toMatchObject({
    state: 'Present',
    diskBytes: 1 << 30,
    files: [{ name: 'lab.toy' }, {}, {}],
  });
  expect(await openImage(join(folder, 'lab.toy'), { formats: TABLE })).toMatchObject({
    ok: true,
    value: { sizeBytes: 1 << 30 },
  });
});

test('a difference is whole with all below it, and is opened with it', async () => {
  put('lab.toy', { sizeBytes: 1_024 });
  put('lab.1.atoy', { sizeBytes: 1_024, parent: { names: ['lab.toy'] } });
  put('lab.2.atoy', { sizeBytes: 2_048, parent: { names: ['lab.1.atoy'] } });
  putBoot('lab.2');
  const { state, diskBytes, files } = await reported(2);
  expect([state, diskBytes]).toEqual(['Present', 2_048]);
  const chain = ['lab.2.atoy', 'lab.1.atoy', 'lab.toy'];
  expect(files.map(({ name }) => name)).toEqual([...chain, 'lab.2.vmlinuz', 'lab.2.initrd']);
  const opened = await openImage(join(folder, 'lab.2.atoy'), { formats: TABLE });
  expect(opened.ok && (await opened.value.read(0, 8))).toMatchObject({ ok: true });
});

test.each<{ what: string; parent: string; state: string; says: string; code: string }>([
  { what: 'that is not there', parent: 'lab.toy', state: 'Missing', says: 'lab.toy is not in', code: 'FileMissing' },
  { what: 'elsewhere', parent: '../lab.toy', state: 'Missing', says: '../lab.toy is not in', code: 'FileMissing' },
  { what: 'that is no image', parent: 'lab.1.initrd', state: 'Faulty', says: 'lab.1.initrd', code: 'NotSupported' },
  { what: 'that its format refuses', parent: 'lab.vhd', state: 'Faulty', says: 'lab.vhd', code: 'ImageInvalid' },
  { what: 'that is itself', parent: 'lab.1.atoy', state: 'Faulty', says: `${MAX_CHAIN}`, code: 'ChainTooLong' },
])('a difference of an image $what', async ({ parent, state, says, code }) => {
  put('lab.1.atoy', { sizeBytes: 1_024, parent: { names: [parent] } });
  putBoot('lab.1');
  writeFileSync(join(folder, 'lab.vhd'), '');
  expect(await reported(1)).toMatchObject({ state, message: expect.stringContaining(says) });
  expect(await openImage(join(folder, 'lab.1.atoy'), { formats: TABLE })).toMatchObject({ ok: false, error: { code } });
});

test.each<{ what: string; base?: string; id: string; state: string; says: string; code?: string }>([
  { what: 'as it was named', base: 'base.vhd', id: VHD_ID, state: 'Present', says: '' },
  { what: 'in other case', base: 'Base.vhd', id: VHD_ID, state: 'Present', says: '' },
  { what: 'as the farm names it', base: 'lab.vhd', id: VHD_ID, state: 'Present', says: '' },
  { what: 'nowhere', id: '', state: 'Missing', says: 'base.vhd is not in', code: 'FileMissing' },
  { what: 'another', base: 'base.vhd', id: '0b'.repeat(16), state: 'Faulty', says: 'vhd:0b0b', code: 'ParentWrong' },
])('the base of a VHD is there $what', async ({ base, id, state, says, code }) => {
  if (base) writeImage(join(folder, base), vhdImage(layer, { id }));
  const locators = { W2ku: Buffer.from('D:\\PVS\\base.vhd', 'utf16le') };
  writeImage(join(folder, 'lab.1.avhd'), vhdImage(layer, { id: 'c1'.repeat(16), parent: { id: VHD_ID, locators } }));
  putBoot('lab.1');
  const { state: is, message, files } = await reported(1);
  expect([is, message]).toEqual([state, expect.stringContaining(says)]);
  expect(files.map(({ name }) => name).slice(0, 2)).toEqual(state === 'Present' ? ['lab.1.avhd', base] : []);
  const opened = await openImage(join(folder, 'lab.1.avhd'), { formats: TABLE });
  expect(opened.ok ? undefined : opened.error.code).toBe(code);
  if (opened.ok) await opened.value.close();
});

test('an image at which its format throws is Faulty, and hurts no other', async () => {
  writeFileSync(join(folder, 'other.toy'), 'no facts');
  put('lab.toy', { sizeBytes: 1_024 });
  putBoot('lab');
  expect((await reported(0)).state).toBe('Present');
  writeFileSync(join(folder, 'lab.toy'), 'nor here');
  expect(await reported(0)).toMatchObject({ state: 'Faulty', message: expect.stringContaining('lab.toy') });
});

test.each([MAX_CHAIN, MAX_CHAIN + 1])('a chain of %i', async (many) => {
  const nameOf = (number: number): string => (number === 0 ? 'lab.toy' : `lab.${number}.atoy`);
  for (let number = 0; number < many; number++)
    put(nameOf(number), { sizeBytes: 512, ...(number > 0 && { parent: { names: [nameOf(number - 1)] } }) });
  putBoot(`lab.${many - 1}`);
  const fits = many === MAX_CHAIN;
  expect((await reported(many - 1)).state).toBe(fits ? 'Present' : 'Faulty');
  expect((await openImage(join(folder, nameOf(many - 1)), { formats: TABLE })).ok).toBe(fits);
});

test('an image with the name of another format, or of none, is said to be what it is', async () => {
  for (const name of ['lab.vhdx', 'lab.img']) {
    const opened = await openImage(writeImage(join(folder, name), vhdImage(layer)));
    expect(opened.ok ? undefined : opened.error).toEqual({
      code: 'NotSupported',
      message: expect.stringContaining(`mv -n ${name} lab.vhd\``),
    });
  }
});
