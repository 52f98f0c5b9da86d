import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { LoadBalancing } from './model.ts';
import { type Candidate, type PlacementReason, place } from './place.ts';

const leastBusy: LoadBalancing = { algorithm: 'LeastBusy', subnetAffinity: 'None' };
const request = { device: 'pc0001', address: '10.77.0.50', loadBalancing: leastBusy };

const aServer = (more: Partial<Candidate>): Candidate => ({
  name: 'node-a',
  address: '10.77.0.11',
  prefixLength: 24,
  alive: true,
  draining: false,
  devices: 0,
  booting: 0,
  powerRating: 1,
  maxDevices: 4_000,
  maxBooting: 500,
  holdsCopy: true,
  ...more,
});

describe('a device lands on', () => {
  test.each<{ what: string; servers: Candidate[]; loadBalancing?: LoadBalancing; on: string }>([
    {
      what: 'the less busy server',
      servers: [aServer({ devices: 3 }), aServer({ name: 'node-b', devices: 2 })],
      on: 'node-b',
    },
    {
      what: 'the stronger server at equal load per power',
      servers: [aServer({ devices: 3, powerRating: 1 }), aServer({ name: 'node-b', devices: 5, powerRating: 2 })],
      on: 'node-b',
    },
    {
      what: 'the one that is alive',
      servers: [aServer({ alive: false }), aServer({ name: 'node-b', devices: 9 })],
      on: 'node-b',
    },
    {
      what: 'the one that holds a copy',
      servers: [aServer({ holdsCopy: false }), aServer({ name: 'node-b', devices: 9 })],
      on: 'node-b',
    },
    {
      what: 'one whose copy stays',
      servers: [aServer({ isSurplus: true }), aServer({ name: 'node-b', devices: 9 })],
      on: 'node-b',
    },
    {
      what: 'one whose copy goes, where no other may serve',
      servers: [aServer({ isSurplus: true }), aServer({ name: 'node-b', draining: true })],
      on: 'node-a',
    },
    {
      what: 'the pinned server, busy as it is',
      servers: [aServer({}), aServer({ name: 'node-b', devices: 9 })],
      loadBalancing: { server: 'node-b' },
      on: 'node-b',
    },
    {
      what: 'a server of its subnet by best effort',
      servers: [aServer({ address: '10.78.0.11' }), aServer({ name: 'node-b', devices: 9 })],
      loadBalancing: { algorithm: 'LeastBusy', subnetAffinity: 'BestEffort' },
      on: 'node-b',
    },
    {
      what: 'any server by best effort when none is near',
      servers: [aServer({ address: '10.78.0.11' })],
      loadBalancing: { algorithm: 'LeastBusy', subnetAffinity: 'BestEffort' },
      on: 'node-a',
    },
  ])('$what', ({ servers, loadBalancing = leastBusy, on }) => {
    expect(place({ ...request, loadBalancing }, servers)).toEqual({ kind: 'server', server: on });
  });
});

describe('a refusal names its reason', () => {
  test.each<{ reason: PlacementReason; servers: Candidate[]; loadBalancing?: LoadBalancing; says: string }>([
    { reason: 'PinnedElsewhere', servers: [aServer({})], loadBalancing: { server: 'node-x' }, says: 'node-x' },
    { reason: 'NoServerAlive', servers: [aServer({ alive: false })], says: 'node-a' },
    { reason: 'AllDraining', servers: [aServer({ draining: true })], says: 'node-a' },
    { reason: 'NoCopy', servers: [aServer({ holdsCopy: false })], says: 'status.copies' },
    {
      reason: 'OtherSubnet',
      servers: [aServer({ address: '10.78.0.11' })],
      loadBalancing: { algorithm: 'LeastBusy', subnetAffinity: 'Fixed' },
      says: '10.77.0.50',
    },
    { reason: 'AllFull', servers: [aServer({ devices: 4_000 })], says: '4000 of 4000' },
    { reason: 'AllBooting', servers: [aServer({ booting: 500 })], says: '500 of 500' },
  ])('$reason', ({ reason, servers, loadBalancing = leastBusy, says }) => {
    const placement = place({ ...request, loadBalancing }, servers);
    expect(placement).toMatchObject({ kind: 'refused', reason });
    expect(placement.kind === 'refused' && placement.message).toContain(says);
  });

  test('without any server', () => {
    expect(place(request, [])).toMatchObject({ kind: 'refused' });
  });
});

test('servers agree whatever order they see each other in, and ties spread', () => {
  const servers = ['a', 'b', 'c', 'd'].map((name) => aServer({ name }));
  const chosen = new Set<string>();
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.shuffledSubarray(servers, { minLength: 4 }), (device, order) => {
      const placement = place({ ...request, device }, order);
      expect(placement).toEqual(place({ ...request, device }, servers));
      if (placement.kind === 'server') chosen.add(placement.server);
    }),
    { seed: 3, numRuns: 200 },
  );
  expect([...chosen].sort()).toEqual(['a', 'b', 'c', 'd']);
});
