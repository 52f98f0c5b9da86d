/**
 * `bootfarm rollback`: machines boot an older version from now on, whatever the resources say, until it ends or is cleared. It is written into the farm
 * database: the Kubernetes API may be away, and who keeps the resources in git does not undo it.
 */
import { Command, Option } from 'commander';
import type { Database } from '../database/connection.ts';
import { clearOverrides, setOverrides } from '../database/overrides.ts';
import { snapshot } from '../database/project.ts';
import type { FarmSnapshot, VersionOverride } from '../farm/model.ts';
import { planRollback, type Rollback, type RollbackStep, unknownVDisk } from '../farm/rollback.ts';
import { secondsOf } from '../resources/units.ts';
import { attempt, hasRealDay, must, Refusal, versionNumber } from '../terminal/refusal.ts';
import { type Terminal, terminalOfProcess } from '../terminal/terminal.ts';
import { actor, refuseInServer, withDatabase } from './database-access.ts';
import { databaseOptions } from './database-options.ts';

interface Options {
  readonly all?: boolean;
  readonly vdisk?: readonly string[];
  readonly version?: string;
  readonly asOf?: string;
  readonly for?: string;
  readonly dryRun?: boolean;
  readonly clear?: boolean;
  readonly list?: boolean;
  readonly output: 'table' | 'json';
}

/** What was typed, read. */
type Wish =
  | { readonly kind: 'list' }
  | { readonly kind: 'clear'; readonly vdisks: readonly string[] | undefined }
  | { readonly kind: 'back'; readonly rollback: Rollback; readonly forSeconds: number | undefined };

/** A year: what lasts longer belongs into git. */
const MAX_SECONDS = 8_760 * 3_600;

export function rollbackCommand(terminal: Terminal = terminalOfProcess, now: () => number = Date.now): Command {
  const command = databaseOptions(new Command('rollback'))
    .description(
      'let machines boot an older version, whatever the resources say: for the night when everything must go back',
    )
    .option('--all', 'of every vDisk of the farm')
    .option('--vdisk <name...>', 'of these vDisks')
    .option('--version <number>', 'to this version (default: the one before what the VDisk says)')
    .option('--as-of <time>', 'to what was released and complete then, such as 2026-11-20 or 2026-11-20T18:00:00Z')
    .option('--for <duration>', 'end by itself after 4h, 90m (default: until it is cleared)')
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--clear', 'end it: machines boot what the VDisk says again')
    .option('--list', 'what is rolled back now')
    .addOption(new Option('-o, --output <format>', 'how').choices(['table', 'json']).default('table'))
    .addHelpText(
      'after',
      `
Machines that run stay on their version until they boot again. VDisks say it in their condition Overridden.

Examples:
  bootfarm rollback --all --for 12h --dry-run
  bootfarm rollback --vdisk lab --version 2
  bootfarm rollback --clear --vdisk lab`,
    )
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err });
  return command.action((options: Options) =>
    attempt(terminal, async () => {
      const wish = wishOf(options);
      if (wish.kind !== 'list' && !options.dryRun) refuseInServer(command, 'versions');
      await withDatabase(command, async (database) => {
        const farm = must(await snapshot(database));
        if (!farm) throw new Refusal('the database holds no farm yet');
        const nowSeconds = Math.floor(now() / 1_000);
        if (wish.kind === 'list') return list(terminal, farm, nowSeconds, options.output);
        if (wish.kind === 'clear') return clear(database, terminal, farm, wish.vdisks, options);
        await back(database, terminal, farm, wish, options, nowSeconds);
      });
    }),
  );
}

function wishOf(options: Options): Wish {
  const { all = false, vdisk: vdisks, clear = false, list: listed = false, version, asOf } = options;
  const aims = [version, asOf, options.for].some((given) => given !== undefined);
  if ((listed && (clear || all || vdisks || aims)) || (clear && aims))
    throw new Refusal('say either --list, or --clear with what, or where to go back to');
  if (listed) return { kind: 'list' };
  if (all === (vdisks !== undefined)) throw new Refusal('of which vDisks? Say either --all or --vdisk NAME');
  if (clear) return { kind: 'clear', vdisks };
  if (version !== undefined && asOf !== undefined) throw new Refusal('say either --version or --as-of');
  if (version !== undefined && all)
    throw new Refusal('--version is one of a vDisk: name it by --vdisk, or use --as-of for all');
  const to =
    version !== undefined
      ? { version: versionNumber('--version', version) }
      : asOf !== undefined
        ? { asOfSeconds: timeOf(asOf) }
        : undefined;
  const forSeconds = options.for === undefined ? undefined : durationOf(options.for);
  return { kind: 'back', rollback: { ...(vdisks ? { vdisks } : {}), ...(to ? { to } : {}) }, forSeconds };
}

async function back(
  database: Database,
  terminal: Terminal,
  farm: FarmSnapshot,
  { rollback, forSeconds }: Extract<Wish, { kind: 'back' }>,
  { dryRun = false, output }: Options,
  nowSeconds: number,
): Promise<void> {
  const steps = must(planRollback(farm, rollback, nowSeconds));
  const until = forSeconds === undefined ? {} : { until: nowSeconds + forSeconds };
  const overrides = steps.flatMap((step) =>
    step.kind === 'back' ? [{ vdisk: step.vdisk, version: step.version, ...until }] : [],
  );
  if (overrides.length === 0)
    throw new Refusal(
      `nothing to go back to: ${steps.map((step) => (step.kind === 'stays' ? step.why : '')).join('; ')}`,
    );
  if (!dryRun) must(await setOverrides(database, overrides, actor()));
  const ends = endOf(until);
  if (output === 'json') return json(terminal, { dryRun, steps, ...ends });
  for (const step of steps) terminal.out(`${lineOf(step, dryRun, ends.until)}\n`);
}

async function clear(
  database: Database,
  terminal: Terminal,
  farm: FarmSnapshot,
  vdisks: readonly string[] | undefined,
  { dryRun = false, output }: Options,
): Promise<void> {
  const unknown = unknownVDisk(farm, vdisks);
  if (unknown) throw new Refusal(unknown.message);
  const there = farm.overrides.filter(({ vdisk }) => vdisks?.includes(vdisk) ?? true).map(({ vdisk }) => vdisk);
  const cleared = dryRun ? there : must(await clearOverrides(database, vdisks, actor()));
  if (output === 'json') return json(terminal, { dryRun, cleared });
  if (cleared.length === 0) terminal.out('nothing was rolled back: unchanged\n');
  for (const name of cleared)
    terminal.out(`${name}: machines ${dryRun ? 'would boot' : 'boot'} what its VDisk says again\n`);
}

function list(
  terminal: Terminal,
  { overrides, versions }: FarmSnapshot,
  nowSeconds: number,
  output: Options['output'],
): void {
  const isThere = (one: VersionOverride): boolean =>
    versions.some(({ vdisk, number }) => vdisk === one.vdisk && number === one.version);
  const lasting = overrides.filter(({ until = Infinity }) => until > nowSeconds);
  if (lasting.length === 0) terminal.err('nothing is rolled back\n');
  if (output === 'json')
    json(
      terminal,
      lasting.map((one) => ({ ...one, ...endOf(one) })),
    );
  else
    for (const override of lasting)
      terminal.out(
        isThere(override)
          ? `${override.vdisk}: machines boot version ${override.version}, ${endText(endOf(override).until)}\n`
          : `${override.vdisk}: its VDisk has no version ${override.version} any more, and machines boot what it says\n`,
      );
}

function lineOf(step: RollbackStep, dryRun: boolean, until: string | undefined): string {
  const { vdisk, from } = step;
  if (step.kind === 'stays') return `${vdisk}: stays${from === undefined ? '' : ` on version ${from}`}: ${step.why}`;
  const was = from === undefined ? 'none can be booted now' : `its VDisk says ${from}`;
  return `${vdisk}: machines ${dryRun ? 'would boot' : 'boot'} version ${step.version} (${was}), ${endText(until)}`;
}

const endOf = ({ until }: Pick<VersionOverride, 'until'>): { readonly until?: string } =>
  until === undefined ? {} : { until: new Date(1_000 * until).toISOString().replace('.000Z', 'Z') };

const endText = (until: string | undefined): string =>
  until === undefined ? 'until it is cleared: bootfarm rollback --clear' : `until ${until}`;

const json = (terminal: Terminal, value: unknown): void => terminal.out(`${JSON.stringify(value, undefined, 2)}\n`);

/** RFC 3339, or its date alone, in UTC. */
function timeOf(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms) || !hasRealDay(text))
    throw new Refusal(`--as-of ${text}: write it as 2026-11-20 or 2026-11-20T18:00:00Z`);
  return Math.floor(ms / 1_000);
}

function durationOf(text: string): number {
  try {
    const seconds = secondsOf(text);
    if (seconds > 0 && seconds <= MAX_SECONDS) return seconds;
  } catch {} // said below
  throw new Refusal(`--for ${text}: write it as 4h, 90m or 1h30m, ${MAX_SECONDS / 3_600}h at most`);
}
