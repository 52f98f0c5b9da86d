/** The word `bootfarm rollback`, what was typed with it, and what it says: the same at a desk and in a pod. */
import { type Command, Option } from 'commander';
import type { RollbackStep } from '../farm/rollback.ts';
import { secondsOf } from '../kit/units.ts';
import { hasRealDay, Refusal, versionNumber } from './refusal.ts';

export interface RollbackFlags {
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

/** What was typed, read. Absent vDisks: all of them. */
export type Wish =
  | { readonly kind: 'list' }
  | { readonly kind: 'clear'; readonly vdisks: readonly string[] | undefined }
  | {
      readonly kind: 'back';
      readonly vdisks: readonly string[] | undefined;
      /** Absent: the one before what the VDisk says. */
      readonly to?: { readonly version: number } | { readonly asOfSeconds: number } | undefined;
      readonly forSeconds: number | undefined;
    };

/** A year: what lasts longer belongs into git. */
const MAX_SECONDS = 8_760 * 3_600;

export const rollbackWord = (command: Command): Command =>
  command
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
    );

export function wishOf(flags: RollbackFlags): Wish {
  const { all = false, vdisk: vdisks, clear = false, list = false, version, asOf } = flags;
  const aims = [version, asOf, flags.for].some((given) => given !== undefined);
  if ((list && (clear || all || vdisks || aims)) || (clear && aims))
    throw new Refusal('say either --list, or --clear with what, or where to go back to');
  if (list) return { kind: 'list' };
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
  return { kind: 'back', vdisks, to, forSeconds: flags.for === undefined ? undefined : durationOf(flags.for) };
}

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

/** RFC 3339. */
export const timeText = (seconds: number): string => new Date(1_000 * seconds).toISOString().replace('.000Z', 'Z');

export const endText = (until: string | undefined): string =>
  until === undefined ? 'until it is cleared: bootfarm rollback --clear' : `until ${until}`;

export function stepText(step: RollbackStep, isDry: boolean, until: string | undefined): string {
  const { vdisk, from } = step;
  if (step.kind === 'stays') return `${vdisk}: stays${from === undefined ? '' : ` on version ${from}`}: ${step.why}\n`;
  const was = from === undefined ? 'none can be booted now' : `its VDisk says ${from}`;
  return `${vdisk}: machines ${isDry ? 'would boot' : 'boot'} version ${step.version} (${was}), ${endText(until)}\n`;
}

export const clearedText = (names: readonly string[], isDry: boolean): string =>
  names.length === 0
    ? 'nothing was rolled back: unchanged\n'
    : names.map((name) => `${name}: machines ${isDry ? 'would boot' : 'boot'} what its VDisk says again\n`).join('');

export const NONE_ROLLED_BACK = 'nothing is rolled back\n';
