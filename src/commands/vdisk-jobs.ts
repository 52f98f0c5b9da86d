/** `bootfarm vdisk jobs|follow|cancel`: work on files that goes on, or waits, in this server. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { attempt, Refusal } from '../terminal/refusal.ts';
import { interrupted, type Terminal } from '../terminal/terminal.ts';
import type { JobFolder } from '../work/folder.ts';
import { isEnded, type Job, type Order, percentOf } from '../work/job.ts';
import { byOrder } from '../work/queue.ts';
import { type Flags, follow, jobFolder, output } from './work.ts';

const WATCH_MS = 1_000;

export function addJobCommands(command: Command, terminal: Terminal): void {
  command
    .command('jobs')
    .description('work on files in this server: what runs, what waits, and what ended in the last week')
    .option('-w, --watch', 'print each one that changes, until interrupted')
    .addOption(new Option('-o, --output <format>', 'how').choices(['table', 'json']).default('table'))
    .action(({ watch, output }: { watch?: true; output: 'table' | 'json' }) =>
      attempt(terminal, async () => {
        const folder = kept();
        const jobs = [...(await folder.readAll())].sort(byOrder);
        if (jobs.length === 0 && output === 'table') terminal.err('there are no jobs\n');
        terminal.out(output === 'json' && !watch ? `${JSON.stringify(jobs, undefined, 2)}\n` : linesOf(jobs, output));
        if (watch) await watchJobs(terminal, folder, jobs, output);
      }),
    );
  command
    .command('follow')
    .description('show how far a job is, until it ends')
    .argument('<id>')
    .addOption(output())
    .action((id: string, flags: Flags) => attempt(terminal, () => follow(terminal, flags, kept(), id)));
  command
    .command('cancel')
    .description('end a job: nothing is left of what it was making')
    .argument('[id]')
    .option('--all', 'each that runs or waits')
    .action((id: string | undefined, { all }: { all?: true }) =>
      attempt(terminal, async () => {
        if ((id === undefined) === (all === undefined)) throw new Refusal('which job? Say its id, or --all');
        const folder = kept();
        const jobs = (await folder.readAll()).filter((job) => all || job.id === id);
        if (!all) refuse(id, jobs[0]);
        for (const job of jobs.filter((job) => !isEnded(job) && job.order.kind !== 'upload')) {
          await folder.cancel(job.id);
          terminal.out(`job ${job.id} ends: ${inWords(job.order)}\n`);
        }
      }),
    );
}

function kept(): JobFolder {
  const folder = jobFolder();
  if (folder) return folder;
  throw new Refusal(
    'no jobs are kept here: run it in the container `work` of a server, as in `kubectl exec deploy/main-NODE -c work -- bootfarm vdisk jobs`',
  );
}

function refuse(id: string | undefined, job: Job | undefined): void {
  if (!job) throw new Refusal(`there is no job ${id}: \`bootfarm vdisk jobs\` shows all`);
  if (isEnded(job)) throw new Refusal(`job ${id} is ${job.state} already`);
  if (job.order.kind === 'upload') throw new Refusal(`job ${id} is an upload: end the command that sends it`);
}

async function watchJobs(
  terminal: Terminal,
  folder: JobFolder,
  first: readonly Job[],
  output: 'table' | 'json',
): Promise<void> {
  const left = interrupted();
  let shown = new Map(first.map((job) => [job.id, lineOf(job)]));
  while (!left.aborted) {
    await delay(WATCH_MS, undefined, { signal: left }).catch(() => undefined);
    const jobs = [...(await folder.readAll())].sort(byOrder);
    terminal.out(
      linesOf(
        jobs.filter((job) => shown.get(job.id) !== lineOf(job)),
        output,
      ),
    );
    shown = new Map(jobs.map((job) => [job.id, lineOf(job)]));
  }
}

/** JSON of what is watched is a line each. */
const linesOf = (jobs: readonly Job[], output: 'table' | 'json'): string =>
  jobs.map((job) => `${output === 'json' ? JSON.stringify(job) : lineOf(job)}\n`).join('');

function lineOf(job: Job): string {
  const percent = percentOf(job);
  const far = job.state === 'Running' && percent !== undefined ? `${percent} %` : '';
  const words = [job.id, job.orderedAt, job.state.padEnd(9), far.padStart(5), inWords(job.order)];
  const more = job.message || (job.words[0] ?? '');
  return `${words.join('  ')}${more && `: ${more}`}`;
}

function inWords(order: Order): string {
  switch (order.kind) {
    case 'convert':
    case 'import':
      return `${order.kind} ${order.source} to ${order.target}`;
    case 'new-version':
      return `new-version of ${order.folder}/${order.fileName}${order.from === undefined ? '' : ` from ${order.from}`}`;
    case 'boot-files':
    case 'give-back':
      return `${order.kind} of ${order.folder}/${order.fileName}`;
    case 'export':
      return `export ${order.folder}/${order.fileName} to ${order.to}`;
    case 'merge':
      return `merge ${order.folder}/${order.fileName} (${order.into})`;
    case 'fetch':
    case 'upload':
      return `${order.kind} ${order.target}`;
  }
}
