/** Chains of VHD and VHDX as they show through each other: any pattern of blocks and sectors, against the same disk as plain bytes. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { imageName, type Kind, VHD, VHDX, writeChain } from '../../test/builders/chain.ts';
import { type Held, type Layer, shownBy } from '../../test/builders/image.ts';
import { lookInto } from '../store/inventory.ts';
import { type Disk, MOST_PIECES } from './disk.ts';
import { MAX_CHAIN } from './formats.ts';
import { openImage } from './images.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-blocks-'));
afterAll(() => rmSync(folder, { recursive: true }));

function put(kind: Kind, layers: readonly Layer[]): string {
  return writeChain(folder, kind, layers).at(-1) ?? '';
}

function layerOf({ blockBytes, sectorBytes, zeros }: Kind, seed: number, sectorsOfDisk: number): fc.Arbitrary<Layer> {
  return fc.tuple(fc.constantFrom(...blockBytes), fc.constantFrom(...sectorBytes)).chain(([block, sector]) => {
    const least = Math.max(sector, 4_096);
    const sizeBytes = Math.ceil((sectorsOfDisk * 512) / least) * least;
    const blocks = Math.ceil(sizeBytes / block);
    // Runs of sectors, as disks are written, down to single ones.
    const sectors = fc
      .array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: block / sector })), { minLength: 1, maxLength: 9 })
      .map((runs) => runs.flatMap(([isHere, length]) => Array<boolean>(length).fill(isHere)).slice(0, block / sector));
    const held: fc.Arbitrary<Held> =
      seed === 1
        ? fc.constant('whole')
        : fc.oneof(fc.constant<Held>('whole'), sectors, ...(zeros ? [fc.constant<Held>('zeros')] : []));
    const map = fc.uniqueArray(fc.tuple(fc.nat({ max: blocks - 1 }), held), { selector: ([at]) => at, maxLength: 12 });
    return map.map((entries) => ({
      sizeBytes,
      blockBytes: block,
      sectorBytes: sector,
      seed,
      blocks: new Map(entries),
    }));
  });
}

const chainOf = (kind: Kind, mostSectors: number): fc.Arbitrary<readonly Layer[]> =>
  fc
    .array(fc.integer({ min: 8, max: mostSectors }), { minLength: 1, maxLength: 5 })
    .chain((sizes) => fc.tuple(...sizes.map((size, number) => layerOf(kind, number + 1, size))));

async function opened(path: string): Promise<Disk> {
  const disk = await openImage(path);
  if (!disk.ok) throw new Error(disk.error.message);
  return disk.value;
}

describe.each([
  { what: 'VHD', kind: VHD, mostSectors: 1_024, numRuns: 150 },
  { what: 'VHDX', kind: VHDX, mostSectors: 8_192, numRuns: 25 },
])('a chain of $what', ({ kind, mostSectors, numRuns }) => {
  test('shows what its images hold, and its extents and its map lead to the same', async () => {
    const range = fc.tuple(fc.nat(), fc.nat({ max: 200_000 }));
    await fc.assert(
      fc.asyncProperty(chainOf(kind, mostSectors), fc.array(range, { maxLength: 5 }), async (layers, ranges) => {
        const model = shownBy(layers);
        const disk = await opened(put(kind, layers));
        expect(disk.sizeBytes).toBe(model.length);
        for (const [from, most] of [[0, model.length] as const, ...ranges]) {
          const offset = from % model.length;
          const length = Math.min(most, model.length - offset);
          const read = await disk.read(offset, length);
          expect(read.ok && read.value.equals(model.subarray(offset, offset + length))).toBe(true);
          checkExtents(disk, model, offset, length);
          await checkMap(disk, model, offset, length, offset % 2 === 0 ? MOST_PIECES : 3);
        }
        expect((await disk.files?.())?.map(({ name }) => name)).toEqual(
          layers.map((_, index) => imageName(kind, index)).reverse(),
        );
        await disk.close();
      }),
      { seed: 14, numRuns },
    );
  });

  test(`is ${MAX_CHAIN} deep at most`, async () => {
    const [blockBytes = 0] = kind.blockBytes;
    const layer = (seed: number): Layer => ({
      sizeBytes: 1 << 20,
      blockBytes,
      sectorBytes: 512,
      seed,
      blocks: new Map([[seed % 2, 'whole']]),
    });
    const layers = Array.from({ length: MAX_CHAIN + 1 }, (_, seed) => ({
      ...layer(seed),
      ...(kind.zeros ? { blocks: new Map() } : {}),
    }));
    const tooDeep = put(kind, layers);
    const disk = await opened(join(folder, imageName(kind, MAX_CHAIN - 1)));
    const read = await disk.read(0, disk.sizeBytes);
    expect(read.ok && read.value.equals(shownBy(layers.slice(0, MAX_CHAIN)))).toBe(true);
    await disk.close();
    expect(await openImage(tooDeep)).toMatchObject({ ok: false, error: { code: 'ChainTooLong' } });
  });
});

/** In order, and of what no extent tells nothing is in this image's files but zeros. */
function checkExtents(disk: Disk, model: Buffer, from: number, many: number): void {
  let end = from;
  for (const { offset, length, fd, fileOffset } of disk.extents?.(from, many) ?? []) {
    expect(offset).toBeGreaterThanOrEqual(end);
    expect(length).toBeGreaterThan(0);
    expect(model.subarray(end, offset).every((byte) => byte === 0)).toBe(true);
    const bytes = Buffer.alloc(length);
    expect(readSync(fd, bytes, 0, length, fileOffset)).toBe(length);
    expect(bytes.equals(model.subarray(offset, offset + length))).toBe(true);
    end = offset + length;
  }
  expect(end).toBeLessThanOrEqual(from + many);
  expect(model.subarray(end, from + many).every((byte) => byte === 0)).toBe(true);
}

/** In order, all of it, in however many turns: what is zeros, and where the rest lies. */
async function checkMap(disk: Disk, model: Buffer, from: number, many: number, most: number): Promise<void> {
  const fds = new Map<string, number>();
  const fdOf = (path: string): number => {
    const fd = fds.get(path) ?? openSync(path, 'r');
    fds.set(path, fd);
    return fd;
  };
  let end = from;
  while (end < from + many) {
    const mapped = await disk.map?.(end, from + many - end, most);
    if (!mapped?.ok) throw new Error('it has a map');
    expect(mapped.value.length).toBeLessThanOrEqual(most);
    for (const { offset, length, isZero, isAbsent, at } of mapped.value) {
      const isTold = isAbsent ? isZero && at === undefined : isZero || at !== undefined;
      if (offset !== end || length === 0 || !isTold) throw new Error(`a piece of ${length} bytes at ${offset}`);
      const bytes = Buffer.alloc(length);
      if (at && !isZero) readSync(fdOf(at.file.path), bytes, 0, length, at.offset);
      expect(bytes.equals(model.subarray(offset, offset + length))).toBe(true);
      const cached = at?.file.readCached(bytes.fill(1), 0, length, at.offset) ?? 0;
      expect(bytes.subarray(0, cached).equals(model.subarray(offset, offset + cached))).toBe(true);
      end = offset + length;
    }
  }
  expect(end).toBe(from + many);
  for (const fd of fds.values()) closeSync(fd);
}

test('of blocks whose bitmaps are not kept no extent is told, and they are read', async () => {
  const [many, blockBytes] = [65_600, 1_024];
  const half: Held = [false, true];
  const child: Layer = {
    ...{ sizeBytes: many * blockBytes, blockBytes, sectorBytes: 512, seed: 2 },
    blocks: new Map(Array.from({ length: many }, (_, block) => [block, half])),
  };
  const below: Layer = { ...child, blockBytes: 1 << 20, seed: 1, blocks: new Map([[64, 'whole']]) };
  const disk = await opened(put(VHD, [below, child]));
  const [offset, length] = [65_500 * blockBytes + 100, 90 * blockBytes];
  const read = await disk.read(offset, length);
  expect(read.ok && read.value.equals(shownBy([below, child]).subarray(offset, offset + length))).toBe(true);
  const told = [...(disk.extents?.(offset, length) ?? [])].at(-1);
  expect(told && told.offset + told.length).toBe(65_536 * blockBytes);
  await checkMap(disk, shownBy([below, child]), offset, length, 7);
  await disk.close();
});

test('no file stays open of a chain that cannot be opened', async () => {
  const own = async () => (await import('node:fs/promises')).readdir('/proc/self/fd');
  const layer: Layer = {
    sizeBytes: 4_096,
    blockBytes: 4_096,
    sectorBytes: 512,
    seed: 0,
    blocks: new Map([[0, [true]]]),
  };
  put(VHD, [layer, layer, layer]);
  rmSync(join(folder, 'lab.vhd'));
  const before = (await own()).length;
  for (let again = 0; again < 20; again++)
    expect(await openImage(join(folder, 'lab.2.avhd'))).toMatchObject({ ok: false, error: { code: 'FileMissing' } });
  expect((await own()).length).toBe(before);
});

test('a look at a folder tells of each image its size and what it is a difference of', async () => {
  put(
    VHDX,
    [1, 2].map((seed) => ({ sizeBytes: 4_096, blockBytes: 1 << 20, sectorBytes: 512, seed, blocks: new Map() })),
  );
  const { files } = await lookInto(folder);
  expect(files.find(({ name }) => name === 'lab.1.avhdx')?.image).toEqual({
    ok: true,
    value: {
      sizeBytes: 4_096,
      blockSize: 512,
      id: 'vhdx:aaaaaaaa-aaaa-aaaa-aaaa-000000000001',
      parent: { names: ['gone.vhdx'], ids: ['vhdx:aaaaaaaa-aaaa-aaaa-aaaa-000000000000'] },
    },
  });
});
