/**
 * A VHDX as it is written: fixed, dynamic or differencing, with an empty log. The layouts are those of the files beside this.
 *
 * ```
 * 0 head   1 MiB log   2 MiB metadata   3 MiB block table   then blocks, and of a difference before the first of each chunk its bitmap
 * ```
 */
import { randomUUID } from 'node:crypto';
import { fail, ok, type Result } from '../../kit/result.ts';
import { BlocksWriter, type NewBlocks } from '../blocks-writer.ts';
import { PartialFile } from '../partial.ts';
import { PlainWriter } from '../plain-writer.ts';
import type { ImageWriter, NewImage, WriteFault } from '../writer.ts';
import { BITMAP_BYTES, type Chunks, chunksOf, ENTRY_BYTES, encodeEntry, MAX_BLOCKS } from './bat.ts';
import { encodeHead, HEADERS, MIB, REGION_TABLES } from './header.ts';
import { encodeLocator } from './locator.ts';
import { encodeMetadata, MAX_BLOCK_BYTES, MAX_DISK_BYTES, type Shape } from './metadata.ts';
import { encodeRegions } from './region.ts';

/**
 * Small blocks: what a file has of a disk is copied between servers, and a block is copied whole. qemu and Windows take up to 64 MiB, for fewer entries of the
 * table; with 2 MiB a disk of 127 GiB has 65,024 of them, half a MiB.
 */
const BLOCK_BYTES = 2 * MIB;
const LOG_AT = MIB;
const LOG_BYTES = MIB;
const METADATA_AT = 2 * MIB;
const TABLE_AT = 3 * MIB;

export async function createVhdx(path: string, image: NewImage): Promise<Result<ImageWriter, WriteFault>> {
  const { sizeBytes, blockSize, parent, blockBytes = bestBlock(sizeBytes) } = image;
  const shape: Shape = { sizeBytes, blockSize, blockBytes, hasParent: parent !== undefined };
  const wrong = judge(shape);
  if (wrong) return fail(wrong.code, `${path}: ${wrong.message}`);
  const file = await PartialFile.open(path);
  if (!file.ok) return file;
  const writing = new Writing(file.value, shape, image);
  return ok(image.fixed && !parent ? writing.plain() : new BlocksWriter(image, file.value, writing));
}

/** As small as the table of the reader has room for. */
function bestBlock(sizeBytes: number): number {
  let bytes = BLOCK_BYTES;
  while (sizeBytes / bytes > MAX_BLOCKS && bytes < MAX_BLOCK_BYTES) bytes *= 2;
  return bytes;
}

function judge({ sizeBytes, blockBytes }: Shape): WriteFault | undefined {
  if (blockBytes < MIB || blockBytes > MAX_BLOCK_BYTES || (blockBytes & (blockBytes - 1)) !== 0) {
    const message = `blocks of ${blockBytes} bytes, and those of a VHDX are a power of two from ${MIB} to ${MAX_BLOCK_BYTES}`;
    return { code: 'NotSupported', message };
  }
  if (sizeBytes > MAX_DISK_BYTES) {
    const message = `the disk has ${sizeBytes} bytes, and a VHDX at most ${MAX_DISK_BYTES}`;
    return { code: 'SizeInvalid', message };
  }
  const blocks = Math.ceil(sizeBytes / blockBytes);
  if (blocks <= MAX_BLOCKS) return undefined;
  const message = `a disk of ${sizeBytes} bytes has ${blocks} blocks of ${blockBytes}, and this release reads ${MAX_BLOCKS}: take larger ones`;
  return { code: 'NotSupported', message };
}

class Writing implements NewBlocks {
  readonly highestFirst = false;
  readonly blockBytes: number;
  readonly firstAt: number;
  readonly #file: PartialFile;
  readonly #shape: Shape;
  readonly #image: NewImage;
  readonly #chunks: Chunks;
  readonly #table: Buffer;
  /** Of the chunk whose blocks are being written. */
  readonly #bits: Buffer;
  #chunk = -1;
  #bitmapAt = 0;
  #isPart = false;

  constructor(file: PartialFile, shape: Shape, image: NewImage) {
    this.#file = file;
    this.#shape = shape;
    this.#image = image;
    this.#chunks = chunksOf(shape);
    this.blockBytes = shape.blockBytes;
    this.#table = Buffer.alloc(this.#chunks.entries * ENTRY_BYTES);
    this.#bits = Buffer.alloc(shape.hasParent ? BITMAP_BYTES : 0);
    this.firstAt = TABLE_AT + this.#tableRoom;
  }

  /** Of fixed size: all blocks in their order. */
  plain(): ImageWriter {
    const { blocks } = this.#chunks;
    for (let block = 0; block < blocks; block++) this.#enter(block, 'present', this.firstAt + block * this.blockBytes);
    const end = this.firstAt + blocks * this.blockBytes;
    return new PlainWriter(
      this.#file,
      this.firstAt,
      async () => (await this.#file.reach(end)) ?? (await this.finish(end)),
    );
  }

  before(block: number): number {
    return this.#shape.hasParent && this.#chunkOf(block) !== this.#chunk ? BITMAP_BYTES : 0;
  }

  zero(block: number): void {
    this.#enter(block, 'zero', 0);
  }

  async close(block: number, at: number, bits: Buffer | undefined): Promise<WriteFault | undefined> {
    const chunk = this.#chunkOf(block);
    if (this.#shape.hasParent && chunk !== this.#chunk) {
      const fault = await this.#closeChunk();
      if (fault) return fault;
      this.#chunk = chunk;
      this.#bitmapAt = at - BITMAP_BYTES;
    }
    this.#enter(block, bits ? 'partial' : 'present', at);
    if (!bits) return undefined;
    this.#isPart = true;
    bits.copy(this.#bits, (block % this.#chunks.ratio) * bits.length);
    return undefined;
  }

  async finish(end: number): Promise<WriteFault | undefined> {
    const fault = (await this.#closeChunk()) ?? (await this.#patchAll());
    return fault ?? (await this.#file.finish(end));
  }

  async #closeChunk(): Promise<WriteFault | undefined> {
    if (!this.#isPart) return undefined;
    const { ratio } = this.#chunks;
    encodeEntry(this.#table, this.#chunk * (ratio + 1) + ratio, 'present', this.#bitmapAt);
    const fault = await this.#file.patch(this.#bitmapAt, this.#bits);
    this.#bits.fill(0);
    this.#isPart = false;
    return fault;
  }

  async #patchAll(): Promise<WriteFault | undefined> {
    const guids = { fileWrite: randomUUID(), dataWrite: randomUUID() };
    const { identifier, headers } = encodeHead(guids, { offset: LOG_AT, length: LOG_BYTES });
    const regions = encodeRegions({
      blockTable: { offset: TABLE_AT, length: this.#tableRoom },
      metadata: { offset: METADATA_AT, length: MIB },
    });
    const { parent, fixed } = this.#image;
    const metadata = encodeMetadata(this.#shape, {
      diskId: randomUUID(),
      isFixed: fixed === true,
      locator: parent && encodeLocator(parent),
    });
    const pieces: [number, Buffer][] = [
      [0, identifier],
      [HEADERS.offsets[0], headers[0]],
      [HEADERS.offsets[1], headers[1]],
      ...REGION_TABLES.offsets.map((offset): [number, Buffer] => [offset, regions]),
      [METADATA_AT, metadata],
      [TABLE_AT, this.#table],
    ];
    for (const [offset, bytes] of pieces) {
      const fault = await this.#file.patch(offset, bytes);
      if (fault) return fault;
    }
    return undefined;
  }

  #enter(block: number, state: 'zero' | 'present' | 'partial', at: number): void {
    encodeEntry(this.#table, block + this.#chunkOf(block), state, at);
  }

  #chunkOf(block: number): number {
    return Math.floor(block / this.#chunks.ratio);
  }

  get #tableRoom(): number {
    return Math.ceil(this.#table.length / MIB) * MIB;
  }
}
