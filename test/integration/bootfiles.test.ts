/** Kernel and initrd come out of images with the file systems and partitions that machines have. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { patternBytes } from '../../src/image/pattern/pattern.ts';
import { extractBootFiles } from '../../src/store/bootfiles.ts';
import { importFile } from '../../src/store/import.ts';

const MIB = 1 << 20;
const KERNEL = patternBytes(0, 3 * MIB, 1);
const INITRD = patternBytes(0, 5 * MIB + 512, 2).subarray(0, 5 * MIB + 3);
const made = mkdtempSync(join(tmpdir(), 'bootfarm-boot-'));
const at = (name: string): string => join(made, name);
let folder: string;

/** Of 32 MiB, with these files in /boot. */
function fileSystem(name: string, files: Readonly<Record<string, Buffer>>): string {
  const root = at(`${name}.root`);
  mkdirSync(join(root, 'boot'), { recursive: true });
  for (const [file, bytes] of Object.entries(files)) writeFileSync(join(root, 'boot', file), bytes);
  writeFileSync(at(name), '');
  truncateSync(at(name), 32 * MIB);
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', root, at(name)]);
  return at(name);
}

/** A disk whose first partition is empty and whose second is that. */
function partitioned(name: string, partition: string): void {
  const disk = Buffer.alloc(48 * MIB);
  const entry = (number: number, start: number, bytes: number): void => {
    const place = 446 + 16 * number;
    disk[place + 4] = 0x83;
    disk.writeUInt32LE(start / 512, place + 8);
    disk.writeUInt32LE(bytes / 512, place + 12);
  };
  entry(0, MIB, MIB);
  entry(1, 4 * MIB, 32 * MIB);
  disk.writeUInt16LE(0xaa55, 510);
  readFileSync(partition).copy(disk, 4 * MIB);
  writeFileSync(at(name), disk);
}

beforeAll(() => {
  const whole = fileSystem('whole.raw', {
    ...{ 'vmlinuz-6.1.0-10-amd64': KERNEL, 'initrd.img-6.1.0-10-amd64': INITRD },
    ...{ 'vmlinuz-6.1.0-9-amd64': INITRD, 'initrd.img-6.1.0-9-amd64': KERNEL },
  });
  partitioned('partitioned.raw', whole);
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'vhdx', at('partitioned.raw'), at('dynamic.vhdx')]);
  fileSystem('none.raw', { 'vmlinuz-6.1.0': KERNEL });
  fileSystem('empty.raw', { 'vmlinuz-6.1.0': Buffer.alloc(0), 'initrd.img-6.1.0': INITRD });
  fileSystem('strange.raw', { 'a (loop0) b': KERNEL, 'vmlinuz-6.1 (host)': KERNEL, 'initrd.img-6.1 (host)': INITRD });
});
beforeEach(() => {
  folder = mkdtempSync(join(made, 'store-'));
});
afterAll(() => rmSync(made, { recursive: true }));

const extract = (image: string, number?: number) => {
  copyFileSync(at(image), join(folder, `lab${image.slice(image.indexOf('.'))}`));
  return extractBootFiles({ folder, fileName: 'lab' }, number);
};

test.each(['whole.raw', 'partitioned.raw', 'dynamic.vhdx'])('of %s the newest', async (image) => {
  const kernel = { kernel: 'lab.vmlinuz', initrd: 'lab.initrd', version: '6.1.0-10-amd64' };
  expect(await extract(image)).toEqual({ ok: true, value: kernel });
  expect(readFileSync(join(folder, 'lab.vmlinuz')).equals(KERNEL)).toBe(true);
  expect(readFileSync(join(folder, 'lab.initrd')).equals(INITRD)).toBe(true);
  expect(readdirSync(folder).toSorted()).toEqual([
    'lab.initrd',
    `lab${image.slice(image.indexOf('.'))}`,
    'lab.vmlinuz',
  ]);
  expect(await extractBootFiles({ folder, fileName: 'lab' }, undefined)).toMatchObject({
    error: { code: 'FileExists', message: expect.stringContaining('remove') },
  });
});

test('an import brings its own, unless somebody put his there', async () => {
  const source = at('other.qcow2');
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', at('partitioned.raw'), source]);
  const imported = await importFile(source, join(folder, 'lab.vhdx'));
  expect(imported).toMatchObject({ value: { bootFiles: { value: { version: '6.1.0-10-amd64' } } } });
  expect(readdirSync(folder).toSorted()).toEqual(['lab.initrd', 'lab.vhdx', 'lab.vmlinuz']);
  writeFileSync(join(folder, 'own.vmlinuz'), 'kernel');
  const beside = await importFile(source, join(folder, 'own.vhdx'));
  expect(beside).toMatchObject({ ok: true });
  expect(beside).not.toHaveProperty('value.bootFiles');
  expect(readFileSync(join(folder, 'own.vmlinuz'), 'utf8')).toBe('kernel');
});

test.each([
  ['none.raw', 'KernelMissing', 'put them beside the image'],
  ['empty.raw', 'ImageInvalid', 'is empty'],
  ['strange.raw', 'ImageInvalid', 'not found'],
])('of %s nothing, and it says why', async (image, code, says) => {
  expect(await extract(image)).toMatchObject({ error: { code, message: expect.stringContaining(says) } });
  expect(readdirSync(folder)).toEqual(['lab.raw']);
});

test('what is no disk has no kernel', async () => {
  writeFileSync(at('noise.raw'), patternBytes(0, MIB, 3));
  expect(await extract('noise.raw')).toMatchObject({ error: { code: 'KernelMissing' } });
  expect(await extractBootFiles({ folder, fileName: 'lab' }, 7)).toMatchObject({
    error: { code: 'FileMissing', message: expect.stringContaining('no version 7') },
  });
});
