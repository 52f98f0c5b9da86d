import { expect, test } from '@jest/globals';
import { gathered } from './gathered.ts';

test('what is asked in one turn is asked at once, and each gets its own answer', async () => {
  const rounds: number[][] = [];
  const double = gathered(async (numbers: readonly number[]) => {
    rounds.push([...numbers]);
    return numbers.map((number) => 2 * number);
  });
  expect(await Promise.all([1, 2, 3].map(double))).toEqual([2, 4, 6]);
  expect(await Promise.all([double(4), Promise.resolve().then(() => double(5))])).toEqual([8, 10]);
  expect(rounds).toEqual([
    [1, 2, 3],
    [4, 5],
  ]);
});

test('what comes while a round is under way does not wait for it', async () => {
  const rounds: PromiseWithResolvers<readonly string[]>[] = [];
  const ask = gathered(() => {
    const round = Promise.withResolvers<readonly string[]>();
    rounds.push(round);
    return round.promise;
  });
  const first = ask('a');
  await new Promise(setImmediate);
  const second = ask('b');
  await new Promise(setImmediate);
  rounds[1]?.resolve(['of b']);
  expect(await second).toBe('of b');
  rounds[0]?.resolve(['of a']);
  expect(await first).toBe('of a');
});

test('a round that fails fails for those who asked in it, and for nobody after', async () => {
  let fails = true;
  const ask = gathered(async (questions: readonly string[]) => {
    if (fails) throw new Error('away');
    return questions;
  });
  const asked = await Promise.allSettled([ask('a'), ask('b')]);
  expect(asked.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  fails = false;
  expect(await ask('c')).toBe('c');
});
