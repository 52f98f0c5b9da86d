import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { REPLAY_WINDOW } from './limits.ts';
import { ReplayWindow } from './window.ts';

test.each([
  { numbers: [1, 2, 3], accepted: [true, true, true] },
  { numbers: [0], accepted: [false] },
  { numbers: [1, 1], accepted: [true, false] },
  { numbers: [5, 3, 4, 3], accepted: [true, true, true, false] },
  { numbers: [1_025, 2, 1], accepted: [true, true, false] },
  { numbers: [1, 1_000_000, 1, 999_999], accepted: [true, true, false, true] },
  { numbers: [2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 2], accepted: [true, false, true] },
])('$numbers → $accepted', ({ numbers, accepted }) => {
  const window = new ReplayWindow();
  expect(numbers.map((number) => window.accept(number))).toEqual(accepted);
});

test('it agrees with a model that remembers everything', () => {
  const jump = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -40, max: 40 }) },
    { weight: 3, arbitrary: fc.integer({ min: -REPLAY_WINDOW - 2, max: REPLAY_WINDOW + 2 }) },
    { weight: 1, arbitrary: fc.integer({ min: -5_000, max: 5_000 }) },
  );
  fc.assert(
    fc.property(fc.array(jump, { maxLength: 400 }), (jumps) => {
      const window = new ReplayWindow();
      const seen = new Set<number>();
      let highest = 0;
      for (const by of jumps) {
        const number = Math.max(0, highest + by);
        const wanted = number > 0 && highest - number < REPLAY_WINDOW && !seen.has(number);
        expect(window.accept(number)).toBe(wanted);
        seen.add(number);
        highest = Math.max(highest, number);
      }
    }),
    { seed: 4, numRuns: 500 },
  );
});
