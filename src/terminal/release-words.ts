/** The words by which a version is released and settled, promote, revert and accept: the same at a desk and in a pod. */
import { type Command, Option } from 'commander';
import { ACCESSES } from '../farm/version.ts';
import { quoted } from '../kit/quote.ts';
import { hasRealDay, Refusal } from './refusal.ts';

/** An edit of a VDisk as the API gives it, too. */
export interface SaidEdit {
  /** NAMESPACE/NAME. */
  readonly vdisk: string;
  readonly says: string;
  readonly unchanged: boolean;
  /** A JSON merge patch. */
  readonly patch: object;
  readonly applied: boolean;
  /** Who keeps it as it stands in git. */
  readonly managedBy?: string | undefined;
}

export interface EditFlags {
  readonly apply?: true;
  readonly output: 'text' | 'json';
}
export interface PromoteFlags extends EditFlags {
  readonly access: (typeof ACCESSES)[number];
  readonly releaseAt?: string;
}

const edited = (command: Command, [argument, description]: readonly [string, string]): Command =>
  command
    .argument(argument, description)
    .option('--apply', 'make the edit; git, where it keeps the VDisk, makes it undone')
    .addOption(new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text'));

/** `named`: the argument for the VDisk, and what it is. */
export const promoteWord = (vdisk: Command, named: readonly [string, string], example: string): Command =>
  edited(vdisk.command('promote'), named)
    .description('let a class of devices boot a version: prints the edit of the VDisk')
    .argument('<version>', 'its number')
    .addOption(new Option('--access <access>', 'for whom').choices([...ACCESSES]).default('Production'))
    .option('--release-at <time>', 'when, such as 2026-12-01T06:00:00Z (default: at once)')
    .addHelpText('after', `\nExample:\n  bootfarm vdisk promote ${example} 3 --release-at 2026-12-01T06:00:00Z`);

export const revertWord = (vdisk: Command, named: readonly [string, string], example: string): Command =>
  edited(vdisk.command('revert'), named)
    .description('let machines boot the version before: prints the edit of the VDisk')
    .addHelpText('after', `\nExample:\n  bootfarm vdisk revert ${example} --apply\n\nWithout git: bootfarm rollback`);

/** RFC 3339 as it was typed. */
export function releasedOf(text: string | undefined): { readonly releaseAt?: string } {
  if (text === undefined) return {};
  if (
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/.test(text) &&
    !Number.isNaN(Date.parse(text)) &&
    hasRealDay(text)
  )
    return { releaseAt: text };
  throw new Refusal(`--release-at ${text}: write it as 2026-12-01T06:00:00Z`);
}

export function editText({ vdisk, says, unchanged, patch, applied, managedBy }: SaidEdit): string {
  const first = `${vdisk}: ${says}${unchanged ? ': unchanged' : ''}\n`;
  if (applied || unchanged) return first;
  if (managedBy !== undefined) return `${first}${managedBy} keeps it: put that into git:\n  ${JSON.stringify(patch)}\n`;
  const [namespace, name] = vdisk.split('/');
  return `${first}put that into git, or give --apply, or:\n  kubectl patch vd ${name} -n ${namespace} --type=merge --patch ${quoted(JSON.stringify(patch))}\n`;
}

export const acceptWord = (vdisk: Command, line: string): Command =>
  vdisk
    .command('accept')
    .description('settle a Conflict: what a server holds of a version is right from now on')
    .argument('<vdisk>', 'its name')
    .argument('<version>', 'its number')
    .requiredOption('--server <name>', 'required: whose files are right')
    .addHelpText(
      'after',
      `
Only where servers disagree and nothing says who is right. What the spec states (sha256) decides, and a version that is
known never becomes another one.

Example:
  ${line}`,
    );

export interface Accepted {
  readonly vdisk: string;
  readonly version: number;
  readonly server: string;
  /** Absent: it was right already. */
  readonly content?: { readonly manifest: string; readonly files: readonly { readonly name: string }[] } | undefined;
}

export function acceptedText({ vdisk, version, server, content }: Accepted): string {
  const what = `version ${version} of ${vdisk}`;
  if (!content) return `${what}: what ${server} holds is right already: unchanged\n`;
  const names = content.files.map(({ name }) => name).join(', ');
  return `${what}: what ${server} holds is right: ${names} (manifest ${content.manifest}). Other servers are judged by it within seconds\n`;
}
