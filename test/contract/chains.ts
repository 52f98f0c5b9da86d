/** Disks in formats that lay them in pieces, for the contract of the stream: what fits no piece of 4 KiB, and what lies nowhere, is in each. */

import type { Disk } from '../../src/image/disk.ts';
import { openImage } from '../../src/image/images.ts';
import { LeafTable } from '../../src/image/tree/table.ts';
import { type Kind, VHD, VHDX } from '../builders/chain.ts';
import type { Held, Layer } from '../builders/image.ts';
import { tableOf, withLeaves } from '../setup/leaves.ts';

const MIB = 1 << 20;
/** It ends within a piece, and within a block. */
const SIZE = 2 * MIB + 300 * 1_024 + 1_536;

export interface Chain {
  readonly what: string;
  readonly kind: Kind;
  /** The base first. */
  readonly layers: readonly Layer[];
}

const layer = (seed: number, blockBytes: number, held: (block: number) => Held | undefined): Layer => ({
  ...{ sizeBytes: SIZE, blockBytes, sectorBytes: 512, seed },
  blocks: new Map(
    Array.from({ length: Math.ceil(SIZE / blockBytes) }, (_, block) => [block, held(block)] as const).flatMap(
      ([block, is]) => (is === undefined ? [] : [[block, is] as const]),
    ),
  ),
});
/** Runs of sectors, of which few begin or end where a piece does. */
const sectors = (blockBytes: number, of: number): Held =>
  Array.from({ length: blockBytes / 512 }, (_, sector) => sector % of < of / 3 || sector % 512 > 300);

const vhdx = [
  layer(1, MIB, (block) => (block === 1 ? undefined : 'whole')),
  layer(2, MIB, (block) => (block === 0 ? sectors(MIB, 23) : undefined)),
  layer(3, MIB, (block) => (block === 2 ? 'zeros' : sectors(MIB, 71))),
];
/** Blocks of a VHD lie behind their bitmaps, at any sector. */
const vhd = [
  layer(1, 65_536, (block) => (block % 3 === 1 ? undefined : 'whole')),
  layer(2, 65_536, (block) => (block % 4 === 0 ? sectors(65_536, 23) : undefined)),
  layer(3, 65_536, (block) => (block % 5 === 2 ? sectors(65_536, 37) : undefined)),
];

export const CHAINS: readonly Chain[] = [
  { what: 'a dynamic VHDX', kind: VHDX, layers: vhdx.slice(0, 1) },
  { what: 'a dynamic VHD', kind: VHD, layers: vhd.slice(0, 1) },
  { what: 'a chain of three VHDX', kind: VHDX, layers: vhdx },
  { what: 'a chain of three VHD', kind: VHD, layers: vhd },
];

/** Of READs: offset and length. From every length at ends of blocks and pieces to anywhere. */
export function placesOf(sizeBytes: number): readonly (readonly [number, number])[] {
  const lengths = [512, 4_096, 4_608, 32_768, 65_536];
  const anywhere = Array.from({ length: 14 }, (_, index) => ((index * 7_919 * 512) % sizeBytes) & ~511);
  const offsets = [0, 3_584, 65_536 - 512, 131_072, MIB - 4_096, MIB - 512, MIB, 2 * MIB - 1_536, ...anywhere];
  const within = offsets.flatMap((offset) => lengths.map((length) => [offset, length] as const));
  const last = lengths.map((length) => [sizeBytes - length, length] as const);
  return [...within.filter(([offset, length]) => offset + length <= sizeBytes), ...last];
}

/** As a server opens it: with its table, which was made with that of the image below. `paths`: the base first. */
export async function openWithTable(paths: readonly string[], folder: string): Promise<Disk> {
  let below: { readonly table: LeafTable; readonly sizeBytes: number; readonly depth: number } | undefined;
  for (const [index, path] of paths.entries()) {
    const opened = await openImage(path);
    if (!opened.ok) throw new Error(opened.error.message);
    const { sizeBytes } = opened.value;
    const ref = await tableOf(opened.value, folder, below, `table${index}`);
    await below?.table.close();
    if (index === paths.length - 1) return withLeaves(opened.value, ref);
    await opened.value.close();
    const table = await LeafTable.open(ref, sizeBytes);
    if (!table.ok) throw new Error(table.error.message);
    below = { table: table.value, sizeBytes, depth: 1 };
  }
  throw new Error('there is no image');
}
