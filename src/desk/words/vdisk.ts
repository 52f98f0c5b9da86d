/** `bootfarm vdisk …` at a desk; what works on files runs where they are. */
import { Command } from 'commander';
import type { VDiskAnswer } from '../answers.ts';
import { type Desk, withFarm } from '../desk.ts';
import { dataText, outputOption } from '../output.ts';
import { vdiskText } from '../show.ts';
import { addJobsList, addVDiskList } from './lists.ts';
import { addReleases } from './release.ts';
import { addWork } from './work.ts';

export function vdiskCommand(desk: Desk): Command {
  const vdisk = new Command('vdisk').description('vDisks: what machines boot, and where its versions lie');
  addVDiskList(desk, vdisk);
  vdisk
    .command('show')
    .description('a vDisk with its versions')
    .argument('<name>')
    .addOption(outputOption(['text', 'json', 'yaml']))
    .action((name: string, { output }: { output: string }, self: Command) =>
      withFarm(desk, self, async (farm) => {
        const { value } = await farm.get<VDiskAnswer>('vdisks', name);
        const { terminal } = desk;
        terminal.out(output === 'text' ? vdiskText(value, terminal.columns) : dataText(value, output as 'json'));
      }),
    );
  addReleases(desk, vdisk);
  addJobsList(desk, vdisk);
  addWork(desk, vdisk);
  return vdisk.addHelpText(
    'after',
    '\nWhat works on files runs in the server that is named by --on, by your own right to run commands in its pods.',
  );
}
