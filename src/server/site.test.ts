import { describe, expect, test } from '@jest/globals';
import { aBoot, aBootDecision, aDevice, aLoad, aServer, aSnapshot, aVDisk } from '../../test/builders/farm.ts';
import type { PeerLoad } from '../control/peer.ts';
import { decideBoot } from '../farm/boot.ts';
import { Names } from './names.ts';
import { candidates, elsewhere, httpServers, listFor, loginServers, peerEndpoints, serverList } from './site.ts';

const load = (name: string, more: Partial<PeerLoad> = {}): PeerLoad => aLoad({ name, ...more });
const self = { ...load('node-a'), address: '10.77.0.11', site: 'default', pool: 'main' };
const manifest = 'a'.repeat(64);

test('a server that was not chosen for the vDisk has a copy too many', () => {
  const vdisk = aVDisk({ copies: { wanted: 1, servers: ['node-b'] } });
  const [version] = aSnapshot().versions;
  const found = candidates(
    aSnapshot({ vdisks: [vdisk] }),
    self,
    (name) => load(name),
    version?.content?.manifest ?? '',
  );
  expect(found.map(({ name, isSurplus }) => [name, isSurplus])).toEqual([
    ['node-a', true],
    ['node-b', false],
  ]);
});

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

const farmOf = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    aServer({ name: `node-${index}`, address: `10.78.${index >> 8}.${index & 255}` }),
  );

test.each([1, 20, 21, 256])('of %i servers TICKET names 20 at most, the one that gives it first', (count) => {
  const snapshot = aSnapshot({ servers: farmOf(count) });
  const list = serverList(snapshot, { name: 'node-0', site: 'default', draining: false }, (name) => load(name));
  expect(list.entries).toHaveLength(count);
  const own = { host: '10.78.0.0', port: 6910, state: 'Streaming' } as const;
  const told = listFor('pc0001', list, own);
  expect(told).toHaveLength(Math.min(count, 20));
  expect(told[0]).toEqual(own);
});

describe('where a device logs in', () => {
  const own = { host: '10.78.0.0', port: 6910 };
  const names = () =>
    new Names(async (host) => (host === 'login.example' ? ['10.79.0.1'] : Promise.reject(new Error('no such name'))));
  const told = (count: number, hosts: readonly string[]) => {
    const boot = aBoot({ loginServers: hosts.map((host) => ({ host, port: 7000 })) });
    const snapshot = aSnapshot({ servers: farmOf(count), sites: [{ name: 'default', boot }] });
    const decision = aBootDecision(decideBoot(snapshot, 'default', aDevice(), 0));
    return loginServers(decision, own, names(), snapshot.servers);
  };

  test.each([21, 256])('%i servers of the site: 20 of them, this one first', async (count) => {
    expect(await told(count, [])).toHaveLength(20);
    expect((await told(count, []))[0]).toEqual(own);
  });

  test('names are addresses, and those that do not resolve are left out', async () => {
    expect(await told(2, ['login.example', 'gone.example'])).toEqual([{ host: '10.79.0.1', port: 7000 }]);
  });

  test('where nothing of the list can be used, it is the servers of the site', async () => {
    expect(await told(2, ['gone.example', 'fd00::1'])).toEqual([own, { host: '10.78.0.1', port: 6910 }]);
  });
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
