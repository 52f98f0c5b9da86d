/** What is written is read as it was written: every format and kind, any run of sectors, over what an earlier try left. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parentOf } from './difference.ts';
import type { Disk } from './disk.ts';
import { createImage, openImage } from './images.ts';
import { patternBytes } from './pattern/pattern.ts';
import type { ImageWriter, NewImage } from './writer.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-writer-'));
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
});
const at = (name: string): string => join(folder, name);

const MIB = 1 << 20;
type Shape = Omit<NewImage, 'parent' | 'sizeBytes'>;
interface Kind {
  readonly extension: string;
  readonly differencing?: string;
  readonly shape: Shape;
}
const VHD = { extension: '.vhd', differencing: '.avhd' };
const VHDX = { extension: '.vhdx', differencing: '.avhdx' };
const KINDS: readonly Kind[] = [
  { extension: '.raw', shape: { blockSize: 512 } },
  { ...VHD, shape: { blockSize: 512, fixed: true } },
  { ...VHD, shape: { blockSize: 512, blockBytes: 64 << 10 } },
  { ...VHD, shape: { blockSize: 512 } },
  { ...VHDX, shape: { blockSize: 512, fixed: true } },
  { ...VHDX, shape: { blockSize: 512, blockBytes: MIB } },
  { ...VHDX, shape: { blockSize: 512 } },
  { ...VHDX, shape: { blockSize: 4096, blockBytes: MIB } },
];
const nameOf = ({ extension, shape }: Kind): string =>
  `${extension.slice(1)} ${shape.fixed ? 'fixed' : 'dynamic'}, blocks of ${shape.blockBytes ?? 'its own'}, sectors of ${shape.blockSize}`;

/** Runs of sectors in order: left out, zeros, or data of the seed. */
type Run = { readonly sectors: number; readonly what: 'nothing' | 'zeros' | 'data' };

const runs = fc.array(
  fc.record({
    sectors: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 5_000 })),
    what: fc.constantFrom<Run['what']>('nothing', 'zeros', 'data', 'data'),
  }),
  { maxLength: 12 },
);

async function created(path: string, image: NewImage): Promise<ImageWriter> {
  const to = await createImage(path, image);
  if (!to.ok) throw new Error(to.error.message);
  return to.value;
}

async function opened(path: string): Promise<Disk> {
  const disk = await openImage(path);
  if (!disk.ok) throw new Error(disk.error.message);
  return disk.value;
}

/** Writes the runs, and makes the same of the model. */
async function write(to: ImageWriter, model: Buffer, steps: readonly Run[], sector: number, seed: number) {
  let offset = 0;
  for (const { sectors, what } of steps) {
    const length = Math.min(sectors * sector, model.length - offset);
    if (length <= 0) break;
    const bytes = patternBytes(offset, length, seed);
    if (what === 'data') {
      expect(await to.write(offset, bytes)).toBeUndefined();
      bytes.copy(model, offset);
    }
    if (what === 'zeros') {
      expect(await to.zeros(offset, length)).toBeUndefined();
      model.fill(0, offset, offset + length);
    }
    offset += length;
  }
  expect(await to.finish()).toBeUndefined();
  await to.abort();
}

async function expectShown(path: string, model: Buffer): Promise<void> {
  const disk = await opened(path);
  expect(disk.sizeBytes).toBe(model.length);
  const read = await disk.read(0, disk.sizeBytes);
  expect(read.ok && read.value.equals(model)).toBe(true);
  const mapped = await disk.map?.(0, disk.sizeBytes);
  if (!mapped?.ok) throw new Error('it has a map');
  let end = 0;
  for (const { offset, length, isZero } of mapped.value) {
    expect(offset).toBe(end);
    end += length;
    if (isZero) expect(model.subarray(offset, end).equals(Buffer.alloc(length))).toBe(true);
  }
  expect(end).toBe(model.length);
  await disk.close();
}

const scene = fc.record({
  sizeSectors: fc.integer({ min: 1, max: 900 }),
  base: runs,
  update: runs,
  left: fc.option(fc.record({ bytes: fc.nat({ max: 4 * MIB }), byte: fc.constantFrom(0, 7) })),
});

describe.each(KINDS.map((kind) => ({ name: nameOf(kind), kind })))('$name', ({ kind }) => {
  const { extension, differencing, shape } = kind;

  test('any disk, and any difference of it, reads as it was written', async () => {
    await fc.assert(
      fc.asyncProperty(scene, async ({ sizeSectors, base, update, left }) => {
        for (const name of readdirSync(folder)) rmSync(at(name));
        const sizeBytes = sizeSectors * 4_096;
        const [path, child] = [at(`lab${extension}`), at(`lab.1${differencing}`)];
        const leave = (name: string): void => {
          if (left) writeFileSync(`${name}.partial`, Buffer.alloc(left.bytes, left.byte));
        };
        leave(path);
        const model = Buffer.alloc(sizeBytes);
        await write(await created(path, { ...shape, sizeBytes }), model, base, shape.blockSize, 1);
        await expectShown(path, model);
        if (differencing !== undefined && !shape.fixed) {
          leave(child);
          const parent = await parentOf(path);
          if (!parent.ok) throw new Error(parent.error.message);
          await write(
            await created(child, { ...shape, sizeBytes, parent: parent.value }),
            model,
            update,
            shape.blockSize,
            2,
          );
          await expectShown(child, model);
        }
        expect(readdirSync(folder).filter((name) => name.endsWith('.partial'))).toEqual([]);
      }),
      { seed: 14, numRuns: 15 },
    );
  });
});

test('bitmaps of chunks that lie 4 GiB apart are of their own blocks, and a block at the end of 8 GiB costs no more', async () => {
  const sizeBytes = 8.5 * 1_024 * MIB;
  const ends = [2 * MIB, 4_096 * MIB - 512, 8_192 * MIB];
  await (await created(at('lab.vhdx'), { blockSize: 512, sizeBytes })).finish();
  const parent = await parentOf(at('lab.vhdx'));
  if (!parent.ok) throw new Error(parent.error.message);
  const to = await created(at('lab.1.avhdx'), { blockSize: 512, sizeBytes, parent: parent.value });
  for (const offset of ends) expect(await to.write(offset, patternBytes(offset, 1_024))).toBeUndefined();
  expect(await to.finish()).toBeUndefined();
  expect(statSync(at('lab.1.avhdx')).size).toBe((4 + 3 + 4 * 2) * MIB);
  const disk = await opened(at('lab.1.avhdx'));
  const mapped = await disk.map?.(0, sizeBytes);
  expect(mapped?.ok && mapped.value.filter(({ isZero }) => !isZero).map(({ depth }) => depth)).toEqual([0, 0, 0, 0]);
  for (const offset of ends) {
    const read = await disk.read(offset - 512, 2_048);
    const model = Buffer.concat([Buffer.alloc(512), patternBytes(offset, 1_024), Buffer.alloc(512)]);
    expect(read.ok && read.value.equals(model)).toBe(true);
  }
  await disk.close();
});

test.each<{ what: string; name: string; image: NewImage; code: string; says: string }>([
  {
    what: 'a VHD of more than 2,040 GiB',
    name: 'lab.vhd',
    image: { blockSize: 512, sizeBytes: 2_040 * 2 ** 30 + 512 },
    code: 'SizeInvalid',
    says: 'write a VHDX',
  },
  {
    what: 'a VHD of sectors of 4,096 bytes',
    name: 'lab.vhd',
    image: { blockSize: 4096, sizeBytes: MIB },
    code: 'NotSupported',
    says: 'write a VHDX',
  },
  {
    what: 'a raw image of them',
    name: 'lab.raw',
    image: { blockSize: 4096, sizeBytes: MIB },
    code: 'NotSupported',
    says: 'write a VHDX',
  },
  {
    what: 'blocks of a raw image',
    name: 'lab.raw',
    image: { blockSize: 512, sizeBytes: MIB, blockBytes: MIB },
    code: 'NotSupported',
    says: 'lies in no blocks',
  },
  {
    what: 'blocks of a VHD of fixed size',
    name: 'lab.vhd',
    image: { blockSize: 512, sizeBytes: MIB, blockBytes: MIB, fixed: true },
    code: 'NotSupported',
    says: 'lies in no blocks',
  },
  {
    what: 'a VHD whose blocks have more sectors than it counts',
    name: 'lab.vhd',
    image: { blockSize: 512, sizeBytes: 2_040 * 2 ** 30, blockBytes: 512 << 10 },
    code: 'SizeInvalid',
    says: 'take blocks of 2097152',
  },
  {
    what: 'a VHD of more blocks than are read',
    name: 'lab.vhd',
    image: { blockSize: 512, sizeBytes: 2_040 * 2 ** 30, blockBytes: 64 << 10 },
    code: 'NotSupported',
    says: 'take larger ones',
  },
  {
    what: 'blocks of 3 MiB',
    name: 'lab.vhdx',
    image: { blockSize: 512, sizeBytes: MIB, blockBytes: 3 * MIB },
    code: 'NotSupported',
    says: '1048576 to 268435456',
  },
  {
    what: 'a VHDX of more blocks than are read',
    name: 'lab.vhdx',
    image: { blockSize: 512, sizeBytes: 5 * 2 ** 40, blockBytes: MIB },
    code: 'NotSupported',
    says: 'take larger ones',
  },
  {
    what: 'a name of no image',
    name: 'lab.qcow2',
    image: { blockSize: 512, sizeBytes: MIB },
    code: 'NotSupported',
    says: '.raw, .vhdx, .vhd',
  },
])('$what is refused, with the way out, and leaves nothing', async ({ name, image, code, says }) => {
  expect(await createImage(at(name), image)).toMatchObject({
    ok: false,
    error: { code, message: expect.stringContaining(says) },
  });
  expect(readdirSync(folder)).toEqual([]);
});

test.each([
  { sizeBytes: 2_040 * 2 ** 30, name: 'lab.vhd' },
  { sizeBytes: 64 * 2 ** 40, name: 'lab.vhdx' },
])('$name of $sizeBytes bytes, the largest', async ({ sizeBytes, name }) => {
  const to = await created(at(name), { blockSize: 512, sizeBytes });
  expect(await to.write(sizeBytes - 512, patternBytes(0, 512))).toBeUndefined();
  expect(await to.finish()).toBeUndefined();
  const disk = await opened(at(name));
  expect(disk.sizeBytes).toBe(sizeBytes);
  expect(await disk.read(sizeBytes - 512, 512)).toEqual({ ok: true, value: patternBytes(0, 512) });
  await disk.close();
});
