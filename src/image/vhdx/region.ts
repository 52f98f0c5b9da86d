/**
 * The regions of a VHDX: where its block table and its metadata lie. Little-endian. Source: [MS-VHDX] 2.2.3. Pure.
 *
 * ```
 * 0 "regi" (4)   4 checksum of 64 KiB (4)   8 entries (4)   12 zeros (4)
 * then each: 0 GUID (16)   16 offset (8)   24 length (4)   28 required (4, bit 0)
 * ```
 */
import { fail, ok, type Result } from '../../kit/result.ts';
import type { ImageFault } from '../disk.ts';
import { checksumOf, sum } from './crc32c.ts';
import { guidAt, guidBytes } from './guid.ts';
import { COPY_AGAIN, MIB, REGION_TABLES } from './header.ts';

const KNOWN = {
  blockTable: '2dc27766-f623-4200-9d64-115e9bfd4a08',
  metadata: '8b7ca206-4790-4b9a-b8fe-575f050f886e',
} as const;

export interface Region {
  readonly guid: string;
  readonly offset: number;
  readonly length: number;
}

export interface Regions {
  readonly blockTable: Region;
  readonly metadata: Region;
  /** Also those that are not known, and not required: nothing else lies there. */
  readonly all: readonly Region[];
}

/** 2.2.3: more do not fit. */
const MAX_ENTRIES = 2_047;

/** Of two tables that say the same, the first that is whole. qemu does not mark its own as required, which changes nothing for one that is known. */
export function findRegions(both: readonly Buffer[], fileBytes: number): Result<Regions, ImageFault> {
  const bytes = both.find(isWhole);
  if (!bytes) return fail('ImageInvalid', `neither of its region tables is whole: ${COPY_AGAIN}`);
  const entries = Array.from({ length: bytes.readUInt32LE(8) }, (_, index) =>
    decodeEntry(bytes.subarray(16 + 32 * index)),
  );
  const unknown = entries.find(({ guid, required }) => required && !Object.values<string>(KNOWN).includes(guid));
  if (unknown)
    return fail(
      'NotSupported',
      `it has a region ${unknown.guid} that must be understood, and this release does not know it`,
    );
  const wrong = entries.find(
    ({ offset, length }) => offset < MIB || offset % MIB !== 0 || length === 0 || length % MIB !== 0,
  );
  if (wrong)
    return fail('ImageInvalid', `its region ${wrong.guid} has ${wrong.length} bytes at ${wrong.offset}: ${COPY_AGAIN}`);
  const cut = entries.find(({ offset, length }) => offset > fileBytes || length > fileBytes - offset);
  if (cut)
    return fail(
      'FileCut',
      `it has ${fileBytes} bytes, and its region ${cut.guid} ends at ${cut.offset + cut.length}: it was cut; copy it again`,
    );
  const blockTable = only(entries, KNOWN.blockTable);
  const metadata = only(entries, KNOWN.metadata);
  if (!blockTable || !metadata)
    return fail('ImageInvalid', `it does not have one block table and one metadata region: ${COPY_AGAIN}`);
  return ok({ blockTable, metadata, all: entries });
}

/** Both are required. */
export function encodeRegions(regions: Readonly<Record<keyof typeof KNOWN, Omit<Region, 'guid'>>>): Buffer {
  const bytes = Buffer.alloc(REGION_TABLES.bytes);
  const entries = [
    { guid: KNOWN.blockTable, ...regions.blockTable },
    { guid: KNOWN.metadata, ...regions.metadata },
  ];
  bytes.write('regi');
  bytes.writeUInt32LE(entries.length, 8);
  for (const [index, { guid, offset, length }] of entries.entries()) {
    const at = 16 + 32 * index;
    guidBytes(guid).copy(bytes, at);
    bytes.writeBigUInt64LE(BigInt(offset), at + 16);
    bytes.writeUInt32LE(length, at + 24);
    bytes.writeUInt32LE(1, at + 28);
  }
  return sum(bytes, 4);
}

/** What is read all the same. */
export function oddRegions(both: readonly Buffer[]): string[] {
  const [one, two] = both;
  if (!both.every(isWhole)) return ['one of its two region tables is damaged: the other is read'];
  return one && two && one.equals(two) ? [] : ['its two region tables differ: the first is read'];
}

const isWhole = (bytes: Buffer): boolean =>
  bytes.toString('latin1', 0, 4) === 'regi' &&
  bytes.readUInt32LE(8) <= MAX_ENTRIES &&
  bytes.readUInt32LE(4) === checksumOf(bytes, 4);

const decodeEntry = (bytes: Buffer): Region & { readonly required: boolean } => ({
  guid: guidAt(bytes, 0),
  offset: Number(bytes.readBigUInt64LE(16)),
  length: bytes.readUInt32LE(24),
  required: (bytes.readUInt32LE(28) & 1) === 1,
});

function only(entries: readonly Region[], guid: string): Region | undefined {
  const [found, second] = entries.filter((entry) => entry.guid === guid);
  return second ? undefined : found;
}
