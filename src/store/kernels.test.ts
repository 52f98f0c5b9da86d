import { expect, test } from '@jest/globals';
import { cpuMs } from '../../test/setup/time.ts';
import { newestBoot } from './kernels.ts';

const AT = '(loop0,gpt2)/boot/';
test.each([
  { says: 'an empty folder', names: [], found: undefined },
  {
    says: 'Debian: the newest by number, not by letter',
    names: ['vmlinuz-6.1.0-9-amd64', 'initrd.img-6.1.0-9-amd64', 'vmlinuz-6.1.0-10-amd64', 'initrd.img-6.1.0-10-amd64'],
    found: ['vmlinuz-6.1.0-10-amd64', 'initrd.img-6.1.0-10-amd64'],
  },
  {
    says: 'the newest has no initrd',
    names: ['vmlinuz-6.12.1', 'vmlinuz-6.1.0', 'initrd.img-6.1.0', 'config-6.12.1', 'System.map-6.12.1'],
    found: ['vmlinuz-6.1.0', 'initrd.img-6.1.0'],
  },
  {
    says: 'Fedora, with one for rescue',
    names: [
      ...['vmlinuz-0-rescue-4f1c', 'initramfs-0-rescue-4f1c.img'],
      ...['vmlinuz-6.8.5-301.fc40.x86_64', 'initramfs-6.8.5-301.fc40.x86_64.img'],
    ],
    found: ['vmlinuz-6.8.5-301.fc40.x86_64', 'initramfs-6.8.5-301.fc40.x86_64.img'],
  },
  {
    says: 'SUSE',
    names: ['vmlinuz-6.4.0-21-default', 'initrd-6.4.0-21-default', 'vmlinuz', 'initrd'],
    found: ['vmlinuz-6.4.0-21-default', 'initrd-6.4.0-21-default'],
  },
  {
    says: 'Arch',
    names: ['vmlinuz-linux', 'initramfs-linux-fallback.img', 'initramfs-linux.img'],
    found: ['vmlinuz-linux', 'initramfs-linux.img'],
  },
  { says: 'Alpine', names: ['vmlinuz-lts', 'initramfs-lts'], found: ['vmlinuz-lts', 'initramfs-lts'] },
  {
    says: 'words for a terminal, and one without an end',
    names: ['\u001b[2J', 'x'.repeat(1_000)].flatMap((version) => [`vmlinuz-${version}`, `initrd.img-${version}`]),
    found: undefined,
  },
  { says: 'only what was before', names: ['vmlinuz-6.1.0.old', 'initrd.img-6.1.0.old'], found: undefined },
])('$says', ({ names, found }) => {
  const boot = newestBoot([{ folder: AT, names }]);
  expect(boot && [boot.kernel, boot.initrd]).toEqual(found?.map((name) => AT + name));
});

test('of several file systems the one with the newest', () => {
  const listing = (folder: string, version: string) => ({
    folder,
    names: [`vmlinuz-${version}`, `initrd.img-${version}`],
  });
  expect(newestBoot([listing('(loop0,msdos1)/', '6.1'), listing('(loop0,msdos2)/boot/', '6.10')])).toEqual({
    version: '6.10',
    kernel: '(loop0,msdos2)/boot/vmlinuz-6.10',
    initrd: '(loop0,msdos2)/boot/initrd.img-6.10',
  });
});

test('a folder of a hundred thousand kernels is read at once', async () => {
  const names = Array.from({ length: 100_000 }, (_, at) => `vmlinuz-${at}`);
  const ms = await cpuMs(() =>
    expect(newestBoot([{ folder: AT, names: [...names, 'initrd-7'] }])).toMatchObject({ version: '7' }),
  );
  expect(ms).toBeLessThan(5_000);
});
