/**
 * `bootfarm rollback` in a pod: machines boot an older version from now on, whatever the resources say, until it ends or is cleared. It is written into the farm
 * database: the Kubernetes API may be away, and who keeps the resources in git does not undo it.
 */
import { Command } from 'commander';
import type { Database } from '../database/connection.ts';
import { clearOverrides, setOverrides } from '../database/overrides.ts';
import { snapshot } from '../database/project.ts';
import type { FarmSnapshot, VersionOverride } from '../farm/model.ts';
import { planRollback, unknownVDisk } from '../farm/rollback.ts';
import { attempt, must, Refusal } from '../terminal/refusal.ts';
import {
  clearedText,
  endText,
  NONE_ROLLED_BACK,
  type RollbackFlags,
  rollbackWord,
  stepText,
  timeText,
  type Wish,
  wishOf,
} from '../terminal/rollback-words.ts';
import { type Terminal, terminalOfProcess } from '../terminal/terminal.ts';
import { actor, refuseInServer, withDatabase } from './database-access.ts';
import { databaseOptions } from './database-options.ts';

export function rollbackCommand(terminal: Terminal = terminalOfProcess, now: () => number = Date.now): Command {
  const command = rollbackWord(databaseOptions(new Command('rollback'))).configureOutput({
    writeOut: terminal.out,
    writeErr: terminal.err,
  });
  return command.action((flags: RollbackFlags) =>
    attempt(terminal, async () => {
      const wish = wishOf(flags);
      if (wish.kind !== 'list' && !flags.dryRun) refuseInServer(command, 'versions');
      await withDatabase(command, async (database) => {
        const farm = must(await snapshot(database));
        if (!farm) throw new Refusal('the database holds no farm yet');
        const nowSeconds = Math.floor(now() / 1_000);
        if (wish.kind === 'list') return list(terminal, farm, nowSeconds, flags.output);
        if (wish.kind === 'clear') return clear(database, terminal, farm, wish.vdisks, flags);
        await back(database, terminal, farm, wish, flags, nowSeconds);
      });
    }),
  );
}

async function back(
  database: Database,
  terminal: Terminal,
  farm: FarmSnapshot,
  { vdisks, to, forSeconds }: Extract<Wish, { kind: 'back' }>,
  { dryRun = false, output }: RollbackFlags,
  nowSeconds: number,
): Promise<void> {
  const steps = must(planRollback(farm, { ...(vdisks && { vdisks }), ...(to && { to }) }, nowSeconds));
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
  for (const step of steps) terminal.out(stepText(step, dryRun, ends.until));
}

async function clear(
  database: Database,
  terminal: Terminal,
  farm: FarmSnapshot,
  vdisks: readonly string[] | undefined,
  { dryRun = false, output }: RollbackFlags,
): Promise<void> {
  const unknown = unknownVDisk(farm, vdisks);
  if (unknown) throw new Refusal(unknown.message);
  const there = farm.overrides.filter(({ vdisk }) => vdisks?.includes(vdisk) ?? true).map(({ vdisk }) => vdisk);
  const cleared = dryRun ? there : must(await clearOverrides(database, vdisks, actor()));
  if (output === 'json') return json(terminal, { dryRun, cleared });
  terminal.out(clearedText(cleared, dryRun));
}

function list(
  terminal: Terminal,
  { overrides, versions }: FarmSnapshot,
  nowSeconds: number,
  output: RollbackFlags['output'],
): void {
  const isThere = (one: VersionOverride): boolean =>
    versions.some(({ vdisk, number }) => vdisk === one.vdisk && number === one.version);
  const lasting = overrides.filter(({ until = Infinity }) => until > nowSeconds);
  if (lasting.length === 0) terminal.err(NONE_ROLLED_BACK);
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

const endOf = ({ until }: Pick<VersionOverride, 'until'>): { readonly until?: string } =>
  until === undefined ? {} : { until: timeText(until) };

const json = (terminal: Terminal, value: unknown): void => terminal.out(`${JSON.stringify(value, undefined, 2)}\n`);
