import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aServer } from '../../test/builders/farm.ts';
import type { Store } from './model.ts';
import { verifyTimes } from './shared.ts';

const aStore = (more: Partial<Store> = {}): Store => ({
  ...{ name: 'nas', pools: [], servers: [], shared: true, local: { path: '/run/bootfarm-stores/nas', nodes: {} } },
  ...more,
});

const names = fc.uniqueArray(fc.stringMatching(/^node-[a-z0-9]{1,8}$/), { minLength: 1, maxLength: 8 });

test('of a shared store one server reads again as often as it says, the others as many times more rarely as there are', () => {
  fc.assert(
    fc.property(names, (all) => {
      const servers = all.map((name) => aServer({ name }));
      const times = all.map((name) => verifyTimes(aStore(), name, servers)).toSorted((a, b) => a - b);
      expect(times).toEqual([1, ...all.slice(1).map(() => all.length)]);
    }),
  );
});

test('one more server takes a store over, or leaves it where it was', () => {
  fc.assert(
    fc.property(names, (all) => {
      const firstOf = (some: readonly string[]) =>
        some.find(
          (name) =>
            verifyTimes(
              aStore(),
              name,
              some.map((one) => aServer({ name: one })),
            ) === 1,
        );
      const [added, ...before] = all;
      if (before.length > 0) expect([firstOf(before), added]).toContain(firstOf(all));
    }),
  );
});

test.each([
  { what: 'its own folders', store: aStore({ shared: false }), times: 1 },
  { what: 'a store that no other server offers', store: aStore({ servers: ['node-a'] }), times: 1 },
])('a server reads $what as often as the store says', ({ store, times }) => {
  expect(verifyTimes(store, 'node-a', [aServer(), aServer({ name: 'node-b' }), aServer({ name: 'node-c' })])).toBe(
    times,
  );
});
