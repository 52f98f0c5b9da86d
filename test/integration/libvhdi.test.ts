/**
 * libvhdi as another judge of our readers, on images of the tests' own and of qemu-img: facts, content, and differences over what they are a difference of.
 * Where it is known to be wrong it is not asked (the READMEs of `src/image/vhd` and `src/image/vhdx`): of a VHD, bits of one byte that differ; of a VHDX,
 * differences without a bitmap, and logs.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { checkChain } from '../../src/image/check.ts';
import { describeChain } from '../../src/image/facts.ts';
import { openImage } from '../../src/image/images.ts';
import { convertFile } from '../../src/store/convert.ts';
import { type Held, type ImageBytes, type Layer, writeImage } from '../builders/image.ts';
import { vhdImage } from '../builders/vhd.ts';
import { vhdxImage } from '../builders/vhdx.ts';
import { judgedBy } from './libvhdi.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-libvhdi-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** As our readers have it, in libvhdi's words. */
async function read(path: string) {
  const [chain, disk] = [await describeChain(path), await openImage(path)];
  if (!chain.ok) throw new Error(chain.error.message);
  if (!disk.ok) throw new Error(disk.error.message);
  const content = await disk.value.read(0, disk.value.sizeBytes);
  await disk.value.close();
  const { facts, subformat } = chain.value.images[0]?.description ?? { facts: { sizeBytes: 0 } };
  const [parentId] = facts.parent?.ids ?? [];
  const shown = {
    ...{ sizeBytes: facts.sizeBytes, sectorBytes: facts.blockSize ?? 512, subformat, id: hexOf(facts.id ?? '') },
    ...(parentId === undefined ? {} : { parentId: hexOf(parentId) }),
  };
  return {
    paths: chain.value.images.map((image) => image.path),
    shown,
    content: content.ok ? content.value : undefined,
  };
}

const hexOf = (id: string): string => id.slice(id.indexOf(':') + 1).replaceAll('-', '');

async function agree(path: string): Promise<void> {
  const { paths, shown, content } = await read(path);
  const { content: judged, ...facts } = judgedBy(paths);
  expect(facts).toEqual(shown);
  const wrong = content ? judged.findIndex((byte, at) => byte !== content[at]) : 0;
  expect({ wrong }).toEqual({ wrong: -1 });
}

const MIB = 1 << 20;
const id = (number: number): string => String(number).repeat(32);
const guid = (number: number): string => id(number).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

interface Chain {
  readonly what: string;
  readonly layers: readonly (readonly [number, Held][])[];
  readonly sectorBytes?: 512 | 4096;
}
/** Of runs of so many sectors. */
const everyThird = (sectors: number, run = 1): Held =>
  Array.from({ length: sectors }, (_, sector) => Math.floor(sector / run) % 3 === 0);
const halves = (sectors: number): Held => Array.from({ length: sectors }, (_, sector) => sector < sectors / 2);
const SECTORS = (2 * MIB) / 512;
const BASE: readonly [number, Held][] = [
  [3, 'whole'],
  [0, 'whole'],
];
const VHD_CHAINS: readonly Chain[] = [
  { what: 'alone', layers: [BASE] },
  { what: 'a difference in whole blocks', layers: [BASE, [[1, 'whole']]] },
  {
    what: 'a difference in halves of blocks',
    layers: [
      BASE,
      [
        [0, halves(SECTORS)],
        [1, halves(SECTORS)],
      ],
    ],
  },
  {
    what: 'a difference in eight sectors each',
    layers: [
      BASE,
      [
        [0, everyThird(SECTORS, 8)],
        [2, everyThird(SECTORS, 8)],
      ],
    ],
  },
  {
    what: 'three deep',
    layers: [
      BASE,
      [[0, halves(SECTORS)]],
      [
        [0, everyThird(SECTORS, 8)],
        [1, 'whole'],
      ],
    ],
  },
];
const VHDX_CHAINS: readonly Chain[] = [
  { what: 'alone', layers: [BASE] },
  {
    what: 'a difference in halves of blocks',
    layers: [
      BASE,
      [
        [0, halves(SECTORS)],
        [1, 'whole'],
      ],
    ],
  },
  {
    what: 'a difference in sectors',
    layers: [
      BASE,
      [
        [0, everyThird(SECTORS)],
        [2, everyThird(SECTORS)],
      ],
    ],
  },
  {
    what: 'three deep',
    layers: [
      BASE,
      [[0, halves(SECTORS)]],
      [
        [0, everyThird(SECTORS)],
        [1, 'zeros'],
      ],
    ],
  },
  {
    what: 'a difference in sectors of 4 KiB',
    layers: [
      BASE,
      [
        [0, everyThird(SECTORS / 8)],
        [1, 'zeros'],
      ],
    ],
    sectorBytes: 4_096,
  },
];
const SPARSE = { sizeBytes: 7 * MIB, blockBytes: 2 * MIB };

function put(chain: Chain, end: string, image: (layer: Layer, number: number) => ImageBytes): string {
  const paths = chain.layers.map((blocks, number) => {
    const layer = { ...SPARSE, sectorBytes: chain.sectorBytes ?? 512, seed: number, blocks: new Map(blocks) };
    return writeImage(join(folder, number === 0 ? `lab.${end}` : `lab.${number}.a${end}`), image(layer, number));
  });
  return paths.at(-1) ?? '';
}

test.each(VHD_CHAINS)('VHD, $what', (chain) =>
  agree(
    put(chain, 'vhd', (layer, number) =>
      vhdImage(layer, { id: id(number + 1), ...(number > 0 && { parent: { id: id(number), name: 'lab.vhd' } }) }),
    ),
  ),
);

test.each(VHDX_CHAINS)('VHDX, $what', (chain) =>
  agree(
    put(chain, 'vhdx', (layer, number) =>
      vhdxImage(layer, {
        guid: guid(number + 1),
        ...(number > 0 && { parent: { parent_linkage: `{${guid(number)}}`, relative_path: '.\\lab.vhdx' } }),
      }),
    ),
  ),
);

test.each([
  'vpc -o subformat=dynamic disk made.vhd',
  'vpc -o subformat=fixed disk made.vhd',
  'vpc -o force_size=on disk made.vhd',
  'vhdx disk made.vhdx',
  'vhdx -o subformat=fixed disk made.vhdx',
  'vhdx -o block_size=1M disk made.vhdx',
])('what qemu-img makes by %s', async (options) => {
  const script = `truncate -s 19M disk; dd if=/dev/urandom of=disk bs=1M seek=5 count=2 conv=notrunc status=none; qemu-img convert -q -f raw -O ${options}`;
  execFileSync('sh', ['-ec', script], { cwd: folder });
  await agree(join(folder, options.split(' ').at(-1) ?? ''));
});

test.each([
  { end: 'vhd', fixed: false },
  { end: 'vhd', fixed: true },
  { end: 'vhdx', fixed: false },
  { end: 'vhdx', fixed: true },
])('what we write: $end, fixed: $fixed', async ({ end, fixed }) => {
  const script = `truncate -s 19M source.raw; dd if=/dev/urandom of=source.raw bs=1M seek=5 count=2 conv=notrunc status=none`;
  execFileSync('sh', ['-ec', script], { cwd: folder });
  const made = await convertFile(join(folder, 'source.raw'), join(folder, `written-${fixed}.${end}`), { fixed });
  if (!made.ok) throw new Error(made.error.message);
  await agree(made.value.path);
  expect(await checkChain(made.value.path)).toMatchObject({ value: [{ leakedBytes: 0, odd: [] }] });
});
