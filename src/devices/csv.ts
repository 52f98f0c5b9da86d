/** A CSV file of devices (RFC 4180), line by line into devices or complaints. Pure. */
import type { Device } from '../farm/model.ts';
import { canonicalUuid } from '../farm/uuids.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Column, type Complaint, type DeviceText, parseDevice } from './input.ts';

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
  readonly bad: readonly BadLine[];
}

const COLUMNS = ['name', 'mac', 'uuid', 'collection', 'class', 'enabled'];

/** `BadHeader` when the first line does not name the columns: then no line can be read. */
export function parseDeviceFile(text: string): Result<DeviceFile, Fault<'BadHeader'>> {
  const [header, ...records] = readRecords(text.replace(/^\uFEFF/, ''));
  const columns = header?.cells.map((cell) => cell.trim().toLowerCase()) ?? [];
  const expected = `the first line names the columns: name, mac, collection and, where wanted, uuid, class, enabled, property.NAME`;
  const missing = ['name', 'mac', 'collection'].filter((column) => !columns.includes(column));
  if (missing.length > 0) return fail('BadHeader', `line 1 lacks ${missing.join(', ')}: ${expected}`);
  const unknown = columns.find((column) => !COLUMNS.includes(column) && !/^property\../.test(column));
  if (unknown !== undefined)
    return fail('BadHeader', `line 1 has an unknown column ${JSON.stringify(unknown)}: ${expected}`);
  // the name of a property keeps its case
  const named = columns.map((column, index) =>
    column.startsWith('property.') ? (header?.cells[index]?.trim() ?? '') : column,
  );
  const twice = named.find((column, index) => named.indexOf(column) !== index);
  if (twice !== undefined) return fail('BadHeader', `line 1 names the column ${twice} twice`);
  return ok(judgeRecords(named, records));
}

function judgeRecords(columns: readonly string[], records: readonly FileRecord[]): DeviceFile {
  const good: GoodLine[] = [];
  const bad: BadLine[] = [];
  const taken = new Map<string, number>();
  for (const { line, cells } of records) {
    if (cells.length !== columns.length) {
      const column = (columns[Math.min(cells.length, columns.length) - 1] ?? 'name') as Column;
      const value = cells.at(-1) ?? '';
      bad.push({ line, column, value, reason: `the line has ${cells.length} values for ${columns.length} columns` });
      continue;
    }
    const device = parseDevice(deviceText(columns, cells));
    const complaints = 'name' in device ? repeated(device, taken) : device;
    bad.push(...complaints.map((complaint) => ({ line, ...complaint })));
    if (!('name' in device) || complaints.length > 0) continue;
    for (const { key } of identities(device)) taken.set(key, line);
    good.push({ line, device });
  }
  return { good, bad };
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

function deviceText(columns: readonly string[], cells: readonly string[]): DeviceText {
  const cell = (column: string): string => cells[columns.indexOf(column)]?.trim() ?? '';
  const properties = columns
    .filter((column) => column.startsWith('property.'))
    .map((column) => [column.slice('property.'.length), cells[columns.indexOf(column)] ?? ''] as const)
    .filter(([, value]) => value !== '');
  return {
    name: cell('name'),
    macs: cell('mac')
      .split(/[\s;]+/)
      .filter(Boolean),
    uuid: cell('uuid'),
    collection: cell('collection'),
    class: cell('class'),
    enabled: cell('enabled'),
    properties: Object.fromEntries(properties),
  };
}

/** All of them as a file that `parseDeviceFile` takes back, a column for each property that one of them has. */
export function formatDevices(devices: readonly Device[]): string {
  const properties = [...new Set(devices.flatMap((device) => Object.keys(device.properties)))].sort();
  const head = [...COLUMNS, ...properties.map((name) => `property.${name}`)];
  const rows = devices.map((device) => [
    device.name,
    device.macs.join(' '),
    device.uuid ?? '',
    device.collection,
    device.class ?? '',
    String(device.enabled),
    ...properties.map((name) => device.properties[name] ?? ''),
  ]);
  return `${[head, ...rows].map((cells) => cells.map(quoted).join(',')).join('\n')}\n`;
}

/** Spaces around a plain cell are no part of it. */
const quoted = (cell: string): string =>
  /[",\r\n]/.test(cell) || cell !== cell.trim() ? `"${cell.replaceAll('"', '""')}"` : cell;

interface FileRecord {
  readonly line: number;
  readonly cells: readonly string[];
}

/** One cell, quoted (with "" for a quote) or plain, and what ends it. Matches anywhere: a stray quote makes a cell plain. */
const CELL = { ',': cellBefore(','), ';': cellBefore(';') };

function cellBefore(comma: string): RegExp {
  return new RegExp(`(?:"([^"]*(?:""[^"]*)*)"|([^${comma}\\n]*?))(${comma}|\\r?\\n|$)`, 'y');
}

/** Excel writes semicolons where the comma is the decimal point. */
const commaOf = (file: string): ',' | ';' => (/^[^,\n]*;[^,\n]*$/m.exec(file)?.index === 0 ? ';' : ',');

/** Empty lines are no records. */
function readRecords(file: string): FileRecord[] {
  const records: FileRecord[] = [];
  const comma = commaOf(file);
  const pattern = CELL[comma];
  let cells: string[] = [];
  let line = 1;
  let begin = 1;
  for (let at = 0; at < file.length; at = pattern.lastIndex) {
    pattern.lastIndex = at;
    const [whole = '', text, plain = '', end = ''] = pattern.exec(file) ?? [];
    cells.push(text?.replaceAll('""', '"') ?? plain.trim());
    line += whole.split('\n').length - 1;
    if (end === comma && pattern.lastIndex < file.length) continue;
    if (end === comma) cells.push('');
    if (cells.some((cell) => cell.trim() !== '')) records.push({ line: begin, cells });
    cells = [];
    begin = line;
  }
  return records;
}
