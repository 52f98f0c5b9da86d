/** What the jobs of this server's stores are at (`work/`): read again and again, bounded, from the folder that the container `work` writes. */
import { join } from 'node:path';
import type { WorkReport } from '../control/status.ts';
import { errorMessage } from '../kit/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import { JobFolder } from '../work/folder.ts';
import { isEnded, type Job, percentOf } from '../work/job.ts';
import { byOrder } from '../work/queue.ts';

/** Of files of 1 KiB, and only of jobs that go on. */
const LOOK_MS = 2_000;
/** So long one that ended is told of. */
const TOLD_MS = 600_000;
/**
 * What the operator ordered and failed, until it may be ordered again. In the same image there is no kernel an hour later, either, nor may a folder be written that
 * could not, and each try reads all of it.
 */
const AGAIN_MS = 3_600_000;
const AGAIN_READING_MS = 86_400_000;
/** To take the lock of the folder, or not. */
const BEGINNING_MS = 2_000;
const MAX_TOLD = 64;
const MESSAGE_CHARACTERS = 512;

export class Work {
  readonly #folder: Pick<JobFolder, 'list' | 'read' | 'isKept'>;
  readonly #log: Logger;
  readonly #clock: () => number;
  #jobs: ReadonlyMap<string, Job> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #isTold = false;

  constructor(
    stateDirectory: string,
    log: Logger,
    folder: Pick<JobFolder, 'list' | 'read' | 'isKept'> = new JobFolder(join(stateDirectory, 'work')),
    clock = Date.now,
  ) {
    this.#folder = folder;
    this.#log = log;
    this.#clock = clock;
  }

  get reports(): readonly WorkReport[] {
    return workReports([...this.#jobs.values()], this.#clock());
  }

  /** How many are in that state. */
  count(state: Job['state']): number {
    return [...this.#jobs.values()].filter((job) => job.state === state).length;
  }

  /** Whether the container `work` runs; a folder that cannot be read tells none. */
  isKept(): Promise<boolean> {
    return this.#folder.isKept().catch(() => false);
  }

  start(): void {
    this.#timer = setTimeout(async () => {
      await this.look();
      if (this.#timer !== undefined) this.start();
    }, LOOK_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** What cannot be read is as it was. */
  async look(): Promise<void> {
    try {
      const { jobs } = await this.#folder.list();
      const found: Job[] = [];
      for (const id of jobs) {
        const known = this.#jobs.get(id);
        // What ended is never another.
        const job = known && isEnded(known) ? known : await this.#folder.read(id);
        if (job) found.push(job);
      }
      this.#jobs = new Map(found.map((job) => [job.id, job]));
      this.#isTold = false;
    } catch (thrown) {
      if (!this.#isTold) this.#log.warn({ error: errorMessage(thrown) }, 'jobs of this server cannot be read');
      this.#isTold = true;
    }
  }
}

/** As they were ordered: those that go on, and those that ended lately. Where there are too many, by what would come of it if it were not told (`rankOf`). */
export function workReports(jobs: readonly Job[], nowMs: number): readonly WorkReport[] {
  const isRecent = (job: Job): boolean => nowMs - Date.parse(job.endedAt ?? '') < toldMs(job);
  const shown = jobs
    .filter((job) => !isEnded(job) || isRecent(job))
    .map((job) => ({ ...job, state: isBeginning(job, nowMs) ? ('Queued' as const) : job.state }))
    .sort((a, b) => rankOf(a) - rankOf(b) || byOrder(a, b));
  return shown.slice(0, MAX_TOLD).map((job) => {
    const { id, order, folder, fileName, version, state } = job;
    const percent = percentOf(job);
    return {
      ...{ id, kind: order.kind, folder, state },
      ...(fileName === undefined ? {} : { fileName }),
      ...(version === undefined ? {} : { version }),
      ...(percent === undefined ? {} : { progressPercent: percent }),
      message: (job.message || (job.words[0] ?? '')).slice(0, MESSAGE_CHARACTERS),
    };
  });
}

/** What runs would be ended, for its order would be another one in the next hour; what failed would be ordered again. */
function rankOf({ state, byFarm }: Job): number {
  if (state === 'Running') return 0;
  if (state === 'Queued') return 2;
  return byFarm && state !== 'Done' ? 1 : 3;
}

function toldMs({ byFarm, state, order }: Job): number {
  if (!byFarm || state === 'Done') return TOLD_MS;
  return order.kind === 'boot-files' || order.kind === 'give-back' ? AGAIN_READING_MS : AGAIN_MS;
}

/** One that meets another's work in its folder begins each 5 s, and has not begun: to tell it would write a status each time. */
const isBeginning = ({ state, startedAt = '', totalBytes }: Job, nowMs: number): boolean =>
  state === 'Running' && totalBytes === 0 && nowMs - Date.parse(startedAt) < BEGINNING_MS;
