/** Kernel and initrd come out of images with the file systems and partitions that machines have. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  linkSync,
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
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
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

describe('where a run was killed', () => {
  const bothAndImage = ['lab.initrd', 'lab.raw', 'lab.vmlinuz'];

  test.each(['vmlinuz', 'initrd'])('between the two names, the next one gives %s', async (lacks) => {
    await extract('whole.raw');
    rmSync(join(folder, `lab.${lacks}`));
    expect(await extract('whole.raw')).toMatchObject({ ok: true });
    expect(readdirSync(folder).toSorted()).toEqual(bothAndImage);
  });

  test('a file that is not what the image has is not taken for that, and stays', async () => {
    for (const other of [Buffer.from('his own'), INITRD.subarray(1), Buffer.concat([INITRD, INITRD])]) {
      writeFileSync(join(folder, 'lab.initrd'), other);
      expect(await extract('whole.raw')).toMatchObject({ error: { code: 'FileExists' } });
      expect(readFileSync(join(folder, 'lab.initrd')).equals(other)).toBe(true);
      expect(readdirSync(folder).toSorted()).toEqual(['lab.initrd', 'lab.raw']);
    }
  });

  test('with the raw image beside it, the next one makes it again', async () => {
    writeFileSync(join(folder, 'lab.partial.raw'), 'half');
    expect(await extract('dynamic.vhdx')).toMatchObject({ ok: true });
    expect(readdirSync(folder).toSorted()).toEqual(['lab.initrd', 'lab.vhdx', 'lab.vmlinuz']);
  });
});

test('an image that keeps its reader busy is left', async () => {
  copyFileSync(at('whole.raw'), join(folder, 'lab.raw'));
  expect(await extractBootFiles({ folder, fileName: 'lab' }, 0, { mostMs: 1 })).toMatchObject({
    error: { code: 'ImageInvalid', message: expect.stringContaining('kept its reader busy') },
  });
  expect(readdirSync(folder)).toEqual(['lab.raw']);
});

describe('a base from a web server', () => {
  const files = new Map<string, Buffer>();
  const asked: string[] = [];
  /** All of these came. */
  const given: string[] = [];
  let onAsked: (() => void) | undefined;
  const server = createServer((req, res) => {
    const { url = '' } = req;
    asked.push(url);
    onAsked?.();
    const file = files.get(url);
    if (!file) return void res.writeHead(404).end();
    res.on('finish', () => given.push(url));
    res.writeHead(200, { 'content-length': file.length }).end(file);
  });
  afterEach(() => {
    onAsked = undefined;
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
    // As it is: no socket takes all of it at once.
    files.set('/disk.raw.gz', gzipSync(readFileSync(at('none.raw')), { level: 0 }));
    files.set('/disk.avhdx', readFileSync(at('dynamic.vhdx')));
    files.set('/raw.qcow2', readFileSync(at('none.raw')));
    const broken = Buffer.from(readFileSync(at('base.qcow2')));
    broken.fill(0xff, 40, 48); // its first table lies nowhere
    files.set('/broken.qcow2', broken);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => void server.close());

  const sha256Of = (name: string): string =>
    createHash('sha256')
      .update(files.get(name) ?? '')
      .digest('hex');
  const fetched = (name: string) => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${name}`;
    return fetchBase(baseTarget({ folder, fileName: 'lab' }, url), { url, sha256: sha256Of(name) });
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
    ['/disk.raw.gz', 'is packed', []],
    ['/disk.avhdx', 'is a VHDX: give it an address that ends with .vhdx', []],
    ['/raw.qcow2', 'is no qcow2, VMDK or VDI image', []],
    ['/broken.qcow2', 'cannot read it', ['/broken.qcow2']],
  ])('%s %s, before all of it came where its head says so, and nothing stays', async (name, says, all) => {
    given.length = 0;
    for (let tries = 0; tries < 2; tries++) {
      expect(await fetched(name)).toMatchObject({ error: { message: expect.stringContaining(says) } });
      expect(there()).toEqual([]);
    }
    expect(new Set(given)).toEqual(new Set(all));
  });

  test('what an earlier run, killed where it may be, or another address left, goes', async () => {
    const left = (name: string) => writeFileSync(join(folder, name), 'left');
    for (const name of ['lab.raw.0123abcd.fetched', 'lab.vhdx.0123abcd.fetched.partial']) left(name);
    const others = ['lab.2.raw.0123abcd.fetched', 'lab.raw.0123abcd.fetched.old', 'labs.raw.0123abcd.fetched'];
    for (const name of others) left(name);
    expect(await fetched('/raw.img')).toMatchObject({ ok: true });
    expect(there()).toEqual([...others, 'lab.initrd', 'lab.raw', 'lab.vmlinuz'].toSorted());
    // Between its name and the end of the other one.
    const own = `lab.raw.${sha256Of('/raw.img').slice(0, 8)}.fetched`;
    linkSync(join(folder, 'lab.raw'), join(folder, own));
    expect(await fetched('/raw.img')).toMatchObject({ ok: true });
    expect(there()).not.toContain(own);
  });

  test.each(['/raw.img', '/disk.RAW', '/disk.qcow2'])('%s: an image that came meanwhile is the base', async (name) => {
    onAsked = () => writeFileSync(join(folder, 'lab.vhd'), 'his own');
    expect(await fetched(name)).toMatchObject({
      error: { code: 'FileExists', message: expect.stringContaining('lab.vhd came there meanwhile') },
    });
    expect(there()).toEqual(['lab.vhd']);
    asked.length = 0;
    expect(await fetched(name)).toMatchObject({ ok: true, value: { path: join(folder, 'lab.vhd') } });
    expect(asked).toEqual([]);
  });
});

test('what is no disk has no kernel', async () => {
  writeFileSync(at('noise.raw'), patternBytes(0, MIB, 3));
  expect(await extract('noise.raw')).toMatchObject({ error: { code: 'KernelMissing' } });
  expect(await extractBootFiles({ folder, fileName: 'lab' }, 7)).toMatchObject({
    error: { code: 'FileMissing', message: expect.stringContaining('no version 7') },
  });
});
