/**
 * The metadata of a VHDX: how large its disk, its blocks and its sectors are. Little-endian. Source: [MS-VHDX] 2.6. Pure.
 *
 * ```
 * 0 "metadata" (8)   8 (2)   10 entries (2)   12 (20)
 * then each: 0 GUID (16)   16 offset in the region (4)   20 length (4)   24 flags (4): 1 user's, 2 of the disk, 4 required   28 (4)
 * ```
 */
import { fail, ok, type Result } from '../../kit/result.ts';
import { type ImageFault, SECTOR_BYTES } from '../disk.ts';
import { guidAt, guidBytes } from './guid.ts';
import { COPY_AGAIN, MIB } from './header.ts';

export const METADATA_TABLE_BYTES = 65_536;
/** 2.6.1.2: more do not fit. */
const MAX_ENTRIES = 2_047;
const REQUIRED = 4;
const OF_DISK = 2;
const HAS_PARENT = 2;
/** "LeaveBlocksAllocated". */
const IS_FIXED = 1;
/** What disks have that are sold, and what pages are. */
const PHYSICAL_SECTOR = 4_096;
/** 2.6.2.2. */
export const MAX_DISK_BYTES = 64 * 2 ** 40;
export const MAX_BLOCK_BYTES = 256 * MIB;
/** Of a parent locator: paths of at most 32,767 characters each, and no more than 1 MiB (2.6.1.2). */
const MAX_ITEM_BYTES = MIB;

/** By name, with the bytes that are needed. The parent locator's are as many as it has. */
const ITEMS = {
  fileParameters: { guid: 'caa16737-fa36-4d43-b3b6-33f0aa44e76b', bytes: 8 },
  diskSize: { guid: '2fa54224-cd1b-4876-b211-5dbed83bf4b8', bytes: 8 },
  diskId: { guid: 'beca12ab-b2e6-4523-93ef-c309e000c746', bytes: 16 },
  logicalSector: { guid: '8141bf1d-a96f-4709-ba47-f233a8faab5f', bytes: 4 },
  physicalSector: { guid: 'cda348c7-445d-4471-9cc9-e9885251c556', bytes: 4 },
  parentLocator: { guid: 'a8d35f2d-b30b-454d-abf7-d3d84834ab0c', bytes: 20 },
} as const;
type ItemName = keyof typeof ITEMS;

/** In the metadata region. */
export interface Item {
  readonly offset: number;
  readonly length: number;
}
export type Items = Readonly<Partial<Record<ItemName, Item>>>;

/** `regionBytes`: of the metadata region, which no item leaves. */
export function decodeItems(table: Buffer, regionBytes: number): Result<Items, ImageFault> {
  const many = table.readUInt16LE(10);
  if (table.toString('latin1', 0, 8) !== 'metadata' || many > MAX_ENTRIES)
    return fail('ImageInvalid', `its metadata have no table: ${COPY_AGAIN}`);
  const items: Partial<Record<ItemName, Item>> = {};
  for (let index = 0; index < many; index++) {
    const at = 32 + 32 * index;
    const guid = guidAt(table, at);
    const [offset, length, flags] = [16, 20, 24].map((field) => table.readUInt32LE(at + field)) as [
      number,
      number,
      number,
    ];
    const name = (Object.keys(ITEMS) as ItemName[]).find((known) => ITEMS[known].guid === guid);
    if (name === undefined) {
      if ((flags & REQUIRED) === 0) continue;
      return fail(
        'NotSupported',
        `its metadata have an item ${guid} that must be understood, and this release does not know it`,
      );
    }
    const fits = offset >= METADATA_TABLE_BYTES && length <= MAX_ITEM_BYTES && offset + length <= regionBytes;
    if (!fits || length < ITEMS[name].bytes || items[name])
      return fail('ImageInvalid', `its metadata have ${length} bytes of ${name} at ${offset}: ${COPY_AGAIN}`);
    items[name] = { offset, length };
  }
  return ok(items);
}

export interface Shape {
  readonly sizeBytes: number;
  readonly blockSize: 512 | 4096;
  readonly blockBytes: number;
  readonly hasParent: boolean;
}

/** `isFixed`: blocks stay where they are in the file. */
export type ReadShape = Shape & { readonly isFixed: boolean };

/** Each is the item's bytes. The sector that a device sees is the logical one: the physical one changes nothing here. */
export function decodeShape(parameters: Buffer, size: Buffer, logical: Buffer): Result<ReadShape, ImageFault> {
  const blockBytes = parameters.readUInt32LE(0);
  if (blockBytes < MIB || blockBytes > MAX_BLOCK_BYTES || (blockBytes & (blockBytes - 1)) !== 0)
    return fail(
      'ImageInvalid',
      `its blocks have ${blockBytes} bytes, and those of a VHDX a power of two from ${MIB} to ${MAX_BLOCK_BYTES}`,
    );
  const blockSize = logical.readUInt32LE(0);
  if (blockSize !== SECTOR_BYTES && blockSize !== 4_096)
    return fail('ImageInvalid', `its sectors have ${blockSize} bytes, and those of a VHDX 512 or 4096`);
  const sizeBytes = size.readBigUInt64LE(0);
  if (sizeBytes === 0n || sizeBytes % BigInt(blockSize) !== 0n || sizeBytes > BigInt(MAX_DISK_BYTES))
    return fail(
      'SizeInvalid',
      `it says a disk of ${sizeBytes} bytes, and one of a VHDX has a multiple of ${blockSize} up to ${MAX_DISK_BYTES}`,
    );
  const flags = parameters.readUInt32LE(4);
  const hasParent = (flags & HAS_PARENT) !== 0;
  const isFixed = (flags & IS_FIXED) !== 0;
  return ok({ sizeBytes: Number(sizeBytes), blockSize, blockBytes, hasParent, isFixed });
}

export interface NewMetadata {
  readonly diskId: string;
  readonly isFixed: boolean;
  readonly locator: Buffer | undefined;
}

/** The table, and behind it the items; the region may be longer. */
export function encodeMetadata(shape: Shape, { diskId, isFixed, locator }: NewMetadata): Buffer {
  const { sizeBytes, blockSize, blockBytes, hasParent } = shape;
  const parameters = Buffer.alloc(8);
  parameters.writeUInt32LE(blockBytes);
  parameters.writeUInt32LE((isFixed ? IS_FIXED : 0) | (hasParent ? HAS_PARENT : 0), 4);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(sizeBytes));
  const items: readonly (readonly [ItemName, number, Buffer])[] = [
    ['fileParameters', REQUIRED, parameters],
    ['diskSize', REQUIRED | OF_DISK, size],
    ['diskId', REQUIRED | OF_DISK, guidBytes(diskId)],
    ['logicalSector', REQUIRED | OF_DISK, fourBytes(blockSize)],
    ['physicalSector', REQUIRED | OF_DISK, fourBytes(PHYSICAL_SECTOR)],
    ...(locator ? [['parentLocator', REQUIRED, locator] as const] : []),
  ];
  const table = Buffer.alloc(METADATA_TABLE_BYTES);
  table.write('metadata');
  table.writeUInt16LE(items.length, 10);
  let end = METADATA_TABLE_BYTES;
  for (const [index, [name, flags, bytes]] of items.entries()) {
    const at = 32 + 32 * index;
    guidBytes(ITEMS[name].guid).copy(table, at);
    for (const [field, value] of [end, bytes.length, flags].entries()) table.writeUInt32LE(value, at + 16 + 4 * field);
    end += bytes.length;
  }
  return Buffer.concat([table, ...items.map(([, , bytes]) => bytes)]);
}

function fourBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
