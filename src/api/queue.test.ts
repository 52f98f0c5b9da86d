import { expect, test } from '@jest/globals';
import { ok, type Result } from '../kit/result.ts';
import { REVIEWS_AT_ONCE, REVIEWS_WAITING } from './limits.ts';
import type { Problem } from './problem.ts';
import { ReviewQueue } from './queue.ts';

test('so many run at once, sources take turns, and the source with the most gives way when too many wait', async () => {
  const queue = new ReviewQueue();
  const began: string[] = [];
  const ends: (() => void)[] = [];
  const ask = (source: string) =>
    queue.run(source, () => {
      began.push(source);
      return new Promise<Result<string, Problem>>((end) => ends.push(() => end(ok(source))));
    });
  const storm = Array.from({ length: REVIEWS_AT_ONCE + REVIEWS_WAITING }, () => ask('storm'));
  const one = ask('ann');
  expect(began).toHaveLength(REVIEWS_AT_ONCE);
  expect(await storm[REVIEWS_AT_ONCE]).toMatchObject({ error: { code: 'ReviewsAway' } });
  let running = 0;
  while (ends.length > 0) {
    running = Math.max(running, ends.length);
    ends.shift()?.();
    await new Promise(setImmediate);
  }
  expect(await one).toEqual(ok('ann'));
  expect(running).toBe(REVIEWS_AT_ONCE);
  expect(began.indexOf('ann')).toBe(REVIEWS_AT_ONCE + 1);
  expect(began).toHaveLength(REVIEWS_AT_ONCE + REVIEWS_WAITING);
});
