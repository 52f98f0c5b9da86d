/**
 * The header section of a VHDX, its first MiB: what it is, and its two headers, of which the newer one counts. Little-endian. Source: [MS-VHDX] 2.2. Pure.
 *
 * ```
 * 0        file type identifier: "vhdxfile" (8), creator, UTF-16 (512)
 * 64 KiB   header       0 "head" (4)       4 checksum (4)    8 sequence number (8)   16 file write GUID (16)
 * 128 KiB  header       32 data write GUID (16)  48 log GUID (16)  64 log version (2)  66 version (2)  68 log length (4)  72 log offset (8)
 * 192 KiB  region table
 * 256 KiB  region table
 * ```
 */
import { fail, ok, type Result } from '../../kit/result.ts';
import type { ImageFault } from '../disk.ts';
import { checksumOf, sum } from './crc32c.ts';
import { guidAt, guidBytes, NO_GUID } from './guid.ts';

export const MIB = 1 << 20;
const KIB = 1_024;
const CREATOR = 'bootfarm';
export const HEADERS = { offsets: [64 * KIB, 128 * KIB], bytes: 4 * KIB } as const;
export const REGION_TABLES = { offsets: [192 * KIB, 256 * KIB], bytes: 64 * KIB } as const;

export interface Header {
  readonly sequence: bigint;
  /** Changes with the content, so that a difference knows the one that it was made on. */
  readonly dataWriteGuid: string;
  readonly version: number;
  /** Where a log lies, whether or not there is something in it. */
  readonly logArea: { readonly offset: number; readonly length: number };
  /** Undefined: all that was logged is in its place. */
  readonly log:
    | { readonly guid: string; readonly version: number; readonly offset: number; readonly length: number }
    | undefined;
}

export const isVhdx = (head: Buffer): boolean => head.toString('latin1', 0, 8) === 'vhdxfile';

/**
 * 2.2.2: the one with the greater sequence number, of those that are whole. Disk2vhd writes two of one number: the first. The version is asked of the one that
 * counts.
 */
export function findHeader(both: readonly Buffer[]): Result<Header, ImageFault> {
  const [header, other] = both
    .flatMap(decodeHeader)
    .sort((a, b) => Number(b.sequence > a.sequence) - Number(b.sequence < a.sequence));
  if (!header) return fail('ImageInvalid', `neither of its headers is whole: ${COPY_AGAIN}`);
  if (header.version !== 1)
    return fail('NotSupported', `its format has version ${header.version}, and this release reads version 1 of VHDX`);
  if (other && other.sequence === header.sequence && other.log?.guid !== header.log?.guid)
    return fail('ImageInvalid', `its headers have one sequence number, and differ: ${COPY_AGAIN}`);
  return ok(header);
}

/** What is read all the same. */
export function oddHeaders(both: readonly Buffer[]): string[] {
  const [one, two] = both.flatMap(decodeHeader);
  if (!one || !two) return ['one of its two headers is damaged: the other is read'];
  return one.sequence === two.sequence ? [`both headers have the sequence number ${one.sequence}`] : [];
}

/** UTF-16, behind the signature of the file. */
export const creatorOf = (head: Buffer): string =>
  head
    .toString('utf16le', 8, 520)
    .replace(/\0[\s\S]*$/, '')
    .replace(/[^\x20-\x7e]/g, '?')
    .trim();

/** Of the signature and the creator. */
export const HEAD_BYTES = 520;

export const COPY_AGAIN = 'it is damaged; copy it again';

interface NewHead {
  readonly identifier: Buffer;
  readonly headers: readonly [Buffer, Buffer];
}

/** Nothing is in the log. */
export function encodeHead(
  guids: { readonly fileWrite: string; readonly dataWrite: string },
  log: { readonly offset: number; readonly length: number },
): NewHead {
  const identifier = Buffer.concat([Buffer.from('vhdxfile'), Buffer.from(CREATOR, 'utf16le')], 8 + 512);
  const header = (sequence: bigint): Buffer => {
    const bytes = Buffer.alloc(HEADERS.bytes);
    bytes.write('head');
    bytes.writeBigUInt64LE(sequence, 8);
    guidBytes(guids.fileWrite).copy(bytes, 16);
    guidBytes(guids.dataWrite).copy(bytes, 32);
    bytes.writeUInt16LE(1, 66);
    bytes.writeUInt32LE(log.length, 68);
    bytes.writeBigUInt64LE(BigInt(log.offset), 72);
    return sum(bytes, 4);
  };
  return { identifier, headers: [header(1n), header(2n)] };
}

/** None: it is not whole. */
function decodeHeader(bytes: Buffer): Header[] {
  if (bytes.toString('latin1', 0, 4) !== 'head' || bytes.readUInt32LE(4) !== checksumOf(bytes, 4)) return [];
  const guid = guidAt(bytes, 48);
  const logArea = { offset: Number(bytes.readBigUInt64LE(72)), length: bytes.readUInt32LE(68) };
  const log = { guid, version: bytes.readUInt16LE(64), ...logArea };
  return [
    {
      sequence: bytes.readBigUInt64LE(8),
      dataWriteGuid: guidAt(bytes, 32),
      version: bytes.readUInt16LE(66),
      logArea,
      log: guid === NO_GUID ? undefined : log,
    },
  ];
}
