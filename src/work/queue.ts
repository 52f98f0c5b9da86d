/** Which job is next, what becomes of one whose keeper ended, and which are forgotten. Pure. */
import { isEnded, type Job, type Order, placeOf, timeAt } from './job.ts';

/** In folders of their own: each takes 190 MiB at most, and the container has 1 GiB. */
const MAX_AT_ONCE = 4;
/** One that took its container along so often fails: it would take those behind it along for ever. */
export const MAX_CRASHES = 3;
export const KEPT_ENDED = 50;
export const KEPT_MS = 7 * 86_400_000;
/** So long another one has the folder before it is asked again. */
export const BUSY_MS = 5_000;

/** Those to start now, as they were ordered: one a folder, and none where a person's upload writes. */
export function nextJobs(jobs: readonly Job[], nowMs: number): readonly Job[] {
  const running = jobs.filter(({ state }) => state === 'Running');
  const busy = new Set(running.map(({ folder }) => folder));
  let room = MAX_AT_ONCE - running.filter(({ order }) => order.kind !== 'upload').length;
  const next: Job[] = [];
  for (const job of jobs.filter(({ state }) => state === 'Queued').sort(byOrder)) {
    if (room <= 0) break;
    // A clock that was set back keeps nobody waiting.
    const waitsMs = (job.waitsUntilMs ?? 0) - nowMs;
    if (busy.has(job.folder) || (waitsMs > 0 && waitsMs <= BUSY_MS)) continue;
    busy.add(job.folder);
    next.push(job);
    room--;
  }
  return next;
}

export const byOrder = (a: Job, b: Job): number =>
  a.orderedAt < b.orderedAt ? -1 : a.orderedAt > b.orderedAt ? 1 : a.id < b.id ? -1 : 1;

/** What it waited for is said until it is further: it may be in the way still. */
export const started = (job: Job, nowMs: number): Job => {
  const { waitsUntilMs: _, ...rest } = job;
  return { ...rest, state: 'Running', startedAt: timeAt(nowMs) };
};

/** What its process is told: a try that follows another makes the version that was begun, or none. It may have been made when its keeper ended. */
export const orderOf = ({ order, version }: Pick<Job, 'order' | 'version'>): Order =>
  version !== undefined && (order.kind === 'new-version' || order.kind === 'merge')
    ? { ...order, number: version }
    : order;

/** A program that tells percent gives parts of bytes, and a job with such is none for who reads it. */
export const further = (job: Job, doneBytes: number, totalBytes: number): Job => ({
  ...job,
  doneBytes: Math.floor(doneBytes),
  totalBytes: Math.floor(totalBytes),
  message: '',
});

/** Somebody writes in the folder, or wrote there a moment ago: it is tried again when he has ended. */
const NOT_YET: ReadonlySet<string> = new Set(['BeingWritten', 'BeingChanged']);

/** How work ended. `crash`: its process went without a word. */
export type Ending =
  | { readonly kind: 'made'; readonly words: readonly string[]; readonly made: unknown }
  | { readonly kind: 'fault'; readonly code: string; readonly message: string }
  | { readonly kind: 'crash'; readonly message: string };

/** `cancelled`: a person asked for its end. What was done in spite of that is done. */
export function ended(job: Job, ending: Ending, cancelled: boolean, nowMs: number): Job {
  const endedAt = timeAt(nowMs);
  if (ending.kind === 'made') {
    const { made, words } = ending;
    const { version, ...rest } = job;
    // There was nothing to do.
    const isNothing = made === null || (made as { readonly unchanged?: boolean }).unchanged === true;
    const of = isNothing || version === undefined ? {} : { version };
    return { ...rest, ...of, state: 'Done', endedAt, doneBytes: job.totalBytes, message: '', words: [...words], made };
  }
  const { message } = ending;
  if (cancelled) return { ...job, state: 'Cancelled', endedAt, message };
  if (ending.kind === 'fault' && NOT_YET.has(ending.code) && job.order.kind !== 'upload') {
    // It made nothing: the next try may make another one.
    const { version, ...rest } = job;
    const place = placeOf(job.order).version;
    return {
      ...rest,
      ...(place !== undefined && { version: place }),
      ...{ state: 'Queued', message, waitsUntilMs: nowMs + BUSY_MS },
    };
  }
  return { ...job, state: 'Failed', endedAt, message };
}

/** One that does not run; what an earlier try wrote is nobody's to remove, for another order may go on with it. */
export const withdrawn = (job: Job, nowMs: number): Job => ({
  ...job,
  state: 'Cancelled',
  endedAt: timeAt(nowMs),
  message:
    job.startedAt === undefined
      ? 'it was cancelled before it began'
      : 'it was cancelled while it waited: what it had written (….partial) stays, for the same order or for you to remove',
});

/** The keeper was told to end: it goes on with the next one. */
export const putBack = (job: Job): Job => ({ ...job, state: 'Queued', message: 'it goes on when the server is back' });

/** As a keeper finds it that begins: what was running goes on, where it did not end its keeper again and again. An upload has a process of its own. */
export function found(job: Job, nowMs: number): Job {
  if (job.state !== 'Running' || job.order.kind === 'upload') return job;
  const crashes = job.crashes + 1;
  if (crashes < MAX_CRASHES) return { ...job, state: 'Queued', crashes, message: 'it goes on after a restart' };
  const message = `${crashes} times it was running when its container ended without a word: see \`kubectl describe pod\` (memory?), and order it again`;
  return { ...job, state: 'Failed', crashes, endedAt: timeAt(nowMs), message };
}

/** An upload whose process is gone. */
export const deserted = (job: Job, nowMs: number): Job => ({
  ...job,
  state: 'Failed',
  endedAt: timeAt(nowMs),
  message: 'its command ended without a word: `bootfarm vdisk upload --tell-offset` says where to go on',
});

/** Ended ones beyond the last 50, and those that ended a week ago. */
export function forgotten(jobs: readonly Job[], nowMs: number): readonly Job[] {
  const over = jobs.filter(isEnded).sort((a, b) => endMs(b) - endMs(a));
  return over.filter((job, index) => index >= KEPT_ENDED || nowMs - endMs(job) > KEPT_MS);
}

const endMs = ({ endedAt = '' }: Job): number => Date.parse(endedAt) || 0;
