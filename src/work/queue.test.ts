import { describe, expect, test } from '@jest/globals';
import { type Job, newJob, parseJob, percentOf, placeOf, timeAt } from './job.ts';
import {
  BUSY_MS,
  ended,
  forgotten,
  found,
  further,
  KEPT_ENDED,
  KEPT_MS,
  MAX_CRASHES,
  nextJobs,
  orderOf,
  putBack,
  started,
  withdrawn,
} from './queue.ts';

const NOW = Date.parse('2026-11-29T12:00:00Z');
const aJob = (number: number, folder: string, more: Partial<Job> = {}): Job => ({
  ...newJob(
    number.toString(16).padStart(8, '0'),
    { kind: 'merge', folder, fileName: 'lab', into: 'base' },
    NOW + number,
  ),
  ...more,
});
const running = { state: 'Running' } as const;
const upload = { order: { kind: 'upload', target: '/a/lab.vhdx' } } as const;

test.each<{ what: string; jobs: readonly Job[]; next: readonly number[] }>([
  { what: 'none', jobs: [], next: [] },
  { what: 'the first of each folder', jobs: [aJob(2, '/a'), aJob(1, '/a'), aJob(3, '/b')], next: [1, 3] },
  { what: 'none where one runs', jobs: [aJob(1, '/a', running), aJob(2, '/a'), aJob(3, '/b')], next: [3] },
  { what: 'none where a person uploads', jobs: [aJob(1, '/a', { ...running, ...upload }), aJob(2, '/a')], next: [] },
  { what: 'the next one, while one waits', jobs: [aJob(1, '/a', { waitsUntilMs: NOW + 1 }), aJob(2, '/a')], next: [2] },
  {
    what: 'one that waits by a clock that was set back',
    jobs: [aJob(1, '/a', { waitsUntilMs: NOW + 86_400_000 })],
    next: [1],
  },
  { what: 'one that waited', jobs: [aJob(1, '/a', { waitsUntilMs: NOW }), aJob(2, '/a')], next: [1] },
  { what: 'four at once', jobs: ['a', 'b', 'c', 'd', 'e'].map((name, at) => aJob(at, `/${name}`)), next: [0, 1, 2, 3] },
  {
    what: 'what is left of four',
    jobs: [aJob(0, '/a', running), aJob(1, '/b', running), aJob(2, '/c', running), aJob(4, '/d'), aJob(5, '/e')],
    next: [4],
  },
  {
    what: 'four beside an upload',
    jobs: ['a', 'b', 'c', 'd', 'e'].map((name, at) => aJob(at, `/${name}`, at === 0 ? { ...running, ...upload } : {})),
    next: [1, 2, 3, 4],
  },
  {
    what: 'none that ended',
    jobs: (['Done', 'Failed', 'Cancelled'] as const).map((state) => aJob(1, '/a', { state })),
    next: [],
  },
])('next is $what', ({ jobs, next }) => {
  expect(nextJobs(jobs, NOW).map(({ id }) => Number.parseInt(id, 16))).toEqual(next);
});

const fault = (code: string) => ({ kind: 'fault', code, message: 'why' }) as const;
const made = { kind: 'made', words: ['lab.4.vhdx is version 4'], made: { number: 4 } } as const;

test.each([
  {
    what: 'made',
    ending: made,
    cancelled: false,
    becomes: { state: 'Done', doneBytes: 8, words: made.words, version: 4 },
  },
  { what: 'made while it was cancelled', ending: made, cancelled: true, becomes: { state: 'Done' } },
  {
    what: 'with nothing to do',
    ending: { ...made, made: null },
    cancelled: false,
    becomes: { state: 'Done', made: null },
  },
  { what: 'cancelled', ending: fault('Cancelled'), cancelled: true, becomes: { state: 'Cancelled' } },
  {
    what: 'killed when it did not end',
    ending: { kind: 'crash', message: 'why' } as const,
    cancelled: true,
    becomes: { state: 'Cancelled' },
  },
  { what: 'by a fault', ending: fault('NoSpace'), cancelled: false, becomes: { state: 'Failed', message: 'why' } },
  {
    what: 'by a crash',
    ending: { kind: 'crash', message: 'why' } as const,
    cancelled: false,
    becomes: { state: 'Failed' },
  },
  {
    what: 'where another one writes',
    ending: fault('BeingWritten'),
    cancelled: false,
    becomes: { state: 'Queued', message: 'why', waitsUntilMs: NOW + BUSY_MS },
  },
  {
    what: 'where files were written a moment ago',
    ending: fault('BeingChanged'),
    cancelled: false,
    becomes: { state: 'Queued', message: 'why', waitsUntilMs: NOW + BUSY_MS },
  },
])('a job that ended $what is $becomes.state', ({ ending, cancelled, becomes }) => {
  const job = ended(started(aJob(1, '/a', { totalBytes: 8, version: 4 }), NOW), ending, cancelled, NOW);
  expect(job).toMatchObject(becomes);
  expect(job.endedAt).toBe(becomes.state === 'Queued' ? undefined : timeAt(NOW));
  if (ending.kind === 'made' && ending.made === null) expect(job.version).toBeUndefined();
});

test('a version that was there already is none of the job', () => {
  const ending = { kind: 'made', words: [], made: { number: 3, unchanged: true } } as const;
  expect(ended(aJob(1, '/a', { ...running, version: 4 }), ending, false, NOW)).toMatchObject({ state: 'Done' });
  expect(ended(aJob(1, '/a', { ...running, version: 4 }), ending, false, NOW).version).toBeUndefined();
});

test('of one that is cancelled while it waits, it is said what may be left', () => {
  expect(withdrawn(aJob(1, '/a'), NOW)).toMatchObject({
    state: 'Cancelled',
    message: 'it was cancelled before it began',
  });
  const left = withdrawn(putBack(started(aJob(1, '/a'), NOW)), NOW);
  expect(left).toMatchObject({
    state: 'Cancelled',
    endedAt: timeAt(NOW),
    message: expect.stringContaining('.partial'),
  });
});

test.each<{ what: string; job: Partial<Job>; number?: number }>([
  { what: 'the first try makes the next version', job: {} },
  { what: 'one after a crash the one that was begun', job: { state: 'Running', version: 4 }, number: 4 },
  { what: 'one of a kind that names its target no number', job: { ...upload, state: 'Running', version: 4 } },
])('$what', ({ job, number }) => {
  expect(orderOf(found(aJob(1, '/a', job), NOW))).toEqual({
    ...aJob(1, '/a', job).order,
    ...(number !== undefined && { number }),
  });
});

test('one that found its folder taken began no version', () => {
  const ending = { kind: 'fault', code: 'BeingWritten', message: 'wait' } as const;
  expect(orderOf(ended(aJob(1, '/a', { ...running, version: 4 }), ending, false, NOW))).not.toHaveProperty('number');
  const order = { kind: 'convert', source: '/b', target: '/a/lab.2.vhdx' } as const;
  expect(ended(aJob(1, '/a', { ...running, order, version: 2 }), ending, false, NOW).version).toBe(2);
});

test('what a job waited for is said until it is further', () => {
  const waits = ended(started(aJob(1, '/a'), NOW), fault('BeingWritten'), false, NOW);
  const again = started(waits, NOW + BUSY_MS);
  expect(again).toMatchObject({ state: 'Running', message: 'why' });
  expect(again.waitsUntilMs).toBeUndefined();
  expect(further(again, 1, 2)).toMatchObject({ doneBytes: 1, totalBytes: 2, message: '' });
});

test.each([
  { what: 'waits', job: aJob(1, '/a'), becomes: { state: 'Queued', crashes: 0 } },
  { what: 'was running', job: aJob(1, '/a', running), becomes: { state: 'Queued', crashes: 1 } },
  {
    what: 'took its container along too often',
    job: aJob(1, '/a', { ...running, crashes: MAX_CRASHES - 1 }),
    becomes: { state: 'Failed', message: expect.stringContaining('3 times') },
  },
  { what: 'is an upload', job: aJob(1, '/a', { ...running, ...upload }), becomes: { state: 'Running' } },
  { what: 'is done', job: aJob(1, '/a', { state: 'Done' }), becomes: { state: 'Done' } },
])('a keeper that begins finds one that $what: $becomes.state', ({ job, becomes }) => {
  expect(found(job, NOW)).toMatchObject(becomes);
});

test('ended jobs beyond the last 50, and those of last week, are forgotten', () => {
  const over = (number: number, endedMs: number) => aJob(number, '/a', { state: 'Done', endedAt: timeAt(endedMs) });
  const many = Array.from({ length: KEPT_ENDED + 2 }, (_, number) => over(number, NOW - number * 1_000));
  expect(forgotten([...many, aJob(99, '/a'), aJob(98, '/a', running)], NOW)).toEqual(many.slice(KEPT_ENDED));
  expect(forgotten([over(1, NOW - KEPT_MS - 1), over(2, NOW - KEPT_MS)], NOW).map(({ id }) => id)).toEqual([
    '00000001',
  ]);
});

describe('what an order says of its place', () => {
  test.each([
    ['/a/lab.vhdx', 'lab', 0],
    ['/a/lab.3.avhdx', 'lab', 3],
    ['/a/lab.2026.raw', 'lab', 2_026],
    ['/a/lab.v2.vhdx', 'lab.v2', 0],
    ['/a/lab.0.vhdx', 'lab.0', 0],
  ])('%s', (target, fileName, version) => {
    const place = { folder: '/a', fileName, version };
    expect(placeOf({ kind: 'convert', source: '/b/x.raw', target })).toEqual(place);
    expect(placeOf({ kind: 'upload', target })).toEqual(place);
  });

  test('a version that is not known yet', () => {
    expect(placeOf({ kind: 'new-version', folder: '/a', fileName: 'lab' })).toEqual({ folder: '/a', fileName: 'lab' });
  });
});

test.each([
  [{ state: 'Queued', doneBytes: 0, totalBytes: 0 }, undefined],
  [{ state: 'Running', doneBytes: 199, totalBytes: 200 }, 99],
  [{ state: 'Running', doneBytes: 300, totalBytes: 200 }, 100],
  [{ state: 'Done', doneBytes: 0, totalBytes: 0 }, 100],
] as const)('%j is %s %%', (job, percent) => {
  expect(percentOf(job)).toBe(percent);
});

test('what is told of its progress can be read again, whatever its program counts in', () => {
  const job = newJob('5f0c11d2', { kind: 'import', source: '/srv/a.qcow2', target: '/srv/lab.vhdx' }, NOW);
  const told = further(job, 192_920_070.5536, 1_400_000_512.5);
  expect(parseJob(JSON.stringify(told))).toMatchObject({ doneBytes: 192_920_070, totalBytes: 1_400_000_512 });
});
