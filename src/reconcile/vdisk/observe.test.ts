import { expect, test } from '@jest/globals';
import { aFarm, aStore, aVDisk } from '../../../test/builders/resources.ts';
import type { Context } from '../context.ts';
import { storeRow } from '../projection.ts';
import { observe } from './observe.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const copies = [{ vdisk: 'lab', version: 0, state: 'Present', files: [{ name: 'lab.raw' }] }];
const stores = [
  {
    name: 'images',
    path: '/srv/vdisks',
    state: 'Accessible',
    unmanaged: ['lab.2.avhdx', 'la.vhdx', 'lab2.raw', 'lab.02.vhd', 'lab.vhd'],
  },
];
const server = (name: string, status?: object) => ({ name, pool: 'main', site: 'default', reachable: true, status });
const job = { id: '5f0c11d2', folder: '/srv/vdisks', fileName: 'lab' };
const others = [
  { ...job, fileName: 'lab.v2' },
  { ...job, folder: '/srv/other' },
];
const servers = [server('a', { copies, stores, work: [job, ...others] }), server('b')];
const place = { store: 'images' };
const rows = {
  recorded: new Map([['lab', new Map([[0, { manifest: A }]])]]),
  ...{ overrides: [], places: new Map([['lab', place]]), stores: [] },
};
const held = [
  {
    server: 'a',
    folder: '/srv/vdisks',
    reachable: true,
    isBlind: false,
    silentMs: 0,
    reports: copies,
    unmanaged: ['lab.2.avhdx'],
    work: [job],
  },
  {
    server: 'b',
    folder: '/srv/vdisks',
    reachable: true,
    isBlind: true,
    silentMs: 0,
    reports: [],
    unmanaged: [],
    work: [],
  },
];
const told: readonly (readonly [number, string])[] = [[1, B]];

interface Given {
  readonly farm?: boolean;
  readonly store?: object;
  readonly runtime?: object;
  readonly fileName?: string;
}
const storeServers = [{ name: 'a', state: 'Accessible' as const }];
const status = { servers: storeServers };
const whole: Given = { farm: true, store: aStore({ status }), runtime: { servers, rows: async () => rows } };

test.each<{ what: string; given: Given; holders?: object[]; recorded?: typeof told; reason?: string }>([
  { what: 'held by its servers, recorded by the database', given: whole, holders: held, recorded: [[0, A]] },
  {
    what: 'recorded by nobody where the database has nothing of it',
    given: { ...whole, runtime: { servers, rows: async () => ({ ...rows, recorded: new Map() }) } },
    holders: held,
  },
  {
    what: 'recorded as it was told last while the database is away',
    given: { ...whole, runtime: { servers, rows: async () => undefined } },
    ...{ holders: held, recorded: told },
  },
  {
    what: 'held by nobody of whose folder another path is told',
    given: { ...whole, store: aStore({ spec: { local: { path: '/srv/new' } }, status }) },
    ...{
      holders: held.map((one) => ({ ...one, folder: '/srv/new', isBlind: true, reports: [], unmanaged: [], work: [] })),
      recorded: [[0, A]],
    },
  },
  {
    what: 'held by nobody who tells of files of another name',
    given: { ...whole, fileName: 'la' },
    ...{
      holders: held.map((one) => ({ ...one, reports: [], unmanaged: [], work: [] })),
      recorded: [[0, A]],
    },
  },
  { what: 'nowhere without its Store', given: { farm: true }, recorded: told, reason: 'StoreMissing' },
  { what: 'nowhere without its Farm', given: { ...whole, farm: false }, recorded: told, reason: 'FarmMissing' },
  {
    what: 'nowhere while its Farm does not run',
    given: { farm: true, store: aStore() },
    recorded: told,
    reason: 'FarmNotReady',
  },
])(
  'a VDisk is $what',
  async ({ given: { farm, store, runtime, fileName = 'lab' }, holders = [], recorded = [], reason }) => {
    const context = {
      informers: {
        farms: { get: () => (farm ? aFarm() : undefined), list: () => (farm ? [aFarm()] : []) },
        stores: { list: () => (store ? [store] : []) },
      },
      runtimes: { get: () => runtime && { ...runtime, uses: async () => undefined } },
    } as unknown as Context;
    const version = { number: 1, access: 'Production', sha256: B, upToDate: 0, copies: 0 } as const;
    const vdisk = aVDisk({
      spec: { fileName },
      status: { devices: 2, versions: [{ type: 'Differencing', ...version }] },
    });
    const found = await observe(context, vdisk);
    expect(found).toEqual({
      ...{ holders, recorded: new Map(recorded.map(([number, manifest]) => [number, { manifest }])) },
      ...{ overrides: [], devices: farm ? 2 : 0, nowSeconds: expect.any(Number) },
      ...(reason ? { fault: expect.objectContaining({ reason }) } : { storeServers, place }),
    });
  },
);

test('of so many copies it is known how many, and by which servers are chosen', async () => {
  const busy = servers
    .slice(0, 1)
    .map((server) => ({ ...server, status: { ...server.status, devices: 3, powerRating: 2 } }));
  const context = {
    informers: {
      farms: { get: () => aFarm(), list: () => [aFarm()] },
      stores: { list: () => [aStore({ spec: { replication: { replaceAfter: '5m' } }, status })] },
    },
    runtimes: { get: () => ({ servers: busy, rows: async () => rows, uses: async () => undefined }) },
  } as unknown as Context;
  const found = await observe(context, aVDisk({ spec: { copies: 2 } }));
  expect(found.wanted).toEqual({ count: 2, replicates: true, replaceAfterSeconds: 300 });
  expect(found.holders[0]).toMatchObject({ server: 'a', devices: 3, powerRating: 2, store: { name: 'images' } });
});

test('of one that moves it is seen who has it where it was, each by its own word of its store, and who still reads it there', async () => {
  const copy = { vdisk: 'lab', version: 0, state: 'Present', files: [{ name: 'lab.raw' }] };
  const [fast, slow] = [
    { ...copy, store: 'fast' },
    { ...copy, store: 'images' },
  ];
  const uses = [{ vdisk: 'lab', devices: 2 }];
  const seen = [
    server('a', {
      stores: [...stores, { ...stores[0], name: 'fast', path: '/srv/fast' }],
      copies: [slow, fast, copy],
      uses,
    }),
    { ...server('b', { stores, copies: [], uses }), reachable: false },
  ];
  const context = {
    informers: {
      farms: { get: () => aFarm(), list: () => [aFarm()] },
      stores: { list: () => [aStore({ metadata: { name: 'fast' }, spec: { local: { path: '/srv/fast' } } })] },
    },
    runtimes: {
      get: () => ({
        servers: seen,
        rows: async () => ({
          ...rows,
          places: new Map([['lab', { store: 'fast', moving: { from: ['images', 'gone'] } }]]),
          stores: [storeRow(aStore({ spec: { local: { path: '/srv/vdisks' } } }))],
        }),
        uses: async () => undefined,
      }),
    },
  } as unknown as Context;
  const found = await observe(context, aVDisk({ spec: { storeRef: { name: 'fast' } } }));
  expect(found.holders.map((holder) => [holder.server, holder.folder, holder.reports])).toEqual([
    // What it does not say of which store it is may be of either.
    ['a', '/srv/fast', [fast]],
    ['b', '/srv/fast', []],
  ]);
  expect(
    found.left?.map((holder) => [holder.server, holder.of, holder.folder, holder.reports, holder.streams]),
  ).toEqual([
    ['a', 'images', '/srv/vdisks', [slow], 2],
    ['b', 'images', '/srv/vdisks', [], undefined],
  ]);
});
