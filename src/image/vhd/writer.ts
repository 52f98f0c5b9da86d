/** A VHD as it is written: fixed, dynamic or differencing. The layouts are those of `footer.ts` and `header.ts`. */
import { randomBytes } from 'node:crypto';
import { fail, ok, type Result } from '../../kit/result.ts';
import { BlocksWriter, type NewBlocks } from '../blocks-writer.ts';
import { SECTOR_BYTES } from '../disk.ts';
import { PartialFile } from '../partial.ts';
import { PlainWriter } from '../plain-writer.ts';
import type { ImageWriter, NewImage, NewParent, WriteFault } from '../writer.ts';
import { encodeFooter, FOOTER_BYTES, MAX_SIZE_BYTES, type NewFooter } from './footer.ts';
import { ABSENT, bitmapBytes, encodeHeader, HEADER_BYTES, MAX_BLOCKS, type NewLocator } from './header.ts';
import { encodeLocators } from './locators.ts';

/** What Windows and qemu make. */
const BLOCK_BYTES = 2 << 20;
const BLOCK_LEAST = 64 << 10;
const BLOCK_MOST = 256 << 20;
const HEADER_AT = FOOTER_BYTES;
const TABLE_AT = HEADER_AT + HEADER_BYTES;
/** Data lie on whole pages, for whom they are read in pages: 3.5 KiB of 2 MiB are left out for it. */
const PAGE_BYTES = 4_096;

export async function createVhd(path: string, image: NewImage): Promise<Result<ImageWriter, WriteFault>> {
  const wrong = judge(image);
  if (wrong) return fail(wrong.code, `${path}: ${wrong.message}`);
  const file = await PartialFile.open(path);
  if (!file.ok) return file;
  if (image.fixed && !image.parent) return ok(fixed(file.value, image.sizeBytes));
  return ok(new BlocksWriter(image, file.value, growing(file.value, image)));
}

function judge({ sizeBytes, blockSize, blockBytes: asked, fixed, parent }: NewImage): WriteFault | undefined {
  if (asked !== undefined && fixed && !parent) {
    const message = 'a VHD of fixed size lies in no blocks: leave their size (--block-size) out';
    return { code: 'NotSupported', message };
  }
  const blockBytes = asked ?? BLOCK_BYTES;
  if (blockSize !== SECTOR_BYTES) {
    const message = `the disk has sectors of ${blockSize} bytes, and a VHD has those of ${SECTOR_BYTES}: write a VHDX`;
    return { code: 'NotSupported', message };
  }
  if (sizeBytes > MAX_SIZE_BYTES) {
    const message = `the disk has ${sizeBytes} bytes, and a VHD at most ${MAX_SIZE_BYTES}: write a VHDX`;
    return { code: 'SizeInvalid', message };
  }
  if (blockBytes < BLOCK_LEAST || blockBytes > BLOCK_MOST || (blockBytes & (blockBytes - 1)) !== 0) {
    const message = `blocks of ${blockBytes} bytes, and those of a VHD are a power of two from ${BLOCK_LEAST} to ${BLOCK_MOST}`;
    return { code: 'NotSupported', message };
  }
  const many = Math.ceil(sizeBytes / blockBytes);
  if (many > MAX_BLOCKS) {
    const message = `a disk of ${sizeBytes} bytes has ${many} blocks of ${blockBytes}, and this release reads ${MAX_BLOCKS}: take larger ones`;
    return { code: 'NotSupported', message };
  }
  const most = firstAfter(many, []) + many * (roomBefore(blockBytes) + blockBytes);
  if (most / SECTOR_BYTES < ABSENT) return undefined;
  const message = `a disk of ${sizeBytes} bytes in blocks of ${blockBytes} has more sectors than a VHD counts: take blocks of ${BLOCK_BYTES}`;
  return { code: 'SizeInvalid', message };
}

function fixed(file: PartialFile, sizeBytes: number): ImageWriter {
  const footer = encodeFooter({ ...newFooter('fixed', sizeBytes), headerOffset: 2n ** 64n - 1n });
  return new PlainWriter(
    file,
    0,
    async () => (await file.append(sizeBytes, footer)) ?? (await file.finish(sizeBytes + FOOTER_BYTES)),
  );
}

const newFooter = (type: NewFooter['type'], sizeBytes: number): Omit<NewFooter, 'headerOffset'> => ({
  type,
  sizeBytes,
  id: randomBytes(16).toString('hex'),
});

function growing(file: PartialFile, image: NewImage): NewBlocks {
  const { sizeBytes, blockBytes = BLOCK_BYTES, parent } = image;
  const many = Math.ceil(sizeBytes / blockBytes);
  const table = Buffer.alloc(tableBytes(many), 0xff);
  const locators = parent ? encodeLocators(parent.name) : [];
  const bitmap = bitmapBytes(blockBytes);
  const whole = Buffer.alloc(bitmap, 0xff);
  const finish = async (end: number): Promise<WriteFault | undefined> => {
    const footer = encodeFooter({
      ...newFooter(parent ? 'differencing' : 'dynamic', sizeBytes),
      headerOffset: BigInt(HEADER_AT),
    });
    const placed = placeOf(locators, TABLE_AT + table.length);
    const header = encodeHeader({
      tableOffset: TABLE_AT,
      blockBytes,
      entries: many,
      parent: parentOf(parent),
      locators: placed,
    });
    for (const [offset, bytes] of [
      [0, footer],
      [HEADER_AT, header],
      [TABLE_AT, table],
      ...placed.map((locator) => [locator.offset, locator.bytes] as const),
    ] as const) {
      const fault = await file.patch(offset, bytes);
      if (fault) return fault;
    }
    return (await file.append(end, footer)) ?? (await file.finish(end + FOOTER_BYTES));
  };
  return {
    blockBytes,
    highestFirst: true,
    firstAt: firstAfter(many, locators),
    before: () => roomBefore(blockBytes),
    close: (block, at, bits) => {
      table.writeUInt32BE((at - bitmap) / SECTOR_BYTES, 4 * block);
      if (bits) return file.patch(at - bitmap, Buffer.concat([bits], bitmap));
      return file.patch(at - bitmap, whole);
    },
    finish,
  };
}

const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;
/** Padded to a sector. */
const tableBytes = (blocks: number): number => roundUp(4 * blocks, SECTOR_BYTES);
const roomBefore = (blockBytes: number): number => roundUp(bitmapBytes(blockBytes), PAGE_BYTES);

const firstAfter = (blocks: number, locators: readonly { readonly bytes: Buffer }[]): number =>
  roundUp(
    TABLE_AT + tableBytes(blocks) + locators.reduce((sum, { bytes }) => sum + roundUp(bytes.length, SECTOR_BYTES), 0),
    PAGE_BYTES,
  );

function placeOf(locators: readonly Omit<NewLocator, 'offset'>[], from: number): NewLocator[] {
  let end = from;
  return locators.map((locator) => {
    const offset = end;
    end += roundUp(locator.bytes.length, SECTOR_BYTES);
    return { ...locator, offset };
  });
}

const parentOf = (parent: NewParent | undefined) =>
  parent && { name: parent.name, id: parent.id.replace(/^vhd:/, ''), modifiedMs: parent.modifiedMs };
