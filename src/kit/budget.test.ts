import { expect, test } from '@jest/globals';
import { Budget, Shares } from './budget.ts';

const spends = (budget: Pick<Budget, 'spend'>, key: string, times: number, nowMs: number): number =>
  Array.from({ length: times }, () => budget.spend(key, nowMs)).filter(Boolean).length;

test('a burst at once, then so many a second, never more than a burst', () => {
  const budget = new Budget({ burst: 4, perSecond: 2, keys: 9 });
  expect(spends(budget, 'a', 9, 0)).toBe(4);
  expect(spends(budget, 'a', 9, 499)).toBe(0);
  expect(spends(budget, 'a', 9, 500)).toBe(1);
  expect(spends(budget, 'a', 9, 1_500)).toBe(2);
  expect(spends(budget, 'a', 9, 3_600_000)).toBe(4);
});

test('one that asks too much does not earn less, nor take from others', () => {
  const budget = new Budget({ burst: 1, perSecond: 1, keys: 9 });
  for (let ms = 0; ms < 1_000; ms += 10) budget.spend('a', ms);
  expect([budget.spend('b', 999), budget.spend('a', 1_000)]).toEqual([true, true]);
});

test('remembers so many, and forgets who spent longest ago', () => {
  const budget = new Budget({ burst: 1, perSecond: 0, keys: 2 });
  for (const key of ['a', 'b', 'c']) budget.spend(key, 0);
  expect(budget.keys).toBe(2);
  expect([budget.spend('c', 1), budget.spend('b', 1), budget.spend('a', 1)]).toEqual([false, false, true]);
});

test('a clock that goes back gives nothing and takes nothing', () => {
  const budget = new Budget({ burst: 2, perSecond: 1, keys: 2 });
  expect([budget.spend('a', 5_000), budget.spend('a', 0), budget.spend('a', 0)]).toEqual([true, true, false]);
});

test('what a source asks beyond its share costs the others nothing; all together have a bound', () => {
  const shares = new Shares({ burst: 3, perSecond: 2, keys: 9 }, { burst: 8, perSecond: 10 });
  expect([spends(shares, 'a', 20, 0), spends(shares, 'a', 20, 0)]).toEqual([3, 0]);
  expect(['b', 'c', 'd'].map((source) => spends(shares, source, 20, 0))).toEqual([3, 2, 0]);
  // What was refused because the whole was spent is d's still.
  expect(spends(shares, 'd', 20, 1_000)).toBe(3);
});
