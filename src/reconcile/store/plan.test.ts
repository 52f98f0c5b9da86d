import { expect, test } from '@jest/globals';
import { type MountFacts, planMounts } from './plan.ts';

const aMount = (node: string, more: Partial<MountFacts> = {}): MountFacts => ({
  ...{ node, current: true, rolledOut: true, overdue: false },
  ...more,
});
const old = { current: false };
const down = { rolledOut: false };

test.each<{
  what: string;
  wanted?: string[];
  kept?: string[];
  there: MountFacts[];
  apply: string[];
  remove?: string[];
}>([
  { what: 'those that are not there are made at once', there: [], apply: ['a', 'b'] },
  { what: 'those that run are kept as they are', there: [aMount('a'), aMount('b')], apply: ['a', 'b'] },
  { what: 'of those with other settings one changes', there: [aMount('a', old), aMount('b', old)], apply: ['a'] },
  { what: 'the next waits for the first', there: [aMount('a', down), aMount('b', old)], apply: ['a'] },
  { what: 'but not for ever', there: [aMount('a', { ...down, overdue: true }), aMount('b', old)], apply: ['a', 'b'] },
  {
    what: 'those that show nothing change at once',
    there: [aMount('a', { ...old, ...down }), aMount('b', { ...old, ...down })],
    apply: ['a', 'b'],
  },
  {
    what: 'one whose server is gone goes',
    ...{ wanted: ['a'], there: [aMount('a'), aMount('c')], apply: ['a'], remove: ['c'] },
  },
  {
    what: 'of one whose server ends, or whose pool is not known, nothing is decided',
    ...{ wanted: ['a'], kept: ['c'], there: [aMount('a'), aMount('c', old)], apply: ['a'] },
  },
])('$what', ({ wanted = ['a', 'b'], kept = [], there, apply, remove = [] }) => {
  expect(planMounts(wanted, kept, there)).toEqual([
    ...apply.map((node) => ({ kind: 'Apply', node })),
    ...remove.map((node) => ({ kind: 'Remove', node })),
  ]);
});
