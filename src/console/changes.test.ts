import { expect, test } from '@jest/globals';
import { changesOf } from './changes.ts';

const told = (before: unknown, after: unknown) =>
  changesOf(before, after).map(({ field, was, is }) => `${field}: ${was} ${is}`);

test.each<[unknown, unknown, string[]]>([
  [{ a: 1, b: 2 }, { a: 1, b: 3 }, ['b: 2 3']],
  [null, { name: 'pc1', macs: ['x'] }, ['name: undefined pc1', 'macs: undefined ["x"]']],
  [{ name: 'pc1' }, null, ['name: pc1 undefined']],
  [
    { properties: { seat: 'A' } },
    { properties: { seat: 'B', lamp: 'on' } },
    ['properties.seat: A B', 'properties.lamp: undefined on'],
  ],
  [{ a: 1 }, { a: 1 }, []],
  [1, 2, ['all: 1 2']],
])('%j to %j', (before, after, words) => expect(told(before, after)).toEqual(words));
