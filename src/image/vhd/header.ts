/**
 * The header of a VHD that grows, and the block table that it leads to. Big-endian. Source: "Virtual Hard Disk Image Format Specification" 1.0, "Dynamic Disk
 * Header Format", "Block Allocation Table and Data Blocks". Pure.
 *
 * ```
 * 0 cookie "cxsparse" (8)  8 (8)            16 offset of the table (8)   24 version (4)   28 entries of the table (4)   32 bytes of a block (4)
 * 36 checksum (4)          40 parent's id (16)  56 parent's time (4)     60 (4)           64 parent's name, UTF-16BE (512)
 * 576 eight locators of the parent (24 each)    768 zeros (256)
 * ```
 */
import { fail, ok, type Result } from '../../kit/result.ts';
import type { ImageFault } from '../disk.ts';
import { type Area, overlap } from '../overlap.ts';
import { checksum, timeStamp } from './footer.ts';

export const HEADER_BYTES = 1_024;

export interface Header {
  readonly tableOffset: number;
  readonly blockBytes: number;
  /** Of the table that this disk needs. */
  readonly blocks: number;
  /** That the table has: as many, or more. */
  readonly entries: number;
  /** 32 hex digits. */
  readonly parentId: string;
  readonly parentName: string;
  readonly locators: readonly Locator[];
}

export interface Locator {
  /** "W2ku" and its like. */
  readonly platform: string;
  readonly length: number;
  readonly offset: bigint;
}

export interface NewHeader extends Pick<Header, 'tableOffset' | 'blockBytes'> {
  /** Of the table. */
  readonly entries: number;
  /** Absent: it is no difference. `id`: 32 hex digits. */
  readonly parent: { readonly name: string; readonly id: string; readonly modifiedMs: number } | undefined;
  readonly locators: readonly NewLocator[];
}

export interface NewLocator {
  readonly platform: string;
  readonly bytes: Buffer;
  readonly offset: number;
}

/** 2,040 GiB in blocks of 512 KiB. Writers take 2 MiB; the table is in memory, 4 bytes a block. */
export const MAX_BLOCKS = 4_194_304;
const MAX_BLOCK_BYTES = 256 << 20;
const ENTRY_BYTES = 4;
const PARENT_NAME_BYTES = 512;
const SECTOR = 512;
/** An entry of a block that is not there. */
export const ABSENT = 0xffffffff;

/** The space of a locator is said in bytes, as Windows does. */
export function encodeHeader({ tableOffset, blockBytes, entries, parent, locators }: NewHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write('cxsparse');
  bytes.writeBigUInt64BE(2n ** 64n - 1n, 8);
  bytes.writeBigUInt64BE(BigInt(tableOffset), 16);
  bytes.writeUInt32BE(0x1_0000, 24);
  bytes.writeUInt32BE(entries, 28);
  bytes.writeUInt32BE(blockBytes, 32);
  if (parent) {
    bytes.write(parent.id, 40, 'hex');
    bytes.writeUInt32BE(timeStamp(parent.modifiedMs), 56);
    bytesSwapped(Buffer.from(parent.name, 'utf16le')).copy(bytes, 64, 0, PARENT_NAME_BYTES);
  }
  for (const [index, locator] of locators.entries()) {
    const at = 576 + 24 * index;
    bytes.write(locator.platform, at);
    bytes.writeUInt32BE(Math.ceil(locator.bytes.length / SECTOR) * SECTOR, at + 4);
    bytes.writeUInt32BE(locator.bytes.length, at + 8);
    bytes.writeBigUInt64BE(BigInt(locator.offset), at + 16);
  }
  bytes.writeUInt32BE(checksum(bytes, 36), 36);
  return bytes;
}

/** `unchecked`: written by what computes no checksums, as its footers say. */
export function decodeHeader(bytes: Buffer, sizeBytes: number, unchecked: boolean): Result<Header, ImageFault> {
  if (bytes.toString('latin1', 0, 8) !== 'cxsparse')
    return fail('ImageInvalid', 'where its footer says that its header is, there is none: copy it again');
  if (!unchecked && bytes.readUInt32BE(36) !== checksum(bytes, 36))
    return fail('ImageInvalid', 'its header is damaged (the checksum is wrong): copy it again');
  const version = bytes.readUInt32BE(24) >>> 16;
  if (version !== 1) return fail('NotSupported', `its header has version ${version}, and this release reads version 1`);
  const blockBytes = bytes.readUInt32BE(32);
  if (blockBytes < SECTOR || blockBytes > MAX_BLOCK_BYTES || (blockBytes & (blockBytes - 1)) !== 0)
    return fail(
      'ImageInvalid',
      `its blocks have ${blockBytes} bytes, and those of a VHD a power of two from ${SECTOR} to ${MAX_BLOCK_BYTES}`,
    );
  const blocks = Math.ceil(sizeBytes / blockBytes);
  const entries = bytes.readUInt32BE(28);
  if (entries < blocks)
    return fail('ImageInvalid', `its table has ${entries} entries, and a disk of ${sizeBytes} bytes needs ${blocks}`);
  if (blocks > MAX_BLOCKS)
    return fail(
      'NotSupported',
      `it has ${blocks} blocks, and this release reads ${MAX_BLOCKS}: convert it to larger ones`,
    );
  const locators = Array.from({ length: 8 }, (_, index) => decodeLocator(bytes.subarray(576 + 24 * index)));
  const parentName = bytesSwapped(bytes.subarray(64, 576)).toString('utf16le');
  const tableOffset = Number(bytes.readBigUInt64BE(16));
  return ok({
    tableOffset,
    blockBytes,
    blocks,
    entries,
    parentId: bytes.toString('hex', 40, 56),
    parentName,
    locators,
  });
}

const bytesSwapped = (bytes: Buffer): Buffer => Buffer.from(bytes).swap16();

/** 0 platform (4), 4 space (4), 8 length (4), 12 (4), 16 offset (8). The space is said in sectors, or in bytes (Windows 10): the length counts. */
const decodeLocator = (bytes: Buffer): Locator => ({
  platform: bytes.toString('latin1', 0, 4),
  length: bytes.readUInt32BE(8),
  offset: bytes.readBigUInt64BE(16),
});

/** `headerOffset`: where it lies itself. */
export const areasOf = (headerOffset: number, { tableOffset, blocks, locators }: Header): readonly Area[] => [
  { what: 'footer', start: 0, end: SECTOR },
  { what: 'header', start: headerOffset, end: headerOffset + HEADER_BYTES },
  { what: 'block table', start: tableOffset, end: tableOffset + blocks * ENTRY_BYTES },
  ...locators
    .filter(({ length }) => length > 0)
    .map(({ platform, offset, length }) => ({
      what: `locator ${platform}`,
      start: Number(offset),
      end: Number(offset) + length,
    })),
];

export const tableBytes = ({ blocks }: Header): number => blocks * ENTRY_BYTES;

/** Of each block, in sectors: where its bitmap begins, which its data follows; or `ABSENT`. */
export type Table = Uint32Array;

export function decodeTable(bytes: Buffer): Table {
  const table = new Uint32Array(Math.floor(bytes.length / ENTRY_BYTES));
  for (let block = 0; block < table.length; block++) table[block] = bytes.readUInt32BE(block * ENTRY_BYTES);
  return table;
}

/** "The bitmap is padded to a sector": a bit for each sector of a block. */
export const bitmapBytes = (blockBytes: number): number => Math.ceil(blockBytes / SECTOR / 8 / SECTOR) * SECTOR;

export interface Layout extends Pick<Header, 'blockBytes' | 'tableOffset'> {
  readonly sizeBytes: number;
  readonly headerOffset: number;
  /** Where the data of the file ends: at its footer. */
  readonly endBytes: number;
}

/** Why blocks cannot lie where the table says. The last may be as short as the disk. */
export function judgeTable(table: Table, layout: Layout): ImageFault | undefined {
  const { blockBytes, sizeBytes, endBytes, tableOffset, headerOffset } = layout;
  const bitmap = bitmapBytes(blockBytes);
  for (let block = 0; block < table.length; block++) {
    const sector = table[block] ?? ABSENT;
    if (sector === ABSENT) continue;
    const needed = bitmap + Math.min(blockBytes, sizeBytes - block * blockBytes);
    if (needed <= endBytes - sector * SECTOR) continue;
    const message = `block ${block} is at byte ${sector * SECTOR}, and the file has ${endBytes}: it was cut; copy it again`;
    return { code: 'FileCut', message };
  }
  const areas = [
    inSectors('footer', 0, 512),
    inSectors('header', headerOffset, HEADER_BYTES),
    inSectors('block table', tableOffset, table.length * ENTRY_BYTES),
  ];
  const wrong = overlap(
    table.filter((sector) => sector !== ABSENT),
    (bitmap + blockBytes) / SECTOR,
    areas,
    SECTOR,
  );
  return wrong === undefined ? undefined : { code: 'ImageInvalid', message: `${wrong}: it is damaged; copy it again` };
}

const inSectors = (what: string, start: number, length: number): Area => ({
  what,
  start: Math.floor(start / SECTOR),
  end: Math.ceil((start + length) / SECTOR),
});
