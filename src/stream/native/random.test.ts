import { expect, test } from '@jest/globals';
import { pooledRandom } from './random.ts';

test('each byte is given once, over the end of a pool, too', () => {
  const random = pooledRandom();
  const pieces = Array.from({ length: 2_000 }, (_, index) => random(index % 2 ? 16 : 4));
  expect(pieces.map(({ length }) => length)).toEqual(pieces.map((_, index) => (index % 2 ? 16 : 4)));
  const long = pieces.filter(({ length }) => length === 16).map((bytes) => bytes.toString('hex'));
  expect(new Set(long).size).toBe(long.length);
  const before = Buffer.from(pieces[1] ?? '');
  pieces[3]?.fill(0);
  expect(pieces[1]).toEqual(before);
});
