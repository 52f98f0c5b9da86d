import { expect, test } from '@jest/globals';
import { Gate } from './gate.ts';

test('so many at a time; sources take turns, within one the first comes first', async () => {
  const gate = new Gate(2);
  const order: string[] = [];
  const held: PromiseWithResolvers<void>[] = [];
  const all = ['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'c1', 'b2'].map((name) =>
    gate.run(name.slice(0, 1), () => {
      order.push(name);
      const work = Promise.withResolvers<void>();
      held.push(work);
      return work.promise;
    }),
  );
  await Promise.resolve();
  expect(order).toEqual(['a1', 'a2']);
  for (let done = 0; done < all.length; done++) {
    held[done]?.resolve();
    await all[done < 2 ? done : 0];
    await new Promise(setImmediate);
    expect(order.length).toBe(Math.min(done + 3, all.length));
  }
  await Promise.all(all);
  expect(order).toEqual(['a1', 'a2', 'a3', 'b1', 'c1', 'a4', 'b2', 'a5']);
});

test('work that fails gives its place on', async () => {
  const gate = new Gate(1);
  const failing = gate.run('a', () => Promise.reject(new Error('gone')));
  const next = gate.run('a', async () => 7);
  await expect(failing).rejects.toThrow('gone');
  expect(await next).toBe(7);
});
