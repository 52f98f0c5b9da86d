/** A CSV file of devices (RFC 4180), line by line into devices or complaints. Pure. */
import type { Device } from '../farm/model.ts';
import { canonicalUuid } from '../farm/uuids.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Column, type Complaint, type DeviceText, MAX_SHOWN, parseDevice } from './input.ts';

export interface GoodLine {
  /** Of the file, from 1; the header is line 1. */
  readonly line: number;
  readonly device: Device;
}

export interface BadLine extends Complaint {
  readonly line: number;
}

export interface DeviceFile {
  readonly good: readonly GoodLine[];
  /** The first `MAX_COMPLAINTS`. */
  readonly bad: readonly BadLine[];
  /** Lines, not complaints: one line may have several. */
  readonly badLines: number;
}

const COLUMNS = ['name', 'mac', 'uuid', 'collection', 'class', 'enabled'];
/** Each is a column: what all devices of a file together have. */
export const MAX_PROPERTY_NAMES = 128;
const MAX_COLUMNS = COLUMNS.length + MAX_PROPERTY_NAMES;
/** Five times the devices of a large farm. */
const MAX_LINES = 50_000;
/** All columns of 10,000 devices: half a second. */
const MAX_CELLS = 1_500_000;
export const MAX_COMPLAINTS = 1_000;
const PROPERTY = 'property.';

/** `BadHeader` when the first line does not name the columns: then no line can be read. `TooLarge`: more lines or columns than a file has. */
export function parseDeviceFile(text: string): Result<DeviceFile, Fault<'BadHeader' | 'TooLarge'>> {
  const read = readRecords(text.replace(/^\uFEFF/, ''));
  if (!read.ok) return read;
  const [header, ...records] = read.value;
  const columns = header?.cells.map((cell) => cell.trim().toLowerCase()) ?? [];
  const expected = `the first line names the columns: name, mac, collection and, where wanted, uuid, class, enabled, property.NAME`;
  const missing = ['name', 'mac', 'collection'].filter((column) => !columns.includes(column));
  if (missing.length > 0) return fail('BadHeader', `line 1 lacks ${missing.join(', ')}: ${expected}`);
  const unknown = columns.find((column) => !COLUMNS.includes(column) && !/^property\../.test(column));
  if (unknown !== undefined)
    return fail('BadHeader', `line 1 has an unknown column ${JSON.stringify(unknown)}: ${expected}`);
  // the name of a property keeps its case
  const named = columns.map((column, index) =>
    column.startsWith(PROPERTY) ? `${PROPERTY}${header?.cells[index]?.trim().slice(PROPERTY.length)}` : column,
  );
  const twice = named.find((column, index) => named.indexOf(column) !== index);
  if (twice !== undefined) return fail('BadHeader', `line 1 names the column ${twice} twice`);
  return ok(judgeRecords(named, records));
}

function judgeRecords(columns: readonly string[], records: readonly FileRecord[]): DeviceFile {
  const good: GoodLine[] = [];
  const bad: BadLine[] = [];
  let badLines = 0;
  const complain = (line: number, complaints: readonly Complaint[]): void => {
    badLines++;
    bad.push(...complaints.slice(0, MAX_COMPLAINTS - bad.length).map((complaint) => ({ line, ...complaint })));
  };
  const cellsOf = columnsOf(columns);
  const taken = new Map<string, number>();
  for (const { line, cells } of records) {
    if (cells.length !== columns.length) {
      const column = (columns[Math.min(cells.length, columns.length) - 1] ?? 'name') as Column;
      const value = cells.at(-1) ?? '';
      const reason = `the line has ${cells.length} values for ${columns.length} columns`;
      complain(line, [{ column, value: value.slice(0, MAX_SHOWN), reason }]);
      continue;
    }
    const device = parseDevice(cellsOf(cells));
    const complaints = 'name' in device ? repeated(device, taken) : device;
    if (complaints.length > 0) complain(line, complaints);
    if (!('name' in device) || complaints.length > 0) continue;
    for (const { key } of identities(device)) taken.set(key, line);
    good.push({ line, device });
  }
  return { good, bad, badLines };
}

interface Identity {
  readonly column: Column;
  readonly value: string;
  /** Equal for values that are one machine's. */
  readonly key: string;
}

const identities = ({ name, macs, uuid }: Device): Identity[] => [
  { column: 'name', value: name, key: name },
  ...macs.map((mac): Identity => ({ column: 'mac', value: mac, key: mac })),
  ...(uuid === undefined ? [] : [{ column: 'uuid', value: uuid, key: canonicalUuid(uuid) } satisfies Identity]),
];

const repeated = (device: Device, taken: ReadonlyMap<string, number>): Complaint[] =>
  identities(device)
    .filter(({ key }) => taken.has(key))
    .map(({ column, value, key }) => ({ column, value, reason: `line ${taken.get(key)} has it already` }));

function columnsOf(columns: readonly string[]): (cells: readonly string[]) => DeviceText {
  const places = new Map(columns.map((column, index) => [column, index]));
  const named = columns.flatMap((column, index) =>
    column.startsWith(PROPERTY) ? [[column.slice(PROPERTY.length), index] as const] : [],
  );
  return (cells) => {
    const cell = (column: string): string => cells[places.get(column) ?? -1]?.trim() ?? '';
    const properties = named.map(([name, index]) => [name, cells[index] ?? ''] as const);
    return {
      name: cell('name'),
      macs: cell('mac')
        .split(/[\s;]+/)
        .filter(Boolean),
      uuid: cell('uuid'),
      collection: cell('collection'),
      class: cell('class'),
      enabled: cell('enabled'),
      properties: Object.fromEntries(properties.filter(([, value]) => value !== '')),
    };
  };
}

/** A file that `parseDeviceFile` takes back, part by part: a column for each of these names of properties. `TooLarge`: those are too many. */
export function deviceFile(
  names: readonly string[],
): Result<{ readonly head: string; readonly lines: (devices: readonly Device[]) => string }, Fault<'TooLarge'>> {
  if (names.length > MAX_PROPERTY_NAMES)
    return fail(
      'TooLarge',
      `the devices have more than ${MAX_PROPERTY_NAMES} different names of properties, such as ${names[MAX_PROPERTY_NAMES]}, and each would be a column: read them as a list, or give properties the same names`,
    );
  const properties = [...names].sort();
  const line = (cells: readonly string[]): string => `${cells.map(quoted).join(',')}\n`;
  const cellsOf = (device: Device): readonly string[] => [
    device.name,
    device.macs.join(' '),
    device.uuid ?? '',
    device.collection,
    device.class ?? '',
    String(device.enabled),
    ...properties.map((name) => device.properties[name] ?? ''),
  ];
  return ok({
    head: line([...COLUMNS, ...properties.map((name) => `${PROPERTY}${name}`)]),
    lines: (devices) => devices.map((device) => line(cellsOf(device))).join(''),
  });
}

/** All of them as one such file, with a column for each property that one of them has. */
export function formatDevices(devices: readonly Device[]): Result<string, Fault<'TooLarge'>> {
  const file = deviceFile([...new Set(devices.flatMap(({ properties }) => Object.keys(properties)))]);
  return file.ok ? ok(`${file.value.head}${file.value.lines(devices)}`) : file;
}

/** Spaces around a plain cell are no part of it. */
const quoted = (cell: string): string =>
  /[",\r\n]/.test(cell) || cell !== cell.trim() ? `"${cell.replaceAll('"', '""')}"` : cell;

interface FileRecord {
  readonly line: number;
  readonly cells: readonly string[];
}

interface Cell {
  readonly text: string;
  /** Behind it: a comma, the end of a line, or of the file. */
  readonly end: number;
}

const PLAIN = { ',': /[^,\n]*/y, ';': /[^;\n]*/y };

/** Quoted (with "" for a quote) or plain: a stray quote makes it plain. No expression for the quoted one: what it keeps to go back overflows. */
function cellAt(file: string, at: number, comma: ',' | ';'): Cell {
  const quotedCell = file[at] === '"' ? quotedAt(file, at, comma) : undefined;
  if (quotedCell) return quotedCell;
  const pattern = PLAIN[comma];
  pattern.lastIndex = at;
  const [plain = ''] = pattern.exec(file) ?? [];
  return { text: plain.trim(), end: at + plain.length };
}

function quotedAt(file: string, at: number, comma: string): Cell | undefined {
  let quote = file.indexOf('"', at + 1);
  while (quote >= 0 && file[quote + 1] === '"') quote = file.indexOf('"', quote + 2);
  if (quote < 0) return undefined;
  const end = file.startsWith('\r\n', quote + 1) ? quote + 2 : quote + 1;
  if (end < file.length && file[end] !== comma && file[end] !== '\n') return undefined;
  return { text: file.slice(at + 1, quote).replaceAll('""', '"'), end };
}

/** Excel writes semicolons where the comma is the decimal point. */
function commaOf(file: string): ',' | ';' {
  const end = file.indexOf('\n');
  const first = end < 0 ? file : file.slice(0, end);
  return first.includes(';') && !first.includes(',') ? ';' : ',';
}

/** Empty lines are no records. */
function readRecords(file: string): Result<readonly FileRecord[], Fault<'TooLarge'>> {
  const records: FileRecord[] = [];
  const comma = commaOf(file);
  let cells: string[] = [];
  let count = 0;
  let line = 1;
  let begin = 1;
  for (let at = 0; at < file.length; ) {
    if (cells.length === MAX_COLUMNS)
      return fail('TooLarge', `line ${begin} has more than ${MAX_COLUMNS} values: a file has at most so many columns`);
    if (line > MAX_LINES) return fail('TooLarge', `the file has more than ${MAX_LINES} lines: import it in parts`);
    if (++count > MAX_CELLS) return fail('TooLarge', `the file has more than ${MAX_CELLS} values: import it in parts`);
    const { text, end } = cellAt(file, at, comma);
    cells.push(text);
    line += text.split('\n').length - (file[end] === '\n' ? 0 : 1);
    at = end + 1;
    if (file[end] === comma && at < file.length) continue;
    if (file[end] === comma) cells.push('');
    if (cells.some((cell) => cell.trim() !== '')) records.push({ line: begin, cells });
    cells = [];
    begin = line;
  }
  return ok(records);
}
