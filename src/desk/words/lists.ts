/** `bootfarm server list`, `session list`, `vdisk list`, `vdisk jobs`, `audit`: what a farm has, a line each. */
import { Command } from 'commander';
import { inShort, inUnits } from '../../kit/units.ts';
import { Refusal } from '../../terminal/refusal.ts';
import type { Column } from '../../terminal/table.ts';
import { watched } from '../../terminal/watch.ts';
import type { AuditAnswer, JobAnswer, ServerAnswer, SessionAnswer, VDiskAnswer } from '../answers.ts';
import type { Listed } from '../api.ts';
import { type Desk, staleNote, withFarm, withJudged } from '../desk.ts';
import type { DeskFarm } from '../farm.ts';
import { type Format, listLook, outputOption, type Shown, watchOption } from '../output.ts';
import { conditionOf } from '../status.ts';

interface ListOptions {
  readonly output: Format;
  readonly watch?: true;
}

/** A word that shows a list of the API. `shownAt`: as it is looked at at a time. */
function listAction<Row>(
  desk: Desk,
  command: Command,
  read: (farm: DeskFarm, options: Readonly<Record<string, string>>) => Promise<Listed<Row>>,
  shownAt: (nowMs: number) => Shown<Row>,
): Command {
  return command.action((options: ListOptions & Readonly<Record<string, string>>, self: Command) =>
    withFarm(desk, self, async (farm) => {
      const isWatched = options.watch ?? false;
      const { terminal } = desk;
      const look = async () => {
        const { items, stale } = await read(farm, options);
        const how = { format: options.output, width: terminal.columns, isWatched };
        return listLook(items, shownAt(desk.now()), how, staleNote(stale));
      };
      await watched(terminal, look, { isWatched, everyMs: desk.watchMs, left: desk.left });
    }),
  );
}

const SERVER_COLUMNS: readonly Column<ServerAnswer>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'POOL', cell: ({ pool }) => pool },
  { title: 'SITE', cell: ({ site }) => site },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'DEVICES', cell: ({ devices }) => devices },
  { title: 'BOOTING', cell: ({ booting }) => booting },
  { title: 'LOAD', cell: ({ loadPercent }) => `${loadPercent} %` },
  { title: 'RATING', cell: ({ powerRating }) => powerRating, isWide: true },
  { title: 'ADDRESSES', cell: ({ addresses }) => addresses.join(' '), isWide: true },
  { title: 'BOOTSTRAP', cell: ({ bootstrapHash }) => bootstrapHash?.slice(0, 12), isWide: true },
  { title: 'MESSAGE', cell: ({ message }) => message, atLeast: 16 },
];

export function serverCommand(desk: Desk): Command {
  const server = new Command('server').description('streaming servers: who serves, and how busy they are');
  const list = server
    .command('list')
    .description('list servers with their load')
    .addOption(outputOption())
    .addOption(watchOption());
  listAction<ServerAnswer>(
    desk,
    list,
    (farm) => farm.list(['servers']),
    () => ({ columns: SERVER_COLUMNS, nameOf: ({ name }) => name, none: 'the farm has no server' }),
  );
  return server;
}

const sessionColumns = (nowMs: number): readonly Column<SessionAnswer>[] => [
  { title: 'DEVICE', cell: ({ device }) => device },
  { title: 'SERVER', cell: ({ server }) => server },
  { title: 'VDISK', cell: ({ vdisk, version }) => `${vdisk}/${version}` },
  { title: 'FOR', cell: ({ since }) => inShort(Math.max(0, Math.floor((nowMs - since) / 1_000))) },
  { title: 'SINCE', cell: ({ since }) => new Date(since).toISOString().replace('.000Z', 'Z'), isWide: true },
  { title: 'PROTOCOL', cell: ({ protocol }) => protocol, isWide: true },
];

export function sessionCommand(desk: Desk): Command {
  const session = new Command('session').description('sessions: which device streams what from which server');
  const list = session
    .command('list')
    .description('list sessions that have not ended')
    .option('--server <name>', 'only those of this server')
    .option('--vdisk <name>', 'only those of this vDisk')
    .option('--collection <name>', 'only those of devices of this collection')
    .addOption(outputOption())
    .addOption(watchOption());
  listAction<SessionAnswer>(
    desk,
    list,
    (farm, { server, vdisk, collection }) => farm.list(['sessions'], { server, vdisk, collection }),
    (nowMs) => ({ columns: sessionColumns(nowMs), nameOf: ({ device }) => device, none: 'no device streams' }),
  );
  return session;
}

const readyOf = ({ conditions }: VDiskAnswer): string => {
  const ready = conditionOf(conditions, 'Ready');
  return ready?.status === 'True' ? 'True' : (ready?.reason ?? 'Unknown');
};

const VDISK_COLUMNS: readonly Column<VDiskAnswer>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'STORE', cell: ({ store }) => store },
  { title: 'READY', cell: readyOf },
  { title: 'BOOTS', cell: ({ bootVersion }) => bootVersion },
  { title: 'COPIES', cell: ({ upToDate }) => upToDate },
  { title: 'DEVICES', cell: ({ devices }) => devices },
  { title: 'SIZE', cell: ({ sizeBytes }) => (sizeBytes === undefined ? undefined : inUnits(sizeBytes)) },
  { title: 'FILES', cell: ({ fileName }) => fileName, isWide: true },
  { title: 'ENABLED', cell: ({ enabled }) => String(enabled), isWide: true },
  { title: 'MESSAGE', cell: ({ conditions }) => conditionOf(conditions, 'Ready')?.message, atLeast: 16 },
];

export const addVDiskList = (desk: Desk, vdisk: Command): Command =>
  listAction<VDiskAnswer>(
    desk,
    vdisk.command('list').description('list vDisks').addOption(outputOption()).addOption(watchOption()),
    (farm) => farm.list(['vdisks']),
    () => ({ columns: VDISK_COLUMNS, nameOf: ({ name }) => name, none: 'the farm has no vDisk' }),
  );

const JOB_COLUMNS: readonly Column<JobAnswer>[] = [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'SERVER', cell: ({ server }) => server },
  { title: 'VDISK', cell: ({ vdisk, version }) => (version === undefined ? vdisk : `${vdisk}/${version}`) },
  { title: 'KIND', cell: ({ kind }) => kind },
  { title: 'STATE', cell: ({ state }) => state },
  {
    title: 'DONE',
    cell: ({ progressPercent }) => (progressPercent === undefined ? undefined : `${progressPercent} %`),
  },
  { title: 'MESSAGE', cell: ({ message }) => message, atLeast: 16 },
];

export const addJobsList = (desk: Desk, vdisk: Command): Command =>
  listAction<JobAnswer>(
    desk,
    vdisk
      .command('jobs')
      .description('work on files of vDisks in all servers: what waits, runs, and ended in the last ten minutes')
      .addOption(outputOption())
      .addOption(watchOption()),
    (farm) => farm.whole('jobs'),
    () => ({ columns: JOB_COLUMNS, nameOf: ({ id }) => id, none: 'no job waits, runs or ended lately' }),
  );

const AUDIT_COLUMNS: readonly Column<AuditAnswer>[] = [
  { title: 'AT', cell: ({ at }) => at.replace(/\.\d+Z$/, 'Z') },
  { title: 'WHO', cell: ({ who }) => who, atLeast: 12 },
  { title: 'BY', cell: ({ source }) => source },
  { title: 'ACTION', cell: ({ action }) => action },
  { title: 'THING', cell: ({ kind, name }) => `${kind}/${name}`, atLeast: 12 },
  { title: 'BEFORE', cell: ({ before }) => jsonOf(before), isWide: true },
  { title: 'AFTER', cell: ({ after }) => jsonOf(after), isWide: true },
];
const jsonOf = (value: unknown): string | undefined => (value === null ? undefined : JSON.stringify(value));

function countOf(option: string, text: string | undefined): number {
  if (text !== undefined && /^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Refusal(`${option} ${text}: it must be a number from 1 to 999999`);
}

export function auditCommand(desk: Desk): Command {
  const audit = new Command('audit')
    .description('who changed what, the newest first')
    .option('--kind <kind>', 'only of this kind: device, version, …')
    .option('--name <name>', 'only of the thing of this name')
    .option('--who <user>', 'only what this user changed')
    .option('--source <source>', 'resource, command, api, auto-add or offline')
    .option('--limit <number>', 'at most so many entries', '100')
    .addOption(outputOption());
  return audit.action((options: Readonly<Record<string, string>> & { output: Format }, self: Command) =>
    withJudged(
      desk,
      self,
      () => countOf('--limit', options['limit']),
      async (farm, most) => {
        const { kind, name, who, source } = options;
        const { items } = await farm.list<AuditAnswer>(['audit'], { kind, name, who, source }, most);
        const shown: Shown<AuditAnswer> = {
          columns: AUDIT_COLUMNS,
          nameOf: (entry) => `${entry.kind}/${entry.name}`,
          none: 'nothing was changed',
        };
        const { terminal } = desk;
        const { text, note } = listLook(items, shown, { format: options.output, width: terminal.columns }, '');
        terminal.out(text);
        terminal.err(note);
      },
    ),
  );
}
