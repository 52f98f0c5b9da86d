/** `bootfarm vdisk …`: vDisks, their versions and their files. */
import { Command } from 'commander';
import { attempt, Refusal } from '../terminal/refusal.ts';
import { type Terminal, terminalOfProcess } from '../terminal/terminal.ts';
import { addAccept } from './vdisk-accept.ts';
import { addDeletion } from './vdisk-delete.ts';
import { addInfoCommands } from './vdisk-info.ts';
import { addJobCommands } from './vdisk-jobs.ts';
import { addMove } from './vdisk-move.ts';
import { addDownload } from './vdisk-out.ts';
import { addPvs } from './vdisk-pvs.ts';
import { addReleaseCommands } from './vdisk-release.ts';
import { addVDiskWork } from './vdisk-work.ts';

export function vdiskCommand(terminal: Terminal = terminalOfProcess): Command {
  const command = new Command('vdisk')
    .description('vDisks: their versions, and their images where the files are')
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err });
  addVDiskWork(command, terminal);
  addJobCommands(command, terminal);
  addDeletion(command, terminal);
  addAccept(command, terminal);
  addInfoCommands(command, terminal, terminal === terminalOfProcess ? process.stdout : undefined);
  addDownload(command, terminal);
  addPvs(command, terminal);
  addReleaseCommands(command, terminal);
  addMove(command, terminal);
  addDeskWords(command, terminal);
  return command;
}

/** Words of the `bootfarm` of a desk: who types them here is told so. */
function addDeskWords(command: Command, terminal: Terminal): void {
  for (const name of ['list', 'show'])
    command
      .command(name, { hidden: true })
      .argument('[words...]')
      .allowUnknownOption()
      .action(() =>
        attempt(terminal, async () => {
          throw new Refusal(
            `vdisk ${name} is a word of the bootfarm of your desk, which asks the API (docs/desk.md); here, bootfarm vdisk --help has what works on files`,
          );
        }),
      );
}
