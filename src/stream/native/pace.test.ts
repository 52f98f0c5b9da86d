import { expect, test } from '@jest/globals';
import { Pace } from './pace.ts';

/** A second of looks, one each ms, that bring so many READs and PINGs in all. */
function afterSecond(reads: number, pings: number): Pace {
  const pace = new Pace();
  let [read, pinged] = [0, 0];
  for (let ms = 1; ms <= 1_000; ms++) {
    const [nextRead, nextPinged] = [Math.floor((reads * ms) / 1_000), Math.floor((pings * ms) / 1_000)];
    pace.add(nextRead - read, nextPinged - pinged, 1_000 + ms);
    [read, pinged] = [nextRead, nextPinged];
  }
  return pace;
}

test.each([
  { what: 'nothing', reads: 0, pings: 0, calm: false },
  { what: 'PINGs of few devices', reads: 0, pings: 1_500, calm: false },
  { what: 'PINGs of many', reads: 0, pings: 24_000, calm: true },
  { what: 'PINGs of many, and a READ now and then', reads: 500, pings: 24_000, calm: true },
  { what: 'as many READs as PINGs', reads: 24_000, pings: 24_000, calm: false },
  { what: 'READs', reads: 20_000, pings: 4_000, calm: false },
])('$what: calm is $calm', ({ reads, pings, calm }) => {
  expect(afterSecond(reads, pings).isCalm).toBe(calm);
});

test('READs end the calm at once', () => {
  const pace = afterSecond(0, 24_000);
  pace.add(2, 1, 2_001);
  expect(pace.isCalm).toBe(false);
});
