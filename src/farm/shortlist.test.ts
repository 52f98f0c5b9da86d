import { describe, expect, test } from '@jest/globals';
import { MAX_LISTED_SERVERS, shortlist } from './shortlist.ts';

const servers = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ host: `10.77.${index >> 8}.${index & 255}`, port: 6910 }));
const stranger = { host: '10.99.0.1', port: 6910 };

test.each([0, 1, 2, 20, 21, 32, 256])(
  'of %i servers a device is told of 20 at most, the one that speaks first',
  (count) => {
    const all = servers(count);
    const own = all.at(-1);
    const told = shortlist('pc0001', all, own);
    expect(told).toHaveLength(Math.min(count, MAX_LISTED_SERVERS));
    expect(told[0]).toEqual(own);
    expect(new Set(told).size).toBe(told.length);
    expect(shortlist('pc0001', all, stranger)).not.toContainEqual(stranger);
  },
);

test('20 keep their order', () => {
  expect(shortlist('pc0001', servers(20))).toEqual(servers(20));
});

describe('of more than 20', () => {
  const all = servers(256);
  const listOf = (device: string, from = all) => shortlist(device, from).map(({ host }) => host);

  test('every server tells a device the same ones, in whatever order it knows them', () => {
    expect(listOf('pc0001', all.toReversed())).toEqual(listOf('pc0001'));
  });

  test('those that answer come before those that do not', () => {
    const silent = new Set(listOf('pc0001'));
    const told = shortlist('pc0001', all, undefined, ({ host }) => (silent.has(host) ? 1 : 0));
    expect(told.some(({ host }) => silent.has(host))).toBe(false);
  });

  test('devices are spread over all of them, evenly', () => {
    const times = new Map<string, number>();
    for (let device = 0; device < 4_000; device++)
      for (const host of listOf(`pc${device}`)) times.set(host, (times.get(host) ?? 0) + 1);
    const mean = (4_000 * MAX_LISTED_SERVERS) / 256;
    expect(times.size).toBe(256);
    for (const count of times.values()) expect(Math.abs(count - mean)).toBeLessThan(mean / 3);
  });

  test('a server that leaves is replaced where it was, and nothing else changes', () => {
    const before = listOf('pc0001');
    const after = listOf(
      'pc0001',
      all.filter(({ host }) => host !== before[3]),
    );
    expect(after.slice(0, -1)).toEqual(before.toSpliced(3, 1));
  });
});
