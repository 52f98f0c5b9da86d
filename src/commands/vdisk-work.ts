/**
 * `bootfarm vdisk convert|new-version|merge`: new images from those that are there. Orders, for the keeper of jobs (`work/`) where one runs, done here
 * otherwise. Nothing that is there is changed; what work that was killed left is gone on with by the same one.
 */
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { word } from '../image/shell.ts';
import { targetOf, WRITTEN } from '../store/convert.ts';
import { keepsSize, type NewVersion, type VDiskFiles } from '../store/versions.ts';
import { must } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Outcome } from '../work/run.ts';
import { type InsteadFlags, instead, tellingOf } from './instead.ts';
import { fileAt, vdiskOf } from './vdisk-at.ts';
import { addBootFiles } from './vdisk-bootfiles.ts';
import { addBringing } from './vdisk-in.ts';
import { doOrder, type OrderFlags, orderOptions } from './work.ts';

interface ConvertFlags extends OrderFlags, InsteadFlags {
  readonly format?: string;
  readonly fixed?: true;
  readonly blockSize?: number;
}

interface NewVersionFlags extends OrderFlags {
  readonly from?: string;
  readonly shrink?: true;
}

export function addVDiskWork(command: Command, terminal: Terminal): void {
  addConvert(command, terminal);
  addNewVersion(command, terminal);
  addMerge(command, terminal);
  addBringing(command, terminal);
  addBootFiles(command, terminal);
}

function addConvert(command: Command, terminal: Terminal): void {
  orderOptions(command.command('convert'))
    .description('make an image of another one: in another format, of another kind, with all of its chain in it')
    .argument('<source>', 'an image; of a difference all that it shows is taken')
    .argument('<target>', 'the image that is made; its end says its format')
    .addOption(new Option('--format <format>', 'where the target has no end (default: vhdx)').choices([...WRITTEN]))
    .option('--fixed', 'each block has its place in the file')
    .addOption(new Option('--dynamic', 'the file grows with what is written (default)').conflicts('fixed'))
    .option('--block-size <size>', 'what it grows by: 2M, 512K (default: 2M)', parseSize)
    .addOption(instead())
    .addHelpText('after', '\nExample:\n  bootfarm vdisk convert /srv/vdisks/lab.raw /srv/vdisks/lab.vhdx')
    .action((source: string, target: string, { format, fixed, blockSize, ...flags }: ConvertFlags) =>
      doOrder(terminal, flags, async () => {
        const path = must(targetOf(await fileAt(target), format));
        const order = {
          ...{ kind: 'convert' as const, source: resolve(source), target: path },
          ...(fixed && { fixed }),
          ...(blockSize !== undefined && { blockBytes: blockSize }),
        };
        return { order, tell: await tellingOf(path, flags) };
      }),
    );
}

function addNewVersion(command: Command, terminal: Terminal): void {
  orderOptions(command.command('new-version'))
    .description('make a difference of the newest version of a vDisk')
    .argument('<name>', 'the vDisk: its folder, and its fileName')
    .option(
      '--from <file>',
      'an image (.raw, .vhdx, .vhd, .avhdx, .avhd) that shows what the new version shall; only what differs is written',
    )
    .option(
      '--shrink',
      'also where the disk of --from is smaller: what is behind its end is in the new version no more',
    )
    .addHelpText(
      'after',
      '\nExample:\n  bootfarm vdisk new-version /srv/vdisks/lab --from /srv/vdisks/updated.raw\n\nKernel and initrd are those of the version before, but where the new one has its own already (lab.2.vmlinuz, lab.2.initrd).\nThe new version is as large as the disk of --from; a smaller one than the version before is made with --shrink alone. Without --from it shows what the version before does.\nOnce spec.versions names any version, those that it does not name boot nowhere, version 0, too.',
    )
    .action((name: string, { from, shrink, ...flags }: NewVersionFlags) =>
      doOrder(terminal, flags, async () => {
        const vdisk = await vdiskOf(name);
        const order = { kind: 'new-version' as const, ...vdisk };
        if (from === undefined) return { order, tell: (outcome) => tellUndo(vdisk, outcome) };
        const path = resolve(from);
        if (!shrink) must(await keepsSize(vdisk, path));
        return {
          order: { kind: 'new-version', ...vdisk, from: path },
          tell: (outcome) => tellUnchanged(path, outcome),
        };
      }),
    );
}

/** How what was made is undone; while nothing names it, and no other server has it yet. */
function tellUndo({ folder, fileName }: VDiskFiles, { made, words }: Outcome): Outcome {
  const { number, unchanged } = (made ?? {}) as Partial<NewVersion>;
  if (number === undefined || unchanged) return { made, words };
  const line = `bootfarm vdisk delete-version ${word(join(folder, fileName))} ${number} --last-copy`;
  return { made, words: [...words, `\`${line}\` removes it again, while no VDisk names it`] };
}

/** What came from a job may be of another release. */
function tellUnchanged(from: string, outcome: Outcome): Outcome {
  const { unchanged, number } = (outcome.made ?? {}) as Partial<NewVersion>;
  if (!unchanged) return outcome;
  return { ...outcome, words: [`${from} shows what version ${number} shows: nothing is made`] };
}

function addMerge(command: Command, terminal: Terminal): void {
  orderOptions(command.command('merge'))
    .description('make one image of the newest chain of a vDisk; what is merged stays')
    .argument('<name>', 'the vDisk: its folder, and its fileName')
    .option('--base', 'all of the chain as a new base')
    .addOption(new Option('--updates', 'all updates as one difference of the base').conflicts('base'))
    .addHelpText(
      'after',
      '\nExample:\n  bootfarm vdisk merge /srv/vdisks/lab --base\n\nMachines boot it when spec.versions names it. What was merged goes by: bootfarm vdisk delete-version',
    )
    .action((name: string, { base, updates, ...flags }: OrderFlags & { base?: true; updates?: true }) => {
      if (!base && !updates) return command.error('error: say what is made: --base or --updates');
      return doOrder(terminal, flags, async () => {
        const vdisk = await vdiskOf(name);
        const order = { kind: 'merge' as const, ...vdisk, into: base ? ('base' as const) : ('updates' as const) };
        return { order, tell: (outcome) => tellUndo(vdisk, outcome) };
      });
    });
}

/** In bytes. */
function parseSize(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})([KMkm]?)(?:i?B)?$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError('write it as 2M, 512K or a number of bytes.');
  return Number(digits) * ({ k: 1 << 10, m: 1 << 20 }[unit.toLowerCase()] ?? 1);
}
