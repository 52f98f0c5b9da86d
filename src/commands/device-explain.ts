/** `bootfarm device explain` and `device unknown`: why a machine does not boot, and who was heard that is no device. */
import { type Command, Option } from 'commander';
import { explainMachine, stillUnknown } from '../operator/explain.ts';
import { explainWord, unknownWord } from '../terminal/device-words.ts';
import { explanationText, unknownText } from '../terminal/explain-view.ts';
import { attempt, must } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { withBoots } from './boots-source.ts';

const output = (): Option => new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text');
const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

export function addExplain(command: Command, terminal: Terminal): void {
  explainWord(command)
    .addOption(output())
    .addHelpText(
      'after',
      `
All servers of the farm are asked for their boot records; who does not answer within 2 s is named. In a server's pod it is told from what that
server alone has heard, up to half a minute ago: it works while the database and the operator are away.

Examples:
  bootfarm device explain pc0001
  bootfarm device explain 52:54:00:12:34:56 -o json`,
    )
    .action((asked: string, options: { output: string }) =>
      attempt(terminal, () =>
        withBoots(command, async (source) => {
          if (source.note) terminal.err(source.note);
          const explanation = must(await explainMachine(source, asked, Date.now()));
          terminal.out(options.output === 'json' ? json(explanation) : explanationText(explanation));
        }),
      ),
    );

  unknownWord(command)
    .addOption(output())
    .addHelpText(
      'after',
      `
A server remembers the last 1,024 of them. Whose UUID is shown may be added with it:
  bootfarm device add pc0001 --mac 52:54:00:12:34:56 --uuid 6d3c8a62-0000-4000-8000-000000000001 --collection room-101`,
    )
    .action((options: { output: string }) =>
      attempt(terminal, () =>
        withBoots(command, async (source) => {
          if (source.note) terminal.err(source.note);
          const all = await source.unknown();
          const told = stillUnknown(all, must(await source.known(all.machines.map(({ mac }) => mac))));
          for (const { message } of told.silent) terminal.err(`no answer: ${message}\n`);
          if (options.output === 'json') return terminal.out(json(told));
          if (told.machines.length === 0) return terminal.err('no unknown machine was heard\n');
          terminal.out(unknownText(told, Date.now()));
        }),
      ),
    );
}
