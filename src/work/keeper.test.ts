/** Jobs that are ordered, cancelled, ended and killed at random, with keepers that end in between: in virtual time, without files or processes. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { silentLogger } from '../telemetry/log.ts';
import { isEnded, type Job, newJob } from './job.ts';
import { Keeper, type Told } from './keeper.ts';
import type { Ordered } from './orders.ts';
import { BUSY_MS, type Ending, KEPT_ENDED, KEPT_MS, MAX_CRASHES } from './queue.ts';

const ENDINGS: Readonly<Record<string, Ending>> = {
  made: { kind: 'made', words: [], made: {} },
  fails: { kind: 'fault', code: 'NoSpace', message: 'full' },
  meetsAnother: { kind: 'fault', code: 'BeingWritten', message: 'another' },
  crashes: { kind: 'crash', message: 'killed' },
};

interface Live {
  readonly job: Job;
  readonly end: (ending: Ending) => void;
  readonly told: Told;
  isCancelled: boolean;
}

/** The files, the processes and the clock of keepers that follow each other. */
class World {
  /** What the operator orders; undefined: it cannot be read. */
  byFarm: readonly Ordered[] | undefined;
  readonly files = new Map<string, Job>();
  readonly cancels = new Set<string>();
  readonly ordered: string[] = [];
  readonly live = new Map<string, Live>();
  readonly broken: string[] = [];
  readonly begun: string[] = [];
  nowMs = 0;
  failsWrites = 0;
  /** Of one job no write succeeds. */
  unwritable = '';
  /** Turns of the loop that the next write takes. */
  slow = 0;
  keeper = this.#begin();

  order(folder: number): void {
    const id = this.ordered.length.toString(16).padStart(8, '0');
    const job = newJob(id, { kind: 'merge', folder: `/${folder}`, fileName: 'lab', into: 'base' }, this.nowMs);
    this.ordered.push(id);
    this.files.set(id, job);
  }

  end(at: number, how: Ending): void {
    const live = [...this.live.values()][at % Math.max(1, this.live.size)];
    if (!live) return;
    this.live.delete(live.job.id);
    live.end(live.isCancelled ? { kind: 'fault', code: 'Cancelled', message: 'gone' } : how);
  }

  /** The container is gone, and with it all processes. */
  async crash(): Promise<void> {
    const { keeper } = this;
    this.live.clear();
    this.failsWrites = 0;
    this.keeper = this.#begin();
    await keeper.look().catch(() => undefined);
  }

  async restart(): Promise<void> {
    this.failsWrites = 0;
    await this.keeper.stop();
    this.keeper = this.#begin();
  }

  #begin(): Keeper {
    const isCurrent = (): boolean => this.keeper === keeper;
    const keeper: Keeper = new Keeper({
      folder: {
        list: async () => ({ jobs: [...this.files.keys()], cancels: [...this.cancels] }),
        read: async (id) => this.files.get(id),
        write: async (job) => {
          if (!isCurrent()) return;
          for (let turns = this.slow; turns > 0; turns--) {
            this.slow = 0;
            await new Promise(setImmediate);
          }
          if (job.id === this.unwritable) throw new Error('full');
          if (this.failsWrites > 0) {
            this.failsWrites--;
            throw new Error('full');
          }
          const before = this.files.get(job.id);
          if (before && isEnded(before)) this.broken.push(`${job.id} was ${before.state} and is ${job.state}`);
          this.files.set(job.id, job);
        },
        remove: async (id) => {
          const job = this.files.get(id);
          if (job && !isEnded(job)) this.broken.push(`${id} is ${job.state} and was forgotten`);
          this.files.delete(id);
        },
        cancelSeen: async (id) => void this.cancels.delete(id),
        isDeserted: async () => true,
      },
      start: (job, told) => {
        const { promise: ending, resolve: end } = Promise.withResolvers<Ending>();
        if (!isCurrent()) return { ending, cancel: () => undefined, kill: () => end(ENDINGS['crashes'] as Ending) };
        const beside = [...this.live.values()].find((other) => other.job.folder === job.folder);
        if (beside) this.broken.push(`${job.id} beside ${beside.job.id} in ${job.folder}`);
        const said = this.files.get(job.id);
        if (said?.state !== 'Running') this.broken.push(`${job.id} begins and is ${said?.state}`);
        const live: Live = { job, end, told, isCancelled: false };
        this.live.set(job.id, live);
        this.begun.push(job.id);
        told.onProgress(1, 2);
        return {
          ending,
          cancel: () => {
            live.isCancelled = true;
          },
          kill: () => {
            this.live.delete(job.id);
            end(ENDINGS['crashes'] as Ending);
          },
        };
      },
      orders: async () => this.byFarm,
      now: () => this.nowMs,
      log: silentLogger,
    });
    return keeper;
  }
}

const step = fc.oneof(
  fc.record({ do: fc.constant('order' as const), folder: fc.nat(2) }),
  fc.record({ do: fc.constant('cancel' as const), at: fc.nat(20) }),
  fc.record({ do: fc.constant('end' as const), at: fc.nat(5), how: fc.constantFrom(...Object.values(ENDINGS)) }),
  fc.record({ do: fc.constant('look' as const), afterMs: fc.constantFrom(0, 500, BUSY_MS) }),
  fc.record({ do: fc.constant('fail writes' as const), times: fc.nat(2) }),
  fc.record({ do: fc.constant('crash' as const) }),
  fc.record({ do: fc.constant('restart' as const) }),
);

test('never two at once in a folder, none is lost, and none that ended is done again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const world = new World();
      for (const one of steps) {
        if (one.do === 'order') world.order(one.folder);
        else if (one.do === 'cancel') world.cancels.add(world.ordered[one.at % world.ordered.length] ?? 'none');
        else if (one.do === 'end') world.end(one.at, one.how);
        else if (one.do === 'fail writes') world.failsWrites = one.times;
        else if (one.do === 'crash') await world.crash();
        else if (one.do === 'restart') await world.restart();
        else world.nowMs += one.afterMs;
        if (one.do === 'look') await world.keeper.look();
        expect([...world.files.keys()]).toEqual(world.ordered);
      }
      world.failsWrites = 0;
      for (let turns = 0; [...world.files.values()].some((job) => !isEnded(job)); turns++) {
        if (turns > 200) throw new Error(`not over: ${JSON.stringify([...world.files.values()])}`);
        world.nowMs += BUSY_MS;
        world.end(0, ENDINGS['made'] as Ending);
        await world.keeper.look();
      }
      await world.keeper.look();
      expect(world.broken).toEqual([]);
      expect([world.live.size, world.cancels.size]).toEqual([0, 0]);
    }),
    { numRuns: 1_500 },
  );
});

test('what takes its container along again and again fails, and the next one has its turn', async () => {
  const world = new World();
  world.order(0);
  world.order(0);
  for (let crashes = 0; crashes < MAX_CRASHES; crashes++) {
    await world.keeper.look();
    await world.crash();
  }
  await world.keeper.look();
  expect([...world.files.values()].map(({ state }) => state)).toEqual(['Failed', 'Running']);
});

test('which version a job makes is written down before it begins, and nothing older is written over it', async () => {
  const world = new World();
  world.order(0);
  await world.keeper.look();
  const { told } = world.live.get('00000000') as Live;
  told.onProgress(1, 3);
  world.slow = 5;
  const looked = world.keeper.look();
  while (world.slow > 0) await new Promise(setImmediate);
  await told.onVersion(7);
  expect(world.files.get('00000000')?.version).toBe(7);
  await looked;
  expect(world.files.get('00000000')?.version).toBe(7);
});

test('a version that cannot be written down is not begun, and a job that cannot be kept keeps no other waiting', async () => {
  const world = new World();
  world.order(0);
  world.order(1);
  await world.keeper.look();
  const [one, another] = ['00000000', '00000001'].map((id) => world.live.get(id) as Live) as [Live, Live];
  world.unwritable = one.job.id;
  await expect(one.told.onVersion(7)).rejects.toThrow('full');
  await another.told.onVersion(8);
  expect(world.files.get(another.job.id)?.version).toBe(8);
  world.end(0, ENDINGS['fails'] as Ending);
  world.end(0, ENDINGS['made'] as Ending);
  world.order(2);
  world.cancels.add(one.job.id).add('00000002');
  await new Promise(setImmediate); // their endings arrive
  await world.keeper.look();
  const states = () => [...world.files.values()].map(({ state }) => state);
  expect(states()).toEqual(['Running', 'Done', 'Cancelled']);
  world.unwritable = '';
  await world.keeper.look();
  expect(states()).toEqual(['Failed', 'Done', 'Cancelled']);
});

test('why a job tries again is told until it is further', async () => {
  const world = new World();
  world.order(0);
  await world.keeper.look();
  const { told } = world.live.get('00000000') as Live;
  told.onAgain('nobody listens there');
  await world.keeper.look();
  expect(world.files.get('00000000')).toMatchObject({ state: 'Running', message: 'nobody listens there' });
  told.onProgress(1, 2);
  await world.keeper.look();
  expect(world.files.get('00000000')).toMatchObject({ state: 'Running', message: '' });
});

test('a keeper that is told to end takes no try away', async () => {
  const world = new World();
  world.order(0);
  for (let times = 0; times < 2 * MAX_CRASHES; times++) {
    await world.keeper.look();
    await world.restart();
  }
  expect(world.files.get('00000000')).toMatchObject({ state: 'Queued', crashes: 0 });
});

test('what the operator orders is done once, beside what people order; what it takes back ends, and what cannot be read says nothing', async () => {
  const world = new World();
  const states = () => [...world.files.values()].map(({ id, state }) => `${id} ${state}`);
  const merge = { kind: 'merge', fileName: 'lab', into: 'base', version: 6 } as const;
  const ordered = ['a', 'b'].map((name) => ({ id: name.repeat(8), order: { ...merge, folder: `/srv/${name}` } }));
  world.byFarm = ordered;
  world.order(0);
  await world.keeper.look();
  expect(world.files.get('aaaaaaaa')).toMatchObject({
    byFarm: true,
    order: { kind: 'merge', into: 'base', version: 6 },
  });
  world.end([...world.live.keys()].indexOf('aaaaaaaa'), ENDINGS['made'] as Ending);
  world.byFarm = undefined;
  await world.keeper.look();
  await world.restart();
  await world.keeper.look();
  expect(states()).toEqual(['00000000 Running', 'aaaaaaaa Done', 'bbbbbbbb Running']);
  world.byFarm = ordered.slice(0, 1);
  await world.keeper.look();
  expect([...world.live].map(([id, { isCancelled }]) => [id, isCancelled])).toEqual([
    ['00000000', false],
    ['bbbbbbbb', true],
  ]);
  expect(world.broken).toEqual([]);
});

test('what the operator still orders is never done again, however much ended since and however long ago; then it is forgotten', async () => {
  const world = new World();
  const merge = { kind: 'merge', fileName: 'lab', into: 'base', version: 6 } as const;
  const ids = Array.from({ length: KEPT_ENDED + 10 }, (_, at) => (0xa0000000 + at).toString(16));
  world.byFarm = ids.map((id, at) => ({ id, order: { ...merge, folder: `/srv/${at}` } }));
  for (let turns = 0; turns < 2 * ids.length; turns++) {
    await world.keeper.look();
    world.end(0, ENDINGS['fails'] as Ending);
    world.nowMs += 1;
  }
  world.nowMs += 2 * KEPT_MS;
  await world.keeper.look();
  const { byFarm } = world;
  world.byFarm = undefined;
  await world.restart();
  await world.keeper.look();
  world.byFarm = byFarm;
  await world.keeper.look();
  expect(world.begun.toSorted()).toEqual(ids);
  world.byFarm = [];
  await world.keeper.look();
  expect([...world.files.keys()]).toEqual([]);
});
