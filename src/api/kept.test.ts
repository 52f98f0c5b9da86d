import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Kept } from './kept.ts';

test('one question at a time, an answer for a while, and none that is no good', async () => {
  let nowMs = 0;
  let made = 0;
  const kept = new Kept<string>(
    { lifeMs: 10, most: 100 },
    (answer) => answer !== 'bad',
    () => nowMs,
  );
  const ask = (answer: string) => kept.of('a', async () => `${answer}${answer === 'bad' ? '' : ++made}`);
  expect(await Promise.all([ask('x'), ask('x')])).toEqual(['x1', 'x1']);
  nowMs = 9;
  expect(await ask('x')).toBe('x1');
  nowMs = 10;
  expect(await ask('x')).toBe('x2');
  expect([kept.ageMs('a'), kept.ageMs('b')]).toEqual([0, Number.POSITIVE_INFINITY]);
  nowMs = 30;
  expect(kept.ageMs('a')).toBe(20);
  expect(await Promise.all([ask('bad'), ask('x')])).toEqual(['bad', 'bad']);
  expect(await ask('x')).toBe('x3');
  nowMs = 60;
  await expect(kept.of('a', () => Promise.reject(new Error('broke')))).rejects.toThrow('broke');
  expect(await ask('x')).toBe('x4');
});

test('whatever is asked when, an answer is younger than its life, and there are never more than allowed', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), afterMs: fc.nat(8) })),
      async (asked) => {
        let nowMs = 0;
        const kept = new Kept<number>(
          { lifeMs: 10, most: 2 },
          () => true,
          () => nowMs,
        );
        for (const { key, afterMs } of asked) {
          nowMs += afterMs;
          const madeAt = await kept.of(key, async () => nowMs);
          expect(nowMs - madeAt).toBeLessThan(10);
          expect(kept.size).toBeLessThanOrEqual(2);
        }
      },
    ),
  ));
