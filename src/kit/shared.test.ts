import { expect, test } from '@jest/globals';
import { shared } from './shared.ts';

/** What is asked gives its number when the test says so. */
function scene(freshMs: number) {
  let now = 0;
  const made: PromiseWithResolvers<number>[] = [];
  const ask = shared(
    () => {
      const next = Promise.withResolvers<number>();
      made.push(next);
      return next.promise;
    },
    freshMs,
    () => now,
  );
  return { ask, made, pass: (ms: number) => (now += ms) };
}

test('a thousand who ask while it is made, however long that takes, and for a second after, share one', async () => {
  const { ask, made, pass } = scene(1_000);
  const first = Array.from({ length: 500 }, () => ask());
  pass(60_000);
  first.push(...Array.from({ length: 500 }, () => ask()));
  made[0]?.resolve(7);
  expect(new Set(await Promise.all(first))).toEqual(new Set([7]));
  pass(1_000);
  expect([await ask(), made.length]).toEqual([7, 1]);
  pass(1);
  void ask();
  expect(made.length).toBe(2);
});

test('what fails is shared as long, and asked anew after', async () => {
  const { ask, made, pass } = scene(10);
  const both = [ask(), ask()];
  made[0]?.reject(new Error('away'));
  for (const one of both) await expect(one).rejects.toThrow('away');
  pass(11);
  const next = ask();
  made[1]?.resolve(1);
  expect(await next).toBe(1);
});
