import { expect, test } from '@jest/globals';
import { geometryOf } from './geometry.ts';

const MIB = 1 << 20;
const LARGEST = [65_535, 16, 255];

// By the program of the specification, step by step, where its result is all of the disk.
test.each([
  { bytes: 4 * 17 * 512, is: [1, 4, 17] },
  { bytes: 963 * 10 * 17 * 512, is: [963, 10, 17] },
  { bytes: 1_023 * 16 * 17 * 512, is: [1_023, 16, 17] },
  { bytes: 600 * 16 * 31 * 512, is: [600, 16, 31] },
  { bytes: 512 * 16 * 63 * 512, is: [512, 16, 63] },
  { bytes: 20_805 * 16 * 63 * 512, is: [20_805, 16, 63] },
  { bytes: 40_000 * 16 * 255 * 512, is: [40_000, 16, 255] },
  { bytes: 65_535 * 16 * 255 * 512, is: LARGEST },
  { bytes: 2_040 * 1_024 * MIB, is: LARGEST },
  { bytes: 80 * MIB + 512, is: LARGEST },
  { bytes: 512, is: LARGEST },
])('a disk of $bytes bytes has $is', ({ bytes, is }) => {
  const { cylinders, heads, sectors } = geometryOf(bytes);
  expect([cylinders, heads, sectors]).toEqual(is);
});
