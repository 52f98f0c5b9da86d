/** Images with bytes changed where it matters: headers, tables, logs, locators. Each is a disk or a fault with a name, soon, and neither reads anything else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { openImage } from '../../src/image/images.ts';
import { checksum } from '../../src/image/vhd/footer.ts';
import { bytesOf, type Held, type Layer } from '../builders/image.ts';
import { VHD_ID, vhdImage } from '../builders/vhd.ts';
import { LOG_GUID, logOf, summed, VHDX_GUID, VHDX_METADATA, VHDX_TABLE, vhdxImage } from '../builders/vhdx.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-fuzz-image-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MIB = 1 << 20;
const held: Held = Array.from({ length: 128 }, (_, sector) => sector % 3 === 0);
const layerOf = (blockBytes: number): Layer => ({
  sizeBytes: 3.5 * blockBytes,
  blockBytes,
  sectorBytes: 512,
  seed: 1,
  blocks: new Map<number, Held>([
    [0, 'whole'],
    [2, held],
  ]),
});
const base = (blockBytes: number): Layer => ({ ...layerOf(blockBytes), blocks: new Map([[1, 'whole']]) });

interface Target {
  readonly name: string;
  readonly bytes: Buffer;
  /** Where what it says of itself lies: [from, bytes]. */
  readonly places: readonly (readonly [number, number])[];
  /** Makes its checksums right again, so that what lies behind them is met. */
  readonly sum: (bytes: Buffer) => Buffer;
}

function sumVhd(bytes: Buffer): Buffer {
  if (bytes.length < 2_048) return bytes;
  for (const footer of [bytes.subarray(0, 512), bytes.subarray(-512)]) footer.writeUInt32BE(checksum(footer, 64), 64);
  bytes.writeUInt32BE(checksum(bytes.subarray(512, 1_536), 36), 512 + 36);
  return bytes;
}

function sumVhdx(bytes: Buffer): Buffer {
  for (const at of [65_536, 131_072]) summed(bytes.subarray(at, at + 4_096));
  for (const at of [196_608, 262_144]) summed(bytes.subarray(at, at + 65_536));
  for (const at of [MIB, MIB + 8_192]) {
    const length = bytes.readUInt32LE(at + 8);
    if (length > 8 && length <= MIB) summed(bytes.subarray(at, at + length));
  }
  return bytes;
}

const locators = { W2ru: Buffer.from('.\\lab.vhd', 'utf16le'), W2ku: Buffer.from('C:\\lab.vhd', 'utf16le') };
const vhd = bytesOf(
  vhdImage(layerOf(65_536), { id: 'c'.repeat(32), parent: { id: VHD_ID, name: 'lab.vhd', locators } }),
);
const link = { parent_linkage: VHDX_GUID, relative_path: '.\\lab.vhdx' };
const page = Buffer.alloc(4_096, 5);
const log = logOf([
  { sequence: 5, at: 0, tail: 0, writes: [{ offset: 6 * MIB, data: page }] },
  { sequence: 6, at: 8_192, tail: 0, writes: [{ offset: 6 * MIB + 8_192, data: 4_096 }] },
]);
const vhdx = bytesOf(vhdxImage(layerOf(MIB), { guid: LOG_GUID, parent: link, log }));
const TARGETS: readonly Target[] = [
  {
    name: 'lab.1.avhd',
    bytes: vhd,
    places: [
      [0, 96],
      [512, 72],
      [512 + 576, 60],
      [1_536, 16],
      [2_048, 128],
      [vhd.length - 512, 96],
    ],
    sum: sumVhd,
  },
  {
    name: 'lab.1.avhdx',
    bytes: vhdx,
    places: [
      [0, 8],
      [65_536, 80],
      [131_072, 80],
      [196_608, 80],
      [MIB, 128],
      [MIB + 8_192, 128],
      [VHDX_METADATA, 224],
      [VHDX_METADATA + 65_536, 256],
      [VHDX_TABLE, 32],
      [VHDX_TABLE + 65_536, 8],
    ],
    sum: sumVhdx,
  },
];

const NUMBERS = [
  0n,
  1n,
  2n,
  511n,
  512n,
  4_096n,
  2n ** 20n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1_000);
const SLOW_MS = 1_000;

test.each(TARGETS)(
  '$name, changed in what it says of itself, is a disk or a fault',
  async ({ name, bytes, places, sum }) => {
    writeFileSync(join(folder, 'lab.vhd'), bytesOf(vhdImage(base(65_536))));
    writeFileSync(join(folder, 'lab.vhdx'), bytesOf(vhdxImage(base(MIB))));
    const path = join(folder, name);
    const place = fc.constantFrom(...places).chain(([from, many]) => fc.nat({ max: many - 1 }).map((at) => from + at));
    const value = fc.oneof(
      fc.nat({ max: 255 }).map((byte) => Buffer.from([byte])),
      fc.tuple(fc.constantFrom(...NUMBERS), fc.boolean()).map(([number, big]) => {
        const eight = Buffer.alloc(8);
        if (big) eight.writeBigUInt64BE(number);
        else eight.writeBigUInt64LE(number);
        return number < 2n ** 32n ? (big ? eight.subarray(4) : eight.subarray(0, 4)) : eight;
      }),
    );
    const change = fc.record({
      sets: fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 4 }),
      summed: fc.boolean(),
      cut: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: bytes.length }) }),
    });
    let disks = 0;
    let faults = 0;
    await fc.assert(
      fc.asyncProperty(change, async ({ sets, summed: isSummed, cut }) => {
        const changed = Buffer.from(bytes);
        for (const [at, set] of sets) changed.set(set.subarray(0, changed.length - at), at);
        if (isSummed) sum(changed);
        writeFileSync(path, changed.subarray(0, changed.length - cut));
        const started = performance.now();
        const opened = await openImage(path);
        if (opened.ok) {
          const disk = opened.value;
          disks++;
          for (const offset of [0, disk.sizeBytes - Math.min(disk.sizeBytes, MIB)])
            expect(typeof (await disk.read(offset, Math.min(MIB, disk.sizeBytes - offset))).ok).toBe('boolean');
          for (const { length } of disk.extents?.(0, Math.min(disk.sizeBytes, 64 * MIB)) ?? [])
            expect(length).toBeGreaterThan(0);
          const mapped = await disk.map?.(0, Math.min(disk.sizeBytes, 64 * MIB));
          expect(typeof mapped?.ok).toBe('boolean');
          await disk.close();
        } else {
          faults++;
          expect(opened.error.message).toMatch(new RegExp(`${folder}/lab`));
          expect(opened.error.code).not.toBe('FileUnreadable'); // what throws is that
        }
        expect(performance.now() - started).toBeLessThan(SLOW_MS);
      }),
      { seed: 14, numRuns: RUNS },
    );
    expect(disks).toBeGreaterThan(RUNS / 100);
    expect(faults).toBeGreaterThan(RUNS / 10);
  },
  600_000,
);
