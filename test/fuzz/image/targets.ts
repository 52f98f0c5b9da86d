/** Images of each kind that a mutation begins from, and the folder that they lie in, with what no reader may follow out of it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checksum } from '../../../src/image/vhd/footer.ts';
import { bytesOf, type Held, type Layer } from '../../builders/image.ts';
import { VHD_ID, vhdImage } from '../../builders/vhd.ts';
import {
  guidBytes,
  LOG_GUID,
  logOf,
  summed,
  VHDX_GUID,
  VHDX_METADATA,
  VHDX_TABLE,
  vhdxImage,
} from '../../builders/vhdx.ts';
import type { ChangingFile } from './bytes.ts';
import { type Field, vhdFields, vhdxFields } from './fields.ts';

export interface Target {
  /** Of its file. */
  readonly name: string;
  readonly bytes: Buffer;
  readonly fields: readonly Field[];
  /** Makes its checksums right again, so that what lies behind them is met. */
  readonly sum: (file: ChangingFile) => void;
}

const MIB = 1 << 20;
const BLOCKS = 4;
const some: Held = Array.from({ length: 128 }, (_, sector) => sector % 3 === 0);
const layerOf = (blockBytes: number, seed: number, blocks: readonly (readonly [number, Held])[]): Layer => ({
  sizeBytes: (BLOCKS - 0.5) * blockBytes,
  ...{ blockBytes, sectorBytes: 512, seed, blocks: new Map(blocks) },
});
const base = (blockBytes: number): Layer => layerOf(blockBytes, 0, [[1, 'whole']]);
const child = (blockBytes: number): Layer =>
  layerOf(blockBytes, 1, [
    [0, 'whole'],
    [2, some],
  ]);
const whole = (blockBytes: number): Layer =>
  layerOf(blockBytes, 1, [
    [0, 'whole'],
    [2, 'whole'],
  ]);

const VHD_BLOCK = 65_536;
const locators = Object.fromEntries(
  ['.\\lab.vhd', 'C:\\lab.vhd'].map((path, index) => [index === 0 ? 'W2ru' : 'W2ku', Buffer.from(path, 'utf16le')]),
);

function sumVhd(file: ChangingFile): void {
  const { bytes } = file;
  const write = (at: number, structure: Buffer, sumAt: number): void => {
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(checksum(structure, sumAt));
    file.set(at + sumAt, sum);
  };
  const isFixed = bytes.toString('latin1', 512, 520) !== 'cxsparse';
  if (!isFixed) for (const at of [0, 512]) write(at, bytes.subarray(at, at === 0 ? 512 : 1_536), at === 0 ? 64 : 36);
  write(bytes.length - 512, bytes.subarray(-512), 64);
}

function sumVhdx(file: ChangingFile): void {
  const { bytes } = file;
  const sum = (at: number, length: number): void => {
    const structure = Buffer.from(bytes.subarray(at, at + length));
    file.set(at + 4, summed(structure).subarray(4, 8));
  };
  for (const at of [65_536, 131_072]) sum(at, 4_096);
  for (const at of [196_608, 262_144]) sum(at, 65_536);
  for (let at = MIB; at < 2 * MIB; at += 4_096) {
    if (bytes.toString('latin1', at, at + 4) !== 'loge') continue;
    const length = bytes.readUInt32LE(at + 8);
    if (length > 8 && length <= MIB) sum(at, length);
  }
}

function vhdTarget(name: string, image: Parameters<typeof vhdImage>): Target {
  const bytes = bytesOf(vhdImage(...image));
  const [, { type, parent } = {}] = image;
  const places = parent
    ? ([
        [2_048, 18],
        [2_560, 20],
      ] as const)
    : [];
  const fields = vhdFields({
    ...{ fileBytes: bytes.length, isFixed: type === 'fixed', blocks: BLOCKS, locators: places },
  });
  return { name, bytes, fields, sum: sumVhd };
}

function vhdxTarget(name: string, image: Parameters<typeof vhdxImage>, log: readonly number[] = []): Target {
  const bytes = bytesOf(vhdxImage(...image));
  const hasParent = image[1]?.parent !== undefined;
  const fields = vhdxFields({ metadata: VHDX_METADATA, table: VHDX_TABLE, blocks: BLOCKS, log, hasParent });
  return { name, bytes, fields, sum: sumVhdx };
}

const page = Buffer.alloc(4_096, 5);
const log = logOf([
  { sequence: 5, at: 0, tail: 0, writes: [{ offset: 6 * MIB, data: page }] },
  {
    ...{ sequence: 6, at: 8_192, tail: 0 },
    writes: [
      { offset: 6 * MIB + 8_192, data: 4_096 },
      { offset: 7 * MIB, data: page },
    ],
  },
]);
const vhdParent = { id: VHD_ID, name: 'lab.vhd', locators };
const vhdxParent = { parent_linkage: VHDX_GUID, relative_path: '.\\lab.vhdx', absolute_win32_path: 'C:\\lab.vhdx' };

export const TARGETS: readonly Target[] = [
  vhdTarget('fixed.vhd', [whole(VHD_BLOCK), { type: 'fixed', id: 'f'.repeat(32) }]),
  vhdTarget('dynamic.vhd', [whole(VHD_BLOCK), { id: 'd'.repeat(32) }]),
  vhdTarget('lab.1.avhd', [child(VHD_BLOCK), { id: 'c'.repeat(32), parent: vhdParent }]),
  vhdxTarget('fixed.vhdx', [
    layerOf(
      MIB,
      1,
      [0, 1, 2, 3].map((block) => [block, 'whole'] as const),
    ),
    { guid: LOG_GUID },
  ]),
  vhdxTarget('dynamic.vhdx', [whole(MIB), { guid: LOG_GUID }]),
  vhdxTarget('lab.1.avhdx', [child(MIB), { guid: LOG_GUID, parent: vhdxParent }]),
  vhdxTarget('logged.vhdx', [whole(MIB), { guid: LOG_GUID, log }], [MIB, MIB + 8_192]),
  vhdxTarget('lab.2.avhdx', [child(MIB), { guid: LOG_GUID, parent: vhdxParent, log }], [MIB, MIB + 8_192]),
];

/** Ids that a mutation puts where one is: of what is right, of what lies outside, of the image itself, and none. */
export const IDS: readonly Buffer[] = [
  ...[VHD_ID, ...['c', '0', 'f', '1'].map((digit) => digit.repeat(32))].map((hex) => Buffer.from(hex, 'hex')),
  ...[VHDX_GUID, LOG_GUID].map(guidBytes),
  // The block table's, the metadata's, and that of file parameters.
  ...['2dc27766-f623-4200-9d64-115e9bfd4a08', '8b7ca206-4790-4b9a-b8fe-575f050f886e'].map(guidBytes),
  guidBytes('caa16737-fa36-4d43-b3b6-33f0aa44e76b'),
];

/** Files that a locator must not lead to, by what they are. Of those outside, the images would be the right ones. */
const HOSTILE = ['linked', 'shadow', 'pipe', 'circle', 'folder', 'zero', 'one', 'two'] as const;

/** Names and paths for a locator. */
export const PATHS: readonly string[] = [
  ...HOSTILE.flatMap((name) => [`${name}.vhd`, `${name}.vhdx`]),
  ...['/etc/shadow', '/dev/zero', '..', '.', '', '\0', '%', '%00', '\ud800', 'lab', 'LAB.VHD', 'LAB.VHDX'],
  ...['../outside/secret.vhd', '..\\outside\\secret.vhdx', '..\\..\\etc\\shadow', 'file:///etc/shadow'],
  ...['file://..%2foutside%2fsecret.vhd', '.\\..\\store\\lab.vhd', 'C:lab.vhd', '\\\\host\\share\\lab.vhdx'],
  ...['lab.1.avhd', 'lab.1.avhdx', 'lab.2.avhdx', 'lab.vhd', 'lab.vhdx', 'x'.repeat(255), '../'.repeat(80)],
];

/** Below `top`: `store`, which is answered, and what is outside. */
export function makeStore(top: string): string {
  const [store, outside] = [join(top, 'store'), join(top, 'outside')];
  for (const folder of [store, outside]) mkdirSync(folder);
  const images = { vhd: bytesOf(vhdImage(base(VHD_BLOCK))), vhdx: bytesOf(vhdxImage(base(MIB))) };
  for (const [end, bytes] of Object.entries(images)) {
    const at = (name: string): string => join(store, `${name}.${end}`);
    writeFileSync(at('lab'), bytes);
    writeFileSync(join(outside, `secret.${end}`), bytes);
    symlinkSync(`../outside/secret.${end}`, at('linked'));
    symlinkSync('/etc/shadow', at('shadow'));
    symlinkSync('/dev/zero', at('zero'));
    symlinkSync(`circle.${end}`, at('circle'));
    mkdirSync(at('folder'));
    execFileSync('mkfifo', [at('pipe')]);
  }
  // Two that are a difference of each other.
  const parents = [
    { name: 'one.vhd', id: '1'.repeat(32), parent: { id: '2'.repeat(32), name: 'two.vhd' } },
    { name: 'two.vhd', id: '2'.repeat(32), parent: { id: '1'.repeat(32), name: 'one.vhd' } },
  ];
  for (const { name, ...options } of parents)
    writeFileSync(join(store, name), bytesOf(vhdImage(child(VHD_BLOCK), options)));
  return store;
}
