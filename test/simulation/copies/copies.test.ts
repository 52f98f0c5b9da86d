/** Servers that copy to each other while they crash, are cut off, rot, and people put files into their stores: by seeds of fast-check, which are printed. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NAMES, type Name, type Node, World } from './world.ts';

/** `make soak` runs more. */
const RUNS = Number(process.env['COPIES_RUNS'] ?? 300);
const SEED = Number(process.env['COPIES_SEED'] ?? 15);
/** Of steps in which nothing goes wrong: what is fresh grows old (10), each server looks twice, pulls, and waits for a next try (60). */
const HEALING_STEPS = 100;
const QUIET_STEPS = 10;

interface Chosen {
  readonly world: World;
  readonly node: Node;
  readonly name: Name;
  /** Of what is chosen beside. */
  readonly other: number;
  readonly content: string;
}

/** What happens, and how often. */
const EVENTS: Readonly<Record<string, readonly [often: number, (chosen: Chosen) => void]>> = {
  turn: [5, ({ world }) => turn(world)],
  look: [3, ({ world, node }) => world.look(node)],
  work: [3, ({ world, node }) => world.work(node)],
  replicate: [2, ({ world, node }) => world.replicate(node)],
  operate: [2, ({ world }) => world.operate()],
  pass: [2, ({ world, other }) => world.pass(other * 5 + 1)],
  crash: [1, ({ world, node }) => world.crash(node)],
  cut: [1, ({ world, node, other }) => world.cut(node, world.at(other))],
  mount: [1, ({ node }) => node.mount()],
  rot: [1, ({ world, node, name }) => world.rot(node, name)],
  verify: [1, ({ world, node, name }) => world.verify(node, name)],
  put: [2, ({ world, node, name, content }) => world.person(node, name, content)],
  take: [1, ({ world, node, name }) => world.person(node, name, undefined)],
  state: [1, ({ world, name, other, content }) => world.state(name, other === 0 ? undefined : content)],
};
/** Where so many copies are wanted. */
const SPREAD_EVENTS: typeof EVENTS = {
  ...EVENTS,
  turn: [8, ({ world }) => turn(world)],
  turns: [2, ({ world, other }) => repeat(12 * (other + 1), () => turn(world))],
  order: [2, ({ world, node }) => world.order(node)],
  lateOrder: [
    2,
    ({ node }) => {
      node.isOrdered = true;
    },
  ],
  give: [3, ({ world, node }) => world.give(node)],
  use: [1, ({ world, node }) => world.use(node)],
  fill: [
    1,
    ({ node }) => {
      node.isFull = !node.isFull;
    },
  ],
};
const CONTENTS = ['one', 'two', 'three'];

const storiesOf = (events: typeof EVENTS, servers: number) => {
  const kinds = Object.entries(events).flatMap(([kind, [often]]) => Array.from({ length: often }, () => kind));
  const names = fc.nat(NAMES.length - 1);
  return fc.array(fc.tuple(fc.constantFrom(...kinds), fc.nat(servers - 1), names, fc.nat(CONTENTS.length - 1)), {
    minLength: 20,
    maxLength: 120,
  });
};

const repeat = (times: number, act: () => void): void => {
  for (let time = 0; time < times; time++) act();
};

function heal(world: World): void {
  world.cuts.clear();
  for (const node of world.nodes) {
    if (!node.isAlive) world.crash(node);
    if (!node.isMounted) node.mount();
    if (node.usedSince !== undefined) world.use(node);
    node.isFull = false;
    for (const name of NAMES) world.verify(node, name);
  }
}

function turn(world: World): void {
  world.pass(1);
  world.operate();
  for (const node of world.nodes) {
    world.replicate(node);
    world.look(node);
    world.order(node);
    world.give(node);
    world.work(node);
  }
}

test('no wrong file, no good last copy that goes, no work without end', () => {
  fc.assert(
    fc.property(storiesOf(EVENTS, 3), (story) => {
      const world = new World(3);
      for (const node of world.nodes) world.replicate(node);
      for (const [kind, at, nameAt, other] of story) {
        const [, happen] = EVENTS[kind] ?? [];
        const rights = kind === 'work' ? world.rightThere() : [];
        happen?.({ world, node: world.at(at), name: NAMES[nameAt] as Name, other, content: CONTENTS[other] ?? '' });
        // Only people and rot make contents go: the farm's own work keeps what is right, somewhere.
        for (const right of rights) expect(world.rightThere()).toContain(right);
      }
      heal(world);
      for (let step = 0; step < HEALING_STEPS; step++) turn(world);
      expect(world.broken).toEqual([]);
      for (const [number, name] of NAMES.entries()) judgeEnd(world, number, name);
      const { starts } = world;
      for (let step = 0; step < QUIET_STEPS; step++) turn(world);
      if (world.nodes.every(({ tasks }) => tasks.size === 0)) expect(world.starts).toBe(starts);
    }),
    { seed: SEED, numRuns: RUNS },
  );
});

/** Of a version of which somebody has what is right, all have it; where nobody has, or the resource says something else by now, nobody is given anything. */
function judgeEnd(world: World, number: number, name: Name): void {
  const right = world.recorded.get(number);
  const stated = world.stated.get(number);
  if (!right || (stated !== undefined && stated !== right.manifest)) {
    for (const { running } of world.nodes) expect([...running.keys()]).not.toContain(`/srv/${name}`);
    return;
  }
  const states = world.judged[number]?.copies.map(({ state }) => state);
  if (world.rightThere().some((there) => there.startsWith(`${name} `)))
    expect(states).toEqual(world.nodes.map(() => 'UpToDate'));
  else expect(states).not.toContain('UpToDate');
}

const SPREAD_RUNS = Math.ceil(RUNS / 5);
/** What is away is stood in for (30), copied, given back when it is there again, by one after the other. */
const SPREAD_STEPS = 200;

test('so many copies: never fewer by our own hand, none in use that goes, each one too many goes, and then all is quiet', () => {
  let gives = 0;
  fc.assert(
    fc.property(storiesOf(SPREAD_EVENTS, 4), fc.integer({ min: 1, max: 3 }), (story, wanted) => {
      const world = new World(4, wanted);
      for (const node of world.nodes) world.replicate(node);
      for (const [kind, at, nameAt, other] of story) {
        const [, happen] = SPREAD_EVENTS[kind] ?? [];
        happen?.({ world, node: world.at(at), name: NAMES[nameAt] as Name, other, content: CONTENTS[other] ?? '' });
      }
      heal(world);
      repeat(SPREAD_STEPS, () => turn(world));
      expect(world.broken).toEqual([]);
      const isKnown = NAMES.every((_, number) => {
        const right = world.recorded.get(number)?.manifest;
        return (
          right !== undefined && (world.stated.get(number) ?? right) === right && world.holdersOf(number).length > 0
        );
      });
      if (isKnown)
        for (const number of NAMES.keys()) {
          expect(world.judged[number]?.copies.map(({ state }) => state)).toEqual(
            Array.from({ length: wanted }, () => 'UpToDate'),
          );
          expect(world.holdersOf(number)).toHaveLength(wanted);
        }
      const { starts } = world;
      gives += world.gives;
      const before = world.gives;
      repeat(QUIET_STEPS, () => turn(world));
      expect(world.gives).toBe(before);
      if (world.nodes.every(({ tasks }) => tasks.size === 0)) expect(world.starts).toBe(starts);
    }),
    { seed: SEED, numRuns: SPREAD_RUNS },
  );
  expect(gives).toBeGreaterThan(0);
});

test.each([
  [2, 3],
  [2, 2],
  [1, 3],
])('of %i copies none goes from a folder that %i of three servers have in common', (wanted, shared) => {
  const world = new World(3, wanted, shared);
  repeat(HEALING_STEPS, () => turn(world));
  for (const name of NAMES) world.person(world.at(2), name, 'one');
  repeat(HEALING_STEPS, () => turn(world));
  expect(world.gives).toBe(0);
  for (const number of NAMES.keys()) expect(world.holdersOf(number)).toContain('node-c');
});

/** Each offers two of three stores, or one. */
const PLACES = [
  { server: 'node-a', store: 'images' },
  { server: 'node-b', store: 'images' },
  { server: 'node-b', store: 'fast' },
  { server: 'node-c', store: 'fast' },
  { server: 'node-c', store: 'spare' },
];
const MOVE_EVENTS: typeof EVENTS = {
  ...EVENTS,
  turn: [8, ({ world }) => turn(world)],
  turns: [2, ({ world, other }) => repeat(12 * (other + 1), () => turn(world))],
  move: [3, ({ world, other, name }) => world.move(other, name === 'lab.raw')],
  order: [2, ({ world, node }) => world.order(node)],
  lateOrder: [
    2,
    ({ node }) => {
      node.isOrdered = true;
    },
  ],
  give: [3, ({ world, node }) => world.give(node)],
  use: [1, ({ world, node }) => world.use(node)],
};
const MOVE_RUNS = Math.ceil(RUNS / 5);

test('a vDisk that moves, on, back, and while all goes wrong: no wrong file, no last good copy that goes, and in the end it is there', () => {
  let [gives, moved] = [0, 0];
  fc.assert(
    fc.property(storiesOf(MOVE_EVENTS, PLACES.length), fc.boolean(), fc.nat(2), (story, isThere, last) => {
      const world = new World(PLACES);
      for (const node of world.nodes) world.replicate(node);
      if (isThere) for (const name of NAMES) world.person(world.at(0), name, 'one');
      if (isThere) repeat(30, () => turn(world));
      for (const [kind, at, nameAt, other] of story) {
        const [, happen] = MOVE_EVENTS[kind] ?? [];
        const rights = kind === 'work' || kind === 'give' ? world.rightThere() : [];
        happen?.({ world, node: world.at(at), name: NAMES[nameAt] as Name, other, content: CONTENTS[other] ?? '' });
        for (const right of rights) expect(world.rightThere()).toContain(right);
        if (kind === 'move' && world.place.moving) moved++;
      }
      heal(world);
      world.move(last, isThere);
      repeat(SPREAD_STEPS, () => turn(world));
      expect(world.broken).toEqual([]);
      const there = NAMES.map((_, number) => judgePlace(world, number));
      if (there.every(Boolean)) expect(world.place.moving).toBeUndefined();
      const { starts } = world;
      gives += world.gives;
      const before = world.gives;
      repeat(QUIET_STEPS, () => turn(world));
      expect(world.gives).toBe(before);
      if (world.nodes.every(({ tasks }) => tasks.size === 0)) expect(world.starts).toBe(starts);
    }),
    { seed: SEED, numRuns: MOVE_RUNS },
  );
  expect([gives > 0, moved > 0]).toEqual([true, true]);
});

/** Who is to have it where it is to be has it, if anybody of the farm's places has. */
function judgePlace(world: World, number: number): boolean {
  const right = world.recorded.get(number);
  const stated = world.stated.get(number);
  if (!right || (stated !== undefined && stated !== right.manifest)) return false;
  const { place, nodes } = world;
  const places = [place.store, ...(place.moving?.from ?? [])];
  if (!nodes.some((node) => places.includes(node.store) && world.hasRight(node, number))) return false;
  expect(world.judged[number]?.copies.map(({ state }) => state)).toEqual(world.holders.map(() => 'UpToDate'));
  return true;
}
