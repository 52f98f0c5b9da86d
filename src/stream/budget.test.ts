import { expect, test } from '@jest/globals';
import { Budget } from './budget.ts';

const aBudget = (mostSources = 10): Budget =>
  new Budget({ perSecond: 2, burst: 3 }, { perSecond: 10, burst: 8 }, mostSources);
const taken = (budget: Budget, source: string, nowMs: number, tries = 20): number =>
  Array.from({ length: tries }, () => budget.take(source, nowMs)).filter(Boolean).length;

test('a source has its burst, then its rate', () => {
  const budget = aBudget();
  expect([0, 0, 499, 500, 1_500, 60_000].map((at) => taken(budget, 'a', at))).toEqual([3, 0, 0, 1, 2, 3]);
});

test('what one source may not do costs the others nothing; all together have a bound', () => {
  const budget = aBudget();
  expect([taken(budget, 'a', 0), taken(budget, 'a', 0)]).toEqual([3, 0]);
  expect(['b', 'c', 'd'].map((source) => taken(budget, source, 0))).toEqual([3, 2, 0]);
  expect(taken(budget, 'd', 1_000)).toBe(3);
});

test('of more sources than it knows it forgets the one that has been quiet for the longest', () => {
  const budget = aBudget(2);
  expect([taken(budget, 'a', 0, 3), taken(budget, 'b', 0, 3), taken(budget, 'a', 0, 1)]).toEqual([3, 3, 0]);
  // b goes for c; a is known still.
  expect([taken(budget, 'c', 0, 1), taken(budget, 'a', 0, 1), taken(budget, 'b', 0, 1)]).toEqual([1, 0, 1]);
});

test('a clock that stands gives nothing', () => {
  const budget = aBudget();
  taken(budget, 'a', 5_000);
  expect(taken(budget, 'a', 4_000)).toBe(0);
  expect(taken(budget, 'a', 5_000)).toBe(2);
});
