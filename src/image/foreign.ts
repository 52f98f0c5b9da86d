/**
 * Images of other programs that come in and go out through qemu-img of Debian, and never by code of ours: which they are, and whether they are whole in themselves. Pure.
 *
 * What one may name beside itself (a backing file, a file for its data, extents) is a file that whoever made it chose: it is refused by the header, before
 * any program opens it.
 */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { misnamed } from './content.ts';

/** The names by which qemu-img knows them. */
export const FOREIGN_FORMATS = ['qcow2', 'vmdk', 'vdi'] as const;
export type ForeignFormat = (typeof FOREIGN_FORMATS)[number];
export type ForeignFault = Fault<'NotSupported' | 'FileCut'>;

/** Read of the beginning of a file. */
export const FOREIGN_HEAD_BYTES = 512;

/** qcow2 specification, "Header": an incompatible feature. */
const EXTERNAL_DATA = 1n << 2n;
/** VMware, "Virtual Disk Format 5.0": the field of the descriptor where there is no parent. */
const NO_PARENT = 0xffff_ffff;

/** By its header, and whether the file is as long as it says; of the others `qemu-img check` tells. */
export function foreignFormat(path: string, head: Buffer, fileBytes: number): Result<ForeignFormat, ForeignFault> {
  if (head.length < FOREIGN_HEAD_BYTES) return unknown(path, head);
  if (head.readUInt32BE(0) === 0x51_46_49_fb) return qcow2(path, head);
  if (head.toString('latin1', 0, 4) === 'KDMV') {
    // Without a capacity its descriptor says where the data lies: in other files. Without a descriptor another file says where this one lies.
    const [capacity, descriptor] = [12, 28].map((at) => head.readBigUInt64LE(at));
    if (capacity === 0n) return refuse(path, 'a VMDK whose data lies in other files', ONE_VMDK);
    if (descriptor === 0n) return refuse(path, 'a part of a VMDK, which another file describes', ONE_VMDK);
    return ok('vmdk');
  }
  return head.readUInt32LE(64) === 0xbe_da_10_7f ? vdi(path, head, fileBytes) : unknown(path, head);
}

/** VirtualBox, header of version 1.1. qemu-img reads zeros beyond the end of the file, and finds nothing wrong. */
function vdi(path: string, head: Buffer, fileBytes: number): Result<ForeignFormat, ForeignFault> {
  const [dataOffset, blockBytes, extraBytes, allocated] = [344, 376, 380, 388].map((at) => head.readUInt32LE(at));
  const needed = (dataOffset ?? 0) + (allocated ?? 0) * ((blockBytes ?? 0) + (extraBytes ?? 0));
  if (fileBytes >= needed) return ok('vdi');
  return fail('FileCut', `${path} has ${fileBytes} bytes, and its data ends at ${needed}: it was cut, bring it again`);
}

const ONE_VMDK =
  'make one of the file that describes it: `qemu-img convert -O vmdk -o subformat=monolithicSparse DESCRIPTION.vmdk ONE.vmdk`';
const NOT_ENCRYPTED = 'make a copy that is not';

function qcow2(path: string, head: Buffer): Result<ForeignFormat, ForeignFault> {
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3)
    return refuse(path, `a qcow image of version ${version}`, 'convert it to qcow2 with qemu-img');
  if (head.readBigUInt64BE(8) !== 0n)
    return refuse(path, 'a qcow2 image with a backing file', 'put both into one with `qemu-img convert -O qcow2`');
  if (head.readUInt32BE(32) !== 0) return refuse(path, 'an encrypted qcow2 image', NOT_ENCRYPTED);
  if (version === 3 && (head.readBigUInt64BE(72) & EXTERNAL_DATA) !== 0n)
    return refuse(
      path,
      'a qcow2 image with its data in another file',
      'put it into one with `qemu-img convert -O qcow2`',
    );
  return ok('qcow2');
}

function unknown(path: string, head: Buffer): Result<never, ForeignFault> {
  const known = misnamed(path, { head, tail: Buffer.alloc(0) }, []);
  const none = `${path} is no qcow2, VMDK or VDI image: raw, VHD and VHDX are taken as they are, by vdisk convert`;
  return fail('NotSupported', known ?? none);
}
const refuse = (path: string, what: string, instead: string) => fail('NotSupported', `${path} is ${what}: ${instead}`);

/** What `qemu-img info --output=json` says of it: bytes of the disk. */
export function judgeInfo(path: string, text: string): Result<number, ForeignFault> {
  const info = JSON.parse(text) as {
    readonly 'virtual-size': number;
    readonly encrypted?: boolean;
    readonly 'format-specific'?: { readonly data?: { readonly 'parent-cid'?: number } };
  };
  if (info.encrypted) return refuse(path, 'encrypted', NOT_ENCRYPTED);
  const parent = info['format-specific']?.data?.['parent-cid'] ?? NO_PARENT;
  if (parent !== NO_PARENT) return refuse(path, 'a difference of another VMDK', 'put both into one first');
  if (info['virtual-size'] === 0) return refuse(path, 'a disk of 0 bytes', 'bring one that has some');
  return ok(info['virtual-size']);
}

/** Of `sizeBytes` of the disk what may be data, by what `qemu-img measure --output=json -O qcow2` says: its clusters are left out where there is none. */
export function judgeMeasure(text: string, sizeBytes: number): number {
  const { required, 'fully-allocated': whole } = JSON.parse(text) as Record<'required' | 'fully-allocated', number>;
  return Math.min(sizeBytes, Math.max(0, sizeBytes - (whole - required)));
}

/** The image for qemu-img: its format, and that it is one file, are said, and nothing of it is found out. */
export const asOneFile = (path: string, driver: ForeignFormat | 'raw'): string =>
  `json:${JSON.stringify({ driver, file: { driver: 'file', filename: path }, ...(mayHaveBacking(driver) && { backing: null }) })}`;

const mayHaveBacking = (driver: ForeignFormat | 'raw'): boolean => driver === 'qcow2' || driver === 'vmdk';
