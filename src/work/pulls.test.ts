import { describe, expect, test } from '@jest/globals';
import type { StoreWants, WantedFile } from '../store/wants.ts';
import {
  FORSAKEN_MS,
  forsaken,
  type PullPlan,
  type PullTask,
  planPulls,
  pullEnded,
  pullFurther,
  pullStarted,
  reportsOf,
  STUCK_MS,
} from './pulls.ts';

const file = (name: string, more: Partial<WantedFile> = {}): WantedFile => ({
  ...{ name, sha256: 'a'.repeat(64), sizeBytes: 1_000, bases: [] },
  ...more,
});
const store = (files: readonly string[], more: Partial<StoreWants> = {}): StoreWants => ({
  ...{ store: 'images', folder: '/srv', sources: [], parallel: 2, keepStaleSeconds: 0, whole: [] },
  files: files.map((name) => file(name)),
  ...more,
});
const MADE = { kind: 'made', words: [], made: {} } as const;
const FAULT = { kind: 'fault', code: 'NoSource', message: 'nobody has it' } as const;
const A = { path: '/srv/a', sha256: 'a'.repeat(64) };
const NONE: ReadonlyMap<string, PullTask> = new Map();

/** As a mirror that starts all that it may, at 0. */
function running(...wants: readonly StoreWants[]): ReadonlyMap<string, PullTask> {
  const { tasks, start } = planPulls(wants, NONE, 0);
  const paths = new Set(start.map(({ folder, file: { name } }) => `${folder}/${name}`));
  return new Map([...tasks].map(([path, task]) => [path, paths.has(path) ? pullStarted(task, 0) : task]));
}
const started = (wants: readonly StoreWants[], tasks = NONE, nowMs = 0): readonly string[] =>
  planPulls(wants, tasks, nowMs).start.map(({ folder, file: { name } }) => `${folder}/${name}`);

describe('begun are', () => {
  test.each<{
    what: string;
    wants: readonly StoreWants[];
    tasks?: ReadonlyMap<string, PullTask>;
    start: readonly string[];
  }>([
    { what: 'as many as the store says, in its order', wants: [store(['b', 'a', 'c'])], start: ['/srv/b', '/srv/a'] },
    {
      what: 'four of all stores',
      wants: [store(['a', 'b', 'c'], { parallel: 3 }), store(['d', 'e', 'f'], { folder: '/data' })],
      start: ['/srv/a', '/data/d', '/srv/b', '/data/e'],
    },
    {
      what: 'of the store first that has the fewest under way',
      wants: [store(['a', 'b', 'c', 'g'], { parallel: 4 }), store(['d'], { folder: '/data' })],
      tasks: new Map([...running(store(['a', 'b', 'c'], { parallel: 4 }))]),
      start: ['/data/d'],
    },
    {
      what: 'none beside those that run',
      wants: [store(['a', 'b', 'c'])],
      tasks: running(store(['a', 'b', 'c'])),
      start: [],
    },
  ])('$what', ({ wants, tasks, start }) => expect(started(wants, tasks)).toEqual(start));
});

test('what nobody gave keeps nothing waiting', () => {
  const first = running(store(['a', 'b', 'c'])).get('/srv/a') as PullTask;
  const tasks = new Map([['/srv/a', pullEnded(first, FAULT, -10_000)]]);
  expect(started([store(['a', 'b', 'c'])], tasks)).toEqual(['/srv/b', '/srv/c']);
});

test('of one file, in one folder, two stores say different things: it is neither’s', () => {
  const other = store(['b'], { files: [file('a', { sha256: 'b'.repeat(64) }), file('b')] });
  expect(started([store(['a']), other])).toEqual(['/srv/b']);
  expect(started([store(['a']), store(['a'])])).toEqual(['/srv/a']);
});

test('a file that is to give way is the same after a chmod, and what it is made of is asked for as it is known last', () => {
  const one = (changed: number) => file('a', { replaces: `7:1000:1:${changed}:1:lasting` });
  const before = store([], { files: [one(1)] });
  const bases = [{ name: 'b' }];
  const plan = planPulls([{ ...before, files: [{ ...one(2), bases }] }], running(before), 1);
  expect([plan.kill, plan.tasks.get('/srv/a')?.file.bases]).toEqual([[], bases]);
});

test('one that failed is told as failed until something of it comes', () => {
  const failed = pullEnded(running(store(['a'])).get('/srv/a') as PullTask, FAULT, 0);
  const again = pullStarted(failed, 3_000);
  const told = (task: PullTask) => reportsOf(new Map([['/srv/a', task]]), 3_000)[0]?.state;
  expect([told(failed), told(again), told(pullFurther(again, 1, 3_000))]).toEqual(['Failed', 'Failed', 'Running']);
});

test('one that came far and failed is told as failed, and as far, until a try comes farther', () => {
  const told = (task: PullTask) => {
    const [report] = reportsOf(new Map([['/srv/a', task]]), 3_000);
    return `${report?.state} ${report?.doneBytes}`;
  };
  const far = pullFurther(running(store(['a'])).get('/srv/a') as PullTask, 800, 1);
  const failed = pullEnded(far, FAULT, 2);
  const again = pullFurther(pullStarted(failed, 3_000), 10, 3_001);
  const less = pullEnded(pullFurther(again, 700, 3_002), FAULT, 3_003);
  const third = pullStarted(less, 9_000);
  expect([far, failed, again, less, third].map(told)).toEqual([
    'Running 800',
    ...Array.from({ length: 4 }, () => 'Failed 800'),
  ]);
  expect([800, 801].map((bytes) => told(pullFurther(third, bytes, 9_001)))).toEqual(['Failed 800', 'Running 801']);
  const killed = [...planPulls([store(['a'])], new Map([['/srv/a', far]]), STUCK_MS + 2).tasks.values()];
  const heard = killed.map((task) => pullFurther(pullStarted(pullEnded(task, FAULT, 0), 1), 800, 2));
  expect(heard.map(told)).toEqual(['Failed 800']);
  expect(told(pullEnded(third, MADE, 9_002))).toBe('Running 1000');
});

describe('a store whose disk hangs', () => {
  const wants = [store(['a', 'b', 'c'], { parallel: 4 }), store(['d', 'e'], { folder: '/data', parallel: 3 })];
  const begun = (plan: PullPlan, nowMs: number): ReadonlyMap<string, PullTask> =>
    new Map([
      ...plan.tasks,
      ...plan.start.map((task) => [`${task.folder}/${task.file.name}`, pullStarted(task, nowMs)] as const),
    ]);
  const told = (tasks: ReadonlyMap<string, PullTask>) => reportsOf(tasks, 0).map(({ state }) => state);
  const LATE = STUCK_MS + 1;

  test('costs itself alone: its processes are ended, and their places are others’', () => {
    const four = begun(planPulls(wants, NONE, 0), 0);
    const alive = new Map(
      [...four].map(([path, task]) => [path, path.startsWith('/data') ? pullFurther(task, 0, 9) : task]),
    );
    expect(planPulls(wants, alive, LATE - 1)).toMatchObject({ stuck: [], start: [] });
    const more = [...wants, store(['x', 'y'], { folder: '/more' })];
    const plan = planPulls(more, alive, LATE);
    expect(plan.stuck).toEqual(['/srv/a', '/srv/b']);
    expect(plan.start.map(({ file: { name } }) => name)).toEqual(['x', 'y']);
    expect(told(plan.tasks)).toEqual(['Failed', 'Failed', 'Waiting', 'Running', 'Running', 'Waiting', 'Waiting']);
    expect(plan.tasks.get('/srv/a')?.message).toContain('/srv did not answer for 120 s while a was written there');
  });

  test('is tried with one file beside all others when its processes are gone, and with all when it answers', () => {
    const own = [store(['a', 'b', 'c'])];
    const stuck = planPulls(own, begun(planPulls(own, NONE, 0), 0), LATE).tasks;
    expect(started(own, stuck, LATE + 60_000)).toEqual([]);
    const crash = { kind: 'crash', message: 'killed' } as const;
    const ended = new Map(
      [...stuck].map(([path, task]) => [path, task.state === 'Stuck' ? pullEnded(task, crash, LATE) : task]),
    );
    expect(ended.get('/srv/a')?.message).toContain('did not answer');
    const others = store(['w', 'x', 'y', 'z'], { folder: '/more', parallel: 4 });
    const again = begun(planPulls([...own, others], ended, LATE + 2_000), LATE + 2_000);
    expect(told(again).filter((state) => state === 'Running')).toHaveLength(4);
    expect([again.get('/srv/a')?.state, again.get('/srv/b')?.state]).toEqual(['Running', 'Failed']);
    const heard = new Map(again).set('/srv/a', pullFurther(again.get('/srv/a') as PullTask, 1, LATE + 2_001));
    const b = pullFurther(pullStarted(again.get('/srv/b') as PullTask, 0), 1, 1);
    expect(started(own, new Map(heard).set('/srv/b', pullEnded(b, FAULT, LATE)), LATE + 2_001)).toEqual(['/srv/c']);
  });
});

test('the bandwidth of a store is shared out to those that it may take at once', () => {
  const [task] = planPulls([store(['a'], { bytesPerSecond: 1_001 })], NONE, 0).start;
  expect(task?.bytesPerSecond).toBe(500);
});

describe('one that runs', () => {
  const wants = store(['a']);
  test.each<{
    what: string;
    now: readonly StoreWants[];
    kill: readonly string[];
    state: PullTask['state'] | undefined;
    remove?: readonly object[];
  }>([
    {
      what: 'goes on while it is wanted, from other sources, too',
      now: [{ ...wants, sources: [{ name: 'b', host: 'h', port: 1 }] }],
      kill: [],
      state: 'Running',
    },
    { what: 'ends when its store is no more', now: [], kill: ['/srv/a'], state: 'Forsaken' },
    { what: 'ends when it is wanted no more', now: [store([])], kill: ['/srv/a'], state: 'Forsaken' },
    {
      what: 'ends when another content is wanted',
      now: [{ ...wants, files: [file('a', { sha256: 'b'.repeat(64) })] }],
      kill: ['/srv/a'],
      state: 'Waiting',
      remove: [A],
    },
    {
      what: 'ends when another file is to give way',
      now: [{ ...wants, files: [file('a', { replaces: 'x' })] }],
      kill: ['/srv/a'],
      state: 'Waiting',
    },
  ])('$what', ({ now, kill, state, remove = [] }) => {
    const plan = planPulls(now, running(wants), 1);
    expect([plan.kill, plan.tasks.get('/srv/a')?.state, plan.remove]).toEqual([kill, state, remove]);
  });
});

test('what came of one that is wanted no more stays for a minute, and is gone on with where it is wanted again', () => {
  const { tasks } = planPulls([store([])], running(store(['a'])), 0);
  expect(planPulls([store([])], tasks, FORSAKEN_MS).remove).toEqual([]);
  expect(started([store(['a'])], tasks, 5)).toEqual(['/srv/a']);
  const late = planPulls([store([])], tasks, FORSAKEN_MS + 1);
  expect([late.remove, late.tasks.size]).toEqual([[A], 0]);
});

test('what an earlier process left goes likewise, or is gone on with', () => {
  const [report] = reportsOf(running(store(['a'])), 0);
  const tasks = new Map(report ? [[report.path, forsaken(report, 0)]] : []);
  expect(planPulls([store([])], tasks, FORSAKEN_MS + 1).remove).toEqual([A]);
  expect(started([store(['a'])], tasks, 1)).toEqual(['/srv/a']);
  expect(planPulls([], tasks, FORSAKEN_MS + 1).remove).toEqual([A]);
});

test('one that fails is tried again, later each time, within a minute', () => {
  let task = running(store(['a'])).get('/srv/a') as PullTask;
  const waits = Array.from({ length: 7 }, () => {
    task = pullEnded(task, FAULT, 100);
    return task.atMs - 100;
  });
  expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  const tasks = new Map([['/srv/a', task]]);
  expect([started([store(['a'])], tasks, 60_099), started([store(['a'])], tasks, 60_100)]).toEqual([[], ['/srv/a']]);
  expect(reportsOf(tasks, 0)).toMatchObject([{ state: 'Failed', message: 'nobody has it' }]);
});

test('one that came is begun again only where it is still wanted after half a minute', () => {
  const tasks = new Map([['/srv/a', pullEnded(running(store(['a'])).get('/srv/a') as PullTask, MADE, 0)]]);
  expect(reportsOf(tasks, 0)).toMatchObject([{ state: 'Running', doneBytes: 1_000, totalBytes: 1_000 }]);
  expect([started([store(['a'])], tasks, 30_000), started([store(['a'])], tasks, 30_001)]).toEqual([[], ['/srv/a']]);
  expect(planPulls([store([])], tasks, 1).tasks.size).toBe(0);
});

test('the time that is left follows from what came since it began, whatever was there before', () => {
  const task = pullFurther(pullFurther(running(store(['a'])).get('/srv/a') as PullTask, 500, 1_000), 600, 2_000);
  expect(reportsOf(new Map([['/srv/a', task]]), 2_000)).toMatchObject([
    { doneBytes: 600, totalBytes: 1_000, secondsLeft: 4 },
  ]);
});
