import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Ends, foreign, HEAD_BYTES, misnamed, TAIL_BYTES } from './content.ts';

type Parts = Readonly<Record<number, string | Uint8Array>>;

/** Of a file of 1 MiB with these bytes at these offsets; a negative one is from the end. */
function endsOf(parts: Parts): Ends {
  const bytes = 1 << 20;
  const file = Buffer.alloc(bytes);
  for (const [at, data] of Object.entries(parts))
    file.set(
      typeof data === 'string' ? Buffer.from(data, 'latin1') : data,
      Number(at) < 0 ? bytes + Number(at) : Number(at),
    );
  return { head: file.subarray(0, HEAD_BYTES), tail: file.subarray(-TAIL_BYTES) };
}

const holding = (parts: Parts): string | undefined => foreign('/srv/lab.raw', endsOf(parts));

/** The footer of a VHD: its cookie, its type, and the complement of the sum of its bytes. */
function vhdFooter(type: number, wrongBy = 0): Buffer {
  const footer = Buffer.alloc(512);
  footer.write('conectix');
  footer.writeUInt32BE(0x10000, 12);
  footer.writeUInt32BE(type, 60);
  footer.writeUInt32BE((~footer.reduce((sum, byte) => sum + byte) - wrongBy) >>> 0, 64);
  return footer;
}

const MBR = { 510: '\x55\xaa' };

test.each<{ what: string; parts: Parts; says: RegExp }>([
  { what: 'VHDX', parts: { 0: 'vhdxfile' }, says: /a VHDX image.*`cd \/srv && mv -n lab\.raw lab\.vhdx`$/ },
  {
    what: 'VHD that grows',
    parts: { 0: vhdFooter(3), [-512]: vhdFooter(3) },
    says: /a VHD image, .*`cd \/srv && mv -n lab\.raw lab\.vhd`$/,
  },
  {
    what: 'VHD that is a difference',
    parts: { 0: vhdFooter(4), [-512]: vhdFooter(4) },
    says: /a difference.*`cd \/srv && mv -n lab\.raw lab\.avhd`$/,
  },
  {
    what: 'VHD of fixed size',
    parts: { ...MBR, [-512]: vhdFooter(2) },
    says: /fixed size.*`cd \/srv && mv -n lab\.raw lab\.vhd`$/,
  },
  {
    what: 'VHD of the first Virtual PC',
    parts: { [-511]: vhdFooter(2).subarray(0, 511) },
    says: /fixed size.*mv -n lab\.raw lab\.vhd`$/,
  },
  { what: 'qcow', parts: { 0: 'QFI\xfb\0\0\0\x01' }, says: /a qcow image.*-f qcow / },
  { what: 'qcow2', parts: { 0: 'QFI\xfb\0\0\0\x03' }, says: /a qcow2 image.*-f qcow2/ },
  { what: 'QED', parts: { 0: 'QED\0' }, says: /a QED image/ },
  { what: 'VMDK', parts: { 0: 'KDMV\x01\0\0\0' }, says: /a VMDK image.*-f vmdk/ },
  { what: 'VMDK of ESX', parts: { 0: 'COWD\x01\0\0\0' }, says: /a VMDK image/ },
  { what: 'VMDK in parts', parts: { 0: '# Disk DescriptorFile\nversion=1' }, says: /description of a VMDK image/ },
  {
    what: 'VDI',
    parts: { 0: '<<< Oracle VM VirtualBox Disk Image >>>\n', 64: '\x7f\x10\xda\xbe' },
    says: /a VDI image/,
  },
  { what: 'Parallels', parts: { 0: 'WithoutFreeSpace' }, says: /a Parallels image/ },
  { what: 'Parallels, the newer', parts: { 0: 'WithouFreSpacExt' }, says: /a Parallels image/ },
  { what: 'WIM', parts: { 0: 'MSWIM\0\0\0' }, says: /a WIM image/ },
  { what: 'Android', parts: { 0: '\x3a\xff\x26\xed\x01\0\0\0' }, says: /sparse image of Android.*simg2img/ },
  {
    what: 'gzip',
    parts: { 0: gzipSync('disk') },
    says: /`cd \/srv && gzip -dc < lab\.raw > lab\.raw\.partial && mv lab\.raw "\$\(mktemp -u lab\.raw\.original-XXXXXX\)" && mv lab\.raw\.partial lab\.raw`$/,
  },
  { what: 'gzip with a name', parts: { 0: '\x1f\x8b\x08\x08\xf8\x11\x89\x4c\x02\x03lab.raw\0' }, says: /gzip -dc </ },
  { what: 'xz', parts: { 0: '\xfd7zXZ\0' }, says: /xz -dc </ },
  { what: 'zstd', parts: { 0: zstdCompressSync('disk') }, says: /zstd -dc </ },
  { what: 'bzip2', parts: { 0: 'BZh91AY&SY' }, says: /bzip2 -dc </ },
  { what: 'lz4', parts: { 0: '\x04\x22\x4d\x18' }, says: /lz4 -dc </ },
  { what: 'lzop', parts: { 0: '\x89LZO\0\r\n\x1a\n' }, says: /lzop -dc </ },
  { what: 'lzip', parts: { 0: 'LZIP\x01' }, says: /lzip -dc </ },
  { what: '7z', parts: { 0: "7z\xbc\xaf'\x1c" }, says: /7z x -so lab\.raw >/ },
  { what: 'zip', parts: { 0: 'PK\x03\x04' }, says: /unzip -p lab\.raw >/ },
  { what: 'tar', parts: { 0: 'lab.raw', 257: 'ustar\x0000' }, says: /tar -xO </ },
  { what: 'tar of GNU', parts: { 0: 'lab.raw', 257: 'ustar  \0' }, says: /tar -xO </ },
  { what: 'a page', parts: { 0: '\n<!DOCTYPE html><html>404' }, says: /a page of HTML/ },
  { what: 'a pointer', parts: { 0: 'version https://git-lfs.github.com/spec/v1' }, says: /git lfs pull/ },
])('$what is said to be what it is', ({ parts, says }) => {
  expect(holding(parts)).toMatch(says);
  expect(holding(parts)).toContain('/srv/lab.raw holds');
});

test.each<{ what: string; parts: Parts }>([
  { what: 'zeros', parts: {} },
  { what: 'an MBR', parts: { 0: '\xeb\x63\x90', ...MBR } },
  { what: 'a GPT', parts: { ...MBR, 512: 'EFI PART', [-512]: 'EFI PART' } },
  { what: 'a GPT without a protective MBR', parts: { 512: 'EFI PART' } },
  { what: 'ext4 without a partition table', parts: { 1080: '\x53\xef' } },
  { what: 'XFS', parts: { 0: 'XFSB' } },
  { what: 'btrfs', parts: { 65600: '_BHRfS_M' } },
  { what: 'FAT', parts: { 0: '\xeb\x58\x90mkfs.fat', ...MBR } },
  { what: 'NTFS', parts: { 0: '\xeb\x52\x90NTFS    ', ...MBR } },
  { what: 'a physical volume of LVM', parts: { 512: 'LABELONE' } },
  { what: 'LUKS', parts: { 0: 'LUKS\xba\xbe\0\x02' } },
  { what: 'swap', parts: { 4086: 'SWAPSPACE2' } },
  { what: 'squashfs', parts: { 0: 'hsqs' } },
  { what: 'cramfs', parts: { 0: '\x45\x3d\xcd\x28' } },
  { what: 'romfs', parts: { 0: '-rom1fs-' } },
  { what: 'EROFS', parts: { 1024: '\xe2\xe1\xf5\xe0' } },
  { what: 'ISO 9660', parts: { 32769: 'CD001' } },
  { what: 'a hybrid of ISO 9660', parts: { 0: '\x33\xed\x90', ...MBR, 32769: 'CD001' } },
  { what: 'a kernel with its EFI stub', parts: { 0: 'MZ', ...MBR } },
  { what: 'a boot sector with the words of a tar', parts: { 0: '\xeb\x63', 257: 'ustar\x0000', ...MBR } },
  { what: 'an MBR that begins as gzip does', parts: { 0: gzipSync('disk').subarray(0, 10), ...MBR } },
  { what: 'the first bytes of gzip, and none of its others', parts: { 0: '\x1f\x8b\x08\xff' } },
  { what: 'qcow of no version', parts: { 0: 'QFI\xfb\xff\xff\xff\xff' } },
  { what: 'the word of a VHD at its end', parts: { [-512]: 'conectix' } },
  { what: 'a footer of a VHD whose sum is wrong', parts: { ...MBR, [-512]: vhdFooter(2, 1) } },
  { what: 'a VHD that grows within its last partition', parts: { ...MBR, [-512]: vhdFooter(3) } },
])('a disk with $what is one', ({ parts }) => {
  expect(holding(parts)).toBeUndefined();
});

const VHDX = ['.vhdx', '.avhdx'];
const VHD = ['.vhd', '.avhd'];

test.each<{ what: string; name: string; own: readonly string[]; parts: Parts; says: string | undefined }>([
  {
    ...{ what: 'a VHD named as a VHDX', name: 'lab.vhdx', own: VHDX, parts: { 0: vhdFooter(3), [-512]: vhdFooter(3) } },
    says: '/srv/lab.vhdx holds a VHD image, and its name is that of a VHDX: give it its name with `cd /srv && mv -n lab.vhdx lab.vhd`',
  },
  {
    ...{ what: 'a VHDX named as a VHD', name: 'lab.1.avhd', own: VHD, parts: { 0: 'vhdxfile' } },
    says: '/srv/lab.1.avhd holds a VHDX image, and its name is that of a VHD: give it its name with `cd /srv && mv -n lab.1.avhd lab.1.vhdx`',
  },
  {
    ...{ what: 'a disk named as a VHDX', name: 'lab.vhdx', own: VHDX, parts: MBR },
    says: '/srv/lab.vhdx holds a disk as it is, and its name is that of a VHDX: give it its name with `cd /srv && mv -n lab.vhdx lab.raw`',
  },
  {
    ...{ what: 'a qcow2 by its own name', name: 'a b.qcow2', own: [], parts: { 0: 'QFI\xfb\0\0\0\x03' } },
    says: "/srv/a b.qcow2 holds a qcow2 image, and its name is that of no image: make one that is read with `cd /srv && bootfarm vdisk import 'a b.qcow2' 'a b.vhdx'`",
  },
  {
    ...{ what: 'a qcow2 named as a VHDX', name: 'lab.vhdx', own: VHDX, parts: { 0: 'QFI\xfb\0\0\0\x03' } },
    says: '/srv/lab.vhdx holds a qcow2 image, and its name is that of a VHDX: make one that is read with `cd /srv && mv -n lab.vhdx lab.qcow2 && bootfarm vdisk import lab.qcow2 lab.vhdx`',
  },
  {
    ...{ what: 'what only qemu-img takes', name: 'lab.qed', own: [], parts: { 0: 'QED\0' } },
    says: '/srv/lab.qed holds a QED image, and its name is that of no image: make one that is read with `cd /srv && qemu-img convert -O vhdx -f qed lab.qed lab.vhdx.partial && mv -n lab.vhdx.partial lab.vhdx`',
  },
  {
    ...{ what: 'a VMDK of ESX', name: 'lab.vhd', own: VHD, parts: { 0: 'COWD\x01\0\0\0' } },
    says: '/srv/lab.vhd holds a VMDK image of ESX, and its name is that of a VHD: make one that is read with `cd /srv && qemu-img convert -O vhdx -f vmdk lab.vhd lab.vhdx.partial && mv -n lab.vhdx.partial lab.vhdx`',
  },
  {
    ...{ what: 'a pointer', name: 'lab.vhdx', own: VHDX, parts: { 0: 'version https://git-lfs.github.com/spec/v1' } },
    says: '/srv/lab.vhdx holds a pointer of Git LFS, and its name is that of a VHDX: fetch the file with `git lfs pull`',
  },
  {
    ...{ what: 'a version without an end', name: 'lab.1', own: [], parts: MBR },
    says: '/srv/lab.1 holds a disk as it is, and its name is that of no image: give it its name with `cd /srv && mv -n lab.1 lab.1.raw`',
  },
  {
    ...{ what: 'a download that is packed', name: 'lab.vhdx', own: VHDX, parts: { 0: gzipSync('disk') } },
    says: '/srv/lab.vhdx holds data compressed by gzip, and its name is that of a VHDX: unpack it, as by `gzip -dc`, and bring what comes out, with the end of what that is',
  },
  { what: 'a fixed VHD without a right footer', name: 'lab.vhd', own: VHD, parts: MBR, says: undefined },
  { what: 'what its name says', name: 'lab.vhdx', own: VHDX, parts: { 0: 'vhdxfile' }, says: undefined },
  { what: 'a difference by its name', name: 'lab.1.avhd', own: VHD, parts: { 0: vhdFooter(4) }, says: undefined },
  { what: 'nothing that is known', name: 'lab.vhdx', own: VHDX, parts: {}, says: undefined },
])('$what: what it is, and what makes it one that is read', ({ name, own, parts, says }) => {
  expect(misnamed(`/srv/${name}`, endsOf(parts), own)).toBe(says);
});

test('a file of any size and content is judged', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
      const file = Buffer.from(bytes);
      const ends = { head: file.subarray(0, HEAD_BYTES), tail: file.subarray(-TAIL_BYTES) };
      expect(foreign('lab.raw', ends)).toBeUndefined(); // none of 1,000 that begin by chance
    }),
    { seed: 18, numRuns: 1_000 },
  );
});

test('nothing compressed is believed of what begins like a disk', () => {
  const starts = [gzipSync('disk'), zstdCompressSync('disk'), Buffer.from('PK\x03\x04'), Buffer.from('BZh91AY&SY')];
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ minLength: 510, maxLength: 510 }), (start, rest) => {
      const sector = Buffer.from(rest);
      sector.set(start.subarray(0, 400));
      expect(holding({ 0: sector, ...MBR })).toBeUndefined();
    }),
    { seed: 18 },
  );
});
