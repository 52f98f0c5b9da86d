/** Image files as tests make them: pieces at their offsets, holes between them; and what the images of a chain hold, with the disk that they show. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { patternBytes } from '../../src/image/pattern/pattern.ts';

export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface ImageBytes {
  readonly pieces: readonly Piece[];
  readonly sizeBytes: number;
}

export function writeImage(path: string, { pieces, sizeBytes }: ImageBytes): string {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, sizeBytes);
  for (const { offset, bytes } of pieces) writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
  return path;
}

export function bytesOf({ pieces, sizeBytes }: ImageBytes): Buffer {
  const all = Buffer.alloc(sizeBytes);
  for (const { offset, bytes } of pieces) all.set(bytes, offset);
  return all;
}

/** What an image has of a block: all, zeros (VHDX alone), or the sectors that are true. What is not in the map it does not have. */
export type Held = 'whole' | 'zeros' | readonly boolean[];

/** One image of a chain. Its content is the pattern's of its seed. */
export interface Layer {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly sectorBytes: 512 | 4096;
  readonly seed: number;
  readonly blocks: ReadonlyMap<number, Held>;
}

const bytesOfBlock = ({ sizeBytes, blockBytes }: Layer, block: number): number =>
  Math.min(blockBytes, sizeBytes - block * blockBytes);

export const contentOf = (layer: Layer, block: number): Buffer =>
  patternBytes(block * layer.blockBytes, bytesOfBlock(layer, block), layer.seed);

/** The model: a disk as plain bytes. The base first. */
export function shownBy(layers: readonly Layer[]): Buffer {
  return layers.reduce<Buffer>((below, layer) => {
    const disk = Buffer.alloc(layer.sizeBytes);
    below.copy(disk);
    for (const [block, held] of layer.blocks) {
      const start = block * layer.blockBytes;
      const content = contentOf(layer, block);
      if (held === 'whole') content.copy(disk, start);
      else if (held === 'zeros') disk.fill(0, start, start + content.length);
      else
        for (let at = 0; at < content.length; at += layer.sectorBytes)
          if (held[at / layer.sectorBytes]) content.copy(disk, start + at, at, at + layer.sectorBytes);
    }
    return disk;
  }, Buffer.alloc(0));
}

/** Bits of a bitmap, one a sector. */
export function bitmapOf(held: readonly boolean[], bytes: number, highestFirst: boolean): Buffer {
  const bits = Buffer.alloc(bytes);
  for (const [sector, isHere] of held.entries()) {
    const byte = Math.floor(sector / 8);
    if (isHere) bits.writeUInt8(bits.readUInt8(byte) | (1 << (highestFirst ? 7 - (sector % 8) : sector % 8)), byte);
  }
  return bits;
}
