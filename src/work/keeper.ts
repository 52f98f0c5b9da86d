/** The keeper of jobs: takes them as they were ordered, one a folder, sees how they end, and forgets what is long over. */
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage } from '../kit/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import type { JobFolder } from './folder.ts';
import { isEnded, type Job, newJob } from './job.ts';
import type { Ordered } from './orders.ts';
import {
  deserted,
  type Ending,
  ended,
  forgotten,
  found,
  further,
  nextJobs,
  putBack,
  started,
  withdrawn,
} from './queue.ts';

/** Work that runs, in a process of its own. */
export interface Worker {
  readonly ending: Promise<Ending>;
  /** It takes away what it wrote, and ends. */
  cancel(): void;
  /** It ends now, and what it wrote stays for the next try. */
  kill(): void;
}

export interface Told {
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  readonly onAgain: (why: string) => void;
  /** The work waits for it: a job that is tried again must know what it began, however soon it ended. Rejects where that cannot be written down. */
  readonly onVersion: (version: number) => Promise<void>;
}

export interface KeeperOptions {
  readonly folder: Pick<JobFolder, 'list' | 'read' | 'write' | 'remove' | 'cancelSeen' | 'isDeserted'>;
  readonly start: (job: Job, told: Told) => Worker;
  /** What the operator orders; undefined: it cannot be read now. Absent: there is no operator. */
  readonly orders?: () => Promise<readonly Ordered[] | undefined>;
  readonly now: () => number;
  readonly log: Logger;
}

interface Running {
  readonly worker: Worker;
  cancelled: boolean;
}

export class Keeper {
  readonly #options: KeeperOptions;
  /** All that it knows of: of those that it runs, the files say less. */
  readonly #jobs = new Map<string, Job>();
  readonly #running = new Map<string, Running>();
  readonly #endings: { readonly id: string; readonly ending: Ending }[] = [];
  /** Those whose files do not say it yet. */
  readonly #unwritten = new Set<string>();
  /** What the operator ordered when it was last read; undefined: it was not read yet. */
  #ordered: ReadonlySet<string> | undefined;
  #looking: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();
  #wake: AbortController | undefined;
  #stopping = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    if (!options.orders) this.#ordered = new Set();
  }

  /** Looks each `everyMs`, and when something ended, until it is stopped. */
  async run(everyMs: number): Promise<void> {
    while (!this.#stopping) {
      this.#wake = new AbortController();
      await this.look();
      if (this.#endings.length > 0) continue;
      await delay(everyMs, undefined, { signal: this.#wake.signal }).catch(() => undefined);
    }
  }

  /** One turn; one that goes on is shared. A folder that cannot be read or written is told, and tried again at the next. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch(this.#untold)
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  readonly #untold = (thrown: unknown): void =>
    this.#options.log.error({ error: errorMessage(thrown) }, 'jobs cannot be kept');

  /** What runs ends now, and goes on with the next keeper. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake?.abort();
    await this.#looking;
    for (const { worker } of this.#running.values()) worker.kill();
    await Promise.all([...this.#running.values()].map(({ worker }) => worker.ending));
    this.#takeEndings(true);
    await this.#writeAll();
  }

  /** A job whose file cannot be written is told, and keeps no other waiting. */
  async #look(): Promise<void> {
    this.#takeEndings(false);
    const { jobs, cancels } = await this.#options.folder.list();
    await this.#read(jobs);
    await this.#obey();
    for (const id of cancels) await this.#cancel(id).catch(this.#untold);
    await this.#writeAll();
    if (!this.#stopping)
      for (const job of nextJobs([...this.#jobs.values()], this.#options.now()))
        await this.#start(job).catch(this.#untold);
    const forgettable = [...this.#jobs.values()].filter((job) => this.#mayForget(job));
    for (const job of forgotten(forgettable, this.#options.now())) {
      await this.#options.folder.remove(job.id);
      this.#jobs.delete(job.id);
    }
  }

  /** An order that is not known is done: so one that is still there is remembered, however long it is over. */
  #mayForget({ id, byFarm }: Job): boolean {
    return !byFarm || this.#ordered?.has(id) === false;
  }

  async #read(ids: readonly string[]): Promise<void> {
    const { folder, now } = this.#options;
    for (const id of this.#jobs.keys())
      if (!ids.includes(id) && !this.#running.has(id) && !this.#unwritten.has(id)) this.#jobs.delete(id);
    for (const id of ids) {
      const known = this.#jobs.get(id);
      if (known && (known.order.kind !== 'upload' || isEnded(known))) continue;
      const job = await folder.read(id);
      if (!job) continue;
      const isLeft = job.order.kind === 'upload' && job.state === 'Running' && (await folder.isDeserted(id));
      // Its command may have ended well since it was read.
      const again = isLeft ? await folder.read(id) : undefined;
      this.#set(isLeft && again?.state === 'Running' ? deserted(job, now()) : found(again ?? job, now()), again ?? job);
    }
  }

  /** What is ordered and not known yet is begun; what the operator ordered, and orders no more, ends. */
  async #obey(): Promise<void> {
    const { folder, orders, now } = this.#options;
    const ordered = await orders?.();
    if (!ordered) return;
    this.#ordered = new Set(ordered.map(({ id }) => id));
    for (const { id, order } of ordered) {
      if (this.#jobs.has(id)) continue;
      const job: Job = { ...newJob(id, order, now()), byFarm: true };
      await folder.write(job).then(() => this.#jobs.set(id, job), this.#untold);
    }
    for (const job of this.#jobs.values())
      if (job.byFarm && !isEnded(job) && !ordered.some(({ id }) => id === job.id))
        await this.#end(job.id).catch(this.#untold);
  }

  async #cancel(id: string): Promise<void> {
    await this.#end(id);
    await this.#options.folder.cancelSeen(id);
  }

  async #end(id: string): Promise<void> {
    const { now } = this.#options;
    const job = this.#jobs.get(id);
    const running = this.#running.get(id);
    if (job?.state === 'Queued') this.#set(withdrawn(job, now()), job);
    if (running && !running.cancelled) {
      running.cancelled = true;
      running.worker.cancel();
    }
    await this.#written(id);
  }

  async #start(job: Job): Promise<void> {
    const { folder, start, now, log } = this.#options;
    const running = started(job, now());
    // First what is said of it, then it: one that is done is never done again.
    await folder.write(running);
    this.#jobs.set(job.id, running);
    // An address may hold a password.
    log.info({ id: job.id, kind: job.order.kind, folder: job.folder, fileName: job.fileName }, 'job begins');
    const change = (to: (job: Job) => Job): void => {
      const current = this.#jobs.get(job.id);
      if (current?.state === 'Running') this.#set(to(current), current);
    };
    const worker = start(running, {
      onProgress: (doneBytes, totalBytes) => change((current) => further(current, doneBytes, totalBytes)),
      onAgain: (message) => change((current) => ({ ...current, message })),
      onVersion: (version) => {
        change((current) => ({ ...current, version }));
        return this.#written(job.id);
      },
    });
    this.#running.set(job.id, { worker, cancelled: false });
    void worker.ending.then((ending) => {
      this.#endings.push({ id: job.id, ending });
      this.#wake?.abort();
    });
  }

  #takeEndings(isStopped: boolean): void {
    const { now, log } = this.#options;
    for (const { id, ending } of this.#endings.splice(0)) {
      const job = this.#jobs.get(id);
      const cancelled = this.#running.get(id)?.cancelled ?? false;
      this.#running.delete(id);
      if (!job) continue;
      const after =
        isStopped && ending.kind === 'crash' && !cancelled ? putBack(job) : ended(job, ending, cancelled, now());
      this.#set(after, job);
      log.info({ id, state: after.state, reason: after.message }, 'job ends');
    }
  }

  #set(job: Job, before: Job): void {
    this.#jobs.set(job.id, job);
    if (job !== before) this.#unwritten.add(job.id);
  }

  /** Of all that their files do not say yet. */
  async #writeAll(): Promise<void> {
    for (const id of [...this.#unwritten]) await this.#written(id).catch(this.#untold);
  }

  /** One after the other: what is older never replaces what is newer. */
  #written(id: string): Promise<void> {
    const turn = this.#writing.then(() => this.#write(id));
    this.#writing = turn.catch(() => undefined);
    return turn;
  }

  async #write(id: string): Promise<void> {
    const job = this.#jobs.get(id);
    if (!job || !this.#unwritten.delete(id)) return;
    try {
      await this.#options.folder.write(job);
    } catch (thrown) {
      this.#unwritten.add(id);
      throw thrown;
    }
  }
}
