/** Words that work on keys and resources: they run in a pod of the operator. Whoever types one at a desk is told the line for it. */
import { Command } from 'commander';
import { attempt, Refusal } from '../../terminal/refusal.ts';
import type { Desk } from '../desk.ts';

const OPERATOR = 'kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm';

export function addElsewhere(desk: Desk, program: Command, vdisk: Command): void {
  for (const word of ['keys', 'report']) add(desk, program, word, `${OPERATOR} ${word}`);
  add(desk, vdisk, 'move', `${OPERATOR} vdisk move`);
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
