/** What `bootfarm device explain` and `device unknown` print. Pure. */
import type { UnknownMachine } from '../farm/bootrecord.ts';
import type { Explanation, Sentence } from '../farm/explain.ts';
import { inShort } from '../kit/units.ts';

const second = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** Whose word it is, and what does not answer, is the caller's to say. */
export function explanationText({ device, macs, sentences, verdict, boots, silent }: Explanation): string {
  const head = `${device === undefined ? 'no device' : `device ${device}`}, MAC ${macs.join(' ')}`;
  const earlier = boots.length > 1 ? `, the last of ${boots.length} boots that are remembered` : '';
  const rows = sentences.map((sentence) => [
    sentence.at === undefined ? 'now' : second(sentence.at),
    `${sentence.isRight ? ' ' : '!'} ${sentence.step}`,
    `${sentence.text}${whereAndWhen(sentence)}`,
  ]);
  const lines = [`${head}${earlier}`, ...aligned(rows), ...silent.map(({ message }) => `no answer: ${message}`), ''];
  const isWell = verdict.code === 'Running';
  lines.push(isWell ? `It runs well: ${verdict.message}.` : `At ${verdict.step}, ${verdict.code}: ${verdict.message}.`);
  if (verdict.todo) lines.push(`What to do: ${verdict.todo}.`);
  return `${lines.join('\n')}\n`;
}

function whereAndWhen({ servers, times, lastAt }: Sentence): string {
  const parts = [servers.join(', '), times === undefined ? '' : `${times} times, last ${second(lastAt ?? 0)}`];
  const said = parts.filter(Boolean).join('; ');
  return said ? ` (${said})` : '';
}

/** Option 93: RFC 4578, and the numbers that IANA gave since. */
const ARCHITECTURES: Readonly<Record<number, string>> = {
  0: 'BIOS',
  6: 'UEFI 32',
  7: 'UEFI',
  9: 'UEFI',
  11: 'UEFI ARM64',
};

interface UnknownTold {
  /** Heard last first. */
  readonly machines: readonly UnknownMachine[];
  /** Heard, too, and not told. */
  readonly more: number;
}

export function unknownText({ machines, more }: UnknownTold, nowMs: number): string {
  const ago = (ms: number): string => inShort(Math.max(0, Math.floor((nowMs - ms) / 1_000)));
  const row = (machine: UnknownMachine): readonly string[] => {
    const { mac, firstAt, lastAt, step, reason, architecture, uuid, relay, address, servers } = machine;
    const firmware = architecture === undefined ? '-' : (ARCHITECTURES[architecture] ?? String(architecture));
    const from = address ?? (relay === undefined ? '-' : `relay ${relay}`);
    const came = reason ? `${step}: ${reason.code}` : step;
    return [mac, `${ago(lastAt)} ago`, `${ago(firstAt)} ago`, came, firmware, from, servers.join(','), uuid ?? '-'];
  };
  const head = ['MAC', 'LAST', 'FIRST', 'CAME TO', 'FIRMWARE', 'FROM', 'SERVERS', 'UUID'];
  const left = more > 0 ? [`and ${more} more`] : [];
  return `${[...aligned([head, ...machines.map(row)]), ...left].join('\n')}\n`;
}

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
