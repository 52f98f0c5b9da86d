import { expect, test } from '@jest/globals';
import { aVDisk } from '../../../test/builders/resources.ts';
import { mergeSubject } from '../../farm/merge.ts';
import { orderId } from '../../farm/orders.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { mergeClaim, mergeOf, mergeOrders } from './merge.ts';

type Status = NonNullable<VDisk['status']>;
const NOW = Date.parse('2026-11-29T12:00:00Z') / 1_000;
const RULE = { maxChain: 2 };
const LONG: Partial<Status> = {
  bootVersion: 3,
  versions: [
    { number: 0, type: 'Base' },
    { number: 1, type: 'Differencing' },
    { number: 2, type: 'Differencing' },
    { number: 3, type: 'Differencing' },
  ],
  copies: ['node-b', 'node-a', 'node-c'].map((server) => ({
    ...{ server, version: 3, state: server === 'node-a' ? 'OutOfDate' : 'UpToDate' },
  })),
};
const place = { kind: 'merge', fileName: 'lab', version: 3 };
const ordered = { ...place, id: orderId(mergeSubject('uid', 3), NOW - 3_600), folder: '/srv' };
const job = (state: 'Running' | 'Failed' | 'Done', server = 'node-c', id = '5f0c11d2') =>
  ({ server, id, kind: 'merge', state }) as const;
const store = { name: 'images', pools: [], servers: [], local: { path: '/srv', nodes: { 'node-b': '/data' } } };

const orders = (status: Partial<Status>, rule: { maxChain: number; mergeAt?: string } | undefined = RULE) => {
  const vdisk = aVDisk({ metadata: { uid: 'uid' }, status } as never);
  const sources = { vdisks: [vdisk], stores: [store], rule, nowSeconds: NOW };
  return Object.fromEntries(['node-a', 'node-b', 'node-c'].map((server) => [server, mergeOrders(server, sources)]));
};
const none = { 'node-a': [], 'node-b': [], 'node-c': [] };
const id = expect.stringMatching(/^[0-9a-f]{8}$/);
const ofB = { ...none, 'node-b': [{ ...place, id, folder: '/data' }] };

test.each<{ what: string; status: Partial<Status>; rule?: { maxChain: number; mergeAt?: string }; is: object }>([
  { what: 'too long: the first server that has it right, in its own folder', status: LONG, is: ofB },
  { what: 'short enough', status: LONG, rule: { maxChain: 3 }, is: none },
  { what: 'to be merged at night', status: LONG, rule: { maxChain: 2, mergeAt: '02:00' }, is: none },
  { what: 'merged already', status: { ...LONG, unmanaged: ['lab.4.vhdx'] }, is: none },
  {
    what: 'beside an old image and one of another name',
    status: { ...LONG, unmanaged: ['lab.2.vhdx', 'lab2.9.vhdx'] },
    is: ofB,
  },
  {
    what: 'being merged: who works goes on, in the next hour, too',
    status: { ...LONG, work: [job('Running', 'node-c', ordered.id)] },
    is: { ...none, 'node-c': [ordered] },
  },
  {
    what: 'being merged by a person, or so a server says: nothing is ordered',
    status: { ...LONG, work: [job('Running')] },
    is: none,
  },
  {
    what: 'perhaps merged by one that is not heard',
    status: { ...LONG, copies: [...(LONG.copies ?? []), { server: 'node-d', version: 3, state: 'ServerUnreachable' }] },
    is: none,
  },
  {
    what: 'one whose merge failed: in this hour the same order, which is not done again',
    status: { ...LONG, work: [job('Failed')] },
    is: ofB,
  },
  { what: 'right nowhere', status: { ...LONG, copies: [] }, is: none },
])('of a chain that is $what', ({ status, rule, is }) => {
  expect(orders(status, rule ?? RULE)).toEqual(is);
});

test('without a rule nothing is ordered', () => {
  const vdisk = aVDisk({ status: LONG } as never);
  const sources = { vdisks: [vdisk], stores: [store], rule: undefined, nowSeconds: NOW };
  expect(mergeOrders('node-b', sources)).toEqual([]);
});

test.each<{ status: Partial<Status>; mergeAt?: string; says?: RegExp; reason?: string }>([
  { status: { ...LONG, bootVersion: 2 } },
  { status: LONG, reason: 'Merging', says: /longer than 2 .*a server makes one base/ },
  { status: LONG, mergeAt: '02:00', reason: 'MergeLater', says: /merged from 2026-11-30T02:00:00Z on/ },
  { status: { ...LONG, unmanaged: ['lab.4.avhdx'] }, reason: 'MergeLater', says: /version 4 lies there, a difference/ },
  {
    status: { ...LONG, unmanaged: ['lab.4.vhdx'] },
    reason: 'MergeReady',
    says: /version 4 lies there .*`bootfarm vdisk promote lab\/lab 4`/,
  },
])('it says $reason', ({ status, mergeAt, reason, says }) => {
  const rule = { ...RULE, ...(mergeAt === undefined ? {} : { mergeAt }) };
  const claims = mergeClaim(aVDisk().metadata, mergeOf('lab', status, rule, NOW), rule.maxChain);
  expect(claims).toEqual(
    reason ? [{ type: 'MergePending', status: 'True', reason, message: expect.stringMatching(says ?? /./) }] : [],
  );
});
