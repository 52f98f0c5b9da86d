/** The table of the wire (`src/stream/wire.ts`) as others read it: the words of README.md, and the C header of the device's client. */
import { STATES } from '../../src/stream/fields.ts';
import {
  MAX_READ_BYTES,
  MAX_SERVERS,
  MAX_TEXT_BYTES,
  MAX_TICKET_BYTES,
  MIN_SEGMENT_BYTES,
  SECTOR_BYTES,
  SEGMENT_GRAIN_BYTES,
} from '../../src/stream/limits.ts';
import {
  BYES,
  DATA_HEADER_BYTES,
  DATA_TAGGED_BYTES,
  ERRORS,
  HEADER,
  HEADER_BYTES,
  leastBytes,
  MESSAGES,
  MODES,
  messages,
  type PacketName,
  PROTOCOL_VERSION,
  REFUSALS,
  ROLES,
  rowsOf,
  SUITES,
  TAG_BYTES,
  TYPES,
} from '../../src/stream/wire.ts';

type Row = ReturnType<typeof rowsOf>[number];

/** A message of more rows has a table, the others a sentence. */
const MOST_IN_A_SENTENCE = 5;

/** What README.md says of a message, word for word. */
export function readmeOf(name: PacketName): string {
  const message = MESSAGES[name];
  const rows = whole(rowsOf(message), HEADER_BYTES, message.fixed);
  if (rows.length > MOST_IN_A_SENTENCE) return table(tableRows(name, rows));
  const words = rows.map(({ bytes, says, flag }) =>
    flag ? `flags ${bytes} (${says})` : `${says.replace(/^(\w): .*/, '$1')} ${bytes}`,
  );
  const tag = message.tagged === true ? [`tag ${TAG_BYTES}`] : [];
  return `**${name}** (${lengthOf(name)}): ${['header', ...words, ...tag].join(' · ')}.`;
}

export function readmeHeader(): string {
  const rows = Object.entries(HEADER).flatMap(([name, field]) => field.rows(name));
  return table(whole(rows, 0, HEADER_BYTES).map(({ at, bytes, says }) => [`${at}`, `${bytes}`, says]));
}

export function readmeTypes(): string {
  const rows = messages().map(([name, { type, way, tag }]) => [`${type}`, name, way, tag]);
  rows.push(['20–27', 'WRITE, WRITTEN, FLUSH, FLUSHED, NOTIFY, NOTED, DISCARD, WRITE_ZEROES', '', 'reserved']);
  return table(rows, ['type', 'name', 'direction', 'tag']);
}

/** With the bytes of no field, as reserved; of the fixed part. Flags of one word are one row. */
function whole(rows: readonly Row[], from: number, to: number): Row[] {
  const found: Row[] = [];
  let next = from;
  const reserve = (end: number): void => {
    if (next < end) found.push({ at: next, bytes: end - next, name: 'reserved', says: 'reserved' });
  };
  for (const row of rows) {
    const last = found.at(-1);
    if (last && last.at === row.at && row.flag) {
      found[found.length - 1] = { ...last, says: `${last.says}; ${row.says}` };
      continue;
    }
    reserve(Math.min(row.at, to));
    found.push(row);
    if (typeof row.bytes === 'number') next = row.at + row.bytes;
    else next = to;
  }
  reserve(to);
  return found;
}

function tableRows(name: PacketName, rows: readonly Row[]): string[][] {
  const { tagged, fixed } = MESSAGES[name];
  const tails: string[] = [];
  const lines = rows.map(({ at, bytes, says, flag }) => {
    const line = [[at, ...tails].join('+'), `${bytes}`, flag ? `flags: ${says}` : says];
    if (typeof bytes === 'string') tails.push(bytes);
    return line;
  });
  if (tagged === true) lines.push([tails.length > 1 ? 'end−16' : [fixed, ...tails].join('+'), `${TAG_BYTES}`, 'tag']);
  if (typeof tagged === 'string')
    lines.push([[fixed, ...tails].join('+'), `${TAG_BYTES}`, `tag, if bit 0 (${tagged})`]);
  return lines;
}

/** `40 + n + 16`. */
function lengthOf(name: PacketName): string {
  const message = MESSAGES[name];
  const tails = rowsOf(message).flatMap(({ bytes }) => (typeof bytes === 'string' && bytes !== '' ? [bytes] : []));
  if (tails.length === 0) return `${leastBytes(message)}`;
  return [message.fixed, ...tails, ...(message.tagged === true ? [TAG_BYTES] : [])].join(' + ');
}

function table(rows: readonly (readonly string[])[], head = ['offset', 'size', 'field']): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[], fill = ' '): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width, fill)).join(' | ')} |`;
  return [line(head), line([], '-'), ...rows.map((row) => line(row))].join('\n');
}

const upper = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
const enumOf = (name: string, values: Readonly<Record<string, number>>): string =>
  [`enum${name && ` ${name}`} {`, ...Object.entries(values).map(([key, value]) => `    ${key} = ${value},`), '};'].join(
    '\n',
  );
const prefixed = (prefix: string, table: Readonly<Record<string, number>>): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(table).map(([name, value]) => [`${prefix}${upper(name)}`.replace('__', '_'), value]),
  );

/** `target/src/wire.h`. */
export function wireHeader(): string {
  const flags: Record<string, number> = {};
  const fields = messages().flatMap(([name, message]) => {
    const lines = rowsOf(message).flatMap(({ at, bytes, name: field, flag }) => {
      if (flag) flags[`${name}_${upper(flag[0])}`] = flag[1];
      const constant = `${name}_${upper(field)}`;
      return typeof bytes === 'number' ? [`    AT_${constant} = ${at}, BYTES_${constant} = ${bytes},`] : [];
    });
    return [...new Set(lines), `    SIZE_${name} = ${message.fixed},`];
  });
  return `/* The wire, from src/stream/wire.ts by \`npm run generate\`: change it there. */
/* clang-format off */
#pragma once

${enumOf('packet_type', TYPES)}
${enumOf('mode', prefixed('MODE_', MODES))}
${enumOf('suite', prefixed('SUITE_', SUITES))}
${enumOf('role', prefixed('ROLE_', ROLES))}
${enumOf('server_state', prefixed('STATE_', STATES))}
${enumOf('refusal', prefixed('REFUSAL_', REFUSALS))}
${enumOf('read_error', prefixed('ERROR_', ERRORS))}
${enumOf('bye', prefixed('BYE_', BYES))}
${enumOf('', flags)}

enum {
    VERSION = ${PROTOCOL_VERSION},
    TAG_BYTES = ${TAG_BYTES},
    HEADER_BYTES = ${HEADER_BYTES},
    DATA_HEADER_BYTES = ${DATA_HEADER_BYTES},
    DATA_SIGNED_BYTES = ${DATA_TAGGED_BYTES}, /* of the header, by the answer tag */
    SECTOR_BYTES = ${SECTOR_BYTES},
    SEGMENT_GRAIN_BYTES = ${SEGMENT_GRAIN_BYTES},
    MIN_SEGMENT_BYTES = ${MIN_SEGMENT_BYTES},
    MAX_READ_BYTES = ${MAX_READ_BYTES},
    MAX_TOKEN_BYTES = ${MAX_TICKET_BYTES},
    MAX_TEXT_BYTES = ${MAX_TEXT_BYTES},
    MAX_SERVERS = ${MAX_SERVERS},
};

/* Where each field lies, and its bytes; SIZE: of all before what is of variable length, which begins there, and the tag. */
enum {
${Object.entries(HEADER)
  .flatMap(([name, field]) => field.rows(name))
  .map(({ at, name }) => `    AT_${upper(name)} = ${at},`)
  .join('\n')}
${fields.join('\n')}
};
`;
}
