import { expect, test } from '@jest/globals';
import { balance } from './balance.ts';
import type { Server } from './shapes.ts';

const server = (name: string, devices: number, more: Partial<Server> = {}): Server => ({
  name,
  pool: 'main',
  site: 'default',
  state: 'Streaming',
  addresses: [],
  devices,
  booting: 0,
  powerRating: 1,
  loadPercent: 0,
  message: '',
  ...more,
});
const told = (servers: readonly Server[]) =>
  balance(servers).map(
    ({ site, shares }) =>
      `${site}: ${shares.map(({ server: { name }, fair, words }) => `${name} ${fair?.toFixed(0)} ${words}`).join(', ')}`,
  );

test.each([
  ['even', [server('a', 100), server('b', 101)], ['default: a 101 fair, b 101 fair']],
  ['by rating', [server('b', 200, { powerRating: 2 }), server('a', 100)], ['default: a 100 fair, b 200 fair']],
  ['uneven', [server('a', 150), server('b', 50)], ['default: a 100 50 % above, b 100 50 % below']],
  [
    'a drain',
    [server('a', 100), server('b', 20, { state: 'Draining' })],
    ['default: a 120 17 % below, b undefined drains'],
  ],
  [
    'lost',
    [server('a', 100), server('b', 0, { state: 'Unreachable' })],
    ['default: a 100 fair, b undefined takes none'],
  ],
  ['nobody', [server('a', 0), server('b', 0)], ['default: a 0 fair, b 0 fair']],
  ['two sites', [server('a', 9), server('b', 3, { site: 'north' })], ['default: a 9 fair', 'north: b 3 fair']],
  ['none', [], []],
])('%s', (_, servers, words) => expect(told(servers)).toEqual(words));

test('bars are of the longest of the site', () => {
  const [site] = balance([server('a', 150), server('b', 50)]);
  expect(site?.shares.map(({ width, fairAt }) => [width, fairAt?.toFixed(2)])).toEqual([
    [1, '0.67'],
    [1 / 3, '0.67'],
  ]);
});
