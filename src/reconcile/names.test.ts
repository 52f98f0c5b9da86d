import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { serverName } from './names.ts';

test.each([
  { pool: 'main', node: 'node-a', name: 'main-node-a' },
  { pool: 'a', node: 'b-c', name: 'a-b-c' },
  { pool: 'a-b', node: 'c', name: expect.stringMatching(/^a-b-c-[0-9a-f]{8}$/) },
  { pool: 'main', node: 'node.example', name: expect.stringMatching(/^main-node-example-[0-9a-f]{8}$/) },
  { pool: 'p'.repeat(40), node: 'n'.repeat(40), name: expect.stringMatching(/^.{52}$/) },
])('server of $pool on $node', ({ pool, node, name }) => {
  expect(serverName(pool, node)).toEqual(name);
});

/** Two ways to cut the same words into a pool and a node, with a dot here and there. */
const cut = fc.record({ at: fc.nat({ max: 3 }), dots: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }) });
const words = fc.array(fc.constantFrom('a', 'b', 'main'), { minLength: 2, maxLength: 5 });

test('two pools, or two nodes, never share a name', () => {
  const place = (parts: readonly string[], { at, dots }: { at: number; dots: readonly boolean[] }) => {
    const end = 1 + (at % (parts.length - 1));
    const joined = (some: readonly string[]) =>
      some.reduce((text, part, index) => `${text}${dots[index] ? '.' : '-'}${part}`);
    return { pool: joined(parts.slice(0, end)), node: joined(parts.slice(end)) };
  };
  fc.assert(
    fc.property(words, cut, cut, (parts, first, second) => {
      const [a, b] = [place(parts, first), place(parts, second)];
      const isSame = a.pool === b.pool && a.node === b.node;
      expect(serverName(a.pool, a.node) === serverName(b.pool, b.node)).toBe(isSame);
    }),
    { seed: 1, numRuns: 2_000 },
  );
});
