/** The same content in each format, and in chains: of VHDX for us, of qcow2 with the same layout for qemu-nbd, which reads no differencing VHDX. */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { patternBytes } from '../../../src/image/pattern/pattern.ts';
import { type Held, type Layer, writeImage } from '../../builders/image.ts';
import { vhdxImage } from '../../builders/vhdx.ts';

export const DISK_BYTES = 128 << 20;
const BLOCK_BYTES = 2 << 20;
/** That layers of a chain have or have not: a cluster of qcow2. */
const CLUSTER_BYTES = 65_536;

export interface BenchImage {
  readonly name: string;
  readonly ours: string;
  /** What it is a difference of, the base first. */
  readonly below: readonly string[];
  readonly theirs: { readonly path: string; readonly format: string };
}

/** `raw` is what all of them show. */
export function makeImages(folder: string, depths: readonly number[]): { raw: string; images: readonly BenchImage[] } {
  const raw = join(folder, 'disk.raw');
  writePattern(raw, () => true);
  const [vhdx, vhd] = [join(folder, 'disk.vhdx'), join(folder, 'disk.vhd')];
  qemuImg('convert', '-f', 'raw', '-O', 'vhdx', '-o', `block_size=${BLOCK_BYTES}`, raw, vhdx);
  qemuImg('convert', '-f', 'raw', '-O', 'vpc', '-o', 'force_size=on', raw, vhd);
  const same = (name: string, path: string, format: string): BenchImage => ({
    ...{ name, ours: path, below: [], theirs: { path, format } },
  });
  return {
    raw,
    images: [
      ...[same('raw', raw, 'raw'), same('vhdx', vhdx, 'vhdx'), same('vhd', vhd, 'vpc')],
      ...depths.map((depth) => {
        const chain = vhdxChain(folder, depth);
        return {
          name: `chain${depth}`,
          ours: chain.at(-1) ?? '',
          below: chain.slice(0, -1),
          theirs: { path: qcow2Chain(folder, depth), format: 'qcow2' },
        };
      }),
    ],
  };
}

const qemuImg = (...args: readonly string[]): void => void execFileSync('qemu-img', [...args], { stdio: 'pipe' });

/** The base has all; of the `depth` images each shows as much of the disk, scattered cluster by cluster. */
const isOf = (layer: number, depth: number, cluster: number): boolean =>
  layer === 0 || (Math.imul(cluster, 0x9e3779b1) >>> 16) % depth === layer;

/** Content where it is wanted, holes elsewhere. */
function writePattern(path: string, wanted: (cluster: number) => boolean): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, DISK_BYTES);
  for (let at = 0; at < DISK_BYTES; at += CLUSTER_BYTES)
    if (wanted(at / CLUSTER_BYTES)) writeSync(fd, patternBytes(at, CLUSTER_BYTES), 0, CLUSTER_BYTES, at);
  closeSync(fd);
}

/** The base first. */
function vhdxChain(folder: string, depth: number): readonly string[] {
  const name = (layer: number): string => (layer === 0 ? `chain${depth}.vhdx` : `chain${depth}.${layer}.avhdx`);
  const guid = (layer: number): string => `aaaaaaaa-aaaa-aaaa-aaaa-${String(layer).padStart(12, '0')}`;
  return Array.from({ length: depth }, (_, layer) => {
    const parent = { parent_linkage: guid(layer - 1), relative_path: `.\\${name(layer - 1)}` };
    const image = vhdxImage(layerOf(layer, depth), { guid: guid(layer), ...(layer > 0 ? { parent } : {}) });
    return writeImage(join(folder, name(layer)), image);
  });
}

function layerOf(layer: number, depth: number): Layer {
  const held = (block: number): Held =>
    Array.from({ length: BLOCK_BYTES / 512 }, (_, sector) =>
      isOf(layer, depth, Math.floor((block * BLOCK_BYTES + sector * 512) / CLUSTER_BYTES)),
    );
  const blocks = Array.from({ length: DISK_BYTES / BLOCK_BYTES }, (_, block) => block);
  return {
    ...{ sizeBytes: DISK_BYTES, blockBytes: BLOCK_BYTES, sectorBytes: 512, seed: 0 },
    blocks: new Map(blocks.map((block) => [block, layer === 0 ? 'whole' : held(block)])),
  };
}

function qcow2Chain(folder: string, depth: number): string {
  const path = (layer: number): string => join(folder, `chain${depth}.${layer}.qcow2`);
  const plain = join(folder, 'layer.raw');
  for (let layer = 0; layer < depth; layer++) {
    writePattern(plain, (cluster) => isOf(layer, depth, cluster));
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', plain, path(layer));
    if (layer > 0) qemuImg('rebase', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', path(layer - 1), path(layer));
  }
  rmSync(plain);
  return path(depth - 1);
}
