import { expect, test } from '@jest/globals';
import { aVDisk } from '../../../test/builders/resources.ts';
import type { Store as StoreRow } from '../../farm/model.ts';
import { orderId } from '../../farm/orders.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { giveBackOrders, type SeenServer } from './giveback.ts';

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
