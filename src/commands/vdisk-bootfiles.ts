/** `bootfarm vdisk boot-files`: kernel and initrd of a version, out of its image. */
import { basename, dirname, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { MAX_VERSION } from './refusal.ts';
import type { Terminal } from './terminal.ts';
import { doOrder, type OrderFlags, orderOptions } from './work.ts';

export function addBootFiles(command: Command, terminal: Terminal): void {
  orderOptions(command.command('boot-files'))
    .description('take kernel and initrd of a version out of its image, and put them beside it')
    .argument('<name>', 'the vDisk: its folder, and its fileName')
    .option('--version <number>', 'which (default: the newest)', parseVersion)
    .addHelpText(
      'after',
      `
Example:
  bootfarm vdisk boot-files /srv/vdisks/lab

The newest kernel that has an initrd, in /boot of a file system that GRUB knows. The initrd must have been made with the client of bootfarm in it.`,
    )
    .action((name: string, { version, ...flags }: OrderFlags & { version?: number }) =>
      doOrder(terminal, flags, () => ({
        kind: 'boot-files',
        folder: dirname(resolve(name)),
        fileName: basename(name),
        ...(version !== undefined && { version }),
      })),
    );
}

function parseVersion(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= MAX_VERSION) return Number(text);
  throw new InvalidArgumentError(`it must be a number from 0 to ${MAX_VERSION}.`);
}
