import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type PropertiesFacts, type RightProperties, rightProperties, verdictOnProperties } from './properties.ts';

const on = (server: string, fill?: string, changes?: number): RightProperties => ({
  ...{ server, name: 'lab.3.pvp' },
  ...(fill === undefined ? { message: 'lab.3.pvp has 9 bytes' } : { sha256: fill.repeat(64) }),
  ...(changes === undefined ? {} : { changes }),
});

test.each<{ what: string; shown: readonly RightProperties[]; right?: string }>([
  { what: 'none where there is none', shown: [] },
  { what: 'none where none can be read', shown: [on('a')] },
  { what: 'the only one', shown: [on('a', '1', 0)], right: 'a' },
  {
    what: 'the one that was changed most often',
    shown: [on('a', '1', 4), on('b', '2', 5), on('c', '1', 4)],
    right: 'b',
  },
  { what: 'one that says so before one that says nothing', shown: [on('a', '1'), on('b', '2', 0)], right: 'b' },
  { what: 'of as many changes what most have', shown: [on('a', '1', 4), on('c', '2', 4), on('b', '2', 4)], right: 'b' },
  { what: 'of as many servers the first by its digest', shown: [on('b', '2', 4), on('a', '1', 4)], right: 'a' },
  { what: 'of one digest the first server by its name', shown: [on('b', '1', 4), on('a', '1', 4)], right: 'a' },
])('right is $what', ({ shown, right }) => {
  expect(rightProperties(shown)?.server).toBe(right);
});

test('whatever servers come in which order, the same one is right', () => {
  const one = fc.record({
    ...{ server: fc.constantFrom('a', 'b', 'c', 'd'), name: fc.constant('lab.pvp') },
    sha256: fc.constantFrom('1', '2', '3'),
    changes: fc.option(fc.nat(2), { nil: undefined }),
  }) as fc.Arbitrary<RightProperties>;
  const all = fc.array(one, { maxLength: 6 });
  fc.assert(
    fc.property(
      all.chain((shown) => fc.tuple(fc.constant(shown), fc.shuffledSubarray(shown, { minLength: shown.length }))),
      ([shown, other]) => {
        const [a, b] = [rightProperties(other), rightProperties(shown)];
        expect([a?.sha256, a?.server]).toEqual([b?.sha256, b?.server]);
      },
    ),
    { seed: 14, numRuns: 300 },
  );
});

describe('of a copy that is right', () => {
  const right = on('b', '2', 5);
  test.each<{ what: string; held: PropertiesFacts | null | undefined; right?: RightProperties; is?: object }>([
    { what: 'nothing is said where the server says nothing', held: undefined, right },
    { what: 'nothing is said where no server has any', held: null },
    { what: 'nothing is said where it has the right ones', held: on('a', '2', 5), right },
    {
      what: 'they lack',
      held: null,
      right,
      is: {
        state: 'PropertiesMissing',
        message:
          'server a: lab.3.pvp is not in /srv: copy lab.3.pvp from server b; machines boot the version without it, too',
      },
    },
    {
      what: 'they are others',
      held: on('a', '1', 1),
      right,
      is: {
        state: 'PropertiesOutOfDate',
        message: expect.stringContaining(
          'lab.3.pvp in /srv is not the right one (it was changed once, that of server b 5 times): copy',
        ),
      },
    },
    {
      what: 'they cannot be read',
      held: on('a'),
      right,
      is: { state: 'PropertiesOutOfDate', message: expect.stringContaining('(lab.3.pvp has 9 bytes)') },
    },
  ])('$what', ({ held, right, is }) => {
    expect(verdictOnProperties({ server: 'a', folder: '/srv' }, held, right)).toEqual(is);
  });
});
