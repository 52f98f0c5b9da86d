/**
 * Work on images as a command: handed to the keeper of jobs and followed, where one runs; otherwise done here, at low priority, ended by a person or a signal.
 * Its outcome is in words or as JSON.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { progressOn } from '../terminal/progress.ts';
import { attempt, must, Refusal } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { JobFolder, newId } from '../work/folder.ts';
import { isEnded, type Job, newJob, type Order } from '../work/job.ts';
import { type Ending, ended, started } from '../work/queue.ts';
import { type Outcome, type Running, runOrder } from '../work/run.ts';

export interface Flags {
  readonly output: 'text' | 'json';
}

export interface OrderFlags extends Flags {
  readonly detach?: true;
}

export const output = () => new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text');

export const orderOptions = (command: Command): Command =>
  command
    .option('--detach', 'print the id of the job, and do not follow it (`bootfarm vdisk follow`)')
    .addOption(output());

/** Where the keeper of this container has its jobs; undefined: there is none, as on a person's desk. */
export function jobFolder(): JobFolder | undefined {
  const path = process.env['BOOTFARM_WORK'];
  return path === undefined ? undefined : new JobFolder(path);
}

/** What a person is told of work beside what it says itself. */
export type Telling = (outcome: Outcome) => Outcome;

export interface Ordering {
  readonly order: Order;
  readonly tell?: Telling;
}

/** `orderOf` may refuse. */
export const doOrder = (
  terminal: Terminal,
  flags: OrderFlags,
  orderOf: () => Order | Ordering | Promise<Order | Ordering>,
): Promise<void> =>
  attempt(terminal, async () => {
    const ordered = await orderOf();
    await handOver(terminal, flags, 'order' in ordered ? ordered : { order: ordered });
  });

async function handOver(
  terminal: Terminal,
  { detach, ...flags }: OrderFlags,
  { order, tell = (outcome) => outcome }: Ordering,
): Promise<void> {
  const folder = jobFolder();
  if (!folder || !(await folder.isKept())) {
    if (detach)
      throw new Refusal(
        'no keeper of jobs runs here: leave out --detach, or run it in the container `work` of a server',
      );
    return doHere(terminal, flags, order, async (running) => {
      const made = await runOrder(order, { ...running, jobs: process.env['BOOTFARM_WORK'] });
      return made.ok ? ok(tell(made.value)) : made;
    });
  }
  const { id } = must(await folder.order(order, Date.now()));
  if (detach) return terminal.out(flags.output === 'json' ? `${JSON.stringify({ id })}\n` : `${id}\n`);
  await follow(terminal, flags, folder, id, tell);
}

const waysOf = (id: string): string =>
  `\`bootfarm vdisk follow ${id}\` shows how far it is, \`bootfarm vdisk cancel ${id}\` ends it`;

const FOLLOW_MS = 500;

/** Until it ends. Who stops following leaves it running. */
export async function follow(
  terminal: Terminal,
  { output }: Flags,
  folder: JobFolder,
  id: string,
  tell: Telling = (outcome) => outcome,
): Promise<void> {
  const left = new AbortController();
  const leave = (): void => left.abort();
  process.once('SIGINT', leave).once('SIGTERM', leave);
  const first = await folder.read(id);
  // At once: who runs kubectl without a terminal hears no last words. One that ended is not ended any more.
  if (first && !isEnded(first)) terminal.err(`job ${id}: ${waysOf(id)}\n`);
  const progress = progressOn(terminal);
  let told = '';
  try {
    for (;;) {
      const job = await folder.read(id);
      if (!job) throw new Refusal(`there is no job ${id}: \`bootfarm vdisk jobs\` shows all`);
      if (isEnded(job)) {
        progress.end();
        return tellEnd(terminal, output, job, tell);
      }
      if (job.message !== told && job.message !== '')
        terminal.err(`job ${id} ${job.state === 'Running' ? 'tries again' : 'waits'}: ${job.message}\n`);
      told = job.message;
      if (job.totalBytes > 0) progress.tell(job.doneBytes, job.totalBytes);
      await delay(FOLLOW_MS, undefined, { signal: left.signal }).catch(() => undefined);
      if (left.signal.aborted) break;
    }
  } finally {
    process.off('SIGINT', leave).off('SIGTERM', leave);
  }
  progress.end();
  terminal.err(`job ${id} goes on: ${waysOf(id)}\n`);
  terminal.fail(INTERRUPTED);
}

/** As a shell says it of SIGINT. */
const INTERRUPTED = 130;

function tellEnd(
  terminal: Terminal,
  output: Flags['output'],
  { id, state, message, words, made }: Job,
  tell: Telling,
): void {
  if (state === 'Done') tellOutcome(terminal, output, tell({ made, words }));
  else {
    terminal.err(state === 'Cancelled' ? `job ${id}: ${message}\n` : `error: ${message}\n`);
    terminal.fail();
  }
}

function tellOutcome(terminal: Terminal, output: Flags['output'], { made, words }: Outcome): void {
  terminal.out(output === 'json' ? `${JSON.stringify(made ?? null, undefined, 2)}\n` : `${words.join('\n')}\n`);
}

/** At low priority, in this process, until it ends or is interrupted, with its progress for a person. Where jobs are kept, it is seen among them. */
export async function doHere(
  terminal: Terminal,
  { output }: Flags,
  order: Order | undefined,
  work: (running: Running) => Promise<Result<Outcome, Fault>>,
): Promise<void> {
  terminal.stepBack();
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const progress = progressOn(terminal);
  const shown = await showAsJob(jobFolder(), order);
  const onProgress = (doneBytes: number, totalBytes: number): void => {
    progress.tell(doneBytes, totalBytes);
    shown.tell(doneBytes, totalBytes);
  };
  const onAgain = (why: string): void => {
    progress.end();
    terminal.err(`it is tried again: ${why}\n`);
  };
  const made = await work({ signal: interrupted.signal, onProgress, onAgain }).finally(() => {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    progress.end();
  });
  await shown.end(made.ok ? { kind: 'made', ...made.value } : { kind: 'fault', ...made.error });
  if (made.ok) return tellOutcome(terminal, output, made.value);
  terminal.err(`error: ${made.error.message}\n`);
  terminal.fail();
}

const SHOWN_EVERY_MS = 1_000;

/** An upload in the list of jobs. */
async function showAsJob(folder: JobFolder | undefined, order: Order | undefined) {
  const nobody = { tell: () => undefined, end: async () => undefined };
  if (!folder || order?.kind !== 'upload' || !(await folder.isKept())) return nobody;
  const id = newId();
  const owned = await folder.own(id);
  let job = started(newJob(id, order, Date.now()), Date.now());
  let toldMs = performance.now();
  /** Who sees nothing of it has the file all the same. */
  const write = (job: Job) => folder.write(job).catch(() => undefined);
  let writing = write(job);
  return {
    tell(doneBytes: number, totalBytes: number): void {
      job = { ...job, doneBytes, totalBytes };
      if (performance.now() - toldMs < SHOWN_EVERY_MS) return;
      toldMs = performance.now();
      writing = writing.then(() => write(job));
    },
    async end(ending: Ending): Promise<void> {
      await writing;
      await write(ended(job, ending, false, Date.now()));
      await owned?.close();
    },
  };
}
