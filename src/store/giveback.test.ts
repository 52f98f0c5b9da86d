import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { aVDisk, aVersion } from '../../test/builders/farm.ts';
import type { VersionFile } from '../farm/model.ts';
import { fail, ok } from '../kit/result.ts';
import { type GiveBack, giveBack, judgeGiveBack } from './giveback.ts';
import type { FileFacts, Inventory } from './inventory.ts';

type Known = Extract<GiveBack['farm'], { readonly ok: true }>['value'];

const right = (name: string): VersionFile => ({ name, sizeBytes: 512, sha256: 'a'.repeat(64) });
const version = (number: number, files: readonly string[], vdisk = 'lab') =>
  aVersion({ vdisk, number, content: { manifest: `${number}`.repeat(64), files: files.map(right) } });
const V0 = version(0, ['lab.vhdx', 'lab.vmlinuz']);
const V1 = version(1, ['lab.1.avhdx', 'lab.vhdx', 'lab.1.vmlinuz']);
const file = (name: string, more: Partial<FileFacts> = {}): FileFacts => ({
  ...{ name, sizeBytes: 512, identity: name },
  ...more,
});
const image = (name: string, parent?: string): FileFacts =>
  file(name, {
    image: ok({ sizeBytes: 512, id: name, ...(parent ? { parent: { names: [parent], ids: [parent] } } : {}) }),
  });
const FILES = [
  ...[image('lab.1.avhdx', 'lab.vhdx'), image('lab.vhdx'), file('lab.vmlinuz'), file('lab.1.vmlinuz')],
  ...[file('lab.1.pvp', { sizeBytes: 9 }), image('other.vhdx')],
];
const lab = aVDisk({ name: 'lab', copies: { wanted: 2, servers: ['a', 'b'] } });
const copiesOf = (states: Readonly<Record<string, string>>, numbers: readonly number[] = [0, 1]): Known['copies'] =>
  numbers.flatMap((number) =>
    Object.entries(states).map(([server, state]) => ({ server, vdisk: 'lab', version: number, state })),
  );
const ALL = { a: 'UpToDate', b: 'PropertiesMissing', c: 'UpToDate' };
const known = (more: Partial<Known> = {}, snapshot: Partial<Known['snapshot']> = {}): Partial<GiveBack> => ({
  farm: ok({
    snapshot: {
      stores: [{ name: 'images', pools: [], servers: [], local: { path: '/srv', nodes: {} } }],
      vdisks: [lab],
      versions: [V0, V1],
      ...snapshot,
    },
    sessions: [],
    copies: copiesOf(ALL),
    ...more,
  }),
});
const order = (more: Partial<GiveBack> = {}): GiveBack => ({
  ...{ vdisk: { folder: '/srv', fileName: 'lab' }, server: 'c' },
  ...(known() as Pick<GiveBack, 'farm'>),
  ...more,
});
const folderOf = (files: readonly FileFacts[]): Inventory => ({
  ...{ state: 'Accessible', freeBytes: 1, totalBytes: 2, message: '', files },
});
const session = (server: string, vdisk = 'lab') => ({ device: 'pc1', vdisk, server });

const GOES = ['lab.1.avhdx', 'lab.vhdx', 'lab.1.vmlinuz', 'lab.vmlinuz', 'lab.1.pvp'];

test.each<[string, Partial<GiveBack>, readonly FileFacts[], readonly string[] | string]>([
  ['differences go first, what lies beside them last', {}, FILES, GOES],
  ['nobody can be asked', { farm: fail('Unreachable', 'Redis is away') }, FILES, 'FarmUnknown'],
  ['no VDisk has these files', { vdisk: { folder: '/srv', fileName: 'other' } }, FILES, 'VDiskUnknown'],
  ['every server keeps one', known({}, { vdisks: [aVDisk({ name: 'lab' })] }), FILES, 'Kept'],
  ['this server was chosen', { server: 'b' }, FILES, 'Kept'],
  ['another VDisk of these files keeps it', known({}, { vdisks: [lab, aVDisk({ name: 'copy' })] }), FILES, 'Kept'],
  ['a device uses it here', known({ sessions: [session('c')] }), FILES, 'InUse'],
  ['a device uses it elsewhere', known({ sessions: [session('a'), session('c', 'kiosk')] }), FILES, GOES],
  ['a chosen one is away', known({ copies: copiesOf({ ...ALL, b: 'ServerUnreachable' }) }), FILES, 'TooFewCopies'],
  ['a chosen one is copying', known({ copies: copiesOf({ ...ALL, b: 'Copying' }) }), FILES, 'TooFewCopies'],
  [
    'a chosen one lacks one version',
    known({ copies: [...copiesOf(ALL, [0]), ...copiesOf({ a: 'UpToDate', c: 'UpToDate' }, [1])] }),
    FILES,
    'TooFewCopies',
  ],
  [
    'others have it that were not chosen',
    known({ copies: copiesOf({ a: 'UpToDate', c: 'UpToDate', d: 'UpToDate' }) }),
    FILES,
    'TooFewCopies',
  ],
  ['what is here is not right', known({ copies: copiesOf({ ...ALL, c: 'OutOfDate' }) }), FILES, []],
  [
    'one version of it is not right: it is a difference of what would go',
    known({ copies: [...copiesOf(ALL, [0]), ...copiesOf({ ...ALL, c: 'OutOfDate' }, [1])] }),
    FILES,
    'IsNeeded',
  ],
  ['somebody put another file there', {}, [...FILES.slice(1), file('lab.1.avhdx', { sizeBytes: 9 })], 'NotRight'],
  [
    'somebody put a pipe there',
    {},
    [...FILES.slice(1), file('lab.1.avhdx', { fault: { code: 'NotRegular', message: 'pipe' } })],
    'NotRight',
  ],
  ['it was written a moment ago', {}, [...FILES.slice(1), { ...(FILES[0] as FileFacts), fresh: true }], 'BeingChanged'],
  ['an image that nobody named is a difference of it', {}, [...FILES, image('lab.9.avhdx', 'lab.vhdx')], 'IsNeeded'],
  [
    'another VDisk that stays has one of its files',
    known(
      {},
      {
        vdisks: [lab, aVDisk({ name: 'kiosk', fileName: 'kiosk' })],
        versions: [V0, V1, version(1, ['kiosk.1.avhdx', 'lab.vhdx'], 'kiosk')],
      },
    ),
    FILES,
    'IsNeeded',
  ],
  ['an end broke off after the images', {}, FILES.slice(2), ['lab.1.vmlinuz', 'lab.vmlinuz', 'lab.1.pvp']],
  ['all of it is gone', {}, [], []],
  [
    'a shared store',
    known(
      {},
      { stores: [{ name: 'images', pools: [], servers: [], local: { path: '/srv', nodes: {} }, shared: true }] },
    ),
    FILES,
    'VDiskUnknown',
  ],
])('%s', (_, more, files, found) => {
  const judged = judgeGiveBack(order(more), folderOf(files));
  expect(judged.ok ? judged.value.map(({ name }) => name) : judged.error.code).toEqual(found);
});

test('files that are right go, and nothing else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-giveback-'));
  try {
    const there = ['lab.raw', 'lab.vmlinuz', 'lab.initrd', 'other.raw', 'notes.txt'];
    for (const name of there) writeFileSync(join(folder, name), Buffer.alloc(512));
    const versions = [version(0, ['lab.raw', 'lab.vmlinuz', 'lab.initrd'])];
    const stores = [{ name: 'images', pools: [], servers: [], local: { path: folder, nodes: {} } }];
    const asked = order({
      vdisk: { folder, fileName: 'lab' },
      ...known({ copies: copiesOf(ALL, [0]) }, { versions, stores }),
    });
    expect(await giveBack(asked)).toMatchObject({ ok: false, error: { code: 'BeingChanged' } });
    for (const name of there) utimesSync(join(folder, name), 1_700_000_000, 1_700_000_000);
    expect(await giveBack(asked)).toMatchObject({ ok: true });
    expect(readdirSync(folder).toSorted()).toEqual(['notes.txt', 'other.raw']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
