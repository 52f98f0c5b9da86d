import { expect, test } from '@jest/globals';
import { aVDisk } from '../../../test/builders/resources.ts';
import type { Store as StoreRow } from '../../farm/model.ts';
import { orderId } from '../../farm/orders.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { giveBackOrders, leaveOrders } from './giveback.ts';
import type { SeenServer } from './volumes.ts';

type Status = NonNullable<VDisk['status']>;
const NOW = Date.parse('2026-11-30T12:00:00Z') / 1_000;
const SINCE = '2026-11-30T00:00:00Z';
const A = 'a'.repeat(64);
const store: StoreRow = {
  ...{ name: 'images', pools: [], servers: [], local: { path: '/srv', nodes: { 'node-c': '/data' } } },
  replication: { parallel: 2, keepStaleSeconds: 60 },
};
const VERSIONS = [0, 1].map((number) => ({ number, sha256: A, upToDate: 2, copies: 2 }));
const STATUS: Status = {
  chosen: ['node-a', 'node-b'].map((name) => ({ name, since: SINCE })),
  versions: VERSIONS,
  copies: [0, 1].map((version) => ({ server: 'node-c', version, state: 'UpToDate', surplus: true })),
};
const id = (hoursAgo = 0): string => orderId('uid give-back node-c', NOW - 3_600 * hoursAgo);
const job = (state: 'Running' | 'Failed' | 'Done', jobId = id(), server = 'node-c') => ({
  work: [{ server, id: jobId, kind: 'give-back', state } as const],
});
const ordered = (jobId = id()) => [
  { id: jobId, kind: 'give-back', folder: '/data', fileName: 'lab', server: 'node-c', volume: 'c 7' },
];
const NONE: readonly object[] = [];
type SeenStore = SeenServer['stores'][number];
const seen = (name: string, store: Partial<SeenStore> = {}, manifest = A): SeenServer => ({
  name,
  stores: [{ name: 'images', path: name === 'node-c' ? '/data' : '/srv', volume: `${name.slice(-1)} 7`, ...store }],
  copies: [0, 1].map((version) => ({ vdisk: 'lab', version, state: 'Present', manifest })),
});
const SEEN = ['node-a', 'node-b', 'node-c'].map((name) => seen(name));
/** Of one of the three something else is said. */
const butOf = (name: string, store: Partial<SeenStore>, manifest = A): readonly SeenServer[] =>
  SEEN.map((one) => (one.name === name ? seen(name, store, manifest) : one));
const without = (name: string): readonly SeenServer[] => SEEN.filter((one) => one.name !== name);

interface Given {
  readonly status?: Status;
  readonly store?: Partial<StoreRow>;
  readonly copies?: number | 'all';
  readonly isUsed?: boolean;
  readonly server?: string;
  readonly seen?: readonly SeenServer[];
}

test.each<[string, Given, readonly object[]]>([
  ['a copy too many goes', {}, ordered()],
  ['not of a server that was chosen', { server: 'node-a' }, NONE],
  ['not where devices use it', { isUsed: true }, NONE],
  ['not where all servers keep one', { copies: 'all' }, NONE],
  ['not of a shared store', { store: { shared: true } }, NONE],
  ['not where servers compare only', { store: { replication: undefined as never } }, NONE],
  ['not where nobody was chosen yet', { status: { ...STATUS, chosen: [] } }, NONE],
  [
    'not while one of those that were chosen lacks a version',
    { status: { ...STATUS, versions: [0, 1].map((number) => ({ number, sha256: A, upToDate: 2 - number })) } },
    NONE,
  ],
  [
    'not while nobody knows what is right of a version',
    { status: { ...STATUS, versions: [...VERSIONS, { number: 2, upToDate: 0 }] } },
    NONE,
  ],
  ['not before all versions are told of', { status: { ...STATUS, versions: [] } }, NONE],
  [
    'not in a conflict',
    { status: { ...STATUS, versions: VERSIONS.map((told) => ({ ...told, conflict: true })) } },
    NONE,
  ],
  ['not where its folder has no mark', { seen: butOf('node-c', { volume: undefined as never }) }, NONE],
  ['not where it does not answer', { seen: without('node-c') }, NONE],
  ['not where another farm has its folder', { seen: butOf('node-c', { foreign: true }) }, NONE],
  ['not where it has the folder of one that was chosen', { seen: butOf('node-a', { volume: 'c 7' }) }, NONE],
  ['nor where that sees it by another protocol', { seen: butOf('node-a', { volume: 'c 9' }) }, NONE],
  ['nor where one has it that was not chosen', { seen: [...SEEN, seen('node-d', { volume: 'c 7' })] }, NONE],
  ['nor where another store has it', { seen: [...SEEN, seen('node-d', { name: 'more', volume: 'c 7' })] }, NONE],
  ['not where the two that were chosen have one folder', { seen: butOf('node-a', { volume: 'b 7' }) }, NONE],
  ['not where one of them has no mark', { seen: butOf('node-a', { volume: undefined as never }) }, NONE],
  ['not where one of them is in a folder of another farm', { seen: butOf('node-a', { foreign: true }) }, NONE],
  ['not where one of them has another folder by now', { seen: butOf('node-a', { path: '/old' }) }, NONE],
  ['not where one of them does not answer', { seen: without('node-a') }, NONE],
  ['not where one of them shows another file', { seen: butOf('node-a', {}, 'b'.repeat(64)) }, NONE],
  [
    'what is not right stays',
    { status: { ...STATUS, copies: [{ server: 'node-c', version: 0, state: 'OutOfDate', surplus: true }] } },
    NONE,
  ],
  [
    'what goes on has images without what lay beside them',
    { status: { ...STATUS, copies: [], ...job('Running') } },
    ordered(),
  ],
  ['it goes on, in the next hour, too', { status: { ...STATUS, ...job('Running', id(1)) } }, ordered(id(1))],
  ['what failed is not ordered again for now', { status: { ...STATUS, ...job('Failed') } }, NONE],
  ['what was done is known by its name', { status: { ...STATUS, ...job('Done') } }, ordered()],
  ['nothing while somebody works on it there', { status: { ...STATUS, ...job('Running', '5f0c11d2') } }, NONE],
  [
    'what somebody does elsewhere does not matter',
    { status: { ...STATUS, ...job('Running', '5f0c11d2', 'node-a') } },
    ordered(),
  ],
])('%s', (_, { status = STATUS, store: more, copies = 2, seen = SEEN, isUsed = false, server = 'node-c' }, orders) => {
  const vdisk = aVDisk({ metadata: { uid: 'uid' }, spec: { copies }, status });
  expect(giveBackOrders(server, { vdisk, store: { ...store, ...more }, seen, isUsed, nowSeconds: NOW })).toEqual(
    orders,
  );
});

const OLD: StoreRow = { ...store, name: 'old', local: { path: '/srv/old', nodes: {} } };
const MOVED: Status = { ...STATUS, store: 'images', movingFrom: ['old'], arrived: 2 };
const leave = orderId('uid leave old node-d', NOW);
const oldCopies = (state: 'Present' | 'Missing', more: object = {}) =>
  [0, 1].map((version) => ({ vdisk: 'lab', store: 'old', version, state, manifest: A, ...more }));
const inOld = (name: string, at: Partial<SeenStore> = {}, copies = oldCopies('Present')): SeenServer => ({
  ...{ name, copies },
  stores: [{ name: 'old', path: '/srv/old', volume: 'd 7', ...at }],
});
const THERE = [...SEEN, inOld('node-d')];

test.each<[string, Given & { readonly old?: Partial<StoreRow>; readonly movePolicy?: 'Retain' | 'Delete' }, boolean]>([
  ['what lies where it was goes', {}, true],
  ['not where it is to stay', { movePolicy: 'Retain' }, false],
  ['not before devices go to the new store', { status: { ...MOVED, arrived: undefined as never } }, false],
  ['not in a store that it does not move from', { status: { ...MOVED, movingFrom: ['older'] } }, false],
  ['not where fewer servers show it right than when it arrived', { status: { ...MOVED, arrived: 4 } }, false],
  ['not where one of them does not answer', { seen: THERE.slice(1), status: { ...MOVED, arrived: 3 } }, false],
  [
    'not where one of them shows another file',
    { seen: [...butOf('node-a', {}, 'b'.repeat(64)), inOld('node-d')], status: { ...MOVED, arrived: 3 } },
    false,
  ],
  [
    'not where its folder is one of the new store',
    { seen: [...butOf('node-a', { volume: 'd 9' }), inOld('node-d')] },
    false,
  ],
  ['not where its folder has no mark', { seen: [...SEEN, inOld('node-d', { volume: undefined as never })] }, false],
  ['not where another farm has its folder', { seen: [...SEEN, inOld('node-d', { foreign: true })] }, false],
  ['not where nobody knows what is right', { status: { ...MOVED, versions: [{ number: 0 }, { number: 1 }] } }, false],
  ['not where nothing is left', { seen: [...SEEN, inOld('node-d', {}, oldCopies('Missing'))] }, false],
  [
    'but where an end broke off',
    { seen: [...SEEN, inOld('node-d', {}, oldCopies('Missing', { lacksBootFiles: '0'.repeat(8) }))] },
    true,
  ],
  [
    'of a shared store by the first of its servers alone',
    { old: { shared: true }, seen: [...THERE, inOld('node-c')] },
    false,
  ],
  ['of a local store whose servers have one folder, by each', { seen: [...THERE, inOld('node-e')] }, true],
  [
    'into a shared store, whose servers show one folder',
    { store: { shared: true }, seen: [seen('node-a'), inOld('node-d')] },
    true,
  ],
  ['what failed is not ordered again for now', { status: { ...MOVED, ...job('Failed', leave, 'node-d') } }, false],
  [
    'what goes on goes on',
    {
      status: { ...MOVED, ...job('Running', leave, 'node-d') },
      seen: [...SEEN, inOld('node-d', {}, oldCopies('Missing'))],
    },
    true,
  ],
])(
  'of a vDisk that moved: %s: %j',
  (_, { status = MOVED, store: more, old, seen = THERE, movePolicy = 'Delete' }, is) => {
    const vdisk = aVDisk({ metadata: { uid: 'uid' }, spec: { movePolicy }, status });
    const facts = { vdisk, store: { ...store, ...more }, seen, nowSeconds: NOW };
    const { kind } = { kind: 'give-back' };
    const order = { id: leave, kind, folder: '/srv/old', fileName: 'lab', server: 'node-d', volume: 'd 7' };
    expect(leaveOrders('node-d', { ...OLD, ...old }, facts)).toEqual(is ? [order] : []);
  },
);
