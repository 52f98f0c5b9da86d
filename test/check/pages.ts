/** Pages that say how something is done, as what runs them reads them. Pure. */

interface Block {
  /** What its fence says: `sh`, `text`; empty where it says nothing. */
  readonly language: string;
  /** Its lines, without the fences. */
  readonly lines: readonly string[];
  /** Of the first of them, from 1. */
  readonly line: number;
}

/** Fenced blocks in their order; a fence may be indented, as below a point of a list. One that is not closed ends with the page. */
export function blocksOf(markdown: string): readonly Block[] {
  const blocks: { language: string; lines: string[]; line: number }[] = [];
  let open: { indent: string; fence: string } | undefined;
  for (const [at, line] of markdown.split('\n').entries()) {
    const [, indent = '', fence = '', language = ''] = /^( *)(`{3,})\s*(\S*)\s*$/.exec(line) ?? [];
    if (!open && fence) {
      open = { indent, fence };
      blocks.push({ language, lines: [], line: at + 2 });
    } else if (open && language === '' && fence.length >= open.fence.length) open = undefined;
    else if (open) blocks.at(-1)?.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
  }
  return blocks;
}

/** What a person has where the page has a word in capitals. */
export type Values = Readonly<Record<string, string>>;

export const filledIn = (text: string, values: Values): string =>
  text.replaceAll(/\b[A-Z]{2,}\b/g, (word) => values[word] ?? word);

/** Its `sh` blocks as one script, in which each command has the line that it has in the page: all other lines are empty. */
export function scriptOf(markdown: string, values: Values): string {
  const lines = markdown.split('\n').map(() => '');
  for (const { language, lines: commands, line } of blocksOf(markdown))
    if (language === 'sh') for (const [at, command] of commands.entries()) lines[line - 1 + at] = command;
  return `${filledIn(lines.join('\n'), values).trimEnd()}\n`;
}
