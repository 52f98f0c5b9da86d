/** `bootfarm completion bash|zsh|fish`: a script in which all words and options stand, made of the program itself. Pure but for its command. */
import { Argument, Command, type Option } from 'commander';
import { quoted } from '../kit/quote.ts';
import type { Desk } from './desk.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What may follow behind some words. */
export interface Place {
  /** `device add`; empty: behind the program's name. */
  readonly path: string;
  readonly words: readonly Described[];
  readonly options: readonly OptionSeen[];
  /** Of its first argument. */
  readonly choices: readonly string[];
}
interface Described {
  readonly name: string;
  readonly description: string;
}
interface OptionSeen {
  readonly short: string | undefined;
  readonly long: string;
  readonly description: string;
  readonly isFlag: boolean;
  readonly isFile: boolean;
  readonly choices: readonly string[];
}

const seen = ({ short, long, description, argChoices, required, optional, flags }: Option): OptionSeen => ({
  ...{ short, long: long ?? '', description, isFlag: !(required || optional) },
  ...{ isFile: flags.includes('<file>'), choices: argChoices ?? [] },
});

/** Options of the program hold behind each word. */
export function placesOf(program: Command): readonly Place[] {
  const shared = program.options.filter(({ hidden }) => !hidden).map(seen);
  const walk = (command: Command, path: readonly string[]): readonly Place[] => {
    const words = command.commands.filter((word) => !isHidden(word));
    const own = command === program ? [] : command.options.filter(({ hidden }) => !hidden).map(seen);
    const [first] = command.registeredArguments;
    const here: Place = {
      path: path.join(' '),
      words: words.map((word) => ({ name: word.name(), description: firstLine(word.description()) })),
      options: [...own, ...shared.filter(({ long }) => !own.some((one) => one.long === long))],
      choices: first?.argChoices ?? [],
    };
    return [here, ...words.flatMap((word) => walk(word, [...path, word.name()]))];
  };
  return walk(program, []);
}

/** Commander tells nobody but its own help. */
const isHidden = (command: Command): boolean => (command as Command & { readonly _hidden?: boolean })._hidden === true;
const firstLine = (text: string): string => text.split('\n')[0] ?? '';
const flagsOf = ({ short, long }: OptionSeen): readonly string[] => (short === undefined ? [long] : [short, long]);

/** The program's words in a case of bash: which of them were typed says which may follow. */
function bash(places: readonly Place[]): string {
  const cases = places.map(({ path, words, options, choices }) => {
    const names = [...words.map(({ name }) => name), ...choices, ...options.flatMap(flagsOf)];
    return `    ${quoted(path)}) words=${quoted(names.join(' '))} ;;`;
  });
  const values = valuesOf(places).map(({ flags, choices, isFile }) =>
    isFile
      ? `    ${flags.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;`
      : `    ${flags.join('|')}) COMPREPLY=($(compgen -W ${quoted(choices.join(' '))} -- "$current")); return ;;`,
  );
  return `# bash completion of bootfarm: source it, or put it into ~/.local/share/bash-completion/completions/bootfarm
_bootfarm() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" path='' words='' word
  case "$previous" in
${values.join('\n')}
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " ${places
      .map(({ path }) => path)
      .filter(Boolean)
      .join(' | ')} " in *" \${path:+$path }$word "*) path="\${path:+$path }$word" ;; esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _bootfarm bootfarm kubectl-bootfarm
`;
}

/** Options whose values are known, or are files: once each. */
function valuesOf(places: readonly Place[]) {
  const options = places
    .flatMap((place) => place.options)
    .filter(({ choices, isFile }) => choices.length > 0 || isFile);
  const byFlags = new Map<string, { flags: readonly string[]; isFile: boolean; choices: Set<string> }>();
  for (const option of options) {
    const flags = flagsOf(option);
    const key = flags.join('|');
    const known = byFlags.get(key) ?? { flags, isFile: option.isFile, choices: new Set<string>() };
    for (const choice of option.choices) known.choices.add(choice);
    byFlags.set(key, known);
  }
  return [...byFlags.values()].map((known) => ({ ...known, choices: [...known.choices] }));
}

/** zsh runs completions of bash. */
const zsh = (places: readonly Place[]): string =>
  `#compdef bootfarm kubectl-bootfarm\n# zsh completion of bootfarm: source it behind compinit\nautoload -U +X bashcompinit && bashcompinit\n${bash(places)}`;

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words, options, choices }) => {
    const when = `-n ${quoted(`__bootfarm_at ${quoted(path)}`)}`;
    return [
      ...words.map(({ name, description }) => `complete -c bootfarm -f ${when} -a ${name} -d ${quoted(description)}`),
      ...choices.map((choice) => `complete -c bootfarm -f ${when} -a ${choice}`),
      ...options.map((option) => `complete -c bootfarm ${when} ${fishOption(option)}`),
    ];
  });
  const paths = places.map(({ path }) => path).filter(Boolean);
  return `# fish completion of bootfarm: put it into ~/.config/fish/completions/bootfarm.fish
function __bootfarm_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$at $word")
    if contains -- "$next" ${paths.map(quoted).join(' ')}
      set at $next
    end
  end
  test "$at" = "$argv[1]"
end
complete -c bootfarm -f
${lines.join('\n')}
`;
}

function fishOption({ short, long, description, isFlag, isFile, choices }: OptionSeen): string {
  const names = [...(short === undefined ? [] : [`-s ${short.slice(1)}`]), `-l ${long.slice(2)}`];
  const value = isFlag
    ? []
    : isFile
      ? ['-r', '-F']
      : choices.length > 0
        ? ['-x', `-a ${quoted(choices.join(' '))}`]
        : ['-x'];
  return [...names, ...value, `-d ${quoted(description)}`].join(' ');
}

const SCRIPTS: Readonly<Record<Shell, (places: readonly Place[]) => string>> = { bash, zsh, fish };

export const completionText = (shell: Shell, program: Command): string => SCRIPTS[shell](placesOf(program));

export function completionCommand({ terminal }: Desk, program: () => Command): Command {
  return new Command('completion')
    .description('a script that completes words and options in your shell')
    .addArgument(new Argument('<shell>', 'which').choices([...SHELLS]))
    .addHelpText(
      'after',
      `
Examples:
  source <(bootfarm completion bash)
  bootfarm completion fish > ~/.config/fish/completions/bootfarm.fish`,
    )
    .action((shell: Shell) => terminal.out(completionText(shell, program())));
}
