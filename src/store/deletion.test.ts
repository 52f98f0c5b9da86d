import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { aVDisk, aVersion } from '../../test/builders/farm.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { type Deletion, type FarmKnowledge, judgeDeletion, removeVersion } from './deletion.ts';
import type { FileFacts, Inventory } from './inventory.ts';

const file = (name: string, image?: FileFacts['image'] | 'unreadable'): FileFacts => ({
  ...{ name, sizeBytes: 512, identity: name },
  ...(image === 'unreadable'
    ? { fault: { code: 'NoPermission', message: 'permission denied' } }
    : image
      ? { image }
      : {}),
});
const base = (id: string) => ok({ sizeBytes: 512, id });
const child = (id: string, names: readonly string[], ids?: readonly string[]) =>
  ok({ sizeBytes: 512, id, parent: { names, ...(ids ? { ids } : {}) } });
const folderOf = (...files: readonly FileFacts[]): Inventory => ({
  ...{ state: 'Accessible', freeBytes: 1, totalBytes: 2, message: '', isWatched: true },
  files: [
    file('lab.3.vmlinuz'),
    file('lab.3.pvp'),
    file('lab.3.avhdx', child('c', ['lab.vhdx'], ['a'])),
    file('lab.vhdx', base('a')),
    ...files,
  ],
});
const lab = aVDisk({ name: 'lab', fileName: 'lab', store: 'images' });
const TWO = ['a', 'b'].map((server) => ({ server, vdisk: 'lab', version: 3, state: 'UpToDate' }));
const known = (
  more: Partial<FarmKnowledge> = {},
  snapshot: Partial<FarmKnowledge['snapshot']> = {},
): Result<FarmKnowledge, never> =>
  ok({
    snapshot: {
      stores: [
        { name: 'images', pools: [], servers: [], local: { path: '/srv/vdisks', nodes: { 'node-b': '/data' } } },
      ],
      vdisks: [lab],
      versions: [aVersion({ vdisk: 'lab', number: 4 })],
      overrides: [],
      ...snapshot,
    },
    sessions: [],
    copies: TWO,
    ...more,
  });
const session = (device: string, version = 3, vdisk = 'lab') => ({ device, vdisk, version });
const aDeletion = (more: Partial<Deletion> = {}): Deletion => ({
  ...{ vdisk: { folder: '/srv/vdisks', fileName: 'lab' }, number: 3, farm: known(), lastCopy: false },
  ...more,
});

/** A version with such copies on a, b, c. */
const ofCopies = (...states: readonly string[]) => [
  {
    what: `has copies that are ${states.join(', ') || 'nowhere'}`,
    deletion: {
      farm: known({
        copies: states.map((state, at) => ({ server: 'abc'.charAt(at), vdisk: 'lab', version: 3, state })),
      }),
    },
  },
];

test.each<{ what: string; deletion?: Partial<Deletion>; folder?: Inventory; refused?: string; says?: RegExp }>([
  { what: 'nobody needs' },
  {
    what: 'is not there',
    deletion: { number: 9 },
    refused: 'FileMissing',
    says: /no version 9 of lab in \/srv\/vdisks/,
  },
  {
    what: 'nobody can be asked of',
    deletion: { farm: fail('Unreachable', 'Redis is away'), lastCopy: true },
    ...{ refused: 'FarmUnknown', says: /Redis is away/ },
  },
  {
    what: 'the spec names',
    deletion: { farm: known({}, { versions: [aVersion({ vdisk: 'lab', number: 3 })] }) },
    ...{ refused: 'Named', says: /the spec of VDisk lab names it/ },
  },
  {
    what: 'the spec names for a server with a folder of its own',
    deletion: {
      vdisk: { folder: '/data', fileName: 'lab' },
      farm: known({}, { versions: [aVersion({ vdisk: 'lab', number: 3 })] }),
    },
    refused: 'Named',
  },
  { what: 'is its default', deletion: { farm: known({}, { vdisks: [{ ...lab, bootVersion: 3 }] }) }, refused: 'Named' },
  {
    what: 'a rollback boots',
    deletion: { farm: known({}, { overrides: [{ vdisk: 'lab', version: 3 }] }) },
    ...{ refused: 'RolledBackTo', says: /rollback --clear --vdisk lab/ },
  },
  {
    what: 'machines use',
    deletion: { farm: known({ sessions: ['pc1', 'pc2', 'pc3', 'pc4'].map((name) => session(name)) }), lastCopy: true },
    ...{ refused: 'InUse', says: /pc1, pc2, pc3 and 1 more use it/ },
  },
  { what: 'machines use another version of', deletion: { farm: known({ sessions: [session('pc1', 4)] }) } },
  { what: 'machines use of another vDisk', deletion: { farm: known({ sessions: [session('pc1', 3, 'win')] }) } },
  {
    what: 'another image is a difference of, by its identifier',
    folder: folderOf(file('other.avhdx', child('d', ['x.vhdx'], ['c']))),
    ...{ refused: 'IsParent', says: /other.avhdx is a difference of it/ },
  },
  {
    what: 'another image is a difference of, by its name alone',
    folder: folderOf(file('lab.4.avhdx', child('d', ['LAB.3.AVHDX']))),
    refused: 'IsParent',
  },
  {
    what: 'another image names, but means another one',
    folder: folderOf(file('lab.4.avhdx', child('d', ['lab.3.avhdx'], ['e']))),
  },
  {
    what: 'an image that cannot be read may be a difference of',
    folder: folderOf(file('lab.4.avhdx', 'unreadable')),
    deletion: { lastCopy: true },
    ...{ refused: 'IsParent', says: /lab.4.avhdx cannot be read \(permission denied\)/ },
  },
  { what: 'a base is beside', folder: folderOf(file('win.raw', base('z'))) },
  ...ofCopies('UpToDate', 'UpToDate'),
  ...ofCopies('UpToDate', 'PropertiesOutOfDate'),
  ...ofCopies('PropertiesMissing', 'UpToDate', 'Missing'),
  ...ofCopies('UpToDate').map((one) => ({
    ...one,
    refused: 'LastCopy',
    says: /one right copy, on a\): say --last-copy/,
  })),
  ...(['Corrupt', 'OutOfDate', 'Missing', 'Copying', 'Conflict', 'ServerUnreachable'] as const).flatMap((state) =>
    ofCopies('UpToDate', state).map((one) => ({ ...one, refused: 'LastCopy' })),
  ),
  ...ofCopies().map((one) => ({ ...one, refused: 'LastCopy', says: /knows of no right copy/ })),
  {
    what: 'another server has, but it does not answer',
    deletion: {
      farm: known({ copies: [...TWO, { server: 'b', vdisk: 'win', version: 0, state: 'ServerUnreachable' }] }),
    },
    ...{ refused: 'LastCopy', says: /one right copy, on a\)/ },
  },
  {
    what: 'another server has of another vDisk, or as another version',
    deletion: {
      farm: known({
        copies: [
          { server: 'a', vdisk: 'lab', version: 3, state: 'UpToDate' },
          { server: 'b', vdisk: 'win', version: 3, state: 'UpToDate' },
          { server: 'c', vdisk: 'lab', version: 2, state: 'UpToDate' },
        ],
      }),
    },
    refused: 'LastCopy',
  },
  { what: 'is the last good copy, and need not be', deletion: { farm: known({ copies: [] }), lastCopy: true } },
  {
    what: 'all servers see in one shared folder',
    deletion: {
      farm: known(
        {},
        {
          stores: [{ name: 'images', pools: [], servers: [], shared: true, local: { path: '/srv/vdisks', nodes: {} } }],
        },
      ),
    },
    ...{ refused: 'LastCopy', says: /is this very file\): say --last-copy/ },
  },
  {
    what: 'may be the very file that others see',
    folder: ((): Inventory => {
      const { isWatched: _, ...folder } = folderOf();
      return folder;
    })(),
    ...{ refused: 'LastCopy', says: /may be one of a network/ },
  },
  {
    what: 'is in a folder of another farm',
    deletion: { lastCopy: true },
    folder: { ...folderOf(), foreign: true, message: 'it is kept by farm office' },
    ...{ refused: 'StoreForeign', says: /kept by farm office/ },
  },
  { what: 'is of no VDisk', deletion: { farm: known({}, { vdisks: [] }) }, refused: 'LastCopy' },
  { what: 'is of no VDisk, and need not be', deletion: { farm: known({}, { vdisks: [] }), lastCopy: true } },
])('a version that $what: $refused', ({ deletion, folder = folderOf(), refused, says = /stays/ }) => {
  const judged = judgeDeletion(aDeletion(deletion), folder);
  if (refused === undefined)
    expect(judged).toMatchObject({
      ok: true,
      value: ['lab.3.vmlinuz', 'lab.3.pvp', 'lab.3.avhdx'].map((name) => ({ name })),
    });
  else
    expect(judged).toMatchObject({
      ok: false,
      error: { code: refused, message: expect.stringMatching(says) },
    });
});

test('a name that has the number in it is no name of a vDisk', () => {
  const vdisk = { folder: '/srv', fileName: 'lab.3' };
  expect(judgeDeletion(aDeletion({ vdisk, number: 0, lastCopy: true }), folderOf())).toMatchObject({
    error: { code: 'NumberTwice', message: expect.stringContaining('name the vDisk, and the number by itself') },
  });
});

test('the files of that version go, after it was said, and no others; a dry run removes nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-deletion-'));
  const names = ['lab.1.raw', 'lab.1.vmlinuz', 'lab.1.pvp', 'lab.10.raw', 'lab.raw', 'lab.initrd'];
  for (const name of names) writeFileSync(join(folder, name), Buffer.alloc(512, 1));
  const deletion = aDeletion({ vdisk: { folder, fileName: 'lab' }, number: 1, lastCopy: true });
  const said: string[] = [];
  const onJudged = (words: readonly string[]): void => {
    said.push(...words);
    expect(existsSync(join(folder, 'lab.1.raw'))).toBe(true);
  };
  await expect(removeVersion(deletion, { dryRun: true, onJudged })).resolves.toMatchObject({ ok: true });
  expect(readdirSync(folder).sort()).toEqual([...names].sort());
  const removed = await removeVersion(deletion, { dryRun: false, onJudged });
  expect(removed).toMatchObject({ ok: true, value: { files: [{}, {}, { name: 'lab.1.raw', sizeBytes: 512 }] } });
  expect(said).toHaveLength(6);
  expect(readdirSync(folder).sort()).toEqual(['lab.10.raw', 'lab.initrd', 'lab.raw']);
  rmSync(folder, { recursive: true });
});
