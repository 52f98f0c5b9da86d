/**
 * The footer of a VHD: what it is, and how large. Big-endian. Source: "Virtual Hard Disk Image Format Specification" 1.0 (Microsoft, 2006), "Hard Disk
 * Footer Format". Pure.
 *
 * ```
 * 0 cookie "conectix" (8)  8 features (4)     12 format version (4)  16 offset of the dynamic header (8)
 * 24 time stamp (4)        28 creator (4)     32 its version (4)     36 its system (4)
 * 40 original size (8)     48 current size (8)  56 geometry (4)      60 type (4)
 * 64 checksum (4)          68 unique id (16)  84 saved state (1)     85 zeros (427)
 * ```
 */
import { fail, ok, type Result } from '../../kit/result.ts';
import { type ImageFault, SECTOR_BYTES } from '../disk.ts';
import { geometryOf } from './geometry.ts';

export const FOOTER_BYTES = 512;

/** 3, "dynamic", is also what some call sparse. 0, 1, 5 and 6 are reserved. */
const TYPES: ReadonlyMap<number, Footer['type']> = new Map([
  [2, 'fixed'],
  [3, 'dynamic'],
  [4, 'differencing'],
]);

export interface Footer {
  readonly type: 'fixed' | 'dynamic' | 'differencing';
  /** Of the disk. The geometry beside it may say less (Windows, Virtual PC), or far more (Disk2vhd): it is never asked. */
  readonly sizeBytes: number;
  /** 32 hex digits. */
  readonly id: string;
  /** In the file; of a fixed disk it says nothing. */
  readonly headerOffset: bigint;
  /** "vpc ", "win ", "qemu", "tap", …, and the version of it. */
  readonly creator: string;
  /** Of cylinders, heads and sectors a track. */
  readonly geometry: { readonly bytes: number; readonly cylinderBytes: number };
  readonly saved: boolean;
}

export interface FoundFooter {
  readonly footer: Footer;
  /** What the footer at the end takes of the file: 0, 511 or 512 bytes. */
  readonly tailBytes: number;
  /** Written by what computes no checksums: both footers are the same, and so is what is wrong with them. */
  readonly unchecked: boolean;
}

/** 65,535 cylinders of 16 heads with 255 sectors: what "Hard Disk Footer Format" says of all that is larger. */
const MAX_GEOMETRY_BYTES = 65_535 * 16 * 255 * SECTOR_BYTES;

/** 2,040 GiB: the last sector of the last block must have a number in the block table. */
export const MAX_SIZE_BYTES = 2_040 * 2 ** 30;

/** "Checksum": the ones' complement of the sum of all bytes without it. The structures are 512 and 1,024 bytes. */
export function checksum(bytes: Buffer, at: number): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index++) if (index < at || index >= at + 4) sum += bytes[index] ?? 0;
  return ~sum >>> 0;
}

const hasCookie = (bytes: Buffer): boolean =>
  bytes.length === FOOTER_BYTES && bytes.toString('latin1', 0, 8) === 'conectix';
const isSound = (bytes: Buffer): boolean => hasCookie(bytes) && bytes.readUInt32BE(64) === checksum(bytes, 64);
const typeOf = (bytes: Buffer): Footer['type'] | undefined => TYPES.get(bytes.readUInt32BE(60));

/**
 * `head` and `tail`: the first and the last 512 bytes of the file. The footer at the end counts; a disk that grows begins with a copy of it, which stands in
 * for one that is damaged. Writers before Virtual PC 2004 wrote 511 bytes at the end.
 */
export function findFooter(head: Buffer, tail: Buffer): Result<FoundFooter, ImageFault> {
  const short = Buffer.concat([tail.subarray(1), Buffer.alloc(1)]);
  const found = [
    { bytes: tail, tailBytes: FOOTER_BYTES, is: isSound(tail) },
    { bytes: short, tailBytes: FOOTER_BYTES - 1, is: isSound(short) },
    { bytes: head, tailBytes: 0, is: isSound(head) && typeOf(head) !== 'fixed' },
  ].find(({ is }) => is);
  const unchecked = found === undefined && hasCookie(head) && head.equals(tail);
  if (!found && !unchecked) {
    if (!hasCookie(tail) && !hasCookie(short) && !hasCookie(head))
      return fail('ImageInvalid', 'it has no footer of a VHD at its end: it was cut, or is none; copy it again');
    return fail(
      'ImageInvalid',
      'its footer is damaged (the checksum is wrong), and there is no right copy: copy it again',
    );
  }
  const footer = decodeFooter(found?.bytes ?? tail);
  return footer.ok ? ok({ footer: footer.value, tailBytes: found?.tailBytes ?? FOOTER_BYTES, unchecked }) : footer;
}

function decodeFooter(bytes: Buffer): Result<Footer, ImageFault> {
  const version = bytes.readUInt32BE(12);
  if (version >>> 16 !== 1)
    return fail('NotSupported', `its format has version ${version >>> 16}, and this release reads version 1 of VHD`);
  const type = typeOf(bytes);
  if (type === undefined) return fail('ImageInvalid', `its footer says type ${bytes.readUInt32BE(60)}, which is none`);
  const size = bytes.readBigUInt64BE(48);
  if (size === 0n || size % BigInt(SECTOR_BYTES) !== 0n || size > BigInt(MAX_SIZE_BYTES))
    return fail(
      'SizeInvalid',
      `its footer says a disk of ${size} bytes, and one of a VHD has a multiple of ${SECTOR_BYTES} up to ${MAX_SIZE_BYTES}`,
    );
  return ok({
    type,
    sizeBytes: Number(size),
    id: bytes.toString('hex', 68, 84),
    headerOffset: bytes.readBigUInt64BE(16),
    creator: creatorOf(bytes),
    geometry: geometryIn(bytes),
    saved: bytes.readUInt8(84) === 1,
  });
}

/** A name of four letters, then a version of two times two bytes. */
function creatorOf(bytes: Buffer): string {
  const name = bytes.toString('latin1', 28, 32).replace(/[^\x20-\x7e]/g, '');
  return `${name.trim()} ${bytes.readUInt16BE(32)}.${bytes.readUInt16BE(34)}`.trim();
}

function geometryIn(bytes: Buffer): Footer['geometry'] {
  const cylinderBytes = bytes.readUInt8(58) * bytes.readUInt8(59) * SECTOR_BYTES;
  return { bytes: bytes.readUInt16BE(56) * cylinderBytes, cylinderBytes };
}

/** What is read all the same. `head`: of a disk that grows, the first bytes of its file, where the copy of its footer is. */
export function oddOf({ footer, tailBytes, unchecked }: FoundFooter, head: Buffer | undefined): string[] {
  const { sizeBytes, geometry, id, saved } = footer;
  // A geometry ends within a cylinder before the disk does, and the largest there is at 127 GiB.
  const ends = geometry.bytes <= sizeBytes && sizeBytes - geometry.bytes < geometry.cylinderBytes;
  const odd = [
    { is: unchecked, what: 'its checksums are wrong throughout: what wrote it computes none' },
    { is: tailBytes === 0, what: 'the footer at its end is damaged or gone: the copy at its start is read' },
    { is: tailBytes === FOOTER_BYTES - 1, what: 'its footer has 511 bytes, as of writers before Virtual PC 2004' },
    { is: head !== undefined && !unchecked && !isSound(head), what: 'the copy of its footer is damaged' },
    { is: /^0*$/.test(id), what: 'it has no identifier: nothing can be a difference of it' },
    {
      is: !ends && geometry.bytes > 0 && geometry.bytes < MAX_GEOMETRY_BYTES,
      what: `its geometry says ${geometry.bytes} bytes, which nobody asks`,
    },
    { is: saved, what: 'it belongs to the saved state of a machine' },
  ];
  return odd.filter(({ is }) => is).map(({ what }) => what);
}

const FEATURES = 2; // reserved, always set
const VERSION = 0x1_0000;
/** Of the program that made it: `btfm`, on `Wi2k`, for there are two systems that one may say, and the other has its own byte order of paths. */
const CREATOR = { name: 'btfm', version: VERSION, system: 'Wi2k' } as const;
/** "Time Stamp": seconds from the year 2000 on. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
export const timeStamp = (unixMs: number): number => Math.max(0, Math.floor((unixMs - EPOCH_MS) / 1_000)) >>> 0;

export type NewFooter = Pick<Footer, 'type' | 'sizeBytes' | 'id' | 'headerOffset'>;

export function encodeFooter({ type, sizeBytes, id, headerOffset }: NewFooter): Buffer {
  const bytes = Buffer.alloc(FOOTER_BYTES);
  const { cylinders, heads, sectors } = geometryOf(sizeBytes);
  bytes.write('conectix');
  bytes.writeUInt32BE(FEATURES, 8);
  bytes.writeUInt32BE(VERSION, 12);
  bytes.writeBigUInt64BE(headerOffset, 16);
  bytes.writeUInt32BE(timeStamp(Date.now()), 24);
  bytes.write(CREATOR.name, 28);
  bytes.writeUInt32BE(CREATOR.version, 32);
  bytes.write(CREATOR.system, 36);
  for (const at of [40, 48]) bytes.writeBigUInt64BE(BigInt(sizeBytes), at);
  bytes.writeUInt16BE(cylinders, 56);
  bytes.writeUInt8(heads, 58);
  bytes.writeUInt8(sectors, 59);
  bytes.writeUInt32BE([...TYPES].find(([, name]) => name === type)?.[0] ?? 0, 60);
  bytes.write(id, 68, 'hex');
  bytes.writeUInt32BE(checksum(bytes, 64), 64);
  return bytes;
}
