/**
 * `bootfarm vdisk convert|new-version|merge`: new images from those that are there. Thin over `store/convert.ts` and `store/versions.ts`. Nothing that is there is
 * changed; what a command that was killed left is gone on with by the same one.
 */
import { constants, setPriority } from 'node:os';
import { basename, dirname, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Fault, Result } from '../kit/result.ts';
import { convertFile, WRITTEN } from '../store/convert.ts';
import { mergeVersions, type NewVersion, newVersion, type VDiskFiles } from '../store/versions.ts';
import { inUnits, progressOn } from './progress.ts';
import type { Terminal } from './terminal.ts';

interface Flags {
  readonly output: 'text' | 'json';
}
interface ConvertFlags extends Flags {
  readonly format?: string;
  readonly fixed?: true;
  readonly blockSize?: number;
}

/** What work is given: its end, and whom it tells. */
interface Running {
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

export function addVDiskWork(command: Command, terminal: Terminal): void {
  addConvert(command, terminal);
  addNewVersion(command, terminal);
  addMerge(command, terminal);
}

const output = () => new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text');

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
      return run(
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
      run(
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
      return run(
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

/** At low priority, until it ends or is interrupted, with its progress for a person. */
async function run<T>(
  terminal: Terminal,
  { output }: Flags,
  work: (running: Running) => Promise<Result<T, Fault>>,
  words: (made: T) => readonly string[],
): Promise<void> {
  setPriority(constants.priority.PRIORITY_LOW);
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const progress = progressOn(terminal);
  const made = await work({ signal: interrupted.signal, onProgress: progress.tell }).finally(() => {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    progress.end();
  });
  if (!made.ok) {
    terminal.err(`error: ${made.error.message}\n`);
    return terminal.fail();
  }
  terminal.out(
    output === 'json' ? `${JSON.stringify(made.value ?? null, undefined, 2)}\n` : `${words(made.value).join('\n')}\n`,
  );
}

/** In bytes. */
function parseSize(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})([KMkm]?)(?:i?B)?$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError('write it as 2M, 512K or a number of bytes.');
  return Number(digits) * ({ k: 1 << 10, m: 1 << 20 }[unit.toLowerCase()] ?? 1);
}
