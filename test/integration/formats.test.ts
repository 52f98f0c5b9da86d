/**
 * What other tools write, named as a raw image: their images are refused by what they are, their disks are not. And the line that a refusal names is run as
 * it stands: the disk is there, and right, after it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { lookInto } from '../../src/store/inventory.ts';

const DISK_BYTES = Buffer.alloc(16 << 20, 'disk');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-formats-'));
  writeFileSync(join(folder, 'disk'), DISK_BYTES);
});
afterEach(() => rmSync(folder, { recursive: true }));

const env = { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
const run = (command: string): void => void execFileSync('sh', ['-ec', command], { cwd: folder, env });

const seen = async () => (await lookInto(folder)).files.map(({ name }) => name);

async function imageOf(name: string) {
  const { files } = await lookInto(folder);
  return files.find((file) => file.name === name)?.image;
}

async function judged(command: string): Promise<unknown> {
  run(command);
  return imageOf('lab.raw');
}

/** Whether the tools are here with which a row is made, and undone. */
const isHere = (...tools: readonly string[]): boolean =>
  tools.every((tool) => spawnSync('sh', ['-c', `command -v ${tool}`], { env }).status === 0);

const qemu = (format: string, options = ''): string =>
  `qemu-img convert -q -f raw -O ${format} ${options} disk lab.raw`;

/** As Virtual PC writes it: the size is in the footer alone, and the geometry, which qemu-img believes of this creator, ends before it. */
function asVirtualPc(path: string): void {
  const image = readFileSync(path);
  for (const footer of [image.subarray(0, 512), image.subarray(-512)]) {
    footer.write('vpc ', 28);
    for (const at of [40, 48]) footer.writeBigUInt64BE(BigInt(DISK_BYTES.length), at);
    const [heads, sectors] = [4, 17];
    footer.writeUInt16BE(Math.floor(DISK_BYTES.length / 512 / heads / sectors), 56);
    footer.set([heads, sectors], 58);
    footer.writeUInt32BE(0, 64);
    footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte) >>> 0, 64);
  }
  writeFileSync(path, image);
}

interface Refused {
  readonly says: string;
  readonly by: string;
  /** Another tool that undoes it. */
  readonly and?: string;
  readonly name?: string;
  /** After that. */
  readonly change?: (path: string) => void;
}
const ROWS: readonly Refused[] = [
  { says: 'a VHDX image', by: qemu('vhdx') },
  { says: 'a VHD image', by: qemu('vpc') },
  { says: 'a VHD image', by: qemu('vpc'), change: asVirtualPc },
  { says: 'fixed size', by: qemu('vpc', '-o subformat=fixed') },
  { says: 'a VMDK image', by: qemu('vmdk') },
  { says: 'a VMDK image', by: qemu('vmdk', '-o subformat=streamOptimized') },
  { says: 'description of a VMDK', by: qemu('vmdk', '-o subformat=monolithicFlat') },
  { says: 'a qcow2 image', by: qemu('qcow2') },
  { says: 'a qcow2 image', by: qemu('qcow2', '-o compat=0.10') },
  { says: 'a qcow image', by: qemu('qcow') },
  { says: 'a QED image', by: qemu('qed') },
  { says: 'a VDI image', by: qemu('vdi') },
  { says: 'a Parallels image', by: qemu('parallels') },
  { says: 'gzip', by: 'gzip -c disk > lab.raw' },
  { says: 'zstd', by: 'zstd -q disk -o lab.raw' },
  { says: 'xz', by: 'xz -c -0 disk > lab.raw' },
  { says: 'bzip2', by: 'bzip2 -c disk > lab.raw' },
  { says: 'lz4', by: 'lz4 -q -c disk > lab.raw' },
  { says: 'lzop', by: 'lzop -c disk > lab.raw' },
  { says: 'lzip', by: 'lzip -c disk > lab.raw' },
  { says: 'a 7z archive', by: '7z a -bd lab.7z disk; mv lab.7z lab.raw' },
  { says: 'a zip archive', by: 'zip -q lab.zip disk; mv lab.zip lab.raw', and: 'unzip' },
  { says: 'tar', by: 'tar -cf lab.raw disk' },
  { says: 'none of .vhdx', by: qemu('vhdx').replace('lab.raw', 'lab.vhdx'), name: 'lab.vhdx' },
  { says: 'none of .vhd', by: qemu('vpc').replace('lab.raw', 'lab.vhd'), name: 'lab.vhd' },
  { says: 'none of .vhd', by: qemu('vpc').replace('lab.raw', 'lab.vhd'), name: 'lab.vhd', change: asVirtualPc },
  { says: 'none of .vhd', by: qemu('vpc', '-o subformat=fixed').replace('lab.raw', 'lab.vhd'), name: 'lab.vhd' },
];
const REFUSED = ROWS.filter(({ by, and = 'sh' }) => isHere(by.split(' ')[0] ?? '', and));
test.each(REFUSED)(
  '$says: $by, and the line of the message undoes it',
  async ({ says, by, name = 'lab.raw', change }) => {
    run(by);
    change?.(join(folder, name));
    const image = await imageOf(name);
    if (image?.ok !== false) throw new Error('it is refused');
    expect(image.error).toMatchObject({ code: 'NotSupported', message: expect.stringContaining(says) });
    const packed = readFileSync(join(folder, name));
    const before = await seen();
    run('rm disk');
    runLineOf(image.error.message);
    expect(await imageOf('lab.raw')).toMatchObject({ ok: true });
    // A VHD rounds the size of its disk up.
    const disk = readFileSync(join(folder, 'lab.raw'));
    expect([
      disk.subarray(0, 16 << 20).equals(DISK_BYTES),
      disk.subarray(16 << 20).every((byte) => byte === 0),
    ]).toEqual([true, true]);
    expect(readdirSync(folder).filter((left) => left.endsWith('.partial'))).toEqual([]);
    expect(isKept(packed)).toBe(true);
    expect(new Set(await seen())).toEqual(new Set([...before, 'lab.raw']));
  },
);

test('what is packed twice is undone line by line, and what it was is kept each time', async () => {
  run(`${qemu('qcow2')}; rm disk; gzip lab.raw; mv lab.raw.gz lab.raw`);
  const packed: Buffer[] = [];
  for (let image = await imageOf('lab.raw'); image?.ok === false; image = await imageOf('lab.raw')) {
    packed.push(readFileSync(join(folder, 'lab.raw')));
    runLineOf(image.error.message);
  }
  expect([packed.length, readFileSync(join(folder, 'lab.raw')).equals(DISK_BYTES)]).toEqual([2, true]);
  expect(packed.map(isKept)).toEqual([true, true]);
});

test('an image that is there by then is left as it is', async () => {
  run(qemu('vhdx').replace('lab.raw', 'lab.vhdx'));
  const image = await imageOf('lab.vhdx');
  if (image?.ok !== false) throw new Error('it is refused');
  const there = Buffer.alloc(512, 'there');
  writeFileSync(join(folder, 'lab.raw'), there);
  runLineOf(image.error.message);
  expect(readFileSync(join(folder, 'lab.raw')).equals(there)).toBe(true);
});

function runLineOf(message: string): void {
  execFileSync('sh', ['-ec', /`(.*)`/.exec(message)?.[1] ?? 'false'], { cwd: '/', env });
}

/** All bytes that a file had are in the folder still: in one, or in the disk and what was cut off it. */
function isKept(packed: Buffer): boolean {
  const all = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  const disk = readFileSync(join(folder, 'lab.raw'));
  return all.some((bytes) => bytes.equals(packed) || Buffer.concat([disk, bytes]).equals(packed));
}

const DISK = 'truncate -s 64M lab.raw; ';
test.each([
  'cp disk lab.raw',
  qemu('raw'),
  `${DISK} mkfs.ext4 -q -F lab.raw`,
  `${DISK} mkswap -q lab.raw`,
  'cp /usr/lib/ipxe/ipxe.iso lab.raw',
])('a disk: %s', async (by) => {
  expect(await judged(by)).toMatchObject({ ok: true });
});
