/** `bootfarm vdisk boot-files`: kernel and initrd of a version, out of its image. */
import type { Command } from 'commander';
import { versionNumber } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { vdiskOf } from './vdisk-at.ts';
import { doOrder, type OrderFlags, orderOptions } from './work.ts';

export function addBootFiles(command: Command, terminal: Terminal): void {
  orderOptions(command.command('boot-files'))
    .description('take kernel and initrd of a version out of its image, and put them beside it')
    .argument('<name>', 'the vDisk: its folder, and its fileName')
    .option('--version <number>', 'which (default: the newest)')
    .addHelpText(
      'after',
      `
Example:
  bootfarm vdisk boot-files /srv/vdisks/lab

The newest kernel that has an initrd, in /boot of a file system that GRUB knows. The initrd must have been made with the client of bootfarm in it.`,
    )
    .action((name: string, { version, ...flags }: OrderFlags & { version?: string }) =>
      doOrder(terminal, flags, async () => ({
        kind: 'boot-files',
        ...(await vdiskOf(name)),
        ...(version !== undefined && { version: versionNumber('version', version) }),
      })),
    );
}
