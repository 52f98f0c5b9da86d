/** `bootfarm vdisk jobs|follow|cancel`: work on files that goes on, or waits, in this server. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { attempt, Refusal } from '../terminal/refusal.ts';
import { type Column, tableText } from '../terminal/table.ts';
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
    .addOption(new Option('-o, --output <format>', 'how').choices(['table', 'wide', 'json']).default('table'))
    .action(({ watch, output }: { watch?: true; output: How }) =>
      attempt(terminal, async () => {
        const folder = kept();
        const jobs = [...(await folder.readAll())].sort(byOrder);
        if (output === 'json') terminal.out(watch ? jsonLines(jobs) : `${JSON.stringify(jobs, undefined, 2)}\n`);
        else if (jobs.length === 0) terminal.err('there are no jobs\n');
        else terminal.out(tableOf(jobs, output, terminal.columns));
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
    .addOption(output())
    .action((id: string | undefined, { all, output }: Flags & { all?: true }) =>
      attempt(terminal, async () => {
        if ((id === undefined) === (all === undefined)) throw new Refusal('which job? Say its id, or --all');
        const folder = kept();
        const jobs = (await folder.readAll()).filter((job) => all || job.id === id);
        if (!all) refuse(id, jobs[0]);
        const ending = jobs.filter((job) => !isEnded(job) && job.order.kind !== 'upload');
        for (const job of ending) {
          await folder.cancel(job.id);
          if (output === 'text') terminal.out(`job ${job.id} ends: ${inWords(job.order)}\n`);
        }
        const ids = ending.map((job) => ({ id: job.id }));
        if (output === 'json') terminal.out(`${JSON.stringify(all ? ids : ids[0], undefined, 2)}\n`);
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

async function watchJobs(terminal: Terminal, folder: JobFolder, first: readonly Job[], output: How): Promise<void> {
  const left = interrupted();
  const keyOf = (job: Job): string => cellsOf(job).join('\n');
  let shown = new Map(first.map((job) => [job.id, keyOf(job)]));
  while (!left.aborted) {
    await delay(WATCH_MS, undefined, { signal: left }).catch(() => undefined);
    const jobs = [...(await folder.readAll())].sort(byOrder);
    const changed = jobs.filter((job) => shown.get(job.id) !== keyOf(job));
    // Titles stand above the first ones.
    const rest = (text: string): string => (shown.size === 0 ? text : text.slice(text.indexOf('\n') + 1));
    if (changed.length > 0)
      terminal.out(output === 'json' ? jsonLines(changed) : rest(tableOf(changed, output, terminal.columns)));
    shown = new Map(jobs.map((job) => [job.id, keyOf(job)]));
  }
}

type How = 'table' | 'wide' | 'json';

/** JSON of what is watched is a line each. */
const jsonLines = (jobs: readonly Job[]): string => jobs.map((job) => `${JSON.stringify(job)}\n`).join('');

const tableOf = (jobs: readonly Job[], output: How, width: number | undefined): string =>
  tableText(COLUMNS, jobs, { width, isWide: output === 'wide' });

const COLUMNS: readonly Column<Job>[] = [
  { title: 'JOB', cell: ({ id }) => id },
  // Without milliseconds, as RFC 3339 may have it.
  { title: 'ORDERED', cell: ({ orderedAt }) => orderedAt.replace(/\.\d+Z$/, 'Z') },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'DONE', cell: farOf },
  { title: 'WORK', cell: ({ order }) => inWords(order), atLeast: 20 },
  { title: 'SAYS', cell: ({ message, words }) => message || words[0], atLeast: 20 },
];

function farOf(job: Job): string | undefined {
  const percent = percentOf(job);
  return job.state === 'Running' && percent !== undefined ? `${percent} %` : undefined;
}

const cellsOf = (job: Job): readonly (string | number | undefined)[] => COLUMNS.map(({ cell }) => cell(job));

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
