import { expect, test } from '@jest/globals';
import { silentLogger } from '../telemetry/log.ts';
import { type Job, newJob, timeAt } from '../work/job.ts';
import { Work, workReports } from './work.ts';

const NOW = Date.parse('2026-11-29T12:00:00Z');
const aJob = (number: number, more: Partial<Job> = {}): Job => ({
  ...newJob(
    number.toString(16).padStart(8, '0'),
    { kind: 'merge', folder: '/a', fileName: 'lab', into: 'base' },
    NOW + number,
  ),
  ...more,
});
const over = (number: number, beforeMs: number): Job =>
  aJob(number, {
    state: 'Done',
    endedAt: timeAt(NOW - beforeMs),
    words: ['lab.4.vhdx is version 4', 'more'],
    version: 4,
  });

test.each([
  {
    what: 'goes on',
    job: aJob(1, { state: 'Running', doneBytes: 3, totalBytes: 8 }),
    told: { state: 'Running', progressPercent: 37, message: '' },
  },
  {
    what: 'begins, and may meet another',
    job: aJob(1, { state: 'Running', startedAt: timeAt(NOW - 1_999), message: 'another' }),
    told: { state: 'Queued', message: 'another' },
  },
  {
    what: 'has begun',
    job: aJob(1, { state: 'Running', startedAt: timeAt(NOW - 2_000) }),
    told: { state: 'Running', message: '' },
  },
  { what: 'waits', job: aJob(1, { message: 'another' }), told: { state: 'Queued', message: 'another' } },
  {
    what: 'ended',
    job: over(1, 599_999),
    told: { state: 'Done', version: 4, progressPercent: 100, message: 'lab.4.vhdx is version 4' },
  },
  { what: 'ended long ago', job: over(1, 600_000), told: undefined },
  { what: 'the operator ordered, and is done', job: aJob(1, { ...over(1, 600_000), byFarm: true }), told: undefined },
  {
    what: 'the operator ordered, and failed',
    job: aJob(1, { ...over(1, 3_599_999), byFarm: true, state: 'Failed', message: 'full' }),
    told: { state: 'Failed', version: 4, message: 'full' },
  },
  {
    what: 'the operator ordered, and found no kernel half a day ago',
    job: {
      ...aJob(1, { ...over(1, 43_200_000), byFarm: true, state: 'Failed', message: 'no kernel' }),
      order: { kind: 'boot-files' as const, folder: '/a', fileName: 'lab' },
    },
    told: { kind: 'boot-files', state: 'Failed', version: 4, message: 'no kernel' },
  },
  {
    what: 'the operator ordered, and could give nothing back half a day ago',
    job: {
      ...aJob(1, { ...over(1, 43_200_000), byFarm: true, state: 'Failed', message: 'read-only' }),
      order: { kind: 'give-back' as const, folder: '/a', fileName: 'lab', server: 'a', volume: 'token 1' },
    },
    told: { kind: 'give-back', state: 'Failed', version: 4, message: 'read-only' },
  },
  {
    what: 'the operator ordered, and failed long ago',
    job: aJob(1, { ...over(1, 3_600_000), byFarm: true, state: 'Failed' }),
    told: undefined,
  },
])('of a job that $what is told', ({ job, told }) => {
  const of = { id: '00000001', kind: 'merge', folder: '/a', fileName: 'lab' };
  expect(workReports([job], NOW)).toEqual(told === undefined ? [] : [{ ...of, ...told }]);
});

test('the answer is bounded, and what goes on comes first', () => {
  const many = [over(0, 1_000), ...Array.from({ length: 100 }, (_, index) => aJob(index + 1))];
  const told = workReports(many, NOW);
  expect([told.length, told[0]?.id, told[63]?.id]).toEqual([64, '00000001', '00000040']);
});

test('of too many those are told first that run, then those that are not to be ordered again', () => {
  const queued = Array.from({ length: 100 }, (_, index) => aJob(index + 1));
  const failed = { ...over(200, 1_000), state: 'Failed' as const };
  const running = { startedAt: timeAt(NOW - 2_000), state: 'Running' as const };
  const jobs = [
    over(0, 1_000),
    ...queued,
    failed,
    { ...failed, id: '000000c9', byFarm: true as const },
    aJob(202, running),
  ];
  const told = workReports(jobs, NOW).map(({ id, state }) => `${id} ${state}`);
  expect([told.length, ...told.slice(0, 3)]).toEqual([64, '000000ca Running', '000000c9 Failed', '00000001 Queued']);
});

test('what ended is read once, and what cannot be read is as it was', async () => {
  const files = new Map([over(1, 0), aJob(2)].map((job) => [job.id, job]));
  const reads: string[] = [];
  let fails = false;
  const folder = {
    list: async () => {
      if (fails) throw new Error('EIO');
      return { jobs: [...files.keys()], cancels: [] };
    },
    read: async (id: string) => {
      reads.push(id);
      return files.get(id);
    },
    isKept: async () => !fails,
  };
  const work = new Work('/state', silentLogger, folder, () => NOW);
  await work.look();
  await work.look();
  expect(reads).toEqual(['00000001', '00000002', '00000002']);
  fails = true;
  await work.look();
  expect([work.reports.length, work.count('Queued'), work.count('Running')]).toEqual([2, 1, 0]);
  expect(await work.isKept()).toBe(false);
  fails = false;
  files.clear();
  await work.look();
  expect(work.reports).toEqual([]);
});
