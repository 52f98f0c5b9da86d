/**
 * What other tools write, named as a raw image: their images are refused by what they are, their disks are not. And the line that a refusal names is run as
 * it stands: the disk is there, and right, after it. What qemu-img writes under its own name is read as qemu-img reads it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openImage } from '../../src/image/images.ts';
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
  /** Where it is an image that is read, by its own name. */
  readonly becomes?: string;
  /** After that. */
  readonly change?: (path: string) => void;
}
const ROWS: readonly Refused[] = [
  { says: 'a VHDX image', by: qemu('vhdx'), becomes: 'lab.vhdx' },
  { says: 'a VHD image', by: qemu('vpc'), becomes: 'lab.vhd' },
  { says: 'a VHD image', by: qemu('vpc'), becomes: 'lab.vhd', change: asVirtualPc },
  { says: 'fixed size', by: qemu('vpc', '-o subformat=fixed'), becomes: 'lab.vhd' },
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
];
const REFUSED = ROWS.filter(({ by, and = 'sh' }) => isHere(by.split(' ')[0] ?? '', and));
test.each(REFUSED)(
  '$says: $by, and the line of the message undoes it',
  async ({ says, by, becomes = 'lab.raw', change }) => {
    const message = await refusedBy(by, change);
    expect(message).toContain(says);
    const packed = readFileSync(join(folder, 'lab.raw'));
    const before = await seen();
    run('rm disk');
    runLineOf(message);
    expect(await imageOf(becomes)).toMatchObject({ ok: true });
    // A VHD rounds the size of its disk up.
    const disk = await shown(becomes);
    expect([
      disk.subarray(0, 16 << 20).equals(DISK_BYTES),
      disk.subarray(16 << 20).every((byte) => byte === 0),
    ]).toEqual([true, true]);
    expect(readdirSync(folder).filter((left) => left.endsWith('.partial'))).toEqual([]);
    expect(isKept(packed)).toBe(true);
    expect(new Set(await seen())).toEqual(new Set([...before.filter((name) => name !== 'lab.raw'), becomes]));
  },
);

async function refusedBy(by: string, change?: (path: string) => void): Promise<string> {
  run(by);
  change?.(join(folder, 'lab.raw'));
  const image = await imageOf('lab.raw');
  if (image?.ok !== false) throw new Error('it is refused');
  expect(image.error.code).toBe('NotSupported');
  return image.error.message;
}

async function shown(name: string): Promise<Buffer> {
  const opened = await openImage(join(folder, name));
  if (!opened.ok) throw new Error(opened.error.message);
  const read = await opened.value.read(0, opened.value.sizeBytes);
  await opened.value.close();
  if (!read.ok) throw new Error(read.error.message);
  return read.value;
}

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
  const message = await refusedBy(qemu('vhdx'));
  const there = Buffer.alloc(512, 'there');
  writeFileSync(join(folder, 'lab.vhdx'), there);
  runLineOf(message);
  expect(readFileSync(join(folder, 'lab.vhdx')).equals(there)).toBe(true);
});

function runLineOf(message: string): void {
  execFileSync('sh', ['-ec', /`(.*)`/.exec(message)?.[1] ?? 'false'], { cwd: '/', env });
}

/** All bytes that a file had are in the folder still. */
const isKept = (packed: Buffer): boolean =>
  readdirSync(folder).some((name) => readFileSync(join(folder, name)).equals(packed));

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

const random = (offsetMib: number, mib: number): string =>
  `dd if=/dev/urandom of=disk bs=1M seek=${offsetMib} count=${mib} conv=notrunc status=none; `;
/** A disk with holes: 80 MiB of 48 MiB that are written, and a rest that is no whole block. */
const HOLED = `truncate -s 80M disk; ${random(20, 3)} ${random(40, 1)} ${random(79, 1)} truncate -s 83970560 disk; `;
const MADE = [
  ...[
    'vpc -o subformat=dynamic',
    'vpc -o subformat=fixed',
    'vpc -o force_size=on',
    'vpc -o subformat=fixed,force_size=on',
  ],
  ...['vhdx', 'vhdx -o subformat=fixed', 'vhdx -o log_size=2M', 'vhdx -o block_state_zero=off -S 0'],
  ...[1, 2, 8, 32, 64, 256].map((mib) => `vhdx -o block_size=${mib}M`),
];
test.each(MADE)('what qemu-img makes by -O %s is read as it reads it', async (options) => {
  const name = options.startsWith('vpc') ? 'lab.vhd' : 'lab.vhdx';
  run(`${HOLED} qemu-img convert -q -f raw -O ${options} disk ${name}`);
  run(`qemu-img convert -q -O raw -f ${options.split(' ')[0]} ${name} judge`);
  const disk = await shown(name);
  expect(disk.equals(readFileSync(join(folder, 'judge')))).toBe(true);
  expect(disk.subarray(0, 83_970_560).equals(readFileSync(join(folder, 'disk')))).toBe(true);
});

test('a disk of 127 GiB with a part at its end', async () => {
  const bytes = 127 * 2 ** 30;
  for (const [name, format] of Object.entries({ 'lab.vhdx': 'vhdx', 'lab.vhd': 'vpc' })) {
    run(`qemu-img create -q -f ${format} ${format === 'vpc' ? '-o force_size=on' : ''} ${name} ${bytes}`);
    run(`qemu-io -f ${format} -c 'write -q -P 7 ${bytes - 4096} 4096' -c 'write -q -P 8 0 512' ${name}`);
    const opened = await openImage(join(folder, name));
    if (!opened.ok) throw new Error(opened.error.message);
    const { value: disk } = opened;
    expect(disk.sizeBytes).toBe(bytes);
    expect(await disk.read(bytes - 8_192, 8_192)).toEqual({
      ok: true,
      value: Buffer.concat([Buffer.alloc(4_096), Buffer.alloc(4_096, 7)]),
    });
    expect(await disk.read(0, 1_024)).toEqual({
      ok: true,
      value: Buffer.concat([Buffer.alloc(512, 8), Buffer.alloc(512)]),
    });
    await disk.close();
  }
});
