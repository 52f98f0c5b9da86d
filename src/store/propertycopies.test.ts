import { expect, test } from '@jest/globals';
import type { ShownProperties } from '../transfer/wire.ts';
import {
  lackingProperties,
  parseStoreProperties,
  propertyFile,
  type StoreProperties,
  shownOf,
} from './propertycopies.ts';

const digest = (digit: string): string => digit.repeat(64);
const IDENTITY = '7:1000:1:1:1:lasting';
const here = (digit: string, changes?: number) => ({
  ...{ sha256: digest(digit), sizeBytes: 4_096, identity: IDENTITY },
  ...(changes === undefined ? {} : { changes }),
});
const own = (file?: StoreProperties['files'][number]['here']): StoreProperties => ({
  ...{ store: 'images', folder: '/srv' },
  files: [{ name: 'lab.pvp', ...(file && { here: file }) }],
});
const shown = (digit: string, changes: number, more: Partial<ShownProperties> = {}): ShownProperties => ({
  ...{ store: 'images', name: 'lab.pvp', sha256: digest(digit), sizeBytes: 4_096, changes },
  ...more,
});
type Shown = Readonly<Record<string, readonly ShownProperties[]>>;

test.each<{ what: string; own: StoreProperties; shown: Shown; lacks: readonly object[] }>([
  {
    what: 'one that is not here',
    own: own(),
    shown: { b: [shown('b', 1)] },
    lacks: [{ name: 'lab.pvp', sha256: digest('b'), sizeBytes: 4_096, bases: [] }],
  },
  {
    what: 'one that was changed more often',
    own: own(here('a', 3)),
    shown: { b: [shown('b', 4)], c: [shown('c', 2)] },
    lacks: [{ name: 'lab.pvp', sha256: digest('b'), sizeBytes: 4_096, bases: [], replaces: IDENTITY }],
  },
  { what: 'none where its own was', own: own(here('a', 5)), shown: { b: [shown('b', 4)] }, lacks: [] },
  { what: 'none that it has', own: own(here('a', 5)), shown: { b: [shown('a', 5)] }, lacks: [] },
  { what: 'none of another store', own: own(), shown: { b: [shown('b', 1, { store: 'other' })] }, lacks: [] },
  {
    what: 'none of a version that it has not',
    own: own(),
    shown: { b: [shown('b', 1, { name: 'x.pvp' })] },
    lacks: [],
  },
  {
    what: 'none that is too large to be one',
    own: own(),
    shown: { b: [shown('b', 9, { sizeBytes: 1e9 })] },
    lacks: [],
  },
  { what: 'none while nobody answers', own: own(), shown: {}, lacks: [] },
])('a server lacks $what', ({ own: mine, shown: others, lacks }) =>
  expect(lackingProperties(mine, new Map(Object.entries(others)))).toEqual(lacks),
);

test('of two servers each lacks what the other does not, or none does: they come to rest', () => {
  for (const [a, b] of [
    [here('a', 1), here('b', 1)],
    [here('a', 2), here('b', 1)],
    [here('b'), here('a')],
  ] as const) {
    const lacks = (mine: typeof a, other: typeof a) =>
      lackingProperties(own(mine), new Map([['other', shownOf(own(other))]])).length;
    expect(lacks(a, b) + lacks(b, a)).toBe(1);
  }
});

test('what was written a moment ago, or cannot be read, is not spoken of; one that is not there is', () => {
  const file = { name: 'lab.pvp', sizeBytes: 4_096, identity: IDENTITY };
  const properties = { name: 'lab.pvp', sha256: digest('a'), changes: 1 };
  expect(propertyFile('lab.pvp', { ...file, properties })).toEqual({ name: 'lab.pvp', here: here('a', 1) });
  expect(propertyFile('lab.pvp', undefined)).toEqual({ name: 'lab.pvp' });
  expect(propertyFile('lab.pvp', { ...file, properties, fresh: true })).toBeUndefined();
  expect(propertyFile('lab.pvp', { ...file, properties: { name: 'lab.pvp', message: 'EIO' } })).toBeUndefined();
});

test('what is written is read again, and what is no list of ours is none', () => {
  const all = [own(here('a', 1)), own()];
  expect(parseStoreProperties(JSON.stringify(all))).toEqual(all);
  for (const name of ['../x.pvp', 'lab.raw', 'a/b.pvp'])
    expect(parseStoreProperties(JSON.stringify([{ ...own(), files: [{ name }] }]))).toEqual([]);
  expect(parseStoreProperties('{')).toEqual([]);
});
