/** `bootfarm vdisk …`: vDisks, their versions and their files. */
import { Command } from 'commander';
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
  addInfoCommands(command, terminal);
  addDownload(command, terminal);
  addPvs(command, terminal);
  addReleaseCommands(command, terminal);
  addMove(command, terminal);
  return command;
}
