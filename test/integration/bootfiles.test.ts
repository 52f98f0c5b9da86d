/** Kernel and initrd come out of images with the file systems and partitions that machines have. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
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
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { patternBytes } from '../../src/image/pattern/pattern.ts';
import { baseTarget, fetchBase } from '../../src/store/base.ts';
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

describe('a base from a web server', () => {
  const files = new Map<string, Buffer>();
  const asked: string[] = [];
  const server = createServer((req, res) => {
    asked.push(req.url ?? '');
    const file = files.get(req.url ?? '');
    if (!file) return void res.writeHead(404).end();
    res.writeHead(200, { 'content-length': file.length }).end(file);
  });
  beforeAll(async () => {
    const converted = (name: string, format: string): Buffer => {
      execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', format, at('partitioned.raw'), at(name)]);
      return readFileSync(at(name));
    };
    files.set('/disk.RAW', readFileSync(at('whole.raw')));
    files.set('/disk.vhdx', readFileSync(at('dynamic.vhdx')));
    files.set('/disk.qcow2', converted('base.qcow2', 'qcow2'));
    files.set('/qcow2.img', readFileSync(at('base.qcow2')));
    files.set('/raw.img', readFileSync(at('partitioned.raw')));
    files.set('/none.raw', readFileSync(at('none.raw')));
    files.set('/disk.raw.gz', gzipSync(readFileSync(at('none.raw')), { level: 1 }));
    files.set('/disk.avhdx', readFileSync(at('dynamic.vhdx')));
    files.set('/raw.qcow2', readFileSync(at('none.raw')));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => void server.close());

  const fetched = (name: string) => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${name}`;
    const sha256 = createHash('sha256')
      .update(files.get(name) ?? '')
      .digest('hex');
    return fetchBase(baseTarget({ folder, fileName: 'lab' }, url), { url, sha256 });
  };
  const there = () => readdirSync(folder).toSorted();

  test.each([
    ['/disk.RAW', 'lab.raw'],
    ['/disk.vhdx', 'lab.vhdx'],
    ['/disk.qcow2', 'lab.vhdx'],
    ['/qcow2.img', 'lab.raw'],
    ['/raw.img', 'lab.raw'],
  ])('%s is %s, with the kernel that is in it', async (name, image) => {
    const found = { ok: true, value: expect.objectContaining({ version: '6.1.0-10-amd64' }) };
    expect(await fetched(name)).toEqual({
      ok: true,
      value: expect.objectContaining({ path: join(folder, image), bootFiles: found }),
    });
    expect(there()).toEqual(['lab.initrd', image, 'lab.vmlinuz'].toSorted());
    if (image === 'lab.raw')
      expect(
        readFileSync(join(folder, image)).equals(
          readFileSync(at(name === '/disk.RAW' ? 'whole.raw' : 'partitioned.raw')),
        ),
      ).toBe(true);
  });

  test('with a kernel that somebody put there it is that one; without one it says why', async () => {
    writeFileSync(join(folder, 'lab.vmlinuz'), 'kernel');
    writeFileSync(join(folder, 'lab.initrd'), 'initrd');
    expect(await fetched('/none.raw')).toEqual({ ok: true, value: { path: join(folder, 'lab.raw') } });
    expect(readFileSync(join(folder, 'lab.vmlinuz'), 'utf8')).toBe('kernel');
    for (const name of ['lab.vmlinuz', 'lab.initrd']) rmSync(join(folder, name));
    asked.length = 0;
    expect(await fetched('/none.raw')).toMatchObject({ value: { bootFiles: { error: { code: 'KernelMissing' } } } });
    expect(asked).toEqual([]);
  });

  test.each([
    ['/disk.raw.gz', 'is packed', '.raw'],
    ['/disk.avhdx', 'is a VHDX: give it an address that ends with .vhdx', '.raw'],
    ['/raw.qcow2', 'is no qcow2, VMDK or VDI image', '.vhdx'],
  ])('%s %s', async (name, says, end) => {
    asked.length = 0;
    for (let tries = 0; tries < 2; tries++)
      expect(await fetched(name)).toMatchObject({ error: { message: expect.stringContaining(says) } });
    expect(there()).toEqual([expect.stringMatching(new RegExp(`^lab\\${end}\\.[0-9a-f]{8}\\.fetched$`))]);
    expect(asked).toEqual([name]);
  });
});

test('what is no disk has no kernel', async () => {
  writeFileSync(at('noise.raw'), patternBytes(0, MIB, 3));
  expect(await extract('noise.raw')).toMatchObject({ error: { code: 'KernelMissing' } });
  expect(await extractBootFiles({ folder, fileName: 'lab' }, 7)).toMatchObject({
    error: { code: 'FileMissing', message: expect.stringContaining('no version 7') },
  });
});
