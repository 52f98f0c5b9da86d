import { describe, expect, test } from '@jest/globals';
import { aBoot, aLoad, aServer, aSnapshot, aVDisk } from '../../../test/builders/farm.ts';
import type { PeerLoad } from '../../control/peer.ts';
import { candidates, elsewhere, httpServers, peerEndpoints, serverList } from './site.ts';

const load = (name: string, more: Partial<PeerLoad> = {}): PeerLoad => aLoad({ name, ...more });
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

test('the peers are the other servers of the site, at their control ports', () => {
  const servers = [...aSnapshot().servers, aServer({ name: 'node-c', site: 'other' })];
  expect([...peerEndpoints(aSnapshot({ servers }), self)]).toEqual([['node-b', { host: '10.77.0.12', port: 6911 }]]);
  expect(peerEndpoints(undefined, self).size).toBe(0);
});

test.each([
  { what: 'before the farm is known', snapshot: undefined, rest: [] },
  { what: 'once', snapshot: aSnapshot(), rest: [{ host: '10.77.0.12', port: 8069 }] },
  { what: 'in a site that the farm has not', snapshot: aSnapshot({ sites: [{ name: 'x', boot: aBoot() }] }), rest: [] },
])('a machine is told of this server first, $what', ({ snapshot, rest }) => {
  const own = { host: '10.77.0.11', port: 8069 };
  expect(httpServers(snapshot, 'default', own)).toEqual([own, ...rest]);
});

describe('a device that is sent away', () => {
  const device = { device: 'pc0001', vdisk: 'lab', address: { host: '10.77.0.50', port: 4000 } };
  const draining = { ...self, draining: true };
  const b = { host: '10.77.0.12', port: 6910, state: 'Streaming' };
  test.each([
    { what: 'goes to the server that placement says', snapshot: aSnapshot(), peer: {}, to: b },
    { what: 'goes nowhere when no other has the copy', snapshot: aSnapshot(), peer: { manifests: [] }, to: undefined },
    { what: 'goes nowhere when the others drain too', snapshot: aSnapshot(), peer: { draining: true }, to: undefined },
    { what: 'of a vDisk that is gone, goes nowhere', snapshot: aSnapshot({ vdisks: [] }), peer: {}, to: undefined },
    {
      what: 'goes nowhere when its vDisk is pinned here',
      snapshot: aSnapshot({ vdisks: [aVDisk({ loadBalancing: { server: 'node-a' } })] }),
      peer: {},
      to: undefined,
    },
  ])('$what', ({ snapshot, peer, to }) => {
    expect(elsewhere(snapshot, draining, (name) => load(name, peer), manifest, device)).toEqual(to);
  });
});
