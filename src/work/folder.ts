/**
 * The folder of jobs, in the state directory of a pool. Each file has one who writes it:
 *
 * ```
 * keeper.lock     flock of the keeper: whether one runs
 * 5f0c11d2.json   the job: written whole by who orders it, then by the keeper alone (of an upload: by its command)
 * 5f0c11d2.cancel a person wants its end: the keeper removes it
 * 5f0c11d2.lock   flock of the command of an upload: whether it lives
 * ```
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lock } from '../image/native.ts';
import { errorCode } from '../kit/errors.ts';
import { replaceFile } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Job, newJob, type Order, parseJob } from './job.ts';

/** A job is some 1 KiB; an export has what a VDisk says of its versions. */
const MAX_BYTES = 1 << 20;
/** Of which 50 have ended at most: the others wait for a disk that is slow, or for a person. */
const MAX_JOBS = 200;
/** With those of the operator (`farm/orders.ts`), which are not refused. */
const MAX_LISTED = 4_096;

export interface Listing {
  readonly jobs: readonly string[];
  readonly cancels: readonly string[];
}

export class JobFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async list(): Promise<Listing> {
    const entries = await readdir(this.path, { withFileTypes: true }).catch(whenMissing([]));
    // A folder with such a name is none of ours.
    const names = entries.flatMap((entry) => (entry.isFile() ? [entry.name] : []));
    const ids = (end: string) =>
      names.flatMap((name) => (/^[0-9a-f]{8}\./.test(name) && name.slice(8) === end ? [name.slice(0, 8)] : []));
    return { jobs: ids('.json').slice(0, MAX_LISTED), cancels: ids('.cancel').slice(0, MAX_LISTED) };
  }

  /** Undefined: it is not there, or is none. */
  async read(id: string): Promise<Job | undefined> {
    const path = this.#file(id, 'json');
    try {
      if ((await stat(path)).size > MAX_BYTES) return undefined;
      const job = parseJob(await readFile(path, 'utf8'));
      return job?.id === id ? job : undefined;
    } catch (thrown) {
      return whenMissing(undefined)(thrown);
    }
  }

  async readAll(): Promise<readonly Job[]> {
    const { jobs } = await this.list();
    return (await Promise.all(jobs.map((id) => this.read(id)))).flatMap((job) => job ?? []);
  }

  write(job: Job): Promise<void> {
    return replaceFile(this.#file(job.id, 'json'), `${JSON.stringify(job, undefined, 2)}\n`, 0o600);
  }

  async remove(id: string): Promise<void> {
    for (const end of ['cancel', 'lock', 'json']) await rm(this.#file(id, end), { force: true });
  }

  /** For the keeper to do. `OrderInvalid`: it could not read it again. */
  async order(order: Order, nowMs: number): Promise<Result<Job, Fault<'TooManyJobs' | 'OrderInvalid'>>> {
    const there = (await this.list()).jobs.length;
    if (there >= MAX_JOBS)
      return fail(
        'TooManyJobs',
        `${there} jobs are there: wait, or \`bootfarm vdisk cancel\` those that are not wanted`,
      );
    const job = newJob(newId(), order, nowMs);
    const text = JSON.stringify(job, undefined, 2);
    if (text.length > MAX_BYTES / 4 || !parseJob(text))
      return fail(
        'OrderInvalid',
        `a job has no room for that ${order.kind}: shorten what is longest of its names, its address and its descriptions`,
      );
    await this.write(job);
    return ok(job);
  }

  async cancel(id: string): Promise<void> {
    await writeFile(this.#file(id, 'cancel'), '');
  }

  async cancelSeen(id: string): Promise<void> {
    await rm(this.#file(id, 'cancel'), { force: true });
  }

  /** This process is the keeper until it is closed; undefined: another one is. */
  async keep(): Promise<FileHandle | undefined> {
    await mkdir(this.path, { recursive: true });
    return take(join(this.path, 'keeper.lock'));
  }

  async isKept(): Promise<boolean> {
    return (
      (await stat(join(this.path, 'keeper.lock')).then(() => true, whenMissing(false))) &&
      (await isHeld(join(this.path, 'keeper.lock')))
    );
  }

  /** This process does it until it is closed. */
  async own(id: string): Promise<FileHandle | undefined> {
    return take(this.#file(id, 'lock'));
  }

  /** Nobody does it any more. */
  async isDeserted(id: string): Promise<boolean> {
    return !(await isHeld(this.#file(id, 'lock')));
  }

  #file(id: string, end: string): string {
    return join(this.path, `${id}.${end}`);
  }
}

export const newId = (): string => randomBytes(4).toString('hex');

async function take(path: string): Promise<FileHandle | undefined> {
  const file = await open(path, 'a');
  if (lock(file.fd) === 'taken') return file;
  await file.close();
  return undefined;
}

/** Read-only: a server looks, too, and may not write there. */
async function isHeld(path: string): Promise<boolean> {
  const file = await open(path, 'r').catch(whenMissing(undefined));
  const isFree = !file || lock(file.fd) === 'taken';
  await file?.close();
  return !isFree;
}

/** Anything but "it is not there" is thrown on. */
const whenMissing =
  <T>(value: T) =>
  (thrown: unknown): T => {
    if (errorCode(thrown) === 'ENOENT') return value;
    throw thrown;
  };
