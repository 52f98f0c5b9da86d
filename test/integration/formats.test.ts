/** What other tools write, named as a raw image: their images are refused by what they are, their disks are not. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { lookInto } from '../../src/store/inventory.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-formats-'));
  writeFileSync(join(folder, 'disk'), Buffer.alloc(16 << 20, 'disk'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function judged(command: string): Promise<unknown> {
  execFileSync('sh', ['-ec', command], { cwd: folder, env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } });
  const { files } = await lookInto(folder);
  return files.find(({ name }) => name === 'lab.raw')?.image;
}

const qemu = (format: string, options = ''): string =>
  `qemu-img convert -q -f raw -O ${format} ${options} disk lab.raw`;

test.each([
  { says: 'a VHDX image', by: qemu('vhdx') },
  { says: 'a VHD image', by: qemu('vpc') },
  { says: 'fixed size', by: qemu('vpc', '-o subformat=fixed') },
  { says: 'a VMDK image', by: qemu('vmdk') },
  { says: 'a VMDK image', by: qemu('vmdk', '-o subformat=streamOptimized') },
  { says: 'description of a VMDK', by: qemu('vmdk', '-o subformat=monolithicFlat') },
  { says: 'a qcow2 image', by: qemu('qcow2') },
  { says: 'a qcow2 image', by: qemu('qcow2', '-o compat=0.10') },
  { says: 'a qcow2 image', by: qemu('qcow') },
  { says: 'a QED image', by: qemu('qed') },
  { says: 'a VDI image', by: qemu('vdi') },
  { says: 'a Parallels image', by: qemu('parallels') },
  { says: 'gzip', by: 'gzip -c disk > lab.raw' },
  { says: 'zstd', by: 'zstd -q disk -o lab.raw' },
  { says: 'tar', by: 'tar -cf lab.raw disk' },
])('$says: $by', async ({ says, by }) => {
  const message = expect.stringContaining(says);
  expect(await judged(by)).toMatchObject({ ok: false, error: { code: 'NotSupported', message } });
});

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
