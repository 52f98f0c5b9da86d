import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { partialOf } from '../transfer/target.ts';
import { lookInto } from './inventory.ts';
import { claim, deviceOf, foreignTo, MARK, parseOwner, readMark, removeUnmade, vanished } from './mark.ts';
import { removePartial } from './pullfile.ts';

const LAB = { farm: 'lab', lineage: '0123456789abcdef' };
const OFFICE = { farm: 'office', lineage: 'fedcba9876543210' };
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-mark-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a folder is the farm’s that comes first; to the other it is told whose it is, and the way out', async () => {
  const said = await Promise.all([claim(folder, LAB), claim(folder, OFFICE), claim(folder, LAB)]);
  const mark = await readMark(folder);
  expect(readdirSync(folder)).toEqual([MARK]);
  const [mine, other] = mark?.farm === 'lab' ? [LAB, OFFICE] : [OFFICE, LAB];
  expect(await claim(folder, mine)).toBeUndefined();
  const message = await claim(folder, other);
  expect(said.filter((one) => one !== undefined).every((one) => one === message)).toBe(true);
  for (const word of [mine.farm, mine.lineage, other.farm, other.lineage, `remove ${join(folder, MARK)}`])
    expect(message).toContain(word);
});

test('a look says so, and sees the files; a folder that is two servers’ has one volume, and a copy of it another', async () => {
  writeFileSync(join(folder, 'lab.raw'), Buffer.alloc(512));
  await claim(folder, LAB);
  const own = await lookInto(folder, { owner: LAB });
  const other = await lookInto(folder, { owner: OFFICE });
  expect([own.foreign, own.message, other.foreign, other.state]).toEqual([undefined, '', true, 'Accessible']);
  expect(other.message).toContain('is kept by farm lab');
  expect(other.files.map(({ name }) => name)).toEqual(['lab.raw']);
  expect([own.volume, typeof own.volume]).toEqual([other.volume, 'string']);
  const copy = mkdtempSync(join(tmpdir(), 'bootfarm-mark-'));
  cpSync(folder, copy, { recursive: true });
  const copied = await lookInto(copy, { owner: LAB });
  rmSync(copy, { recursive: true });
  expect(copied.volume).not.toBe(own.volume);
});

test.each<[what: string, make: (path: string) => void]>([
  ['no text of ours', (path) => writeFileSync(path, '{"farm":1}')],
  ['an empty file', (path) => writeFileSync(path, '')],
  ['a link', (path) => symlinkSync('/etc/hostname', path)],
])(
  '%s by its name says nothing of whose the folder is: nobody writes there, until a person removes it',
  async (_, make) => {
    make(join(folder, MARK));
    const message = await claim(folder, LAB);
    expect(message).toMatch(/remove it/);
    expect(await foreignTo(folder, OFFICE)).toBe(message);
    expect(await lookInto(folder, { owner: LAB })).toMatchObject({ foreign: true, message });
    rmSync(join(folder, MARK));
    expect(await claim(folder, LAB)).toBeUndefined();
  },
);

/** Noted when the folder was looked at last; the device of the folder and of the node is one here. */
test.each<[what: string, noted: (now: string, token: string) => string, isGone: boolean]>([
  ['as it was', (now, token) => `${now} ${token}`, false],
  ['on the same device with another mark', (now) => `${now} other`, false],
  ['with its mark, from another disk', (_, token) => `0 ${token}`, false],
  ['with another mark than the disk had: work marked the node’s own before', () => '0 other', true],
  ['from a disk of which an earlier release noted no mark', () => '0', true],
])('a folder %s', async (_, noted, isGone) => {
  await claim(folder, LAB);
  const [now = '', token = ''] = (await deviceOf(folder)).split(' ');
  expect((await readMark(folder))?.token).toBe(token);
  const gone = await vanished(folder, { device: noted(now, token), system: folder });
  expect(gone !== undefined).toBe(isGone);
});

test('nothing of another farm is taken away', async () => {
  await claim(folder, LAB);
  const path = join(folder, 'lab.raw');
  const partial = partialOf(path, 'a'.repeat(64));
  writeFileSync(partial, 'some');
  await removePartial(path, 'a'.repeat(64), OFFICE);
  expect(readdirSync(folder)).toHaveLength(2);
  await removePartial(path, 'a'.repeat(64), LAB);
  expect(readdirSync(folder)).toEqual([MARK]);
});

test.each(['', '{}', '{"farm":"lab","lineage":"x"}'])('%j names no farm', (text) =>
  expect(parseOwner(text)).toBeUndefined(),
);

test('what a kill left of a mark goes where there is one, and nothing that is not ours', async () => {
  const left = `${MARK}.${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}.partial`;
  const others = ['lab.raw.partial', `${MARK}.x.partial`];
  for (const name of [left, ...others]) writeFileSync(join(folder, name), '{}');
  await removeUnmade(folder, readdirSync(folder));
  expect(readdirSync(folder)).toContain(left);
  await claim(folder, LAB);
  await removeUnmade(folder, readdirSync(folder));
  expect(readdirSync(folder).toSorted()).toEqual([MARK, ...others].toSorted());
});
