import { expect, test } from '@jest/globals';
import { giveBytesPerSecond, lately, linkMbits } from './giving.ts';

const store = (bytesPerSecond?: number) => ({
  replication: { parallel: 2, keepStaleSeconds: 0, ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }) },
});

test.each<{
  what: string;
  stores: Parameters<typeof giveBytesPerSecond>[0];
  devices?: number;
  link?: number;
  is: number | undefined;
}>([
  { what: 'what all Stores say, devices or none', stores: [store(1_000), store(2_000)], is: 3_000 },
  { what: 'of Stores that take nothing from others nothing', stores: [store(1_000), {}], devices: 1, is: 1_000 },
  {
    what: 'half of the link while devices stream',
    stores: [store(1_000), store()],
    devices: 1,
    link: 10_000,
    is: 625e6,
  },
  { what: 'of a link that does not say it, as if of 1 Gb/s', stores: [store()], devices: 1, is: 62.5e6 },
  { what: 'all that there is while nobody streams', stores: [store()], link: 10_000, is: undefined },
])('is given: $what', ({ stores, devices = 0, link, is }) =>
  expect(giveBytesPerSecond(stores, devices, link)).toBe(is),
);

test('a loopback does not say how fast it is', () =>
  expect([linkMbits('lo'), linkMbits('none')]).toEqual([undefined, undefined]));

test('it is asked once a second', () => {
  let asked = 0;
  let clock = 0;
  const ask = lately(
    () => ++asked,
    () => clock,
  );
  expect([ask(), ask()]).toEqual([1, 1]);
  clock = 1_001;
  expect(ask()).toBe(2);
});
