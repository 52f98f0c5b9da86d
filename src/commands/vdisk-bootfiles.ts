/** `bootfarm vdisk boot-files`: kernel and initrd of a version, out of its image. Thin over `store/bootfiles.ts`. */
import { basename, dirname, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { type BootFiles, extractBootFiles } from '../store/bootfiles.ts';
import { MAX_VERSION } from './refusal.ts';
import type { Terminal } from './terminal.ts';
import { type Flags, output, runWork } from './work.ts';

export function addBootFiles(command: Command, terminal: Terminal): void {
  command
    .command('boot-files')
    .description('take kernel and initrd of a version out of its image, and put them beside it')
    .argument('<name>', 'the vDisk: its folder, and its fileName')
    .option('--version <number>', 'which (default: the newest)', parseVersion)
    .addOption(output())
    .addHelpText(
      'after',
      `
Example:
  bootfarm vdisk boot-files /srv/vdisks/lab

The newest kernel that has an initrd, in /boot of a file system that GRUB knows. The initrd must have been made with the client of bootfarm in it.`,
    )
    .action((name: string, { version, ...flags }: Flags & { version?: number }) =>
      runWork(
        terminal,
        flags,
        (running) => extractBootFiles({ folder: dirname(resolve(name)), fileName: basename(name) }, version, running),
        (made) => [bootFilesLine(ok(made))],
      ),
    );
}

export const bootFilesLine = (taken: Result<BootFiles, Fault>): string =>
  taken.ok
    ? `${taken.value.kernel} and ${taken.value.initrd} are those of kernel ${taken.value.version}, out of the image`
    : `without kernel and initrd: ${taken.error.message}`;

function parseVersion(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= MAX_VERSION) return Number(text);
  throw new InvalidArgumentError(`it must be a number from 0 to ${MAX_VERSION}.`);
}
