import { expect, test } from '@jest/globals';
import type { WorkReport } from '../../control/status.ts';
import { fitStatus } from '../../resources/fit.ts';
import { workEvents, workStatus } from './work.ts';

const aJob = (more: Partial<WorkReport> = {}): WorkReport => ({
  ...{
    id: '5f0c11d2',
    kind: 'merge',
    folder: '/srv/vdisks',
    fileName: 'lab',
    version: 4,
    state: 'Running',
    message: '',
  },
  ...more,
});
const on = (server: string, ...work: readonly WorkReport[]) => ({ server, work });
const shown = { server: 'a', id: '5f0c11d2', kind: 'merge', version: 4, state: 'Running' } as const;

test.each([
  { what: 'nothing', holders: [on('a'), on('b')], work: undefined },
  {
    what: 'one that runs',
    holders: [on('a', aJob({ progressPercent: 39 }))],
    work: [{ ...shown, progressPercent: 35 }],
  },
  {
    what: 'one of which no version is known',
    holders: [on('a', { ...aJob(), version: undefined } as never)],
    work: [{ ...shown, version: undefined }],
  },
  {
    what: 'those of all servers, what goes on first',
    holders: [on('a', aJob({ state: 'Done', progressPercent: 100, message: 'made' })), on('b', aJob())],
    work: [
      { ...shown, server: 'b' },
      { ...shown, state: 'Done', progressPercent: 100, message: 'made' },
    ],
  },
])('status shows $what', ({ holders, work }) => {
  expect(workStatus(holders).work).toEqual(work);
});

test('a status of a progress that is less than a step further is the same', () => {
  const at = (progressPercent: number) => workStatus([on('a', aJob({ progressPercent }))]);
  expect(at(40)).toEqual(at(44));
  expect(at(40)).not.toEqual(at(45));
});

test('what many servers say fits into a status', () => {
  const many = Array.from({ length: 40 }, (_, at) => on(`node-${at}`, aJob({ message: 'x'.repeat(512) })));
  const status = { ...workStatus(many) };
  expect(status.work).toHaveLength(32);
  expect(fitStatus('VDisk', status as never)).toBe(status);
});

test.each([
  { before: [], after: 'Queued', event: undefined },
  { before: [], after: 'Running', event: 'WorkStarted' },
  { before: ['Queued'], after: 'Running', event: 'WorkStarted' },
  { before: ['Running'], after: 'Running', event: undefined },
  { before: ['Running'], after: 'Queued', event: undefined },
  { before: ['Running'], after: 'Done', event: 'WorkDone' },
  { before: [], after: 'Done', event: 'WorkDone' },
  { before: ['Done'], after: 'Done', event: undefined },
  { before: ['Running'], after: 'Failed', event: 'WorkFailed' },
  { before: ['Running'], after: 'Cancelled', event: undefined },
] as const)('of a job that was $before and is $after: $event', ({ before, after, event }) => {
  const events = workEvents(
    before.map((state) => ({ ...shown, state })),
    [{ ...shown, state: after, message: 'why' }],
  );
  const note = 'server a: merge of version 4, job 5f0c11d2: why';
  expect(events).toEqual(event ? [expect.objectContaining({ reason: event, note })] : []);
});
