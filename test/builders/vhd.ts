/** VHD images, byte by byte, after the specification and not after the reader. Big-endian. */
import { bitmapOf, contentOf, type ImageBytes, type Layer, type Piece } from './image.ts';

export interface VhdParent {
  readonly id: string;
  /** In the header. */
  readonly name?: string;
  /** By platform: their bytes. */
  readonly locators?: Readonly<Record<string, Uint8Array>>;
}

export interface VhdOptions {
  readonly type?: 'fixed' | 'dynamic' | 'differencing';
  /** 32 hex digits. */
  readonly id?: string;
  readonly parent?: VhdParent;
  readonly creator?: string;
  readonly tailBytes?: 511 | 512;
  /** Of the table, beyond what is needed. */
  readonly moreEntries?: number;
}

export const VHD_ID = 'a5'.repeat(16);

function summed(bytes: Buffer, at: number): Buffer {
  bytes.writeUInt32BE(0, at);
  bytes.writeUInt32BE(~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0, at);
  return bytes;
}

export function vhdFooter(
  sizeBytes: number,
  { type = 'dynamic', id = VHD_ID, creator = 'test' }: VhdOptions = {},
): Buffer {
  const footer = Buffer.alloc(512);
  footer.write('conectix');
  footer.writeUInt32BE(2, 8);
  footer.writeUInt32BE(0x10000, 12);
  footer.writeBigUInt64BE(type === 'fixed' ? 2n ** 64n - 1n : 512n, 16);
  footer.write(creator, 28);
  footer.writeBigUInt64BE(BigInt(sizeBytes), 40);
  footer.writeBigUInt64BE(BigInt(sizeBytes), 48);
  footer.writeUInt32BE({ fixed: 2, dynamic: 3, differencing: 4 }[type], 60);
  footer.write(id, 68, 'hex');
  return summed(footer, 64);
}

function vhdHeader(
  entries: number,
  blockBytes: number,
  parent: VhdParent | undefined,
  locators: readonly Locator[],
): Buffer {
  const header = Buffer.alloc(1_024);
  header.write('cxsparse');
  header.writeBigUInt64BE(2n ** 64n - 1n, 8);
  header.writeBigUInt64BE(BigInt(TABLE), 16);
  header.writeUInt32BE(0x10000, 24);
  header.writeUInt32BE(entries, 28);
  header.writeUInt32BE(blockBytes, 32);
  if (parent) {
    header.write(parent.id, 40, 'hex');
    header.set(Buffer.from(parent.name ?? '', 'utf16le').swap16(), 64);
  }
  for (const [index, { platform, bytes, offset }] of locators.entries()) {
    const at = 576 + 24 * index;
    header.write(platform, at);
    header.writeUInt32BE(512, at + 4);
    header.writeUInt32BE(bytes.length, at + 8);
    header.writeBigUInt64BE(BigInt(offset), at + 16);
  }
  return summed(header, 36);
}

interface Locator extends Piece {
  readonly platform: string;
}

const TABLE = 1_536;
const toSector = (bytes: number): number => Math.ceil(bytes / 512) * 512;

/** Blocks lie in the file in the order of the map. */
export function vhdImage(layer: Layer, options: VhdOptions = {}): ImageBytes {
  const { parent, type = parent ? 'differencing' : 'dynamic', tailBytes = 512, moreEntries = 0 } = options;
  const { sizeBytes, blockBytes } = layer;
  const footer = vhdFooter(sizeBytes, { ...options, type });
  const tail = footer.subarray(0, tailBytes);
  if (type === 'fixed') {
    const data = [...layer.blocks.keys()].map((block) => ({
      offset: block * blockBytes,
      bytes: contentOf(layer, block),
    }));
    return { pieces: [...data, { offset: sizeBytes, bytes: tail }], sizeBytes: sizeBytes + tailBytes };
  }
  const table = Buffer.alloc(4 * (Math.ceil(sizeBytes / blockBytes) + moreEntries), 0xff);
  let end = toSector(TABLE + table.length);
  const locators = Object.entries(parent?.locators ?? {}).map(([platform, bytes]) => {
    const locator = { platform, bytes, offset: end };
    end = toSector(end + bytes.length);
    return locator;
  });
  const data: Piece[] = [];
  const bitmapBytes = toSector(blockBytes / 512 / 8);
  for (const [block, held] of layer.blocks) {
    if (held === 'zeros') throw new Error('a VHD knows no block of zeros');
    const sectors = held === 'whole' ? Array<boolean>(blockBytes / 512).fill(true) : held;
    table.writeUInt32BE(end / 512, 4 * block);
    data.push({ offset: end, bytes: bitmapOf(sectors, bitmapBytes, true) });
    data.push({ offset: end + bitmapBytes, bytes: contentOf(layer, block) });
    end += bitmapBytes + blockBytes;
  }
  const head = [
    { offset: 0, bytes: footer },
    { offset: 512, bytes: vhdHeader(table.length / 4, blockBytes, parent, locators) },
    { offset: TABLE, bytes: table },
  ];
  return { pieces: [...head, ...locators, ...data, { offset: end, bytes: tail }], sizeBytes: end + tailBytes };
}
