import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Ring } from './ring.ts';

test('whoever comes back gets all that they missed, or is told that it is not known', () =>
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constant('forget' as const))),
      fc.nat(60),
      (steps, seen) => {
        const ring = new Ring<number>(10, (item) => 1 + (item % 3));
        const told: { readonly number: number; readonly items: readonly number[] }[] = [];
        let lostAt = 0;
        let next = 0;
        for (const step of steps) {
          if (step === 'forget') {
            ring.forget();
            lostAt = ring.last;
          } else told.push(ring.add(Array.from({ length: step }, () => next++)));
        }
        const missed = ring.after(seen);
        const held = told.flatMap(({ items }) => items).reduce((sum, item) => sum + 1 + (item % 3), 0);
        if (seen > ring.last || seen < lostAt) expect(missed).toBeUndefined();
        else if (missed) expect(missed).toEqual(told.filter(({ number }) => number > seen));
        else expect(held).toBeGreaterThan(10);
        expect(ring.after(ring.last)).toEqual([]);
      },
    ),
  ));

test('a start of another number is not known', () => {
  const ring = new Ring<string>(2, ({ length }) => length);
  ring.add(['a']);
  ring.add(['b']);
  ring.add(['c']);
  expect([ring.after(0), ring.after(1)?.length, ring.after(4)]).toEqual([undefined, 2, undefined]);
  ring.add(['more than it holds']);
  expect([ring.after(3), ring.after(4)]).toEqual([undefined, []]);
});
