import { describe, expect, test } from '@jest/globals';
import { aSnapshot, aVDisk, aVersion } from '../../test/builders/farm.ts';
import type { FarmSnapshot, Server, Store, Version, VersionFile } from '../farm/model.ts';
import type { Digest } from './digests.ts';
import type { FileFacts, Inventory } from './inventory.ts';
import { parseWants, type StoreWants, wantsIn } from './wants.ts';

const digest = (fill: string): string => fill.repeat(64);
const file = (name: string, fill: string, sizeBytes = 1_024): VersionFile => ({
  name,
  sizeBytes,
  sha256: digest(fill),
});
const ready = (fill: string): Digest => ({ kind: 'ready', sha256: digest(fill) });

const store: Store = {
  name: 'images',
  pools: [],
  servers: [],
  local: { path: '/srv', nodes: {} },
  replication: { parallel: 2, keepStaleSeconds: 60 },
};
const server = (name: string, more: Partial<Server> = {}): Server => ({
  name,
  site: 'default',
  pool: 'main',
  address: `10.0.0.${name.length}`,
  ports: { stream: 1, http: 2, control: 6_911 },
  powerRating: 1,
  ...more,
});
const version = (number: number, files: readonly VersionFile[], more: Partial<Version> = {}): Version =>
  aVersion({ number, content: { manifest: digest('f'), files: [...files] }, ...more });

interface Given {
  readonly vdisks?: FarmSnapshot['vdisks'];
  readonly versions?: readonly Version[];
  readonly servers?: readonly Server[];
  readonly store?: Partial<Store>;
  readonly there?: Readonly<Record<string, Digest | Partial<FileFacts>>>;
  readonly state?: Inventory['state'];
  readonly isAbsent?: true;
}

const LAB = [file('lab.raw', 'a', 4_096), file('lab.vmlinuz', 'b'), file('lab.initrd', 'c')];

function wants({
  vdisks = [aVDisk()],
  versions = [version(0, LAB)],
  servers,
  store: more,
  there = {},
  state = 'Accessible',
  isAbsent,
}: Given) {
  const snapshot: FarmSnapshot = aSnapshot({
    stores: [{ ...store, ...more }],
    vdisks,
    versions: [...versions],
    servers: [...(servers ?? [server('node-a'), server('node-bb')])],
  });
  const files = Object.entries(there).map(
    ([name, what]): FileFacts => ({
      ...{ name, sizeBytes: 1_024, identity: `of ${name}` },
      ...('kind' in what ? {} : what),
    }),
  );
  const digestOf = ({ name }: FileFacts): Digest => {
    const what = there[name];
    return what && 'kind' in what ? what : { kind: 'hashing', progressPercent: 0 };
  };
  const absent = isAbsent ? { isAbsent } : {};
  const inventory = { state, freeBytes: 0, totalBytes: 0, files, message: '', ...absent };
  return wantsIn({ ...store, ...more }, '/srv', snapshot, 'node-a', inventory, digestOf);
}
const named = (given: Given) => wants(given)?.files.map(({ name }) => name);

describe('of a version whose content is known', () => {
  test.each<{ what: string; given: Given; wanted: readonly string[] | undefined }>([
    {
      what: 'this server was chosen',
      given: { vdisks: [aVDisk({ copies: { wanted: 1, servers: ['node-a'] } })] },
      wanted: ['lab.vmlinuz', 'lab.initrd', 'lab.raw'],
    },
    {
      what: 'another server was chosen',
      given: { vdisks: [aVDisk({ copies: { wanted: 1, servers: ['node-bb'] } })] },
      wanted: [],
    },
    {
      what: 'nobody was chosen yet',
      given: { vdisks: [aVDisk({ copies: { wanted: 1, servers: [] } })] },
      wanted: [],
    },
    {
      what: 'another one was chosen, and another vDisk of this server needs one of the files',
      given: {
        vdisks: [aVDisk({ copies: { wanted: 1, servers: ['node-bb'] } }), aVDisk({ name: 'kiosk' })],
        versions: [version(0, LAB), version(1, [file('lab.raw', 'a', 4_096)], { vdisk: 'kiosk' })],
      },
      wanted: ['lab.raw'],
    },
    { what: 'all is lacking: the small ones first', given: {}, wanted: ['lab.vmlinuz', 'lab.initrd', 'lab.raw'] },
    {
      what: 'nothing is lacking',
      given: { there: { 'lab.raw': ready('a'), 'lab.vmlinuz': ready('b'), 'lab.initrd': ready('c') } },
      wanted: [],
    },
    {
      what: 'the image is another, and one digest could not be computed',
      given: {
        there: { 'lab.raw': ready('9'), 'lab.vmlinuz': { kind: 'failed', message: 'EIO' }, 'lab.initrd': ready('c') },
      },
      wanted: ['lab.vmlinuz', 'lab.raw'],
    },
    {
      what: 'a digest could not be computed, and that is no fault of the file',
      given: {
        there: {
          'lab.raw': { kind: 'failed', message: 'a thread died', ours: true },
          ...{ 'lab.vmlinuz': ready('b'), 'lab.initrd': ready('c') },
        },
      },
      wanted: [],
    },
    {
      what: 'a digest is being computed',
      given: { there: { 'lab.raw': { kind: 'hashing', progressPercent: 3 }, 'lab.vmlinuz': ready('b') } },
      wanted: ['lab.initrd'],
    },
    {
      what: 'a file was written a moment ago, or is none',
      given: {
        there: { 'lab.raw': { fresh: true }, 'lab.initrd': { fault: { code: 'NotRegular', message: 'a folder' } } },
      },
      wanted: ['lab.vmlinuz'],
    },
    {
      what: 'the server may not write there',
      given: { state: 'ReadOnly' },
      wanted: ['lab.vmlinuz', 'lab.initrd', 'lab.raw'],
    },
    { what: 'the folder is none, or elsewhere', given: { state: 'Missing' }, wanted: undefined },
    {
      what: 'the folder is not there yet',
      given: { state: 'Missing', isAbsent: true },
      wanted: ['lab.vmlinuz', 'lab.initrd', 'lab.raw'],
    },
    { what: 'the folder is away', given: { state: 'Unreachable' }, wanted: undefined },
    { what: 'the Store says Report', given: { store: { replication: undefined } as never }, wanted: undefined },
    { what: 'the store is shared', given: { store: { shared: true } }, wanted: undefined },
    { what: 'nobody else offers the store', given: { servers: [server('node-a')] }, wanted: [] },
    {
      what: 'nobody said what is right',
      given: { versions: [{ vdisk: 'lab', number: 0, access: 'Production' }] },
      wanted: [],
    },
    {
      what: 'the resource says by now that something else is right',
      given: { versions: [version(0, LAB, { sha256: digest('9') })] },
      wanted: [],
    },
    {
      what: 'the resource says so',
      given: { versions: [version(0, [file('lab.raw', 'a')], { sha256: digest('f') })] },
      wanted: ['lab.raw'],
    },
    { what: 'it is of another store', given: { versions: [version(0, LAB, { vdisk: 'other' })] }, wanted: [] },
    {
      what: 'two versions say different things of one file: it is neither',
      given: {
        versions: [version(0, [file('lab.raw', 'a')]), version(1, [file('lab.1.raw', 'd'), file('lab.raw', 'e')])],
      },
      wanted: ['lab.1.raw'],
    },
    {
      what: 'what machines boot comes before what is newer',
      given: {
        versions: [
          version(0, [file('lab.raw', 'a')], { settledAt: 7 }),
          version(2, [file('lab.2.raw', 'd')]),
          version(1, [file('lab.1.raw', 'e')]),
        ],
      },
      wanted: ['lab.raw', 'lab.2.raw', 'lab.1.raw'],
    },
    {
      what: 'a name is none of a version',
      given: { versions: [version(0, [file('passwd', 'a'), file('lab.raw', 'b')])] },
      wanted: ['lab.raw'],
    },
  ])('$what', ({ given, wanted }) => expect(named(given)).toEqual(wanted));
});

test('a wrong file is named by what was seen of it, and is the first base; then come those of the nearest versions', () => {
  const versions = [
    version(0, [file('lab.raw', 'a'), file('lab.vmlinuz', 'b')]),
    version(1, [file('lab.1.raw', 'c')]),
    version(4, [file('lab.4.raw', 'd')]),
    version(5, [file('lab.5.raw', 'e')]),
  ];
  const there = {
    ...{ 'lab.raw': ready('a'), 'lab.vmlinuz': ready('b'), 'lab.1.raw': ready('c') },
    ...{ 'lab.4.raw': { kind: 'hashing', progressPercent: 0 } as const, 'lab.5.raw': ready('9') },
  };
  expect(wants({ versions, there })?.files).toEqual([
    {
      ...{ name: 'lab.5.raw', sha256: digest('e'), sizeBytes: 1_024, replaces: 'of lab.5.raw' },
      bases: [
        { name: 'lab.5.raw', sha256: digest('9') },
        { name: 'lab.1.raw', sha256: digest('c') },
        { name: 'lab.raw', sha256: digest('a') },
      ],
    },
  ]);
});

test('what is here and right is named: what was put aside for it may go, also where nobody else has the store', () => {
  const there = { 'lab.raw': ready('a'), 'lab.vmlinuz': ready('9') };
  expect(wants({ there, servers: [server('node-a')] })?.whole).toEqual(['lab.raw']);
});

test('sources are the other servers that offer the store, whatever their site', () => {
  const servers = [
    server('node-a'),
    server('node-ccc', { site: 'other', pool: 'far' }),
    server('node-bb', { pool: 'near' }),
    server('node-dddd', { pool: 'none' }),
  ];
  expect(wants({ servers, store: { pools: ['near', 'far'] } })?.sources).toEqual([
    { name: 'node-bb', host: '10.0.0.7', port: 6_911 },
    { name: 'node-ccc', host: '10.0.0.8', port: 6_911 },
  ]);
});

describe('a list that is read', () => {
  const one = wants({}) as StoreWants;
  test.each<{ what: string; text: string; wanted: readonly string[] | undefined }>([
    { what: 'as it was written', text: JSON.stringify([one]), wanted: ['lab.vmlinuz', 'lab.initrd', 'lab.raw'] },
    {
      what: 'of a later release',
      text: JSON.stringify([{ ...one, more: 1 }]),
      wanted: ['lab.vmlinuz', 'lab.initrd', 'lab.raw'],
    },
    { what: 'nothing', text: '', wanted: undefined },
    { what: 'no list', text: '{}', wanted: undefined },
    {
      what: 'a way out of the folder',
      text: JSON.stringify([{ ...one, files: [{ ...one.files[0], name: '../a.raw' }] }]),
      wanted: undefined,
    },
    { what: 'a relative folder', text: JSON.stringify([{ ...one, folder: 'srv' }]), wanted: undefined },
    {
      what: 'a file of another kind',
      text: JSON.stringify([{ ...one, files: [{ ...one.files[0], name: 'a.json' }] }]),
      wanted: [],
    },
  ])('$what', ({ text, wanted }) =>
    expect(parseWants(text)?.flatMap(({ files }) => files.map(({ name }) => name))).toEqual(wanted),
  );
});

describe('of a vDisk that moves here', () => {
  const OLD: Store = { ...store, name: 'old', servers: ['node-a', 'node-z'], local: { path: '/srv/old', nodes: {} } };
  const NEW: Store = { ...store, servers: ['node-a', 'node-bb'] };
  const servers = ['node-a', 'node-bb', 'node-z'].map((name) => server(name));
  const moving = (more: object = {}) => aVDisk({ moving: { from: ['old'], ...more } });

  interface Moved {
    readonly vdisk?: FarmSnapshot['vdisks'][number];
    readonly to?: Partial<Store>;
    readonly servers?: readonly Server[];
    /** In the old store of this server; absent: it does not offer it. */
    readonly old?: Readonly<Record<string, string>>;
    readonly state?: Inventory['state'];
    /** Whose wants these are. */
    readonly of?: Store;
  }
  function moved({ vdisk = moving(), to = {}, servers: all = servers, old, state = 'Accessible', of }: Moved) {
    const target = { ...NEW, ...to };
    const snapshot = aSnapshot({
      stores: [target, OLD],
      vdisks: [vdisk],
      versions: [version(0, LAB)],
      servers: [...all],
    });
    const base = { state: 'Accessible', freeBytes: 0, totalBytes: 0, message: '' } as const;
    const files = Object.keys(old ?? {}).map((name) => ({ name, sizeBytes: 1, identity: name }));
    const inventory = { ...base, state, files };
    const digestOf = ({ name }: FileFacts): Digest => ready(old?.[name] ?? 'x');
    const looked = old ? [{ store: 'old', folder: '/srv/old', inventory, digestOf }] : [];
    const empty = { ...base, files: [] };
    return of
      ? wantsIn(of, '/srv/old', snapshot, 'node-a', inventory, digestOf, looked)
      : wantsIn(target, '/srv', snapshot, 'node-a', empty, digestOf, looked);
  }
  const found = (given: Moved) => {
    const wants = moved(given);
    return wants && [wants.files.map(({ name }) => name), wants.sources.map(({ name }) => name)];
  };
  const all = ['lab.vmlinuz', 'lab.initrd', 'lab.raw'];

  test.each<{ what: string; given: Moved; is: unknown }>([
    { what: 'it is asked of who offers either store', given: {}, is: [all, ['node-bb', 'node-z']] },
    {
      what: 'nobody but this server has it: what lies here, and nothing else',
      given: { servers: [server('node-a')], old: { 'lab.raw': 'a', 'lab.vmlinuz': 'x' } },
      is: [['lab.raw'], []],
    },
    { what: 'of a store that it left it wants nothing', given: { of: OLD }, is: [[], ['node-z']] },
    {
      what: 'into a shared store one server writes',
      given: { to: { shared: true }, vdisk: moving({ by: 'node-a' }) },
      is: [all, ['node-bb', 'node-z']],
    },
    { what: 'and no other', given: { to: { shared: true }, vdisk: moving({ by: 'node-bb' }) }, is: undefined },
    { what: 'nor any, before one was chosen', given: { to: { shared: true } }, is: undefined },
    {
      what: 'nor any, when it is there',
      given: { to: { shared: true }, vdisk: aVDisk() },
      is: undefined,
    },
    {
      what: 'of so many copies by the servers that were chosen',
      given: { vdisk: { ...moving(), copies: { wanted: 1, servers: ['node-bb'] } } },
      is: [[], ['node-bb', 'node-z']],
    },
  ])('$what', ({ given, is }) => {
    expect(found(given)).toEqual(is);
  });

  test('the very file in the other store of this server comes first, where that answers', () => {
    const basesOf = (given: Moved) => moved(given)?.files.find(({ name }) => name === 'lab.raw')?.bases;
    const base = { name: 'lab.raw', sha256: digest('a'), folder: '/srv/old' };
    expect(basesOf({ old: { 'lab.raw': 'a' } })).toEqual([base]);
    expect(basesOf({ old: { 'lab.raw': 'b' } })).toEqual([]);
    expect(basesOf({ old: { 'lab.raw': 'a' }, state: 'Unreachable' })).toEqual([]);
  });
});
