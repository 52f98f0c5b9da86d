import { expect, test } from '@jest/globals';
import { quantityOf, requirementsOf } from './units.ts';

test.each([
  [5, 5],
  ['8Gi', 8_589_934_592],
  ['2G', 2_000_000_000],
  ['1.5k', 1_500],
  ['500m', 0.5],
  ['1Ei', 2 ** 60],
])('%s is %d', (text, value) => {
  expect(quantityOf(text)).toBe(value);
});

test.each(['', 'Gi', '8 Gi', '8GB', '-1', '1e3'])('%j is no quantity', (text) => {
  expect(() => quantityOf(text)).toThrow('not a quantity');
});

test.each([
  { given: {}, is: {} },
  { given: { requests: { cpu: 1, memory: '1Gi' } }, is: { requests: { cpu: '1', memory: '1Gi' } } },
  { given: { limits: { cpu: 0.5 } }, is: { limits: { cpu: '0.5' } } },
])('the resources $given are asked for as texts', ({ given, is }) => {
  expect(requirementsOf(given)).toEqual(is);
});
