import { expect, test } from '@jest/globals';
import { aStore } from '../../../test/builders/resources.ts';
import { roomFault, type StoreServer } from './room.ts';
import { storeStatus } from './status.ts';

const GIB = 2 ** 30;
const server = (more: Partial<StoreServer>): StoreServer => ({
  ...{ name: 'node-b', state: 'Accessible', freeBytes: 2 * GIB, totalBytes: 9 * GIB },
  ...more,
});

test.each<[string, Partial<StoreServer>, string | undefined]>([
  ['nothing is lacking', {}, undefined],
  ['what is lacking fits', { needBytes: 2 * GIB }, undefined],
  ['it does not fit', { needBytes: 3 * GIB }, 'server node-b has room for 2.0 GiB and lacks files of up to 3.0 GiB'],
  ['it is full', { freeBytes: 0, needBytes: 1 }, 'server node-b has room for 0 bytes and lacks files of up to 1 byte'],
  [
    'it only reads its store: another container writes',
    { state: 'ReadOnly', needBytes: 3 * GIB },
    'server node-b has room',
  ],
  ['its disk is away', { state: 'Unreachable', needBytes: 3 * GIB }, undefined],
  ['its folder is not made yet', { state: 'Missing', freeBytes: 0, needBytes: 3 * GIB }, undefined],
])('room: %s', (_, more, told) => {
  const fault = roomFault(server(more));
  if (told === undefined) expect(fault).toBeUndefined();
  else expect(fault).toContain(told);
});

test.each<[string, number, object]>([
  ['which has', 2 * GIB, { servers: [{ name: 'node-b', needBytes: 2 * GIB }] }],
  [
    'which has not: it serves, and says so before anything comes',
    3 * GIB,
    { servers: [{ needBytes: 3 * GIB, message: expect.stringContaining('lacks files of up to 3.0 GiB') }] },
  ],
])('a Store tells how much room a server needs, %s', (_, needBytes, told) => {
  const report = { name: 'images', path: '/srv', state: 'Accessible', files: 1, message: '' } as const;
  const servers = [
    {
      name: 'node-b',
      reachable: true,
      message: '',
      report: { ...report, freeBytes: 2 * GIB, totalBytes: 9 * GIB, needBytes },
    },
  ];
  const status = storeStatus(aStore(), { servers, devices: 0 }, new Date(0));
  expect(status).toMatchObject(told);
  const conditionOf = (name: string) => status.conditions?.find(({ type }) => type === name);
  expect(conditionOf('Ready')?.status).toBe('True');
  const degraded = needBytes > 2 * GIB ? { status: 'True', reason: 'NoRoom' } : undefined;
  expect(conditionOf('Degraded')).toEqual(degraded && expect.objectContaining(degraded));
  if (degraded) expect(conditionOf('Degraded')?.message).toMatch(/^store images: server node-b has room for 2.0 GiB/);
});
