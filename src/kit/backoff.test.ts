import { expect, test } from '@jest/globals';
import { backoffMs } from './backoff.ts';

const policy = { baseMs: 5, maxMs: 300_000 };

test.each([
  { attempt: 0, random: 0, ms: 2.5 },
  { attempt: 0, random: 1, ms: 5 },
  { attempt: 3, random: 1, ms: 40 },
  { attempt: 40, random: 1, ms: 300_000 },
  { attempt: 5_000, random: 0, ms: 150_000 },
])('attempt $attempt with random $random waits $ms ms', ({ attempt, random, ms }) => {
  expect(backoffMs(policy, attempt, () => random)).toBe(ms);
});
