import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Threads } from './threads.ts';

/** Reads of folders that never answer; how many of each began. */
function silent(threads: Threads, folders: readonly string[], each: number): Map<string, number> {
  const begun = new Map<string, number>();
  for (const folder of folders)
    for (let read = 0; read < each; read++)
      void threads.run(folder, () => {
        begun.set(folder, (begun.get(folder) ?? 0) + 1);
        return new Promise(() => undefined);
      });
  return begun;
}

test.each<{ threads: number; folders: number; begun: readonly number[] }>([
  { threads: 64, folders: 1, begun: [16] },
  { threads: 64, folders: 5, begun: [16, 16, 8, 4, 2] },
  { threads: 64, folders: 9, begun: [16, 16, 8, 4, 2, 1, 1, 1, 1] },
  { threads: 4, folders: 2, begun: [2, 1] },
])('of $threads threads $folders folders that are silent hold $begun', async ({ threads, folders, begun }) => {
  const held = silent(
    new Threads(threads),
    Array.from({ length: folders }, (_, index) => `${index}`),
    40,
  );
  await Promise.resolve();
  expect([...held.values()]).toEqual(begun);
});

test('while others are silent a folder reads on, one after the other at the least', async () => {
  const threads = new Threads(64);
  silent(threads, ['a', 'b', 'c', 'd', 'e', 'f'], 100);
  const read = Array.from({ length: 50 }, (_, index) => threads.run('well', async () => index));
  expect(await Promise.all(read)).toEqual(Array.from({ length: 50 }, (_, index) => index));
});

test('what fails gives its place on, and whoever waited has it', async () => {
  const threads = new Threads(4);
  const { promise, reject } = Promise.withResolvers<void>();
  const failing = [0, 1].map(() => threads.run('a', () => promise));
  const next = threads.run('a', async () => 7);
  reject(new Error('gone'));
  for (const each of failing) await expect(each).rejects.toThrow('gone');
  expect(await next).toBe(7);
});

test('all that is asked for is read, whatever ends when, in the order of its folder', async () => {
  const folders = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(folders, fc.infiniteStream(fc.nat(3)), async (asked, turns) => {
      const threads = new Threads(8);
      const read: string[] = [];
      await Promise.all(
        asked.map((folder, index) =>
          threads.run(folder, async () => {
            read.push(`${folder} ${index}`);
            for (let turn = turns.next().value ?? 0; turn > 0; turn--) await Promise.resolve();
          }),
        ),
      );
      for (const folder of ['a', 'b', 'c']) {
        const of = read.filter((one) => one.startsWith(folder)).map((one) => Number(one.slice(2)));
        expect(of).toEqual(asked.flatMap((one, index) => (one === folder ? [index] : [])));
      }
    }),
    { seed: 15, numRuns: 200 },
  );
});
