import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { aVDisk, aVersion } from '../../test/builders/farm.ts';
import type { VersionFile } from '../farm/model.ts';
import { fail, ok } from '../kit/result.ts';
import { type GiveBack, giveBack, judgeGiveBack } from './giveback.ts';
import { type FileFacts, type Inventory, lookInto } from './inventory.ts';
import { claim, MARK } from './mark.ts';

type Known = Extract<GiveBack['farm'], { readonly ok: true }>['value'];

const right = (name: string): VersionFile => ({ name, sizeBytes: 512, sha256: 'a'.repeat(64) });
const version = (number: number, files: readonly string[], vdisk = 'lab') =>
  aVersion({ vdisk, number, content: { manifest: `${number}`.repeat(64), files: files.map(right) } });
const V0 = version(0, ['lab.vhdx', 'lab.vmlinuz']);
const V1 = version(1, ['lab.1.avhdx', 'lab.vhdx', 'lab.1.vmlinuz']);
const { content: _, ...UNKNOWN } = aVersion({ number: 2 });
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
const ALL = { a: 'UpToDate', b: 'UpToDate', c: 'UpToDate' };
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
  ...{ vdisk: { folder: '/srv', fileName: 'lab' }, server: 'c', volume: 'token 1' },
  ...(known() as Pick<GiveBack, 'farm'>),
  ...more,
});
const folderOf = (files: readonly FileFacts[], more: Partial<Inventory> = {}): Inventory => ({
  ...{ state: 'Accessible', freeBytes: 1, totalBytes: 2, message: '', files, volume: 'token 1' },
  ...more,
});
const session = (server: string, vdisk = 'lab') => ({ device: 'pc1', vdisk, server });

const GOES = ['lab.1.vmlinuz', 'lab.1.pvp', 'lab.1.avhdx', 'lab.vmlinuz', 'lab.vhdx'];
const kiosk = aVDisk({ name: 'kiosk', fileName: 'kiosk' });
const OF_KIOSK = [V0, V1, version(1, ['kiosk.1.avhdx', 'lab.vhdx'], 'kiosk')];
const readOf = (
  files: readonly FileFacts[],
  more: Readonly<Record<string, { identity?: string; sha256?: string }>> = {},
) => new Map(files.map(({ name, identity }) => [name, { identity, sha256: 'a'.repeat(64), ...more[name] }]));

const STORES = ['images', 'fast'].map((name) => ({
  ...{ name, pools: [], servers: [], local: { path: name === 'fast' ? '/srv/fast' : '/srv', nodes: {} } },
}));
const moved = aVDisk({ store: 'fast', moving: { from: ['images'], arrived: 2 } });
const ofMoved = (more: Partial<Known> = {}, vdisk = moved, stores = STORES) =>
  known({ copies: copiesOf({ a: 'UpToDate', b: 'UpToDate' }), ...more }, { stores, vdisks: [vdisk] });

test.each<[string, Partial<GiveBack>, readonly string[] | string]>([
  ['all of it is where it is to be', { ...ofMoved(), read: readOf(FILES) }, GOES],
  ['it still comes there', ofMoved({}, aVDisk({ store: 'fast', moving: { from: ['images'] } })), 'Kept'],
  [
    'it is to be here after all',
    ofMoved({}, aVDisk({ store: 'images', moving: { from: ['fast'], arrived: 2 } })),
    'Kept',
  ],
  [
    'both stores have one path',
    ofMoved(
      {},
      moved,
      STORES.map((one) => ({ ...one, local: { path: '/srv', nodes: {} } })),
    ),
    'Kept',
  ],
  ['one that had it lost it', ofMoved({ copies: copiesOf({ a: 'UpToDate', b: 'Corrupt' }) }), 'TooFewCopies'],
  [
    'one that had it does not answer',
    ofMoved({ copies: copiesOf({ a: 'UpToDate', b: 'ServerUnreachable' }) }),
    'TooFewCopies',
  ],
  ['a device streams it from here', ofMoved({ sessions: [session('c')] }), 'InUse'],
  [
    'a device streams it from another server that has none in the new store',
    ofMoved({ sessions: [session('d')] }),
    'InUse',
  ],
  ['devices stream it from where it is to be', ofMoved({ sessions: [session('a')] }), GOES],
  [
    'one of its files was read, and is another',
    { ...ofMoved(), read: readOf(FILES, { 'lab.vhdx': { sha256: 'b'.repeat(64) } }) },
    'NotRight',
  ],
  ['its folder has another mark', { ...ofMoved(), volume: 'token 2' }, 'OtherVolume'],
])('where a vDisk moved from: %s', (_, given, is) => {
  const judged = judgeGiveBack(order(given), folderOf(FILES));
  expect(judged.ok ? judged.value.map(({ name }) => name) : judged.error.code).toEqual(is);
});

test.each<[string, Partial<GiveBack>, readonly FileFacts[], readonly string[] | string]>([
  ['from the last version to the first, images after what lies beside them', {}, FILES, GOES],
  [
    'properties of which fewer servers have a copy stay',
    known({ copies: copiesOf({ ...ALL, b: 'PropertiesMissing' }) }),
    FILES,
    GOES.filter((name) => !name.endsWith('.pvp')),
  ],
  [
    'a version of which nobody knows what is right',
    known({}, { versions: [V0, V1, UNKNOWN] }),
    FILES,
    'ContentUnknown',
  ],
  [
    'the resource says that something else is right',
    known({}, { versions: [V0, { ...V1, sha256: 'b'.repeat(64) }] }),
    FILES,
    'ContentUnknown',
  ],
  ['all was read, and is right', { read: readOf(FILES) }, FILES, GOES],
  [
    'it was read, and is another',
    { read: readOf(FILES, { 'lab.vhdx': { sha256: 'b'.repeat(64) } }) },
    FILES,
    'NotRight',
  ],
  [
    'it was changed while it was read',
    { read: readOf(FILES, { 'lab.vhdx': { identity: 'x' } }) },
    FILES,
    'BeingChanged',
  ],
  ['a file came while others were read', { read: readOf(FILES.slice(1)) }, FILES, 'BeingChanged'],
  ['its folder has another mark', { volume: 'token 2' }, FILES, 'OtherVolume'],
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
    'one version of it is not right: what it is a difference of stays with it',
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
  [
    'an image that nobody named is a difference of it: the rest goes',
    {},
    [...FILES, image('lab.9.avhdx', 'lab.vhdx')],
    GOES.slice(0, -1),
  ],
  ['one is a difference of the last', {}, [...FILES, image('lab.9.avhdx', 'lab.1.avhdx')], 'IsNeeded'],
  [
    'one of which nobody knows it may be a difference of each',
    {},
    [...FILES, file('lab.9.avhdx', { fault: { code: 'NoPermission', message: 'no' } })],
    'IsNeeded',
  ],
  [
    'another VDisk that stays has one of its files: the rest goes',
    known({}, { vdisks: [lab, kiosk], versions: OF_KIOSK }),
    FILES,
    GOES.slice(0, -1),
  ],
  [
    'and where that is all that is left',
    known({}, { vdisks: [lab, kiosk], versions: OF_KIOSK }),
    [image('lab.vhdx')],
    'IsNeeded',
  ],
  [
    'that VDisk is of another store with this folder',
    known(
      {},
      {
        stores: ['images', 'more'].map((name) => ({
          name,
          pools: [],
          servers: [],
          local: { path: '/srv', nodes: {} },
        })),
        vdisks: [lab, { ...kiosk, store: 'more' }],
        versions: OF_KIOSK,
      },
    ),
    FILES,
    GOES.slice(0, -1),
  ],
  [
    'an end broke off before an image',
    known({ copies: [...copiesOf(ALL, [0]), ...copiesOf({ a: 'UpToDate', b: 'UpToDate', c: 'Missing' }, [1])] }),
    FILES.filter(({ name }) => !name.startsWith('lab.1.') || name.endsWith('.avhdx')),
    ['lab.1.avhdx', 'lab.vmlinuz', 'lab.vhdx'],
  ],
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

test.each<[code: string, folder: Partial<Inventory>]>([
  ['StoreForeign', { foreign: true, message: 'kept by farm office' }],
  ['OtherVolume', { volume: undefined as never }],
  ['StoreReadOnly', { state: 'ReadOnly' }],
])('%s: nothing goes from such a folder', (code, folder) =>
  expect(judgeGiveBack(order(), folderOf(FILES, folder))).toMatchObject({ error: { code } }),
);

test('files that are right go, and nothing else; by whatever path the store names their folder', async () => {
  const root = mkdtempSync(join(tmpdir(), 'bootfarm-giveback-'));
  const folder = join(root, 'images');
  const owner = { farm: 'lab', lineage: '0123456789abcdef' };
  const content = Buffer.alloc(512);
  try {
    mkdirSync(folder);
    symlinkSync(folder, join(root, 'link'));
    await claim(folder, owner);
    const { volume = '' } = await lookInto(folder, { owner });
    const there = ['lab.raw', 'lab.vmlinuz', 'lab.initrd', 'other.raw', 'notes.txt'];
    for (const name of there) writeFileSync(join(folder, name), content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const files = there.slice(0, 3).map((name) => ({ name, sizeBytes: 512, sha256 }));
    const versions = [aVersion({ content: { manifest: 'c'.repeat(64), files } })];
    const stores = [{ name: 'images', pools: [], servers: [], local: { path: join(root, 'link'), nodes: {} } }];
    const give = (
      more: Partial<Known> = {},
      snapshot: Partial<Known['snapshot']> = {},
      whose: typeof owner | undefined = owner,
      signal = new AbortController().signal,
    ) => {
      const { farm } = known({ copies: copiesOf(ALL, [0]), ...more }, { versions, stores, ...snapshot });
      const asked = { vdisk: { folder, fileName: 'lab' }, server: 'c', volume };
      return giveBack({ ...asked, farm: async () => farm as GiveBack['farm'] }, { owner: whose, signal });
    };
    // It is waited for, unless the job is told to end.
    expect(await give({}, {}, owner, AbortSignal.abort())).toMatchObject({ error: { code: 'BeingChanged' } });
    const rest = () => {
      for (const name of there) utimesSync(join(folder, name), 1_700_000_000, 1_700_000_000);
    };
    rest();
    expect(await give({}, {}, { ...owner, lineage: 'f'.repeat(16) })).toMatchObject({
      error: { code: 'StoreForeign' },
    });
    const second = { ...lab, name: 'again', store: 'more', copies: { wanted: 1, servers: ['c'] } };
    const both = [...stores, { ...stores[0], name: 'more', local: { path: folder, nodes: {} } }];
    expect(await give({}, { stores: both as typeof stores, vdisks: [lab, second] })).toMatchObject({
      error: { code: 'Kept' },
    });
    writeFileSync(join(folder, 'lab.initrd'), Buffer.alloc(512, 1));
    rest();
    expect(await give()).toMatchObject({ error: { code: 'NotRight', message: expect.stringContaining('lab.initrd') } });
    expect(readdirSync(folder)).toHaveLength(there.length + 1);
    writeFileSync(join(folder, 'lab.initrd'), content);
    rest();
    expect(await give()).toMatchObject({ ok: true });
    expect(readdirSync(folder).toSorted()).toEqual([MARK, 'notes.txt', 'other.raw']);
  } finally {
    rmSync(root, { recursive: true });
  }
});
