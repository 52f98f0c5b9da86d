import { expect, test } from '@jest/globals';
import { inTime } from './patience.ts';

test('what comes in time comes, also as a rejection; what hangs is undefined', async () => {
  expect(await inTime(Promise.resolve(7), 1_000)).toBe(7);
  await expect(inTime(Promise.reject(new Error('no')), 1_000)).rejects.toThrow('no');
  expect(await inTime(new Promise(() => undefined), 5)).toBeUndefined();
});
