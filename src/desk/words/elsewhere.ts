/** Words that work on keys, resources and files: they run in a pod. Whoever types one at a desk is told the line for it. */
import { Command } from 'commander';
import { attempt, Refusal } from '../../terminal/refusal.ts';
import type { Desk } from '../desk.ts';

const OPERATOR = 'kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm';
const SERVER = 'kubectl exec -i deploy/main-NODE -c work -- bootfarm';

const OF_VDISK: Readonly<Record<string, string>> = {
  move: OPERATOR,
  ...Object.fromEntries(
    [
      ...[
        'upload',
        'download',
        'import',
        'export',
        'fetch',
        'takeover',
        'convert',
        'new-version',
        'merge',
        'boot-files',
      ],
      ...['info', 'check', 'map', 'follow', 'cancel', 'delete-version'],
    ].map((word) => [word, SERVER]),
  ),
};

export function addElsewhere(desk: Desk, program: Command, vdisk: Command): void {
  for (const word of ['keys', 'report']) add(desk, program, word, `${OPERATOR} ${word}`);
  for (const [word, pod] of Object.entries(OF_VDISK)) add(desk, vdisk, word, `${pod} vdisk ${word}`);
}

const add = ({ terminal }: Desk, to: Command, word: string, line: string): Command =>
  to.addCommand(
    new Command(word)
      .argument('[anything...]')
      .allowUnknownOption()
      .helpOption(false)
      .action(() =>
        attempt(terminal, async () => {
          throw new Refusal(`it runs in a pod, where what it works on is: \`${line} --help\``);
        }),
      ),
    { hidden: true },
  );
