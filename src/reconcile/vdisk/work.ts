/** Work on the files of a VDisk, as its status and its Events say it. Pure. */
import type { EventSaying } from '../../kube/events.ts';
import type { VDisk } from '../../resources/kinds.ts';
import type { CopyHolder } from './judge.ts';

type Work = NonNullable<NonNullable<VDisk['status']>['work']>;

const MAX_TOLD = 32;
/** A status is written when it changes: a job writes it 20 times. */
const STEP_PERCENT = 5;

export const isOver = ({ state }: Pick<Work[number], 'state'>): boolean => state !== 'Queued' && state !== 'Running';

/** What goes on comes first, for the list is bounded. `holders`: also of stores from which it moves. */
export function workStatus(holders: readonly Pick<CopyHolder, 'server' | 'work'>[]): { readonly work?: Work } {
  const work = holders
    .flatMap(({ server, work }) => work.map((job) => ({ server, ...job })))
    .sort((a, b) => Number(isOver(a)) - Number(isOver(b)))
    .slice(0, MAX_TOLD)
    .map(({ server, id, kind, version, state, progressPercent: percent, message }) => ({
      ...{ server, id, kind, state },
      ...(version === undefined ? {} : { version }),
      ...(percent === undefined ? {} : { progressPercent: STEP_PERCENT * Math.floor(percent / STEP_PERCENT) }),
      ...(message ? { message } : {}),
    }));
  return work.length > 0 ? { work } : {};
}

const EVENTS = {
  Running: { type: 'Normal', reason: 'WorkStarted' },
  Done: { type: 'Normal', reason: 'WorkDone' },
  Failed: { type: 'Warning', reason: 'WorkFailed' },
} as const;

/** Of jobs that began, ended or failed since the status was written last. */
export function workEvents(before: Work, after: Work): readonly EventSaying[] {
  return after.flatMap(({ server, id, kind, version, state, message = '' }) => {
    const was = before.find((job) => job.server === server && job.id === id)?.state;
    if (state === was || state === 'Queued' || state === 'Cancelled') return [];
    const of = version === undefined ? '' : ` of version ${version}`;
    const note = `server ${server}: ${kind}${of}, job ${id}${message && `: ${message}`}`;
    return [{ ...EVENTS[state], action: 'Work', note }];
  });
}
