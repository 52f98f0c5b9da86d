import { expect, test } from '@jest/globals';
import { inUnits } from './units.ts';

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
