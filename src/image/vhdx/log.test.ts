/** What a log that was not replayed does to what is read: the file itself is asked afterwards, and is as it was. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesOf, type Layer } from '../../../test/builders/image.ts';
import { LOG_GUID, type LogEntry, logEntry, logOf, logSectors, vhdxImage } from '../../../test/builders/vhdx.ts';
import { cpuMs } from '../../../test/setup/time.ts';
import { openImage } from '../images.ts';
import { replay } from './log.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MIB = 1 << 20;
const PAGE = 4_096;
const LAYER: Layer = { sizeBytes: MIB, blockBytes: MIB, sectorBytes: 512, seed: 0, blocks: new Map([[0, 'whole']]) };
/** Where its only block lies in the file. */
const DATA = 4 * MIB;
const FILE = 5 * MIB;

const page = (byte: number): Buffer => Buffer.alloc(PAGE, byte);
/** Writes the first page of the disk. */
const writes = (byte: number, at = DATA): LogEntry['writes'] => [{ offset: at, data: page(byte) }];
const SECTORS = 2 * PAGE;

/** The first byte of the disk, and that of its second page; or the fault. */
async function firstBytes(log: Buffer): Promise<readonly number[] | string> {
  const path = join(folder, 'lab.vhdx');
  const bytes = bytesOf(vhdxImage(LAYER, { log }));
  writeFileSync(path, bytes);
  const opened = await openImage(path);
  expect(readFileSync(path).equals(bytes)).toBe(true);
  if (!opened.ok) return opened.error.code;
  const disk = opened.value;
  const read = await disk.read(0, 2 * PAGE);
  for (const { offset, length, fileOffset } of disk.extents?.(0, disk.sizeBytes) ?? []) {
    const through = await disk.read(offset, length);
    expect(through.ok && through.value.equals(bytes.subarray(fileOffset, fileOffset + length))).toBe(true);
  }
  await disk.close();
  return read.ok ? [read.value.readUInt8(7), read.value.readUInt8(PAGE + 7)] : read.error.code;
}

const torn = (log: Buffer, at: number): Buffer => log.fill(0xee, at, at + 1);
const base = { flushedBytes: FILE, lastBytes: FILE };
const ONE: LogEntry = { ...base, sequence: 5, at: 0, tail: 0, writes: writes(1) };
const TWO: LogEntry = { ...base, sequence: 6, at: SECTORS, tail: 0, writes: writes(2) };
const THREE: LogEntry = { ...base, sequence: 7, at: 2 * SECTORS, tail: 0, writes: writes(3) };
const plain = [0, 0]; // the pattern's bytes there
test.each<{ what: string; log: () => Buffer; shows: readonly number[] | string }>([
  { what: 'one entry', log: () => logOf([ONE]), shows: [1, 0] },
  { what: 'several, the last wins', log: () => logOf([ONE, TWO, THREE]), shows: [3, 0] },
  {
    what: 'several, and the tail is later: what was before is in its place',
    log: () =>
      logOf([
        { ...ONE, writes: writes(1, DATA + PAGE) },
        { ...TWO, tail: SECTORS },
      ]),
    shows: [2, plain[1] ?? 0],
  },
  {
    what: 'a last entry whose checksum is wrong: what is before it',
    log: () => torn(logOf([ONE, TWO, THREE]), 2 * SECTORS + 100),
    shows: [2, 0],
  },
  {
    what: 'a last entry whose data were not written',
    log: () => logOf([ONE, TWO, THREE]).fill(0, 2 * SECTORS + PAGE, 3 * SECTORS),
    shows: [2, 0],
  },
  {
    what: 'one in the middle that is torn: none that needs it',
    log: () => torn(logOf([ONE, TWO, THREE]), SECTORS + 100),
    shows: [1, 0],
  },
  {
    what: 'entries over the end of the ring',
    log: () =>
      logOf([
        { ...ONE, at: MIB - SECTORS, tail: MIB - SECTORS },
        { ...TWO, at: 0, tail: MIB - SECTORS },
      ]),
    shows: [2, 0],
  },
  {
    what: 'an entry that itself goes over the end',
    log: () =>
      logOf([
        { ...ONE, at: MIB - PAGE, tail: MIB - PAGE },
        { ...TWO, at: PAGE, tail: MIB - PAGE },
      ]),
    shows: [2, 0],
  },
  {
    what: 'older entries that are left in the ring',
    log: () =>
      logOf([
        { ...THREE, sequence: 9, tail: 2 * SECTORS },
        { ...ONE, sequence: 3 },
        { ...TWO, sequence: 4 },
      ]),
    shows: [3, 0],
  },
  {
    what: 'entries of another log',
    log: () => logOf([ONE, { ...TWO, guid: LOG_GUID.replaceAll('9', '8') }]),
    shows: [1, 0],
  },
  {
    what: 'zeros',
    log: () => logOf([{ ...ONE, writes: [{ offset: DATA, data: 2 * PAGE }] }]),
    shows: [0, 0],
  },
  {
    what: 'zeros over what was written before, and a page over them',
    log: () =>
      logOf([
        { ...ONE, writes: [...writes(1), { offset: DATA + PAGE, data: page(1) }] },
        {
          ...TWO,
          at: 3 * PAGE,
          tail: 0,
          writes: [
            { offset: DATA, data: 2 * PAGE },
            { offset: DATA + PAGE, data: page(4) },
          ],
        },
      ]),
    shows: [0, 4],
  },
  { what: 'an entry that writes nothing', log: () => logOf([{ ...ONE, writes: [] }]), shows: plain },
  { what: 'no entry', log: () => Buffer.alloc(MIB), shows: 'ImageInvalid' },
  { what: 'no entry that is whole', log: () => torn(logOf([ONE]), 100), shows: 'ImageInvalid' },
  { what: 'a tail that no entry begins at', log: () => logOf([{ ...ONE, tail: PAGE }]), shows: 'ImageInvalid' },
  { what: 'a number that is left out', log: () => logOf([ONE, { ...TWO, sequence: 7 }]), shows: [1, 0] },
  { what: 'more file than there is', log: () => logOf([{ ...ONE, flushedBytes: FILE + 1 }]), shows: 'FileCut' },
  { what: 'a file without end', log: () => logOf([{ ...ONE, lastBytes: 2 ** 50 }]), shows: 'NotSupported' },
  {
    what: 'the same zeros again and again',
    log: () => logOf([{ ...ONE, writes: Array.from({ length: 1_000 }, () => ({ offset: 0, data: 2 ** 30 })) }]),
    shows: 'NotSupported',
  },
  {
    what: 'zeros without end',
    log: () => logOf([{ ...ONE, writes: [{ offset: 0, data: 2 ** 52 }] }]),
    shows: 'NotSupported',
  },
])('a log with $what', async ({ log, shows }) => {
  expect(await firstBytes(log())).toEqual(shows);
});

test('a block that grew the file, and did not reach the disk, is what the log says', async () => {
  const path = join(folder, 'grown.vhdx');
  const layer: Layer = { ...LAYER, sizeBytes: 2 * MIB };
  const entry = Buffer.alloc(PAGE);
  const table = bytesOf(vhdxImage(layer)).subarray(3 * MIB, 3 * MIB + PAGE);
  table.copy(entry);
  entry.writeBigUInt64LE((5n << 20n) | 6n, 8);
  const grown = [
    { offset: 3 * MIB, data: entry },
    { offset: FILE + PAGE, data: page(9) },
  ];
  const log = logOf([{ ...ONE, flushedBytes: FILE, lastBytes: FILE + MIB, writes: grown }]);
  writeFileSync(path, bytesOf(vhdxImage(layer, { log })));
  const opened = await openImage(path);
  if (!opened.ok) throw new Error(opened.error.message);
  const read = await opened.value.read(MIB, MIB);
  expect(read.ok && read.value.equals(Buffer.concat([Buffer.alloc(PAGE), page(9), Buffer.alloc(MIB - 2 * PAGE)]))).toBe(
    true,
  );
  expect([...(opened.value.extents?.(MIB, MIB) ?? [])]).toEqual([]);
  await opened.value.close();
});

test('any sequence, anywhere in the ring, with any end torn off', () => {
  const pages = fc.array(fc.nat({ max: 40 }), { maxLength: 5 });
  const given = fc.record({
    entries: fc.array(pages, { minLength: 1, maxLength: 12 }),
    start: fc.nat({ max: 255 }),
    torn: fc.nat({ max: 3 }),
  });
  fc.assert(
    fc.property(given, ({ entries, start, torn: many }) => {
      let at = start * PAGE;
      const tail = at;
      const placed = entries.map((numbers, index): LogEntry => {
        const of = numbers.map((number) => ({ offset: number * PAGE, data: page(index + 1) }));
        const entry = { ...base, sequence: 100 + index, at, tail, writes: of };
        at = (at + logSectors(entry) * PAGE) % MIB;
        return entry;
      });
      const ring = logOf(placed);
      const whole = Math.max(0, placed.length - many);
      for (const entry of placed.slice(whole)) torn(ring, entry.at + 4);
      const wanted = new Map(
        placed
          .slice(0, whole)
          .flatMap((entry) => entry.writes.map(({ offset, data }) => [offset / PAGE, data] as const)),
      );
      const found = replay(ring, { guid: LOG_GUID, version: 0, offset: MIB, length: MIB }, FILE);
      expect(found.ok).toBe(whole > 0);
      if (found.ok) expect(new Map(found.value.pages)).toEqual(wanted);
    }),
    { seed: 14, numRuns: 100 },
  );
});

test('entries that lie over each other, each as long as the log, are not summed again and again', async () => {
  const ring = Buffer.alloc(8 * MIB);
  const head = logEntry({ ...ONE, writes: [] });
  for (let at = 0; at < ring.length; at += PAGE) {
    head.copy(ring, at);
    ring.writeUInt32LE(ring.length, at + 8);
    ring.writeUInt32LE(at, at + 12);
    ring.writeBigUInt64LE(BigInt(at + 1), at + 16);
  }
  const ms = await cpuMs(() => {
    const log = { guid: LOG_GUID, version: 0, offset: MIB, length: ring.length };
    expect(replay(ring, log, FILE)).toMatchObject({ ok: false });
  });
  expect(ms).toBeLessThan(5_000);
});

test('entries that each begin where a torn one does are not walked again and again', async () => {
  const ring = Buffer.alloc(32 * MIB);
  const head = logEntry({ ...ONE, writes: [] });
  for (let at = 0; at < ring.length; at += PAGE) {
    head.copy(ring, at);
    ring.writeUInt32LE(0, at + 12);
    ring.writeBigUInt64LE(BigInt(at / PAGE + 1), at + 16);
  }
  const ms = await cpuMs(() => {
    const log = { guid: LOG_GUID, version: 0, offset: MIB, length: ring.length };
    expect(replay(ring, log, FILE)).toMatchObject({ ok: false });
  });
  expect(ms).toBeLessThan(5_000);
});
