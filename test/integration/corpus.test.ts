/**
 * Images that other programs wrote, where a folder of them is at hand: `CORPUS=FOLDER npm test -- test/integration/corpus.test.ts`. `DIGESTS.json` there says what
 * disk each shows; `EDITS.json` what is right of one with one thing wrong in it. They are not of this project, which makes its own in `test/builders`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Disk } from '../../src/image/disk.ts';
import { openImage } from '../../src/image/images.ts';
import { checksum } from '../../src/image/vhd/footer.ts';
import { checksumOf } from '../../src/image/vhdx/crc32c.ts';
import { convertFile } from '../../src/store/convert.ts';
import { judgedBy } from './libvhdi.ts';

const corpus = process.env['CORPUS'];
const described = corpus === undefined ? describe.skip : describe;
const MIB = 1 << 20;

let unpacked: string;
let folder: string;
beforeAll(() => {
  unpacked = mkdtempSync(join(tmpdir(), 'bootfarm-corpus-'));
  const tools = { '.xz': 'xz -dc', '.bz2': 'bzip2 -dc', '.gz': 'gzip -dc' };
  for (const name of corpus === undefined ? [] : readdirSync(corpus))
    for (const [end, tool] of Object.entries(tools))
      if (name.endsWith(end))
        execFileSync('sh', [
          '-ec',
          `${tool} "$0" > "$1"`,
          join(corpus ?? '', name),
          join(unpacked, name.slice(0, -end.length)),
        ]);
});
afterAll(() => rmSync(unpacked, { recursive: true }));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-edits-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function digestOf(disk: Disk): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < disk.sizeBytes; at += MIB) {
    const read = await disk.read(at, Math.min(MIB, disk.sizeBytes - at));
    if (!read.ok) return read.error.message;
    hash.update(read.value);
  }
  return hash.digest('hex');
}

const digests: Readonly<Record<string, { sha256: string; bytes: number }>> =
  corpus === undefined
    ? { none: { sha256: '', bytes: 0 } }
    : JSON.parse(readFileSync(join(corpus, 'DIGESTS.json'), 'utf8'));

interface Edit {
  readonly name: string;
  readonly base: string;
  readonly edit: (bytes: Buffer) => Buffer;
  readonly right: string;
  readonly result: (all: typeof digests) => unknown;
}
const refused = (code: string) => () => expect.objectContaining({ code, message: expect.any(String) });
const sameAs = (name: string) => (all: typeof digests) => ({ sizeBytes: all[name]?.bytes, sha256: all[name]?.sha256 });

const changed = (bytes: Buffer, change: (bytes: Buffer) => void): Buffer => {
  change(bytes);
  return bytes;
};
/** Of the dynamic header at 512, and both footers. */
function summedVhd(bytes: Buffer): Buffer {
  const header = bytes.subarray(512, 1_536);
  header.writeUInt32BE(checksum(header, 36), 36);
  for (const footer of [bytes.subarray(0, 512), bytes.subarray(-512)]) footer.writeUInt32BE(checksum(footer, 64), 64);
  return bytes;
}
const vhd = (
  name: string,
  base: string,
  right: string,
  change: (bytes: Buffer) => void,
  result: Edit['result'],
): Edit => ({
  ...{ name, base, right, result },
  edit: (bytes) => summedVhd(changed(bytes, change)),
});
const ofHeader =
  (at: number, value: number) =>
  (bytes: Buffer): void => {
    bytes.writeUInt32BE(value, 512 + at);
  };
const HEADS = [64 << 10, 128 << 10];
function summedVhdx(bytes: Buffer): Buffer {
  for (const at of HEADS) bytes.writeUInt32LE(checksumOf(bytes.subarray(at, at + 4_096), 4), at + 4);
  for (const at of [192 << 10, 256 << 10]) bytes.writeUInt32LE(checksumOf(bytes.subarray(at, at + 65_536), 4), at + 4);
  return bytes;
}
const vhdx = (
  name: string,
  base: string,
  right: string,
  change: (bytes: Buffer) => void,
  result: Edit['result'],
): Edit => ({
  ...{ name, base, right, result },
  edit: (bytes) => summedVhdx(changed(bytes, change)),
});
/** In the images of Windows: the metadata at 2 MiB, the block table at 3. */
const [METADATA, TABLE] = [2 * MIB, 3 * MIB];
const GUID = (byte: number): Buffer => Buffer.alloc(16, byte);

const EDITS: readonly Edit[] = [
  {
    name: 'v01.vhd',
    base: 'fat-parent.vhd',
    right: 'refused: the only footer is damaged',
    edit: (bytes) => changed(bytes, (all) => all.writeUInt8(all.readUInt8(all.length - 492) ^ 1, all.length - 492)),
    result: refused('ImageInvalid'),
  },
  {
    name: 'v03.vhd',
    base: 'fat-parent.vhd',
    right: 'refused: the size does not fit before the footer',
    edit: (bytes) => bytes.subarray(512),
    result: refused('FileCut'),
  },
  {
    name: 'v05.vhd',
    base: 'ext2.vhd',
    right: 'the same disk, from the copy',
    edit: (bytes) => changed(bytes, (all) => all.fill(0, all.length - 512)),
    result: sameAs('ext2.vhd'),
  },
  vhd('v07.vhd', 'ext2.vhd', 'a fault at open', (all) => all.writeUInt32BE(1, 1_540), refused('ImageInvalid')),
  vhd('v09.vhd', 'ext2.vhd', 'refused', ofHeader(32, 0), refused('ImageInvalid')),
  vhd('v11.vhd', 'ext2.vhd', 'the same disk', ofHeader(28, 0xffffffff), sameAs('ext2.vhd')),
  vhd(
    'v13.vhd',
    'ext2.vhd',
    'refused',
    (all) => [48, all.length - 464].forEach((at) => void all.writeBigUInt64BE(2n ** 63n, at)),
    refused('SizeInvalid'),
  ),
  vhd('v15.vhd', 'ext2.vhd', 'decided: data', (all) => void all.fill(0, 2_048, 2_560), sameAs('ext2.vhd')),
  vhd(
    'v17.vhd',
    'fat-differential.vhd',
    'refused: leads out of the folder',
    (all) => void all.write('..\\..\\etc\\pass\0', 12_288, 'utf16le'),
    refused('FileMissing'),
  ),
  vhd(
    'v19.vhd',
    'fat-differential.vhd',
    'by the name in the header',
    (all) => void all.fill(0, 512 + 576, 512 + 768),
    sameAs('fat-differential.vhd'),
  ),
  vhd(
    'v21.vhd',
    'ext2.vhd',
    'by the current size',
    (all) => [28, all.length - 484].forEach((at) => void all.write('vpc ', at)),
    sameAs('ext2.vhd'),
  ),
  {
    name: 'x01.vhdx',
    base: 'fat-parent.vhdx',
    right: 'the same disk, by the other header',
    edit: (bytes) =>
      changed(bytes, (all) => {
        const [one, two] = HEADS.map((at) => all.readBigUInt64LE(at + 8)) as [bigint, bigint];
        const newer = (one > two ? HEADS[0] : HEADS[1]) ?? 0;
        all.writeUInt8(all.readUInt8(newer + 4) ^ 1, newer + 4);
      }),
    result: sameAs('fat-parent.vhdx'),
  },
  vhdx(
    'x03.vhdx',
    'fat-parent.vhdx',
    'refused',
    (all) => HEADS.forEach((at) => void all.writeUInt16LE(2, at + 66)),
    refused('NotSupported'),
  ),
  {
    name: 'x05.vhdx',
    base: 'fat-parent.vhdx',
    right: 'refused',
    edit: (bytes) => {
      const all = Buffer.concat([bytes, Buffer.alloc(MIB)]);
      for (const at of [192 << 10, 256 << 10]) {
        const entry = at + 16 + 32 * all.readUInt32LE(at + 8);
        all.writeUInt32LE(all.readUInt32LE(at + 8) + 1, at + 8);
        GUID(0x11).copy(all, entry);
        all.writeBigUInt64LE(BigInt(bytes.length), entry + 16);
        all.writeUInt32LE(MIB, entry + 24);
        all.writeUInt32LE(1, entry + 28);
      }
      return summedVhdx(all);
    },
    result: refused('NotSupported'),
  },
  vhdx(
    'x07.vhdx',
    'fat-parent.vhdx',
    'refused',
    (all) => {
      const many = all.readUInt16LE(METADATA + 10);
      const entry = METADATA + 32 + 32 * many;
      all.writeUInt16LE(many + 1, METADATA + 10);
      GUID(0x22).copy(all, entry);
      all.writeUInt32LE(65_536, entry + 16);
      all.writeUInt32LE(4, entry + 24);
    },
    refused('NotSupported'),
  ),
  vhdx(
    'x09.vhdx',
    'fat-parent.vhdx',
    'refused',
    (all) => HEADS.forEach((at) => void GUID(0x33).copy(all, at + 48)),
    refused('ImageInvalid'),
  ),
  vhdx(
    'x11.vhdx',
    'fat-parent.vhdx',
    'refused',
    (all) => all.writeUInt32LE(3 * MIB, METADATA + 65_536),
    refused('ImageInvalid'),
  ),
  vhdx(
    'x13.vhdx',
    'fat-parent.vhdx',
    'refused',
    (all) => all.writeUInt32LE(0, METADATA + 65_536),
    refused('ImageInvalid'),
  ),
  vhdx(
    'x15.vhdx',
    'fat-parent.vhdx',
    'refused',
    (all) => all.writeUInt32LE(520, METADATA + 65_552),
    refused('ImageInvalid'),
  ),
  vhdx(
    'x17.vhdx',
    'fat-parent.vhdx',
    'refused',
    (all) => all.writeBigUInt64LE(2n ** 47n, METADATA + 65_544),
    refused('SizeInvalid'),
  ),
  vhdx('x19.vhdx', 'fat-parent.vhdx', 'refused', (all) => all.writeUInt8(4, TABLE), refused('ImageInvalid')),
  vhdx(
    'x30.vhdx',
    'fat-parent.vhdx',
    '2 MiB of zeros',
    (all) => all.writeUInt8(3, TABLE),
    () => expect.objectContaining({ sizeBytes: 4 * MIB, sha256: zerosThenRest() }),
  ),
  vhdx(
    'x20.vhdx',
    'fat-parent.vhdx',
    'the same disk',
    (all) => all.writeUInt32LE(all.readUInt32LE(TABLE) | 0xffff8, TABLE),
    sameAs('fat-parent.vhdx'),
  ),
  vhdx(
    'x22.vhdx',
    'fat-differential.vhdx',
    'refused',
    (all) => void all.fill(0, TABLE + 8 * 2_048, TABLE + 8 * 2_049),
    refused('ImageInvalid'),
  ),
  {
    name: 'x24.vhdx',
    base: 'vhdx-log-replay.vhdx',
    right: 'refused',
    edit: (bytes) => bytes.subarray(0, -MIB),
    result: refused('FileCut'),
  },
  {
    name: 'x26.vhdx',
    base: 'fat-parent.vhdx',
    right: 'a fault for what is gone',
    edit: (bytes) => bytes.subarray(0, -MIB),
    result: refused('FileCut'),
  },
  vhdx(
    'x28.vhdx',
    'fat-parent.vhdx',
    'the last 2 MiB are zeros',
    (all) => all.writeBigUInt64LE(BigInt(6 * MIB), METADATA + 65_544),
    () => expect.objectContaining({ sizeBytes: 6 * MIB, sha256: parentThenZeros() }),
  ),
];

/** Of `fat-parent.vhdx`, whose two blocks lie where its table says. */
function blocksOfParent(): readonly [Buffer, Buffer] {
  const bytes = readFileSync(join(unpacked, 'fat-parent.vhdx'));
  const [one, two] = [0, 8].map((at) => {
    const start = Number(bytes.readBigUInt64LE(TABLE + at) >> 20n) * MIB;
    return bytes.subarray(start, start + 2 * MIB);
  }) as [Buffer, Buffer];
  return [one, two];
}
const sha256 = (...parts: readonly Buffer[]): string => createHash('sha256').update(Buffer.concat(parts)).digest('hex');
const zerosThenRest = (): string => sha256(Buffer.alloc(2 * MIB), blocksOfParent()[1]);
const parentThenZeros = (): string => sha256(...blocksOfParent(), Buffer.alloc(2 * MIB));

described('of the corpus', () => {
  test.each(Object.entries(digests))('%s shows the disk that it is', async (name, { sha256, bytes }) => {
    const opened = await openImage(join(unpacked, name));
    if (!opened.ok) throw new Error(opened.error.message);
    expect({ sha256: await digestOf(opened.value), bytes: opened.value.sizeBytes }).toEqual({ sha256, bytes });
    await opened.value.close();
  });

  test.each(Object.entries(digests))('%s, converted, shows it still', async (name, { sha256, bytes }) => {
    for (const target of ['lab.vhdx', 'lab.vhd', 'lab.raw']) {
      const made = await convertFile(join(unpacked, name), join(folder, target));
      expect(made).toMatchObject({ ok: true, value: { diskBytes: bytes } });
      const opened = await openImage(join(folder, target));
      if (!opened.ok) throw new Error(opened.error.message);
      expect(await digestOf(opened.value)).toBe(sha256);
      await opened.value.close();
    }
  });

  // Of those that it reads right, and that fit into memory: README.md there.
  test.each([
    ['ext2.vhdx'],
    ['fat-parent.vhd'],
    ['fat-parent.vhdx'],
    ['fat-differential.vhdx', 'fat-parent.vhdx'],
    ['image-differential.vhd', 'image.vhd'],
    ['d2v-zerofilled.vhd'],
  ])('libvhdi shows the same of %s', (...names) => {
    const { content } = judgedBy(names.map((name) => join(unpacked, name)));
    expect(createHash('sha256').update(content).digest('hex')).toBe(digests[names[0] ?? '']?.sha256);
  });

  test.each(EDITS)('$name: $right', async ({ base, edit, name, right, result }) => {
    for (const there of readdirSync(unpacked).filter((other) => other.startsWith('fat-parent') || other === base))
      cpSync(join(unpacked, there), join(folder, there));
    const path = join(folder, name);
    cpSync(join(unpacked, base), path);
    const bytes = edit(readFileSync(path));
    writeFileSync(path, bytes);
    truncateSync(path, bytes.length);
    const opened = await openImage(path);
    const shown = opened.ok
      ? { sizeBytes: opened.value.sizeBytes, sha256: await digestOf(opened.value) }
      : opened.error;
    if (opened.ok) await opened.value.close();
    expect({ right, shown }).toEqual({ right, shown: result(digests) });
  });
});
