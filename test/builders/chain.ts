/** Chains of images in a folder, of either format that has them. */
import { join } from 'node:path';
import { type ImageBytes, type Layer, writeImage } from './image.ts';
import { vhdImage } from './vhd.ts';
import { vhdxImage } from './vhdx.ts';

export interface Kind {
  readonly extension: string;
  readonly differencing: string;
  readonly blockBytes: readonly number[];
  readonly sectorBytes: readonly (512 | 4096)[];
  readonly zeros: boolean;
  /** The image of this number, a difference of the one before. */
  readonly image: (layer: Layer, number: number) => ImageBytes;
}

const hex = (number: number): string => number.toString(16).padStart(12, '0');
const vhdId = (number: number): string => 'a'.repeat(20) + hex(number);
const guid = (number: number): string => `aaaaaaaa-aaaa-aaaa-aaaa-${hex(number)}`;

export const VHD: Kind = {
  extension: '.vhd',
  differencing: '.avhd',
  blockBytes: [512, 4_096, 16_384, 65_536],
  sectorBytes: [512],
  zeros: false,
  image: (layer, number) =>
    vhdImage(layer, { id: vhdId(number), ...(number > 0 && { parent: { id: vhdId(number - 1), name: 'gone.vhd' } }) }),
};

export const VHDX: Kind = {
  extension: '.vhdx',
  differencing: '.avhdx',
  blockBytes: [1 << 20, 2 << 20],
  sectorBytes: [512, 4_096],
  zeros: true,
  image: (layer, number) =>
    vhdxImage(layer, {
      guid: guid(number),
      ...(number > 0 && { parent: { parent_linkage: guid(number - 1), relative_path: '.\\gone.vhdx' } }),
    }),
};

export const imageName = ({ extension, differencing }: Kind, number: number): string =>
  number === 0 ? `lab${extension}` : `lab.${number}${differencing}`;

/** The base first. */
export const writeChain = (folder: string, kind: Kind, layers: readonly Layer[]): readonly string[] =>
  layers.map((layer, number) => writeImage(join(folder, imageName(kind, number)), kind.image(layer, number)));
