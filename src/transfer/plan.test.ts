import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Server, Swarm } from '../../test/fakes/swarm.ts';
import { Random } from '../../test/simulation/random.ts';
import { LIMITS, Plan } from './plan.ts';

const CHUNK_BYTES = 64 << 10;
/** A gigabit, bytes a millisecond. */
const GIGABIT = 125_000;

const puller = (name: string): Server => ({ name, bytesPerMs: GIGABIT, isWhole: false, kind: 'honest' });
const holder = (name: string, more: Partial<Server> = {}): Server => ({
  ...{ name, bytesPerMs: GIGABIT, isWhole: true, kind: 'honest' },
  ...more,
});
const pullers = (count: number): Server[] => Array.from({ length: count }, (_, at) => puller(`puller-${at}`));

function lastMs(servers: readonly Server[], chunks: number, seed: number): number {
  const ended = new Swarm(servers, chunks, CHUNK_BYTES, new Random(seed, 'swarm')).run(3_600_000);
  expect(ended).toHaveLength(servers.filter(({ isWhole }) => !isWhole).length);
  return Math.max(...ended.map(({ atMs }) => atMs));
}

test.each([1, 2])('sixteen that pull from one end in less than twice the time of one, seed %i', (seed) => {
  const chunks = 8_192;
  const one = lastMs([holder('source'), ...pullers(1)], chunks, seed);
  const sixteen = lastMs([holder('source'), ...pullers(16)], chunks, seed);
  expect(one).toBeLessThan(1.1 * ((chunks * CHUNK_BYTES) / GIGABIT));
  expect(sixteen / one).toBeLessThan(1.8);
});

test('one that pulls from nine takes of all of them about the same', () => {
  const sources = Array.from({ length: 9 }, (_, at) => holder(`source-${at}`));
  const swarm = new Swarm([...sources, puller('new')], 16_384, CHUNK_BYTES, new Random(4, 'fair'));
  swarm.run(3_600_000);
  const shares = [...swarm.sentBytes.values()].map((bytes) => bytes / (16_384 * CHUNK_BYTES));
  expect(shares).toHaveLength(9);
  expect(Math.min(...shares)).toBeGreaterThan(1 / 18);
  expect(Math.max(...shares)).toBeLessThan(2 / 9);
});

const anyServer = fc.record({
  bytesPerMs: fc.constantFrom(50, 1_000, 12_500, GIGABIT),
  isWhole: fc.boolean(),
  kind: fc.constantFrom<Server['kind']>('honest', 'honest', 'lies', 'hangs'),
  diesAtMs: fc.option(fc.nat(5_000), { nil: undefined }),
  busy: fc.constantFrom(0, 0, 0.3),
});

test('with one honest source that lives, all end, and with the right file', () => {
  fc.assert(
    fc.property(
      fc.array(anyServer, { maxLength: 7 }),
      fc.integer({ min: 1, max: 300 }),
      fc.nat(),
      (others, chunks, seed) => {
        const servers = others.map(({ diesAtMs, ...rest }, at): Server => {
          const kind = rest.isWhole ? rest.kind : 'honest';
          return { name: `server-${at}`, ...rest, kind, ...(diesAtMs === undefined ? {} : { diesAtMs }) };
        });
        const all = [holder('honest', { bytesPerMs: 12_500 }), puller('new'), ...servers];
        const ended = new Swarm(all, chunks, CHUNK_BYTES, new Random(seed, 'chaos')).run(3_600_000);
        const named = (name: string) => ended.find((end) => end.name === name);
        for (const { name, isWhole, diesAtMs } of all)
          if (!isWhole && diesAtMs === undefined) expect(named(name)?.isRight).toBe(true);
        const liars = all.filter(({ kind }) => kind === 'lies').map(({ name }) => name);
        for (const { left } of ended) expect(liars).toEqual(expect.arrayContaining([...left]));
      },
    ),
    { numRuns: 300 },
  );
});

const planOf = (chunks: number, limits = LIMITS) =>
  new Plan(new Uint8Array(chunks).fill(1), CHUNK_BYTES, limits, () => 0.5);

test('what a source is late with is asked of another, and is needless at the first when it came', () => {
  const plan = planOf(4, { ...LIMITS, perSource: 4 });
  plan.has('slow', 'all');
  const slow = plan.next(0).flatMap(({ id, chunks }) => chunks.map((chunk) => ({ id, chunk })));
  expect(slow).toHaveLength(4);
  plan.has('other', 'all');
  expect(plan.next(10)).toEqual([]);
  const again = plan.next(1_000);
  expect(again.flatMap(({ chunks }) => chunks).sort()).toEqual([0, 1, 2, 3]);
  expect(new Set(again.map(({ source }) => source))).toEqual(new Set(['other']));
  for (const { id, chunks } of again) plan.came(id, { right: chunks, wrong: [], now: 1_010 });
  expect(plan.missing).toBe(0);
  expect(plan.needless()).toEqual([...new Set(slow.map(({ id }) => id))]);
});

test('a source that crawls is helped as soon as another has nothing to do', () => {
  const plan = planOf(40, { ...LIMITS, perSource: 1, requestBytes: 16 * CHUNK_BYTES });
  plan.has('crawls', 'all');
  const [first] = plan.next(0);
  plan.came(first?.id ?? 0, { right: first?.chunks.slice(0, 1) ?? [], wrong: [], now: 10_000 });
  const [second] = plan.next(10_000);
  plan.has('fast', 'all');
  let now = 10_000;
  for (let asked = plan.next(now); plan.missing > 0 && now < 11_000; asked = plan.next(now)) {
    now += 10;
    for (const { id, chunks } of asked) plan.came(id, { right: chunks, wrong: [], now });
  }
  expect(plan.missing).toBe(0);
  expect(plan.needless()).toEqual([second?.id]);
});

test('what was thought to be here is asked for when it is not', () => {
  const plan = new Plan(new Uint8Array([0, 1]), CHUNK_BYTES);
  plan.has('source', 'all');
  const [one] = plan.next(0);
  expect(one?.chunks).toEqual([1]);
  plan.want(0);
  expect(plan.missing).toBe(2);
  expect(plan.next(0)[0]?.chunks).toEqual([0]);
});

test('one that lies is left, one that is dead is asked again', () => {
  const plan = planOf(64);
  plan.has('liar', 'all');
  for (const { id, chunks } of plan.next(0)) plan.came(id, { right: [], wrong: [...chunks], now: 1 });
  expect(plan.left).toEqual(['liar']);
  plan.has('dead', 'all');
  for (const { id } of plan.next(1)) plan.failed(id, 'Dead', 2);
  expect(plan.next(2)).toEqual([]);
  expect(plan.next(20_000).map(({ source }) => source)).toEqual(['dead']);
});
