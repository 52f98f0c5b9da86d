import { expect, test } from '@jest/globals';
import { holders } from './servers.ts';

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
