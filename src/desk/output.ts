/** How an answer is shown: as a table for people, as JSON or YAML for programs, as names for a pipe. Pure. */
import { Option } from 'commander';
import { stringify } from 'yaml';
import { type Column, tableText } from '../terminal/table.ts';
import type { Looked } from '../terminal/watch.ts';

export type Format = 'table' | 'wide' | 'json' | 'yaml' | 'name';
const FORMATS: readonly Format[] = ['table', 'wide', 'json', 'yaml', 'name'];

export const outputOption = (formats: readonly string[] = FORMATS): Option =>
  new Option('-o, --output <format>', 'how').choices([...formats]).default(formats[0]);

/** Of a word that does something, and says what. */
export const textOrJson = (): Option => outputOption(['text', 'json']);

/** What was done: in words, or as data. */
export const doneText = (output: 'text' | 'json', text: string, data: unknown): string =>
  output === 'json' ? dataText(data, 'json') : text;

export const watchOption = (): Option =>
  new Option('-w, --watch', 'again each 2 s when something changed, until interrupted');

/** One answer for a program. `isWatched`: one of many, so a line, or a document. */
export function dataText(value: unknown, format: 'json' | 'yaml', isWatched = false): string {
  if (format === 'json') return `${isWatched ? JSON.stringify(value) : JSON.stringify(value, undefined, 2)}\n`;
  return `${isWatched ? '---\n' : ''}${stringify(value, { lineWidth: 0 })}`;
}

export const isData = (format: Format): format is 'json' | 'yaml' => format === 'json' || format === 'yaml';

export interface Shown<Row> {
  readonly columns: readonly Column<Row>[];
  readonly nameOf: (row: Row) => string;
  /** Said where there is none, on standard error. */
  readonly none: string;
}

export function listLook<Row>(
  rows: readonly Row[],
  { columns, nameOf, none }: Shown<Row>,
  { format, width, isWatched = false }: { format: Format; width: number | undefined; isWatched?: boolean },
  note: string,
): Looked {
  const said = rows.length === 0 ? `${note}${none}\n` : note;
  const looked = { note: said, news: JSON.stringify([rows, note]) };
  if (isData(format)) return { ...looked, text: dataText(rows, format, isWatched) };
  if (format === 'name') return { ...looked, text: rows.map((row) => `${nameOf(row)}\n`).join('') };
  return { ...looked, text: tableText(columns, rows, { width, isWide: format === 'wide' }) };
}
