import { expect, test } from '@jest/globals';
import { aVDisk } from '../../../test/builders/resources.ts';
import type { Store as StoreRow } from '../../farm/model.ts';
import { orderId } from '../../farm/orders.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { giveBackOrders } from './giveback.ts';

type Status = NonNullable<VDisk['status']>;
const NOW = Date.parse('2026-11-30T12:00:00Z') / 1_000;
const SINCE = '2026-11-30T00:00:00Z';
const A = 'a'.repeat(64);
const store: StoreRow = {
  ...{ name: 'images', pools: [], servers: [], local: { path: '/srv', nodes: { 'node-c': '/data' } } },
  replication: { parallel: 2, keepStaleSeconds: 60 },
};
const STATUS: Status = {
  chosen: ['node-a', 'node-b'].map((name) => ({ name, since: SINCE })),
  versions: [0, 1].map((number) => ({ number, sha256: A, upToDate: 2, copies: 2 })),
  copies: [0, 1].map((version) => ({ server: 'node-c', version, state: 'UpToDate', surplus: true })),
};
const id = (hoursAgo = 0): string => orderId('uid give-back node-c 0,1', NOW - 3_600 * hoursAgo);
const job = (state: 'Running' | 'Failed' | 'Done', jobId = id(), server = 'node-c') => ({
  work: [{ server, id: jobId, kind: 'give-back', state } as const],
});
const ordered = (jobId = id()) => [
  { id: jobId, kind: 'give-back', folder: '/data', fileName: 'lab', server: 'node-c' },
];
const NONE: readonly object[] = [];

interface Given {
  readonly status?: Status;
  readonly store?: Partial<StoreRow>;
  readonly copies?: number | 'all';
  readonly isUsed?: boolean;
  readonly server?: string;
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
    'a version of which nobody knows what is right is waited for by nobody',
    { status: { ...STATUS, versions: [...(STATUS.versions ?? []), { number: 2, upToDate: 0 }] } },
    ordered(),
  ],
  [
    'what is not right stays',
    { status: { ...STATUS, copies: [{ server: 'node-c', version: 0, state: 'OutOfDate', surplus: true }] } },
    NONE,
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
])('%s', (_, { status = STATUS, store: more, copies = 2, isUsed = false, server = 'node-c' }, orders) => {
  const vdisk = aVDisk({ metadata: { uid: 'uid' }, spec: { copies }, status });
  expect(giveBackOrders(server, { vdisk, store: { ...store, ...more }, isUsed, nowSeconds: NOW })).toEqual(orders);
});
