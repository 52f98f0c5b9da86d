/** `bootfarm` for a desk: its words, and how each finds the farm. */
import { Command, Option } from 'commander';
import { completionCommand } from './completion.ts';
import { type Desk, programOf } from './desk.ts';
import { EXIT } from './exit.ts';
import { consoleCommand } from './words/console.ts';
import { deviceCommand } from './words/device.ts';
import { addElsewhere } from './words/elsewhere.ts';
import { auditCommand, serverCommand, sessionCommand } from './words/lists.ts';
import { rollbackCommand } from './words/release.ts';
import { replicationCommand } from './words/replication.ts';
import { statusCommand } from './words/status.ts';
import { vdiskCommand } from './words/vdisk.ts';
import { ownOf } from './words/work.ts';

const WHERE = 'How the farm is found:';

/** `name`: as it was called, which is `kubectl bootfarm` for a plugin of kubectl. */
export function makeProgram(desk: Desk, version: string, name = 'bootfarm'): Command {
  const { terminal } = desk;
  const program = new Command('bootfarm')
    .name(name)
    .description('Farms that stream disks to diskless machines: seen and edited by the API of their operator.')
    .version(version)
    .showHelpAfterError('(--help says what there is)')
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .optionsGroup(WHERE)
    .addOption(new Option('--kubeconfig <file>', 'the kubeconfig (default: KUBECONFIG, or ~/.kube/config)'))
    .addOption(new Option('--context <name>', 'the context of it (default: its current one)'))
    .addOption(
      new Option('--farm <[namespace/]name>', 'the farm (default: the only one there is)').env('BOOTFARM_FARM'),
    )
    .addOption(new Option('-n, --namespace <name>', 'the namespace of the farm'))
    .addOption(
      new Option('--release <[namespace/]name>', 'the release of the operator, where there are several').env(
        'BOOTFARM_RELEASE',
      ),
    )
    .addOption(
      new Option('--server <https://host>', 'the API at an address of its own, without a kubeconfig').env(
        'BOOTFARM_SERVER',
      ),
    )
    .addOption(new Option('--token-file <file>', 'with --server: a token of the cluster').env('BOOTFARM_TOKEN_FILE'))
    .addOption(new Option('--ca-file <file>', 'with --server: whom to believe').env('BOOTFARM_CA_FILE'))
    .addOption(new Option('--direct', 'for pods: by the database itself').hideHelp())
    .addHelpText(
      'after',
      `
It ends with ${EXIT.done} when it is done, ${EXIT.refused} when what was typed or asked does not fit, ${EXIT.notRight} when something is not right (status,
replication --exit-code), ${EXIT.notAllowed} when who asks is not known or may not, ${EXIT.noAnswer} when cluster, operator or database do not answer.

Examples:
  bootfarm status
  bootfarm device add pc0001 --mac 52:54:00:12:34:56 --collection room-101
  bootfarm device explain pc0001
  bootfarm replication -w`,
    );
  const vdisk = vdiskCommand(desk);
  const words = [
    statusCommand(desk),
    deviceCommand(desk),
    sessionCommand(desk),
    serverCommand(desk),
    vdisk,
    replicationCommand(desk),
    rollbackCommand(desk),
    auditCommand(desk),
    consoleCommand(desk),
    completionCommand(desk, () => program),
  ];
  for (const word of words) program.addCommand(word.helpGroup('Words:'));
  addElsewhere(desk, program, vdisk);
  settle(program, program);
  program.hook('preAction', (_program, action) => refuseDirect(action));
  return program;
}

/**
 * What the program says of its output holds for each word, and how the farm is found may be said behind each, where one types what was forgotten; but where a word has an
 * option of that name, such as `--server` of `session list`, the word's is meant.
 */
function settle(program: Command, command: Command): void {
  command.enablePositionalOptions();
  for (const word of command.commands) {
    const hasNoHelp = (word as Command & { readonly _helpOption?: unknown })._helpOption === null;
    word.copyInheritedSettings(program);
    if (hasNoHelp) word.helpOption(false); // that of a pod is meant
    for (const option of program.options) {
      const isOther = option.name() === 'version' || word.options.some(({ long }) => long === option.long);
      if (isOther || ownOf(word).includes(option.name())) continue;
      word.addOption(new Option(option.flags).hideHelp());
      word.on(`option:${option.name()}`, (value: string | null) => {
        program.setOptionValueWithSource(option.attributeName(), value ?? true, 'cli');
      });
    }
    settle(program, word);
  }
}

/** The emergency door is elsewhere. */
function refuseDirect(command: Command): void {
  if (!programOf(command).opts<{ direct?: true }>().direct) return;
  const words: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) words.unshift(at.name());
  command.error(
    `error: --direct is for pods, which reach the database: \`kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm ${words.join(' ')} --farm NAMESPACE/NAME …\``,
    { exitCode: EXIT.refused },
  );
}
