import { expect, test } from '@jest/globals';
import { Told } from './told.ts';

type State = 'Right' | 'Missing' | 'Copying' | 'Away';
const LASTS_MS = { Right: 0, Missing: 0, Copying: 10_000, Away: 60_000 } as const;

const scene = (before: Record<string, State>) => {
  const told = new Told();
  const of = { before: () => new Map(Object.entries(before)), lastsMs: (state: State) => LASTS_MS[state] };
  return {
    told,
    look: (seconds: number, now: Record<string, State>) =>
      told.news('lab', new Map(Object.entries(now)), of, 1_000 * seconds),
  };
};

test.each<{
  what: string;
  looks: readonly (readonly [seconds: number, now: Record<string, State>, news: readonly string[]])[];
}>([
  {
    what: 'nothing changed',
    looks: [
      [0, { a: 'Right', b: 'Right' }, []],
      [99, { a: 'Right', b: 'Right' }, []],
    ],
  },
  {
    what: 'several that change at once are told at once, and once',
    looks: [
      [0, { a: 'Missing', b: 'Missing' }, ['a', 'b']],
      [30, { a: 'Missing', b: 'Missing' }, []],
    ],
  },
  {
    what: 'what changes within ten seconds waits, and is told together',
    looks: [
      [0, { a: 'Missing', b: 'Right' }, ['a']],
      [3, { a: 'Missing', b: 'Missing' }, []],
      [6, { a: 'Right', b: 'Missing' }, []],
      [10, { a: 'Right', b: 'Missing' }, ['a', 'b']],
    ],
  },
  {
    what: 'what ends before it counts is never told',
    looks: [
      [0, { a: 'Away', b: 'Copying' }, []],
      [9, { a: 'Away', b: 'Copying' }, []],
      [59, { a: 'Right', b: 'Right' }, []],
      [120, { a: 'Away', b: 'Right' }, []],
    ],
  },
  {
    what: 'what lasts is',
    looks: [
      [0, { a: 'Away', b: 'Copying' }, []],
      [10, { a: 'Away', b: 'Copying' }, ['b']],
      [60, { a: 'Away', b: 'Copying' }, ['a']],
    ],
  },
  {
    what: 'one more is news, one less is none',
    looks: [
      [0, { a: 'Right', b: 'Right', c: 'Right' }, ['c']],
      [20, { c: 'Right' }, []],
      [40, { a: 'Right', c: 'Right' }, ['a']],
    ],
  },
])('$what', ({ looks }) => {
  const { look } = scene({ a: 'Right', b: 'Right' });
  for (const [seconds, now, news] of looks) expect(look(seconds, now)).toEqual(news);
});

test('another leader begins with what was told, and so does a thing that was forgotten', () => {
  const { told, look } = scene({ a: 'Missing' });
  expect(look(0, { a: 'Missing' })).toEqual([]);
  expect(look(1, { a: 'Right' })).toEqual(['a']);
  told.forget('lab');
  expect(look(2, { a: 'Right' })).toEqual(['a']);
  told.clear();
  expect(look(3, { a: 'Missing' })).toEqual([]);
});
