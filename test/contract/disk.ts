/** What every disk format does: run by the test of each format in src/image. The content is the pattern's, so that a wrong place is seen. */
import { readSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Disk } from '../../src/image/disk.ts';
import { patternMismatch } from '../../src/image/pattern/pattern.ts';

export function diskContract(open: () => Promise<Disk>): void {
  let disk: Disk;
  beforeAll(async () => {
    disk = await open();
  });
  afterAll(() => disk.close());

  test('its size is a multiple of its block', () => {
    expect(disk.sizeBytes).toBeGreaterThan(0);
    expect(disk.sizeBytes % disk.blockSize).toBe(0);
  });

  test('any range reads as it was written', async () => {
    const range = fc.tuple(fc.nat(disk.sizeBytes), fc.nat(100_000)).map(([offset, length]) => ({
      offset,
      length: Math.min(length, disk.sizeBytes - offset),
    }));
    await fc.assert(
      fc.asyncProperty(range, async ({ offset, length }) => {
        const read = await disk.read(offset, length);
        expect(read).toMatchObject({ ok: true });
        if (read.ok)
          expect({ length: read.value.length, wrong: patternMismatch(read.value, offset) }).toEqual({ length });
      }),
      { seed: 5 },
    );
  });

  test('it reads into memory that is there, at its place, and touches nothing around it', async () => {
    if (!disk.readInto) return;
    const [offset, length] = [disk.sizeBytes - 70_001, 70_000];
    const bytes = Buffer.alloc(80_000, 1);
    expect(await disk.readInto(bytes, 5_000, length, offset)).toBeUndefined();
    expect(patternMismatch(bytes.subarray(5_000, 75_000), offset)).toBeUndefined();
    expect(bytes.subarray(0, 5_000).equals(Buffer.alloc(5_000, 1))).toBe(true);
    expect(bytes.subarray(75_000).equals(Buffer.alloc(5_000, 1))).toBe(true);
    expect(await disk.readInto(bytes, 0, length, offset + 2)).toMatchObject({ code: 'ReadBeyondEnd' });
  });

  test.each([
    { name: 'beyond the end', offset: 1, length: 0, from: 'end' },
    { name: 'over the end', offset: -512, length: 1_024, from: 'end' },
    { name: 'before the start', offset: -512, length: 512, from: 'start' },
    { name: 'of a negative length', offset: 512, length: -1, from: 'start' },
    { name: 'at no whole byte', offset: 0.5, length: 1, from: 'start' },
    { name: 'that overflows', offset: Number.MAX_SAFE_INTEGER, length: Number.MAX_SAFE_INTEGER, from: 'start' },
  ])('a range $name is a fault', async ({ offset, length, from }) => {
    const at = from === 'end' ? disk.sizeBytes + offset : offset;
    expect(await disk.read(at, length)).toMatchObject({ ok: false, error: { code: 'ReadBeyondEnd' } });
  });

  test('extents, if it has any, are in order, within the range, and lead to the same bytes', () => {
    const extents = disk.extents?.(512, disk.sizeBytes - 1_024) ?? [];
    let end = 512;
    for (const { offset, length, fd, fileOffset } of extents) {
      expect(offset).toBeGreaterThanOrEqual(end);
      end = offset + length;
      const bytes = Buffer.alloc(length);
      expect(readSync(fd, bytes, 0, length, fileOffset)).toBe(length);
      expect(patternMismatch(bytes, offset)).toBeUndefined();
    }
    expect(end).toBeLessThanOrEqual(disk.sizeBytes - 512);
  });

  test('closed: reads are faults, and closing again is nothing', async () => {
    const other = await open();
    await other.close();
    await other.close();
    expect(await other.read(0, 512)).toMatchObject({ ok: false, error: { code: 'DiskClosed' } });
    expect([...(other.extents?.(0, 512) ?? [])]).toEqual([]);
  });
}
