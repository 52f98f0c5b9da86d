/** One live server at a time: tables for each case, and a property over whole rollouts with a slow cluster below. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { newServers, planServers, type ServerFacts } from './plan.ts';

const good = (node: string, more: Partial<ServerFacts> = {}): ServerFacts => ({
  node,
  current: true,
  updated: true,
  rolledOut: true,
  podReady: true,
  streaming: true,
  devices: 0,
  journalEntries: 0,
  ending: false,
  nodeAway: false,
  stores: ['images'],
  storesLost: [],
  copies: ['lab/0@a'],
  hashing: false,
  ...more,
});
/** Its node is away: neither Kubernetes nor the operator can ask it. */
const away = (node: string, more: Partial<ServerFacts> = {}) =>
  good(node, { podReady: false, rolledOut: false, streaming: false, nodeAway: true, stores: [], copies: [], ...more });
const broken = { stores: [], storesLost: ['images'], copies: [] };
const old = (node: string, more: Partial<ServerFacts> = {}) => good(node, { current: false, ...more });
const starting = (node: string, more: Partial<ServerFacts> = {}) =>
  good(node, { rolledOut: false, podReady: false, streaming: false, ...more });

const said = (steps: ReturnType<typeof planServers>) =>
  steps.map((step) => `${step.kind} ${step.node}${step.kind === 'Hold' ? ` ${step.why}` : ''}`);

test.each<{
  what: string;
  chosen: string[];
  lacking?: number;
  there: ServerFacts[];
  policy?: 'OnDemand';
  does: string[];
}>([
  { what: 'missing servers are made at once', chosen: ['a', 'b'], there: [], does: ['Apply a', 'Apply b'] },
  { what: 'what is right is kept so', chosen: ['a'], there: [good('a')], does: ['Apply a'] },
  { what: 'the only server is changed', chosen: ['a'], there: [old('a')], does: ['Apply a'] },
  {
    what: 'one of three is changed',
    chosen: ['a', 'b', 'c'],
    there: [old('a'), old('b'), old('c')],
    does: ['Apply a', 'Hold b Rollout', 'Hold c Rollout'],
  },
  {
    what: 'the next waits until the first serves again',
    chosen: ['a', 'b'],
    there: [starting('a'), old('b')],
    does: ['Apply a', 'Hold b Rollout'],
  },
  {
    what: 'a stale answer of the one that restarts is no answer: its Deployment is not rolled out',
    chosen: ['a', 'b'],
    there: [good('a', { rolledOut: false }), old('b')],
    does: ['Apply a', 'Hold b Rollout'],
  },
  {
    what: 'a Ready pod that does not stream yet is waited for',
    chosen: ['a', 'b'],
    there: [good('a', { streaming: false }), old('b')],
    does: ['Apply a', 'Hold b Rollout'],
  },
  {
    what: 'a new server is waited for before a live one changes',
    chosen: ['a', 'b'],
    there: [old('a')],
    does: ['Hold a Rollout', 'Apply b'],
  },
  {
    what: 'dead servers get the settings that may mend them, all at once',
    chosen: ['a', 'b'],
    there: [starting('a', { current: false }), starting('b', { current: false })],
    does: ['Apply a', 'Apply b'],
  },
  {
    what: 'of two that are faulty but have devices, one is mended',
    chosen: ['a', 'b'],
    there: [starting('a', { current: false, devices: 4 }), starting('b', { current: false, devices: 2 })],
    does: ['Apply a', 'Hold b Rollout'],
  },
  {
    what: 'settings that broke one server reach no other',
    chosen: ['a', 'b'],
    there: [starting('a', { current: true }), starting('b', { current: false, devices: 2 })],
    does: ['Apply a', 'Hold b Rollout'],
  },
  {
    what: 'on demand: live servers keep what they have',
    chosen: ['a', 'b'],
    there: [old('a'), starting('b', { current: false })],
    policy: 'OnDemand',
    does: ['Hold a OnDemand', 'Apply b'],
  },
  {
    what: 'a server that moves goes when the new one serves',
    chosen: ['b'],
    there: [good('a')],
    does: ['Apply b', 'Hold a Replacement'],
  },
  { what: 'it serves: now it goes', chosen: ['b'], there: [good('a'), good('b')], does: ['Apply b', 'Remove a'] },
  {
    what: 'one goes at a time, the least busy first',
    chosen: [],
    there: [good('a', { devices: 3 }), good('b', { devices: 1 })],
    does: ['Remove b', 'Hold a Replacement'],
  },
  {
    what: 'while one drains, no other goes',
    chosen: [],
    there: [good('a'), good('b', { ending: true })],
    does: ['Hold a Replacement'],
  },
  { what: 'a dead server goes at once', chosen: ['b'], there: [starting('a')], does: ['Apply b', 'Remove a'] },
  {
    what: 'a journal is emptied first',
    chosen: [],
    there: [good('a', { journalEntries: 2 })],
    does: ['Hold a Journal'],
  },
  {
    what: 'no removal beside a change',
    chosen: ['a', 'b'],
    there: [old('a'), good('b'), good('c')],
    does: ['Apply a', 'Apply b', 'Hold c Replacement'],
  },
  { what: 'what is being deleted is made again later', chosen: ['a'], there: [good('a', { ending: true })], does: [] },
  {
    what: 'a pool that finds no node keeps what lives',
    chosen: [],
    lacking: 2,
    there: [good('a', { devices: 3 }), good('b'), starting('c')],
    does: ['Hold b Replacement', 'Remove c', 'Hold a Replacement'],
  },
  {
    what: 'settings that lose a store reach no other server',
    chosen: ['a', 'b', 'c'],
    there: [good('a', broken), old('b'), old('c')],
    does: ['Apply a', 'Hold b Rollout', 'Hold c Rollout'],
  },
  {
    what: 'a store that was lost before holds up no rollout while another server has it',
    chosen: ['a', 'b', 'c'],
    there: [old('a', broken), old('b'), good('c')],
    does: ['Apply a', 'Hold b Rollout', 'Apply c'],
  },
  {
    what: 'the last that reaches a store waits for the others',
    chosen: ['a', 'b'],
    there: [good('a'), old('b')].map((server) => (server.node === 'a' ? { ...server, ...broken } : server)),
    does: ['Apply a', 'Hold b Rollout'],
  },
  {
    what: 'settings undone: the one that lost its store is mended',
    chosen: ['a', 'b'],
    there: [old('a', broken), good('b')],
    does: ['Apply a', 'Apply b'],
  },
  {
    what: 'a store of one server alone holds up nothing',
    chosen: ['a', 'b'],
    there: [old('a', { stores: ['images', 'own'], copies: ['own/0@x'] }), good('b')],
    does: ['Apply a', 'Apply b'],
  },
  {
    what: 'a changed server that still computes its digests is waited for',
    chosen: ['a', 'b'],
    there: [good('a', { hashing: true, copies: [] }), old('b')],
    does: ['Apply a', 'Hold b Rollout'],
  },
  {
    what: 'a server with devices goes when another has its copies',
    chosen: ['b'],
    there: [good('a', { devices: 2 }), good('b', { copies: [] })],
    does: ['Apply b', 'Hold a Replacement'],
  },
  {
    what: 'without devices it may go with its copies',
    chosen: ['b'],
    there: [good('a'), good('b', { copies: [] })],
    does: ['Apply b', 'Remove a'],
  },
  {
    what: 'servers whose nodes are away may stream on: nothing is done to them',
    chosen: ['a', 'b'],
    there: [away('a', { current: false }), away('b', { current: false })],
    does: ['Hold a NodeAway', 'Hold b NodeAway'],
  },
  {
    what: 'servers whose nodes are away for long go one at a time',
    chosen: ['c', 'd'],
    there: [away('a'), away('b'), good('c'), good('d')],
    does: ['Apply c', 'Apply d', 'Remove a', 'Hold b Replacement'],
  },
  {
    what: 'one that ends on a node that is away stops nobody',
    chosen: ['b', 'c'],
    there: [away('a', { ending: true }), old('b'), old('c')],
    does: ['Apply b', 'Hold c Rollout', 'Hold a NodeAway'],
  },
])('$what', ({ chosen, lacking = 0, there, policy, does }) => {
  expect(said(planServers({ nodes: chosen, lacking }, there, policy ?? 'Automatic'))).toEqual(does);
});

test.each<{ what: string; chosen: string[]; lacking?: number; there: ServerFacts[]; node: string; waitsFor: string[] }>(
  [
    {
      what: 'that alone has a version its devices read',
      chosen: ['b'],
      there: [good('a', { devices: 2, copies: ['lab/0@a', 'lab.x/3@b'] }), good('b')],
      node: 'a',
      waitsFor: ['another copy of version 3 of vDisk lab.x'],
    },
    {
      what: 'whose place is not taken yet',
      chosen: ['b', 'c'],
      lacking: 1,
      there: [good('a'), starting('b')],
      node: 'a',
      waitsFor: ['1 more nodes', 'server b', 'server c'],
    },
    {
      what: 'that goes after another',
      chosen: [],
      there: [good('a'), good('b', { ending: true })],
      node: 'a',
      waitsFor: ['server b, which goes first'],
    },
    {
      what: 'that goes after another of the same reconcile',
      chosen: [],
      there: [good('a', { devices: 1 }), good('b')],
      node: 'a',
      waitsFor: ['server b, which changes first'],
    },
    {
      what: 'that changes after another of the same reconcile',
      chosen: ['a', 'b'],
      there: [old('a'), old('b')],
      node: 'b',
      waitsFor: ['server a, which changes first'],
    },
    {
      what: 'that changes when another serves',
      chosen: ['a', 'b'],
      there: [starting('a'), old('b')],
      node: 'b',
      waitsFor: ['server a'],
    },
    {
      what: 'that alone reaches a store',
      chosen: ['a', 'b'],
      there: [good('a', broken), old('b')],
      node: 'b',
      waitsFor: ['another server that reaches store images', 'server a'],
    },
  ],
)('a server $what says what it waits for', ({ chosen, lacking = 0, there, node, waitsFor }) => {
  const steps = planServers({ nodes: chosen, lacking }, there, 'Automatic');
  expect(steps.find((step) => step.node === node)).toMatchObject({ kind: 'Hold', waitsFor });
});

test('a server is new when its Deployment asks for the new settings and no pod of others is left', () => {
  const there = [
    good('a'),
    old('b'),
    starting('c'),
    good('d', { ending: true }),
    good('e', { rolledOut: false }),
    good('f'),
  ];
  expect(newServers(['a', 'b', 'c', 'd', 'e'], there)).toEqual(['a']);
});

const SEED = 20_261_123;

describe('a rollout on a slow cluster', () => {
  /** What a server goes through after a step; each turn of the world moves some servers one state on. */
  const STATES: readonly Partial<ServerFacts>[] = [
    { rolledOut: false, podReady: true, streaming: true }, // asked, not seen by anyone yet
    { rolledOut: false, podReady: false, streaming: true }, // the pod ends, the last answer is old
    { rolledOut: false, podReady: false, streaming: false },
    { rolledOut: true, podReady: true, streaming: false }, // Ready, not asked since
    { rolledOut: true, podReady: true, streaming: true },
  ];

  test(`never has two live servers down, and ends (seed ${SEED})`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 2 }),
        fc.array(fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), { minLength: 80, maxLength: 80 }),
        (stay, leave, moves) => {
          const nodes = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].slice(0, stay + leave);
          const chosen = nodes.slice(0, stay);
          const world = new Map(
            nodes.map((node) => [node, { state: STATES.length - 1, current: false, ending: false }]),
          );
          for (const move of [...moves, ...Array.from({ length: 100 }, () => [true, true, true, true, true])]) {
            const there = [...world].map(([node, { state, current, ending }]) =>
              good(node, { ...STATES[state], current, ending }),
            );
            for (const { kind, node } of planServers({ nodes: chosen, lacking: 0 }, there, 'Automatic')) {
              const server = world.get(node);
              if (kind === 'Apply' && server && !server.current)
                world.set(node, { state: 0, current: true, ending: false });
              if (kind === 'Remove' && server) world.set(node, { ...server, ending: true });
            }
            const away = [...world.values()].filter(({ state, ending }) => state < STATES.length - 1 || ending);
            expect(away.length).toBeLessThanOrEqual(1);
            [...world].forEach(([node, server], index) => {
              if (!move[index % 5]) return;
              if (server.ending) world.delete(node);
              else world.set(node, { ...server, state: Math.min(server.state + 1, STATES.length - 1) });
            });
          }
          expect([...world].map(([node, { current }]) => `${node} ${current}`)).toEqual(chosen.map((n) => `${n} true`));
        },
      ),
      { seed: SEED, numRuns: 300 },
    );
  });
});
