import { expect, test } from '@jest/globals';
import { aServer, aSnapshot } from '../../../test/builders/farm.ts';
import type { PeerLoad } from '../../control/peer.ts';
import { candidates, serverList } from './site.ts';

const load = (name: string, more: Partial<PeerLoad> = {}): PeerLoad => ({
  name,
  draining: false,
  loadPercent: 0,
  prefixLength: 24,
  devices: 2,
  booting: 0,
  powerRating: 1,
  maxDevices: 10,
  maxBooting: 5,
  manifests: ['a'.repeat(16)],
  ...more,
});
const self = { ...load('node-a'), address: '10.77.0.11', site: 'default' };
const manifest = 'a'.repeat(64);

test('candidates are this server, peers that ping, and silent ones', () => {
  const found = candidates(aSnapshot(), self, () => undefined, manifest);
  expect(found).toMatchObject([
    { name: 'node-a', alive: true, holdsCopy: true },
    { name: 'node-b', alive: false },
  ]);
  const both = candidates(aSnapshot(), self, (name) => load(name, { manifests: [] }), manifest);
  expect(both[1]).toMatchObject({ name: 'node-b', alive: true, holdsCopy: false, devices: 2 });
});

test('a server that the replica does not show yet is its own candidate', () => {
  expect(candidates(aSnapshot({ servers: [] }), self, () => undefined, manifest)).toMatchObject([{ name: 'node-a' }]);
});

test('the list has those that answer first, and every server gives it the same version', () => {
  const alive = new Map([['node-b', load('node-b')]]);
  const snapshot = aSnapshot({ servers: [aServer({ name: 'node-c', address: '10.77.0.10' }), ...aSnapshot().servers] });
  const a = serverList(snapshot, { ...self, draining: false }, (name) => alive.get(name));
  expect(a.entries.map(({ host, state }) => `${host} ${state}`)).toEqual([
    '10.77.0.11 Streaming',
    '10.77.0.12 Streaming',
    '10.77.0.10 Unreachable',
  ]);
  alive.set('node-a', load('node-a'));
  expect(serverList(snapshot, { name: 'node-b', site: 'default', draining: false }, (name) => alive.get(name))).toEqual(
    a,
  );
  expect(serverList(snapshot, { ...self, draining: true }, (name) => alive.get(name)).version).not.toBe(a.version);
});
