import { expect, test } from '@jest/globals';
import { chooseNodes, fits, type NodeFacts, type Placed } from './nodes.ts';

const node = (name: string, more: Partial<NodeFacts> = {}): NodeFacts => ({
  name,
  labels: {},
  taints: [],
  unschedulable: false,
  ready: true,
  ...more,
});
const three = ['a', 'b', 'c'].map((name) => node(name));
const on = (name: string, devices = 0): Placed => ({ node: name, devices });
const dead = (name: string, notReadySince: number) => node(name, { ready: false, notReadySince });

test.each<{
  what: string;
  want: number;
  placed?: Placed[];
  nodes?: NodeFacts[];
  taken?: string[];
  crowded?: string[];
  chosen: string[];
  lacking?: number;
}>([
  { what: 'new servers go by name', want: 2, chosen: ['a', 'b'] },
  { what: 'what is there stays', want: 2, placed: [on('c')], chosen: ['a', 'c'] },
  { what: 'scale-in takes the one with the fewest devices', want: 1, placed: [on('a', 1), on('b', 5)], chosen: ['b'] },
  { what: 'scale-in to none', want: 0, placed: [on('a')], chosen: [] },
  { what: 'too few nodes', want: 4, chosen: ['a', 'b', 'c'], lacking: 1 },
  { what: 'a node of another pool is taken', want: 3, taken: ['b'], chosen: ['a', 'c'], lacking: 1 },
  { what: 'a node with a server of another farm comes last', want: 1, crowded: ['a', 'b'], chosen: ['c'] },
  { what: 'and is taken when there is no other', want: 3, crowded: ['a', 'b'], chosen: ['a', 'b', 'c'] },
  { what: 'what is there stays beside it, too', want: 1, placed: [on('a')], crowded: ['a'], chosen: ['a'] },
  {
    what: 'a cordoned node keeps its server',
    want: 1,
    placed: [on('c')],
    nodes: [node('a'), node('c', { unschedulable: true })],
    chosen: ['c'],
  },
  {
    what: 'cordoned as Kubernetes does it, by a taint that keeps new pods away, it keeps its server',
    want: 1,
    placed: [on('c')],
    nodes: [
      node('a'),
      node('c', { unschedulable: true, taints: [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }] }),
    ],
    chosen: ['c'],
  },
  {
    what: 'a taint that evicts pods evicts a server',
    want: 1,
    placed: [on('c')],
    nodes: [node('a'), node('c', { taints: [{ key: 'k', effect: 'NoExecute' }] })],
    chosen: ['a'],
  },
  { what: 'a cordoned node gets none', want: 1, nodes: [node('a', { unschedulable: true }), node('b')], chosen: ['b'] },
  {
    what: 'a node that is dead for a short time keeps its server',
    want: 1,
    placed: [on('a')],
    nodes: [dead('a', 50), node('b')],
    chosen: ['a'],
  },
  {
    what: 'a node that is dead for long is replaced',
    want: 1,
    placed: [on('a')],
    nodes: [dead('a', 0), node('b')],
    chosen: ['b'],
  },
  { what: 'a node that is gone is replaced', want: 1, placed: [on('x')], chosen: ['a'] },
])('$what', ({ want, placed = [], nodes = three, taken = [], crowded = [], chosen, lacking = 0 }) => {
  expect(
    chooseNodes(
      want,
      { tolerations: [] },
      placed,
      nodes,
      { taken: new Set(taken), crowded: new Set(crowded) },
      100,
      100,
    ),
  ).toEqual({
    nodes: chosen,
    lacking,
  });
});

test.each([
  { what: 'no selector', placement: {}, given: node('a'), is: true },
  {
    what: 'a selector that matches',
    placement: { nodeSelector: { disk: 'fast' } },
    given: node('a', { labels: { disk: 'fast' } }),
    is: true,
  },
  { what: 'a selector that does not', placement: { nodeSelector: { disk: 'fast' } }, given: node('a'), is: false },
  { what: 'a taint', placement: {}, given: node('a', { taints: [{ key: 'k', effect: 'NoSchedule' }] }), is: false },
  {
    what: 'a preference',
    placement: {},
    given: node('a', { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] }),
    is: true,
  },
  {
    what: 'a taint that is tolerated',
    placement: { tolerations: [{ key: 'k', operator: 'Exists' as const }] },
    given: node('a', { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] }),
    is: true,
  },
  {
    what: 'a node that is not ready',
    placement: {},
    given: node('a', { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' }] }),
    is: true,
  },
])('a server may be on a node with $what: $is', ({ placement, given, is }) => {
  expect(fits({ tolerations: [], ...placement }, given)).toBe(is);
});
