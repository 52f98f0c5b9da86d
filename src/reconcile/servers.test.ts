import { expect, test } from '@jest/globals';
import type { Context } from './context.ts';
import { holders, strangersOn } from './servers.ts';

const deployment = (name: string, node: string, second: number, more: object = {}) => ({
  metadata: {
    name,
    creationTimestamp: `2026-11-23T12:00:0${second}Z`,
    annotations: { 'bootfarm.io/node': node },
    ...more,
  },
});
const ending = { deletionTimestamp: '2026-11-23T12:00:09Z' };

test.each([
  {
    what: 'one each',
    given: [deployment('main-a', 'a', 1), deployment('other-b', 'b', 1)],
    has: ['main-a', 'other-b'],
  },
  { what: 'the older', given: [deployment('main-a', 'a', 2), deployment('other-a', 'a', 1)], has: ['other-a'] },
  { what: 'the first by name', given: [deployment('other-a', 'a', 1), deployment('main-a', 'a', 1)], has: ['main-a'] },
  { what: 'who stays', given: [deployment('main-a', 'a', 1, ending), deployment('other-a', 'a', 2)], has: ['other-a'] },
])('a node is held by $what', ({ given, has }) => {
  expect([...holders(given).values()].map(({ metadata }) => metadata.name).sort()).toEqual(has);
});

test('the servers of other farms are known by node, whatever namespace they are in', () => {
  const of = (namespace: string, farm: string, node: string) =>
    deployment(`main-${node}`, node, 1, { namespace, labels: { 'bootfarm.io/farm': farm } });
  const list = [of('lab', 'farm', 'a'), of('lab', 'second', 'b'), of('annex', 'farm', 'c')];
  const context = { informers: { deployments: { list: () => list } } } as unknown as Context;
  expect([...strangersOn(context, 'lab', 'farm')]).toEqual([
    ['b', 'Farm lab/second'],
    ['c', 'Farm annex/farm'],
  ]);
});
