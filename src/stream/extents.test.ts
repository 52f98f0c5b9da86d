import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Extent } from '../image/disk.ts';
import { extentTable, FD, rowOf, SHIFT } from './extents.ts';

const ROW_BYTES = 32;

/** In order, with and without holes between them, sometimes going on where the one before ends in its file. */
const extents = fc
  .array(
    fc.record({
      hole: fc.constantFrom(0, 0, 512),
      length: fc.integer({ min: 1, max: 8 }).map((sectors) => sectors * 512),
      fd: fc.integer({ min: 20, max: 22 }),
      fileOffset: fc.option(fc.integer({ min: 0, max: 2 ** 42 }).map((sector) => sector * 512)),
    }),
    { maxLength: 40 },
  )
  .map((parts) => {
    const made: Extent[] = [];
    let end = 0;
    for (const { hole, length, fd, fileOffset } of parts) {
      const last = made.at(-1);
      const at = fileOffset ?? (last && hole === 0 ? last.fileOffset + last.length : 0);
      made.push({ offset: end + hole, length, fd: fileOffset === null && last ? last.fd : fd, fileOffset: at });
      end += hole + length;
    }
    return made;
  });

/** What it has to do: byte by byte of each sector's first, in whichever extent holds it. */
function placeOf(of: readonly Extent[], offset: number): { fd: number; at: number } | undefined {
  const found = of.find((extent) => extent.offset <= offset && offset < extent.offset + extent.length);
  return found && { fd: found.fd, at: found.fileOffset + (offset - found.offset) };
}

function plain(of: readonly Extent[], offset: number, length: number): { fd: number; at: number } | undefined {
  const first = placeOf(of, offset);
  for (let more = 0; more < length; more += 512) {
    const here = placeOf(of, offset + more);
    if (!first || here?.fd !== first.fd || here.at !== first.at + more) return undefined;
  }
  return first;
}

function looked(of: readonly Extent[], offset: number, length: number): { fd: number; at: number } | undefined {
  const { rows } = extentTable(of);
  const row = rowOf(rows, offset, length);
  return row < 0 ? undefined : { fd: rows[row + FD] as number, at: offset + (rows[row + SHIFT] as number) };
}

test('a range is found where all of it lies in one piece of one file, and nowhere else', () => {
  const sectors = (least: number) => fc.integer({ min: least, max: 200 }).map((many) => many * 512);
  fc.assert(
    fc.property(extents, sectors(0), sectors(1), (of, offset, length) => {
      expect(looked(of, offset, length)).toEqual(plain(of, offset, length));
    }),
    { seed: 11, numRuns: 2_000 },
  );
});

test('each file is named once', () => {
  fc.assert(
    fc.property(extents, (of) => {
      expect(extentTable(of).fds).toEqual([...new Set(of.map(({ fd }) => fd))]);
    }),
    { seed: 11 },
  );
});

describe('a table', () => {
  const scattered = function* (many: number): Generator<Extent> {
    for (let n = 0; n < many; n++) yield { offset: n * 512, length: 512, fd: 20, fileOffset: (many - n) * 512 };
  };
  test.each([
    { what: 'holds what fits exactly', many: 3, rows: 3, whole: true },
    { what: 'holds the first ones of too many', many: 4, rows: 3, whole: false },
    { what: 'of nothing is empty', many: 0, rows: 0, whole: true },
  ])('$what', ({ many, rows, whole }) => {
    const table = extentTable(scattered(many), 3 * ROW_BYTES);
    expect([table.rows.byteLength / ROW_BYTES, table.whole]).toEqual([rows, whole]);
    expect(rowOf(table.rows, 3 * 512, 512)).toBe(-1);
  });

  test('asks for no more than fit', () => {
    let asked = 0;
    const endless = function* (): Generator<Extent> {
      for (;;) yield { offset: asked * 1_024, length: 512, fd: 20, fileOffset: asked++ };
    };
    extentTable(endless(), 3 * ROW_BYTES);
    expect(asked).toBe(4);
  });

  test('is shared memory, so that no thread gets a copy', () => {
    const { rows } = extentTable(scattered(1));
    const told = structuredClone(rows);
    rows[0] = 1_024;
    expect(told[0]).toBe(1_024);
  });
});
