import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Chosen, type Keeper, type SpreadFacts, spread } from './spread.ts';

const NOW = 100_000;
const AFTER = 1_800;
const keeper = (name: string, more: Partial<Keeper> = {}): Keeper => ({
  ...{ name, alive: true, silentSeconds: 0, whole: false, coming: false, hasSome: false },
  ...{ lacksBytes: 100, freeBytes: 500, totalBytes: 1_000, devices: 0, powerRating: 1 },
  ...more,
});
const whole = { whole: true, hasSome: true, lacksBytes: 0 };
const away = (silentSeconds: number) => ({ alive: false, silentSeconds, hasSome: true });
const chosen = (name: string, age: number, awayFor?: number): Chosen => ({
  ...{ name, since: NOW - age },
  ...(awayFor === undefined ? {} : { awaySince: NOW - awayFor }),
});
const facts = (more: Partial<SpreadFacts>): SpreadFacts => ({
  ...{
    vdisk: 'lab',
    wanted: 2,
    before: [],
    keepers: [],
    replicates: true,
    replaceAfterSeconds: AFTER,
    nowSeconds: NOW,
  },
  ...more,
});
const OLD = [chosen('a', 900), chosen('b', 800)];
/** Of two that were chosen at one time. */
const [byHash = ''] = spread(facts({ before: [chosen('a', 9), chosen('b', 9)] })).counted;
const names = (list: readonly Chosen[]): readonly string[] => list.map(({ name }) => name);

describe('of those that are there are chosen', () => {
  test.each<[string, Partial<SpreadFacts>, readonly string[]]>([
    [
      'who has it, before who has more room',
      { keepers: [keeper('a', { freeBytes: 900 }), keeper('b', whole), keeper('c', whole)] },
      ['b', 'c'],
    ],
    [
      'who has room, before who is idle',
      { keepers: [keeper('a', { freeBytes: 50 }), keeper('b', { devices: 90 }), keeper('c')] },
      ['b', 'c'],
    ],
    [
      'who has the larger part free',
      { keepers: [keeper('a', { freeBytes: 700 }), keeper('b'), keeper('c', { freeBytes: 900 })] },
      ['a', 'c'],
    ],
    [
      'who has fewer devices for its power',
      { keepers: [keeper('a', { devices: 90 }), keeper('b', { devices: 90, powerRating: 9 }), keeper('c')] },
      ['b', 'c'],
    ],
    [
      'who has something, before who has more room, where nobody knows what is right',
      {
        keepers: ['a', 'b', 'c'].map((name) =>
          keeper(name, { lacksBytes: 0, hasSome: name === 'b', freeBytes: name === 'b' ? 1 : 900 }),
        ),
        wanted: 1,
      },
      ['b'],
    ],
    [
      'whoever is there, where nobody has room',
      { keepers: [keeper('a', { freeBytes: 1 }), keeper('b', { freeBytes: 2 })] },
      ['a', 'b'],
    ],
    [
      'who has no folder yet, after who has room',
      { keepers: [keeper('a', { totalBytes: 0, freeBytes: 0 }), keeper('b'), keeper('c')] },
      ['b', 'c'],
    ],
    ['fewer, where fewer are there', { keepers: [keeper('a'), keeper('b', away(1))] }, ['a']],
    ['nobody of a store without servers', {}, []],
    [
      'the one that serves it alone, whatever it has',
      { pinned: 'c', keepers: [keeper('a', whole), keeper('b'), keeper('c', away(9))] },
      ['a', 'c'],
    ],
  ])('%s', (_, more, wanted) => {
    expect(names(spread(facts(more)).chosen).toSorted()).toEqual(wanted);
  });

  test('another vDisk has others, where they do not differ', () => {
    const keepers = ['a', 'b', 'c', 'd'].map((name) => keeper(name));
    const sets = ['lab', 'class', 'kiosk', 'exam'].map((vdisk) =>
      String(names(spread(facts({ vdisk, keepers })).chosen).toSorted()),
    );
    expect(new Set(sets).size).toBeGreaterThan(1);
  });
});

describe('of those that were chosen', () => {
  test.each<
    [string, Partial<SpreadFacts>, { readonly chosen: readonly string[]; readonly counted: readonly string[] }]
  >([
    [
      'who has it stays, though another has more room',
      { keepers: [keeper('a', whole), keeper('b', whole), keeper('c', { freeBytes: 990 })] },
      { chosen: ['a', 'b'], counted: ['a', 'b'] },
    ],
    [
      'who waits for its first stays',
      { keepers: [keeper('a', { coming: true }), keeper('b'), keeper('c', { freeBytes: 990 })] },
      { chosen: ['a', 'b'], counted: ['a', 'b'] },
    ],
    [
      'who is away for a while stays',
      { keepers: [keeper('a', away(AFTER - 1)), keeper('b', whole), keeper('c')] },
      { chosen: ['a', 'b'], counted: ['a', 'b'] },
    ],
    [
      'who is away for long stays, and another one is chosen',
      { keepers: [keeper('a', away(AFTER)), keeper('b', whole), keeper('c')] },
      { chosen: ['a', 'b', 'c'], counted: ['b', 'c'] },
    ],
    [
      'so by a leader that has just begun, as it was told before',
      {
        before: [chosen('a', 900, AFTER), chosen('b', 800)],
        keepers: [keeper('a', away(1)), keeper('b', whole), keeper('c')],
      },
      { chosen: ['a', 'b', 'c'], counted: ['b', 'c'] },
    ],
    [
      'who comes back has nobody chosen for it any more',
      { before: [...OLD, chosen('c', 700)], keepers: [keeper('a', whole), keeper('b', whole), keeper('c', whole)] },
      { chosen: ['a', 'b'], counted: ['a', 'b'] },
    ],
    [
      'but not before it is whole',
      {
        before: [...OLD, chosen('c', 700)],
        keepers: [keeper('a', { coming: true }), keeper('b', whole), keeper('c', whole)],
      },
      { chosen: ['a', 'b', 'c'], counted: ['a', 'b', 'c'] },
    ],
    [
      'nor while another one is away',
      {
        before: [...OLD, chosen('c', 700)],
        keepers: [keeper('a', whole), keeper('b', { ...whole, alive: false }), keeper('c', whole)],
      },
      { chosen: ['a', 'b', 'c'], counted: ['a', 'b', 'c'] },
    ],
    [
      'one that gets nothing for long has one with room chosen beside it',
      {
        before: [chosen('a', 9_000, AFTER), chosen('b', 800)],
        keepers: [keeper('a', { freeBytes: 9 }), keeper('b', whole), keeper('c', { freeBytes: 9 }), keeper('d')],
      },
      { chosen: ['a', 'b', 'd'], counted: ['b', 'd'] },
    ],
    [
      'and none where none has room',
      {
        before: [chosen('a', 9_000, AFTER), chosen('b', 800)],
        keepers: [keeper('a', { freeBytes: 9 }), keeper('b', whole), keeper('c', { freeBytes: 9 })],
      },
      { chosen: ['a', 'b'], counted: ['b'] },
    ],
    [
      'nor where people copy',
      {
        replicates: false,
        before: [chosen('a', 9_000, AFTER), chosen('b', 800)],
        keepers: [keeper('a'), keeper('b', whole), keeper('c')],
      },
      { chosen: ['a', 'b'], counted: ['a', 'b'] },
    ],
    [
      'nor while nobody has it',
      { before: [chosen('a', 9_000), chosen('b', 800)], keepers: [keeper('a'), keeper('b'), keeper('c')] },
      { chosen: ['a', 'b'], counted: ['a', 'b'] },
    ],
    [
      'none stays where none of them has anything, and others have it all',
      { keepers: [keeper('a'), keeper('b'), keeper('c', whole), keeper('d', whole)] },
      { chosen: ['c', 'd'], counted: ['c', 'd'] },
    ],
    [
      'none stays where none of them has anything, nobody has it all, and others have some',
      { wanted: 1, before: [chosen('a', 900)], keepers: [keeper('a'), keeper('b', { hasSome: true })] },
      { chosen: ['b'], counted: ['b'] },
    ],
    [
      'but who is away may have something',
      { wanted: 1, before: [chosen('a', 900)], keepers: [keeper('a', away(9)), keeper('b', { hasSome: true })] },
      { chosen: ['a'], counted: ['a'] },
    ],
    [
      'the one that serves it alone has another one chosen beside it where it gets nothing for long',
      {
        wanted: 1,
        pinned: 'a',
        before: [chosen('a', 9_000, AFTER)],
        keepers: [keeper('a', { freeBytes: 9 }), keeper('b', whole)],
      },
      { chosen: ['a', 'b'], counted: ['b'] },
    ],
    [
      'who is none of the store any more is waited for, too',
      { keepers: [keeper('b', whole), keeper('c')] },
      { chosen: ['a', 'b'], counted: ['a', 'b'] },
    ],
    [
      'and no longer',
      { before: [chosen('a', 900, AFTER), chosen('b', 800)], keepers: [keeper('b', whole), keeper('c')] },
      { chosen: ['b', 'c'], counted: ['b', 'c'] },
    ],
    [
      'more are chosen where more are wanted',
      { wanted: 3, keepers: [keeper('a', whole), keeper('b', whole), keeper('c')] },
      { chosen: ['a', 'b', 'c'], counted: ['a', 'b', 'c'] },
    ],
    [
      'the newest goes where fewer are wanted',
      { wanted: 1, keepers: [keeper('a', whole), keeper('b', whole)] },
      { chosen: ['a'], counted: ['a'] },
    ],
    [
      'nobody goes just after a switch: the one that serves now may still act on what it knew before',
      { wanted: 1, pinned: 'b', before: [chosen('a', 900)], keepers: [keeper('a', whole), keeper('b', whole)] },
      { chosen: ['b', 'a'], counted: ['b', 'a'] },
    ],
    [
      'nor before two minutes have passed',
      {
        wanted: 1,
        pinned: 'b',
        before: [chosen('a', 900), chosen('b', 119)],
        keepers: [keeper('a', whole), keeper('b', whole)],
      },
      { chosen: ['b', 'a'], counted: ['b', 'a'] },
    ],
    [
      'but then',
      {
        wanted: 1,
        pinned: 'b',
        before: [chosen('a', 900), chosen('b', 120)],
        keepers: [keeper('a', whole), keeper('b', whole)],
      },
      { chosen: ['b'], counted: ['b'] },
    ],
    [
      'those that were chosen at one time are no switch',
      { wanted: 1, before: [chosen('a', 9), chosen('b', 9)], keepers: [keeper('a', whole), keeper('b', whole)] },
      { chosen: [byHash], counted: [byHash] },
    ],
    [
      'but never the one that serves it alone',
      { wanted: 1, pinned: 'b', keepers: [keeper('a', whole), keeper('b', whole)] },
      { chosen: ['b'], counted: ['b'] },
    ],
  ])('%s', (_, more, found) => {
    const { chosen: kept, counted } = spread(facts({ before: OLD, ...more }));
    expect({ chosen: names(kept), counted }).toEqual(found);
  });
});

const keepers = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    alive: fc.boolean(),
    silentSeconds: fc.constantFrom(0, 9, 9_000),
    whole: fc.boolean(),
    coming: fc.boolean(),
    hasSome: fc.boolean(),
    lacksBytes: fc.constantFrom(0, 100),
    freeBytes: fc.constantFrom(0, 100, 900),
    totalBytes: fc.constant(1_000),
    devices: fc.nat(50),
    powerRating: fc.constant(1),
  }),
  { selector: ({ name }) => name, maxLength: 6 },
);
/** Who answers is not silent, and who has it all lacks nothing. */
const heard = (all: readonly Keeper[]): readonly Keeper[] =>
  all.map((one) => ({
    ...one,
    silentSeconds: one.alive ? 0 : one.silentSeconds,
    hasSome: one.hasSome || one.whole,
    lacksBytes: one.whole ? 0 : one.lacksBytes,
  }));
/** A second later, and nothing happened. */
const later = (asked: SpreadFacts): SpreadFacts => ({
  ...asked,
  nowSeconds: asked.nowSeconds + 1,
  keepers: asked.keepers.map((one) => ({ ...one, silentSeconds: one.alive ? 0 : one.silentSeconds + 1 })),
});
const befores = fc.uniqueArray(
  fc.record(
    {
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'gone'),
      since: fc.constantFrom(NOW - 9_999, NOW - 900, NOW - 9, NOW),
      awaySince: fc.constantFrom(NOW - 9, NOW - 9_000),
    },
    { requiredKeys: ['name', 'since'] },
  ),
  { selector: ({ name }) => name, maxLength: 7 },
);

test('whoever is let go, so many whole ones stay; what was decided once is decided again', () => {
  fc.assert(
    fc.property(
      keepers.map(heard),
      befores,
      fc.integer({ min: 1, max: 6 }),
      fc.boolean(),
      fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined }),
      (all, before, wanted, replicates, pinned) => {
        const asked = facts({ keepers: all, before, wanted, replicates, ...(pinned ? { pinned } : {}) });
        const once = spread(asked);
        const kept = new Set(names(once.chosen));
        const own = all.filter(({ name }) => before.some((one) => one.name === name));
        const isWhole = (one: Keeper): boolean => one.alive && one.whole;
        const isMoved = !own.some(({ hasSome }) => hasSome) && all.some((one) => one.alive && one.hasSome);
        const gone = own.filter(({ name }) => !kept.has(name));
        if (gone.length > 0 && !isMoved)
          expect(all.filter((one) => kept.has(one.name) && isWhole(one)).length).toBeGreaterThanOrEqual(wanted);
        expect(once.counted.filter((name) => !kept.has(name))).toEqual([]);
        expect(spread(later({ ...asked, before: once.chosen }))).toEqual(once);
      },
    ),
    { numRuns: 300 },
  );
});
