/**
 * `bootfarm vdisk convert|new-version|merge`: new images from those that are there. Thin over `store/convert.ts` and `store/versions.ts`. Nothing that is there is
 * changed; what a command that was killed left is gone on with by the same one.
 */
import { basename, dirname, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { convertFile, WRITTEN } from '../store/convert.ts';
import { mergeVersions, type NewVersion, newVersion, type VDiskFiles } from '../store/versions.ts';
import { inUnits } from './progress.ts';
import type { Terminal } from './terminal.ts';
import { addBootFiles } from './vdisk-bootfiles.ts';
import { addBringing } from './vdisk-in.ts';
import { type Flags, output, runWork } from './work.ts';

interface ConvertFlags extends Flags {
  readonly format?: string;
  readonly fixed?: true;
  readonly blockSize?: number;
}

export function addVDiskWork(command: Command, terminal: Terminal): void {
  addConvert(command, terminal);
  addNewVersion(command, terminal);
  addMerge(command, terminal);
  addBringing(command, terminal);
  addBootFiles(command, terminal);
}

function addConvert(command: Command, terminal: Terminal): void {
  command
    .command('convert')
    .description('make an image of another one: in another format, of another kind, with all of its chain in it')
    .argument('<source>', 'an image; of a difference all that it shows is taken')
    .argument('<target>', 'the image that is made; its end says its format')
    .addOption(new Option('--format <format>', 'where the target has no end (default: vhdx)').choices([...WRITTEN]))
    .option('--fixed', 'each block has its place in the file')
    .addOption(new Option('--dynamic', 'the file grows with what is written (default)').conflicts('fixed'))
    .option('--block-size <size>', 'what it grows by: 2M, 512K (default: 2M)', parseSize)
    .addOption(output())
    .addHelpText('after', '\nExample:\n  bootfarm vdisk convert /srv/vdisks/lab.raw /srv/vdisks/lab.vhdx')
    .action((source: string, target: string, flags: ConvertFlags) => {
      const { format, fixed, blockSize } = flags;
      const options = {
        ...(format !== undefined && { format }),
        ...(fixed && { fixed }),
        ...(blockSize !== undefined && { blockBytes: blockSize }),
      };
      return runWork(
        terminal,
        flags,
        (running) => convertFile(source, target, { ...options, ...running }),
        (made) => [
          `${made.path} is a disk of ${inUnits(made.diskBytes)}, in a file of ${inUnits(made.fileBytes)}`,
          ...(made.meant === undefined
            ? []
            : [`${made.meant} is beside it and is meant before it: remove it when it is not needed any more`]),
        ],
      );
    });
}

function addNewVersion(command: Command, terminal: Terminal): void {
  command
    .command('new-version')
    .description('make a difference of the newest version of a vDisk')
    .argument('<name>', 'the vDisk: its folder, and its fileName')
    .option(
      '--from <file>',
      'an image of any format that shows what the new version shall; only what differs is written',
    )
    .addOption(output())
    .addHelpText(
      'after',
      '\nExample:\n  bootfarm vdisk new-version /srv/vdisks/lab --from /srv/vdisks/updated.raw\n\nKernel and initrd are those of the version before, but where the new one has its own already (lab.2.vmlinuz, lab.2.initrd).',
    )
    .action((name: string, { from, ...flags }: Flags & { from?: string }) =>
      runWork(
        terminal,
        flags,
        (running) => newVersion(vdiskOf(name), { ...(from !== undefined && { from }), ...running }),
        (made) => [`${made.name} is version ${made.number}, a difference of ${made.before}`, ...told(name, made)],
      ),
    );
}

function addMerge(command: Command, terminal: Terminal): void {
  command
    .command('merge')
    .description('make one image of the newest chain of a vDisk; what is merged stays')
    .argument('<name>', 'the vDisk: its folder, and its fileName')
    .option('--base', 'all of the chain as a new base')
    .addOption(new Option('--updates', 'all updates as one difference of the base').conflicts('base'))
    .addOption(output())
    .addHelpText('after', '\nExample:\n  bootfarm vdisk merge /srv/vdisks/lab --base')
    .action((name: string, { base, updates, ...flags }: Flags & { base?: true; updates?: true }) => {
      if (!base && !updates) return command.error('error: say what is made: --base or --updates');
      return runWork(
        terminal,
        flags,
        (running) => mergeVersions(vdiskOf(name), base ? 'base' : 'updates', running),
        (made) =>
          made
            ? [`${made.name} is version ${made.number}, ${made.before} merged`, ...told(name, made)]
            : [
                `${name}: nothing to merge: ${base ? 'its newest version is a base' : 'its newest chain has no two updates'}`,
              ],
      );
    });
}

const vdiskOf = (name: string): VDiskFiles => ({ folder: dirname(resolve(name)), fileName: basename(name) });

function told(name: string, { number, fileBytes, bootFiles, before }: NewVersion): readonly string[] {
  const folder = dirname(resolve(name));
  return [
    `its file has ${inUnits(fileBytes)}${bootFiles.length > 0 ? `; ${bootFiles.join(' and ')} are copied from those of ${before}` : ''}`,
    `copy it to ${folder} of the other servers, and let machines boot it by spec.versions of its VDisk: {number: ${number}, access: Maintenance}`,
  ];
}

/** In bytes. */
function parseSize(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})([KMkm]?)(?:i?B)?$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError('write it as 2M, 512K or a number of bytes.');
  return Number(digits) * ({ k: 1 << 10, m: 1 << 20 }[unit.toLowerCase()] ?? 1);
}
