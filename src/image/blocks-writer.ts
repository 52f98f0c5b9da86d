/**
 * An image that is written in blocks: what the writers of VHD and VHDX have in common. A block gets its place behind all others when the first of it is written;
 * of a difference a bitmap tells which of its sectors are here.
 */
import { endOfRun, setBits } from './bits.ts';
import type { PartialFile } from './partial.ts';
import type { ImageWriter, NewImage, WriteFault } from './writer.ts';

/** What a format says of its blocks, and hears of them. */
export interface NewBlocks {
  readonly blockBytes: number;
  readonly highestFirst: boolean;
  /** Where the first of them may lie. */
  readonly firstAt: number;
  /** Room that is left before this block, which is the next to get a place; in bytes. */
  before(block: number): number;
  /** Undefined: a block of zeros gets a place as any other. */
  readonly zero?: (block: number) => void;
  /** No more comes of this block, which lies at `at`. `bits`: which of its sectors are here; undefined: all. They are used again afterwards. */
  close(block: number, at: number, bits: Buffer | undefined): Promise<WriteFault | undefined>;
  /** All blocks lie before `end`. Gives the file its name. */
  finish(end: number): Promise<WriteFault | undefined>;
}

export class BlocksWriter implements ImageWriter {
  readonly #image: NewImage;
  readonly #file: PartialFile;
  readonly #blocks: NewBlocks;
  readonly #bits: Buffer;
  #end: number;
  #block = -1;
  #at = 0;
  #zeros = { offset: 0, length: 0 };

  constructor(image: NewImage, file: PartialFile, blocks: NewBlocks) {
    this.#image = image;
    this.#file = file;
    this.#blocks = blocks;
    this.#end = blocks.firstAt;
    this.#bits = Buffer.alloc(Math.ceil(blocks.blockBytes / image.blockSize / 8));
  }

  async write(offset: number, bytes: Buffer): Promise<WriteFault | undefined> {
    const unwritten = await this.#flush();
    if (unwritten) return unwritten;
    for (const { block, within, at, length } of this.#parts(offset, bytes.length)) {
      const fault =
        (await this.#enter(block)) ??
        (await this.#file.append(this.#at + within, bytes.subarray(at - offset, at - offset + length)));
      if (fault) return fault;
      this.#set(within, length);
    }
    return undefined;
  }

  async zeros(offset: number, length: number): Promise<WriteFault | undefined> {
    if (!this.#image.parent) return undefined;
    const { offset: from, length: many } = this.#zeros;
    if (from + many === offset) {
      this.#zeros = { offset: from, length: many + length };
      return undefined;
    }
    const fault = await this.#flush();
    this.#zeros = { offset, length };
    return fault;
  }

  /** Whole blocks of zeros come in parts. */
  async #flush(): Promise<WriteFault | undefined> {
    const { offset, length } = this.#zeros;
    this.#zeros = { offset: 0, length: 0 };
    for (const part of this.#parts(offset, length)) {
      if (this.#blocks.zero && part.length === this.#bytesOf(part.block)) {
        this.#blocks.zero(part.block);
        continue;
      }
      const fault = await this.#enter(part.block);
      if (fault) return fault;
      this.#set(part.within, part.length);
    }
    return undefined;
  }

  async finish(): Promise<WriteFault | undefined> {
    return (
      (await this.#flush()) ??
      (await this.#leave()) ??
      (await this.#file.reach(this.#end)) ??
      (await this.#blocks.finish(this.#end))
    );
  }

  abort(): Promise<void> {
    return this.#file.remove();
  }

  async #enter(block: number): Promise<WriteFault | undefined> {
    if (block === this.#block) return undefined;
    const fault = await this.#leave();
    if (fault) return fault;
    this.#block = block;
    this.#at = this.#end + this.#blocks.before(block);
    this.#end = this.#at + this.#blocks.blockBytes;
    this.#bits.fill(0);
    return undefined;
  }

  async #leave(): Promise<WriteFault | undefined> {
    if (this.#block < 0) return undefined;
    const block = this.#block;
    this.#block = -1;
    const isWhole = !this.#image.parent || this.#isFull(block);
    return (
      (await this.#file.reach(this.#end)) ??
      (await this.#blocks.close(block, this.#at, isWhole ? undefined : this.#bits))
    );
  }

  *#parts(offset: number, length: number): Generator<Part> {
    const { blockBytes } = this.#blocks;
    for (let at = offset; at < offset + length; ) {
      const block = Math.floor(at / blockBytes);
      const within = at - block * blockBytes;
      const many = Math.min(offset + length - at, blockBytes - within);
      yield { block, within, at, length: many };
      at += many;
    }
  }

  #bytesOf(block: number): number {
    const { blockBytes } = this.#blocks;
    return Math.min(blockBytes, this.#image.sizeBytes - block * blockBytes);
  }

  #set(within: number, length: number): void {
    if (!this.#image.parent) return;
    const { blockSize } = this.#image;
    setBits(this.#bits, within / blockSize, length / blockSize, this.#blocks.highestFirst);
  }

  #isFull(block: number): boolean {
    const sectors = this.#bytesOf(block) / this.#image.blockSize;
    const bitmap = { bits: this.#bits, highestFirst: this.#blocks.highestFirst };
    return endOfRun(bitmap, true, 0, sectors) === sectors;
  }
}

interface Part {
  readonly block: number;
  /** In the block, and on the disk. */
  readonly within: number;
  readonly at: number;
  readonly length: number;
}
