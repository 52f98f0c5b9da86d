/**
 * Work on files that nobody waits for: digests and leaf tables. One at a time of a folder, in the order of `order.ts`; one that hangs holds up its own
 * folder alone.
 */
import type { FileFacts } from './inventory.ts';
import { nextOf, turnOf, type Waiting } from './order.ts';

export interface Job extends Omit<Waiting, 'owes'> {
  readonly folder: string;
  /** Whose digest it is. Absent: it is none. */
  readonly file?: FileFacts;
  doubtful: boolean;
  progressPercent: number;
  readBytes: number;
  readonly run: (job: Job) => Promise<void>;
}

/** A job that waits or runs, and under which name. */
interface Queued extends Waiting {
  readonly name: string;
  readonly job: Job;
}

/** Owed by a file that went before others, however little was read of it before it changed again. */
const LEAST_OWED_BYTES = 1 << 20;

export class Queue {
  readonly #jobs = new Map<string, Job>();
  /** By name: what went before others, to its end or until it changed, and how many bytes of those are to be read before it may do so again. */
  readonly #owed = new Map<string, { readonly folder: string; bytes: number }>();
  /** By folder. */
  readonly #running = new Map<string, Promise<void>>();
  #closed = false;

  get(name: string): Job | undefined {
    return this.#jobs.get(name);
  }

  /** Takes the place of another of that name, which then is not wanted any more. */
  put(name: string, job: Job): void {
    this.#jobs.delete(name);
    this.#jobs.set(name, job);
    if (this.#running.has(job.folder)) return;
    // What is put now, all of it, is in order before the first begins.
    this.#running.set(
      job.folder,
      Promise.resolve().then(() => this.#run(job.folder)),
    );
  }

  isWanted(name: string, job: Job): boolean {
    return !this.#closed && this.#jobs.get(name) === job;
  }

  /** Between two pieces of work: what goes before it is done first. */
  async giveWay(name: string, job: Job): Promise<void> {
    const next = () => nextOf(this.#waiting(job.folder), turnOf(this.#asQueued(name, job)));
    for (let first = next(); first && !this.#closed; first = next()) await this.#do(first);
  }

  /** What is read of one that went before nobody is owed no more by those that did. */
  pay({ folder, doubtful }: Job, bytes: number): void {
    if (doubtful) return;
    for (const [name, owed] of this.#owed) {
      if (owed.folder !== folder) continue;
      owed.bytes -= bytes;
      if (owed.bytes <= 0) this.#owed.delete(name);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#running.values());
  }

  async #run(folder: string): Promise<void> {
    try {
      for (let next = nextOf(this.#waiting(folder)); next && !this.#closed; next = nextOf(this.#waiting(folder)))
        await this.#do(next);
    } finally {
      // In the turn in which nothing waited: what is put later begins anew.
      this.#running.delete(folder);
    }
  }

  #waiting(folder: string): readonly Queued[] {
    return [...this.#jobs].filter(([, job]) => job.folder === folder).map(([name, job]) => this.#asQueued(name, job));
  }

  #asQueued(name: string, job: Job): Queued {
    const { again, doubtful, images } = job;
    return { name, job, again, doubtful, images, owes: this.#owed.get(name)?.bytes ?? 0 };
  }

  async #do({ name, job }: Queued): Promise<void> {
    await job.run(job);
    if (this.#jobs.get(name) === job) this.#jobs.delete(name);
    const keptWaiting = (other: Queued) => other.name !== name && turnOf(other) === 1 && !other.doubtful;
    // Its turn as it is by now: that machines read it may have been said after it was begun.
    if (turnOf(this.#asQueued(name, job)) === 0 && this.#waiting(job.folder).some(keptWaiting))
      this.#owed.set(name, { folder: job.folder, bytes: Math.max(job.readBytes, LEAST_OWED_BYTES) });
  }
}
