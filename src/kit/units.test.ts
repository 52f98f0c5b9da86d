import { expect, test } from '@jest/globals';
import { inUnits, secondsOf } from './units.ts';

test.each([
  [0, '0 bytes'],
  [1_023, '1023 bytes'],
  [1_536, '1.5 KiB'],
  [40 * 2 ** 30, '40.0 GiB'],
  [127 * 2 ** 30, '127 GiB'],
  [2_048 * 2 ** 40, '2048 TiB'],
])('%i bytes are %s', (bytes, text) => {
  expect(inUnits(bytes)).toBe(text);
});

test.each([
  ['720h', 2_592_000],
  ['10m', 600],
  ['120s', 120],
  ['1h30m5s', 5_405],
  ['0s', 0],
])('%s is %d seconds', (text, seconds) => {
  expect(secondsOf(text)).toBe(seconds);
});

test.each(['', '10', '10d', 'h', '1.5h', '10m '])('%j is no duration', (text) => {
  expect(() => secondsOf(text)).toThrow('not a duration');
});
