/** VHDX images and their logs, byte by byte, after [MS-VHDX] and not after the reader. Little-endian. */
import { crc32c } from '../../src/image/vhdx/crc32c.ts';
import { bitmapOf, contentOf, type ImageBytes, type Layer, type Piece } from './image.ts';

const MIB = 1 << 20;
const LOG = MIB;
export const VHDX_METADATA = 2 * MIB;
export const VHDX_TABLE = 3 * MIB;
const ITEMS = 65_536;
export const VHDX_GUID = '11111111-2222-3333-4444-555555555555';
export const LOG_GUID = '99999999-8888-7777-6666-555555555555';

export function guidBytes(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

export function summed(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(0, 4);
  bytes.writeUInt32LE(crc32c(bytes), 4);
  return bytes;
}

export interface VhdxOptions {
  /** Data write GUID. */
  readonly guid?: string;
  readonly parent?: Readonly<Record<string, string>>;
  /** 1 MiB, announced in the headers. */
  readonly log?: Buffer;
  readonly logGuid?: string;
  /** Of both headers, in order. */
  readonly sequences?: readonly [number, number];
  /** Of blocks that are not held, and not of the parent. */
  readonly emptyState?: number;
}

function vhdxHeader(sequence: number, { guid = VHDX_GUID, log, logGuid = LOG_GUID }: VhdxOptions = {}): Buffer {
  const header = Buffer.alloc(4_096);
  header.write('head');
  header.writeBigUInt64LE(BigInt(sequence), 8);
  guidBytes(guid).copy(header, 32);
  if (log) guidBytes(logGuid).copy(header, 48);
  header.writeUInt16LE(1, 66);
  header.writeUInt32LE(MIB, 68);
  header.writeBigUInt64LE(BigInt(LOG), 72);
  return summed(header);
}

function regionTable(tableBytes: number): Buffer {
  const table = Buffer.alloc(65_536);
  table.write('regi');
  table.writeUInt32LE(2, 8);
  const regions = [
    { guid: '2dc27766-f623-4200-9d64-115e9bfd4a08', offset: VHDX_TABLE, length: tableBytes },
    { guid: '8b7ca206-4790-4b9a-b8fe-575f050f886e', offset: VHDX_METADATA, length: MIB },
  ];
  for (const [index, { guid, offset, length }] of regions.entries()) {
    const at = 16 + 32 * index;
    guidBytes(guid).copy(table, at);
    table.writeBigUInt64LE(BigInt(offset), at + 16);
    table.writeUInt32LE(length, at + 24);
    table.writeUInt32LE(1, at + 28);
  }
  return summed(table);
}

const number = (value: number, bytes: 4 | 8): Buffer => {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 4) buffer.writeUInt32LE(value);
  else buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
};

function metadata({ sizeBytes, blockBytes, sectorBytes }: Layer, parent: VhdxOptions['parent']): Piece[] {
  const items = [
    {
      guid: 'caa16737-fa36-4d43-b3b6-33f0aa44e76b',
      flags: 4,
      bytes: Buffer.concat([number(blockBytes, 4), number(parent ? 2 : 0, 4)]),
    },
    { guid: '2fa54224-cd1b-4876-b211-5dbed83bf4b8', flags: 6, bytes: number(sizeBytes, 8) },
    { guid: 'beca12ab-b2e6-4523-93ef-c309e000c746', flags: 6, bytes: Buffer.alloc(16, 7) },
    { guid: '8141bf1d-a96f-4709-ba47-f233a8faab5f', flags: 6, bytes: number(sectorBytes, 4) },
    { guid: 'cda348c7-445d-4471-9cc9-e9885251c556', flags: 6, bytes: number(4_096, 4) },
    ...(parent ? [{ guid: 'a8d35f2d-b30b-454d-abf7-d3d84834ab0c', flags: 4, bytes: locator(parent) }] : []),
  ];
  const table = Buffer.alloc(ITEMS);
  table.write('metadata');
  table.writeUInt16LE(items.length, 10);
  let end = ITEMS;
  const pieces: Piece[] = [{ offset: VHDX_METADATA, bytes: table }];
  for (const [index, { guid, flags, bytes }] of items.entries()) {
    const at = 32 + 32 * index;
    guidBytes(guid).copy(table, at);
    for (const [field, value] of [end, bytes.length, flags].entries()) table.writeUInt32LE(value, at + 16 + 4 * field);
    pieces.push({ offset: VHDX_METADATA + end, bytes });
    end += bytes.length;
  }
  return pieces;
}

function locator(values: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(values).map((pair) => pair.map((text) => Buffer.from(text, 'utf16le')));
  const head = Buffer.alloc(20 + 12 * entries.length);
  guidBytes('b04aefb7-d19e-4a81-b789-25b8e9445913').copy(head);
  head.writeUInt16LE(entries.length, 18);
  let end = head.length;
  for (const [index, [key, value]] of entries.entries()) {
    const at = 20 + 12 * index;
    const [keyBytes, valueBytes] = [key?.length ?? 0, value?.length ?? 0];
    head.writeUInt32LE(end, at);
    head.writeUInt32LE(end + keyBytes, at + 4);
    head.writeUInt16LE(keyBytes, at + 8);
    head.writeUInt16LE(valueBytes, at + 10);
    end += keyBytes + valueBytes;
  }
  return Buffer.concat([head, ...entries.flat()]);
}

/** Blocks lie in the file in the order of the map; bitmaps of the chunks before them. */
export function vhdxImage(layer: Layer, options: VhdxOptions = {}): ImageBytes {
  const { parent, log, sequences = [1, 2], emptyState = 0 } = options;
  const { sizeBytes, blockBytes, sectorBytes, blocks } = layer;
  const many = Math.ceil(sizeBytes / blockBytes);
  const ratio = (2 ** 23 * sectorBytes) / blockBytes;
  const chunks = Math.ceil(many / ratio);
  const entries = Buffer.alloc(8 * (parent ? chunks * (ratio + 1) : many + Math.floor((many - 1) / ratio)));
  const tableBytes = Math.ceil(entries.length / MIB) * MIB;
  let end = VHDX_TABLE + tableBytes;
  const set = (entry: number, state: number, offset = 0): void =>
    void entries.writeBigUInt64LE((BigInt(offset / MIB) << 20n) | BigInt(state), 8 * entry);
  const data: Piece[] = [];
  const bitmaps = new Map<number, Buffer>();
  for (const [block, held] of blocks) {
    if (typeof held === 'string') continue;
    const chunk = Math.floor(block / ratio);
    const bits = bitmaps.get(chunk) ?? Buffer.alloc(MIB);
    if (!bitmaps.has(chunk)) {
      bitmaps.set(chunk, bits);
      set(chunk * (ratio + 1) + ratio, 6, end);
      data.push({ offset: end, bytes: bits });
      end += MIB;
    }
    const bytes = blockBytes / sectorBytes / 8;
    bitmapOf(held, bytes, false).copy(bits, (block % ratio) * bytes);
  }
  for (let block = 0; block < many; block++)
    if (!blocks.has(block) && emptyState !== 0) set(block + Math.floor(block / ratio), emptyState);
  for (const [block, held] of blocks) {
    const entry = block + Math.floor(block / ratio);
    if (held === 'zeros') {
      set(entry, 2);
      continue;
    }
    set(entry, held === 'whole' ? 6 : 7, end);
    data.push({ offset: end, bytes: contentOf(layer, block) });
    end += blockBytes;
  }
  const head = [
    { offset: 0, bytes: Buffer.concat([Buffer.from('vhdxfile'), Buffer.from('test', 'utf16le')]) },
    { offset: 64 << 10, bytes: vhdxHeader(sequences[0], options) },
    { offset: 128 << 10, bytes: vhdxHeader(sequences[1], options) },
    ...[192 << 10, 256 << 10].map((offset) => ({ offset, bytes: regionTable(tableBytes) })),
    ...(log ? [{ offset: LOG, bytes: log }] : []),
    ...metadata(layer, parent),
    { offset: VHDX_TABLE, bytes: entries },
  ];
  return { pieces: [...head, ...data], sizeBytes: end };
}

export interface LogEntry {
  readonly sequence: number;
  /** Where it begins, and where the first begins that is still needed; bytes in the log. */
  readonly at: number;
  readonly tail: number;
  /** A page, or so many bytes of zeros. */
  readonly writes: readonly { readonly offset: number; readonly data: Buffer | number }[];
  readonly guid?: string;
  readonly flushedBytes?: number;
  readonly lastBytes?: number;
}

export const logSectors = ({ writes }: Pick<LogEntry, 'writes'>): number =>
  Math.ceil((64 + 32 * writes.length) / 4_096) + writes.filter(({ data }) => typeof data !== 'number').length;

export function logEntry(entry: LogEntry): Buffer {
  const { sequence, tail, writes, guid = LOG_GUID, flushedBytes = 0, lastBytes = 0 } = entry;
  const bytes = Buffer.alloc(logSectors(entry) * 4_096);
  bytes.write('loge');
  bytes.writeUInt32LE(bytes.length, 8);
  bytes.writeUInt32LE(tail, 12);
  bytes.writeBigUInt64LE(BigInt(sequence), 16);
  bytes.writeUInt32LE(writes.length, 24);
  guidBytes(guid).copy(bytes, 32);
  bytes.writeBigUInt64LE(BigInt(flushedBytes), 48);
  bytes.writeBigUInt64LE(BigInt(lastBytes), 56);
  let sector = Math.ceil((64 + 32 * writes.length) / 4_096) * 4_096;
  for (const [index, { offset, data }] of writes.entries()) {
    const at = 64 + 32 * index;
    bytes.write(typeof data === 'number' ? 'zero' : 'desc', at);
    bytes.writeBigUInt64LE(BigInt(offset), at + 16);
    bytes.writeBigUInt64LE(BigInt(sequence), at + 24);
    if (typeof data === 'number') {
      bytes.writeBigUInt64LE(BigInt(data), at + 8);
      continue;
    }
    data.copy(bytes, at + 4, 4_092);
    data.copy(bytes, at + 8, 0, 8);
    bytes.write('data', sector);
    bytes.writeUInt32LE(Math.floor(sequence / 2 ** 32), sector + 4);
    data.copy(bytes, sector + 8, 8, 4_092);
    bytes.writeUInt32LE(sequence % 2 ** 32, sector + 4_092);
    sector += 4_096;
  }
  return summed(bytes);
}

/** In a ring, each where it says. */
export function logOf(entries: readonly LogEntry[], sizeBytes = MIB): Buffer {
  const ring = Buffer.alloc(sizeBytes);
  for (const entry of entries) {
    const bytes = logEntry(entry);
    const first = Math.min(bytes.length, sizeBytes - entry.at);
    bytes.copy(ring, entry.at, 0, first);
    bytes.copy(ring, 0, first);
  }
  return ring;
}
