import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Schedule } from './schedule.ts';

test('gives keys in the order of their times, and none before its time', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), (times) => {
      const schedule = new Schedule();
      for (const time of times) schedule.add(String(time), time);
      const out: number[] = [];
      for (let now = 0; now <= 50; now += 1) {
        for (let key = schedule.take(now); key !== undefined; key = schedule.take(now)) {
          expect(Number(key)).toBe(now);
          out.push(Number(key));
        }
      }
      expect(out).toEqual([...times].sort((a, b) => a - b));
    }),
    { seed: 7, numRuns: 500 },
  );
});
