/**
 * What a file holds that is not what its name says, by its first and last bytes, and the way to an image of it. Pure.
 *
 * Of what is named as a raw image a disk must never be refused. So only what no disk begins with is in the table, each with as many fixed bytes as its format has; what is short is not
 * believed of a file that begins like a disk. File systems, partition tables, LVM, LUKS, ISO 9660 and whatever else can be mounted are disks.
 */
import { convertLine, filter, importLine, lineFor, qemuConvert, renameLine, type Unpack } from './shell.ts';

/** Read of the beginning: up to the header of a GPT. */
export const HEAD_BYTES = 1_024;
/** Read of the end: the footer of a VHD. */
export const TAIL_BYTES = 512;

/** The first and the last bytes of a file; of one that is shorter, what it has. */
export interface Ends {
  readonly head: Buffer;
  readonly tail: Buffer;
}

interface Foreign {
  /** After "holds". */
  readonly what: string;
  readonly is: (ends: Ends) => boolean;
  /** After "a raw image is the disk as it is:". */
  readonly instead: (path: string) => string;
  /** The same of what has another name than that of a raw image, whose line would not do. */
  readonly otherwise: (path: string) => string;
  /** What this release reads: the end of its name. */
  readonly extension?: string;
}

const has = (bytes: Buffer, offset: number, magic: string | readonly number[]): boolean => {
  const wanted = typeof magic === 'string' ? Buffer.from(magic, 'latin1') : Buffer.from(magic);
  return bytes.subarray(offset, offset + wanted.length).equals(wanted);
};
const atStart =
  (magic: string | readonly number[]) =>
  ({ head }: Ends): boolean =>
    has(head, 0, magic);

/** An MBR, also that of a GPT or of an ISO hybrid, or a boot sector; or the header of a GPT. */
const beginsLikeDisk = ({ head }: Ends): boolean => has(head, 510, [0x55, 0xaa]) || has(head, 512, 'EFI PART');

/** Text and compressed data: what has few fixed bytes. */
const unlessDisk =
  (is: Foreign['is']): Foreign['is'] =>
  (ends) =>
    is(ends) && !beginsLikeDisk(ends);

/** RFC 1952 2.3: deflate, no reserved flag, a known level and system. */
const isGzip = ({ head }: Ends): boolean =>
  head.length >= 10 &&
  has(head, 0, [0x1f, 0x8b, 8]) &&
  (head.readUInt8(3) & 0xe0) === 0 &&
  [0, 2, 4].includes(head.readUInt8(8)) &&
  (head.readUInt8(9) <= 13 || head.readUInt8(9) === 255);

/** Microsoft's VHD specification, "Hard Disk Footer Format": the disk is followed by 512 bytes, 511 by the first Virtual PC. */
function footerOf({ tail }: Ends): Buffer | undefined {
  const footer = [tail, tail.subarray(1)].find((bytes) => has(bytes, 0, 'conectix'));
  if (!footer || footer.length < 68 || footer.readUInt32BE(60) !== 2) return undefined;
  const sum = footer.reduce((total, byte, at) => (at >= 64 && at < 68 ? total : total + byte), 0);
  return footer.readUInt32BE(64) === (~sum & 0xffffffff) >>> 0 ? footer : undefined;
}

/** The same field, in the copy of the footer that a VHD that grows begins with. */
const isDifference = (ends: Ends): boolean =>
  atStart('conectix')(ends) && ends.head.length >= 64 && ends.head.readUInt32BE(60) === 4;

/** Of these versions. */
function isQcow(...versions: readonly number[]): Foreign['is'] {
  return ({ head }) => has(head, 0, 'QFI\xfb') && head.length >= 8 && versions.includes(head.readUInt32BE(4));
}

type Ways = Pick<Foreign, 'instead' | 'otherwise'>;

/** What qemu-img reads by this name. */
const convert = (format: string): Ways => ({
  instead: lineThat('convert it with', qemuConvert(format)),
  otherwise: (path) => `make one that is read with ${convertLine(path, format)}`,
});
/** What `bootfarm vdisk import` takes. */
const taken = (format: string): Ways => ({
  ...convert(format),
  otherwise: (path) => `make one that is read with ${importLine(path, format)}`,
});
/** What this release reads under its own name. */
const named = (extension: string): Ways & Pick<Foreign, 'extension'> => ({
  extension,
  ...everywhere((path) => `give it its name with ${renameLine(path, extension)}`),
});
/** What comes out has the name of a raw image only where its file had. */
const unpack = (command: string): Ways => ({
  instead: lineThat('unpack it with', filter(command)),
  otherwise: () => `unpack it, as by \`${command}\`, and bring what comes out, with the end of what that is`,
});
/** What comes out is the image only where nothing else is in it. */
const extract = (how: Unpack): Ways => ({
  instead: lineThat('where the image is all that is in it, unpack it with', how),
  otherwise: () => 'bring the image that is in it',
});
const everywhere = (instead: Foreign['instead']): Ways => ({ instead, otherwise: instead });
const just = (words: string): Ways => everywhere(() => words);

function lineThat(words: string, how: Unpack): Foreign['instead'] {
  return (path) => `${words} ${lineFor(path, how)}`;
}

const FOREIGN: readonly Foreign[] = [
  { what: 'a VHDX image', is: atStart('vhdxfile'), ...named('.vhdx') },
  {
    what: 'a VHD image that is a difference of another',
    is: isDifference,
    ...named('.avhd'),
  },
  { what: 'a VHD image', is: atStart('conectix'), ...named('.vhd') },
  { what: 'a VHD image of fixed size', is: (ends) => footerOf(ends) !== undefined, ...named('.vhd') },
  { what: 'a qcow image', is: isQcow(1), ...convert('qcow') },
  { what: 'a qcow2 image', is: isQcow(2, 3), ...taken('qcow2') },
  { what: 'a QED image', is: atStart('QED\0'), ...convert('qed') },
  {
    what: 'a VMDK image',
    is: ({ head }) => has(head, 0, 'KDMV') && head.length >= 8 && [1, 2, 3].includes(head.readUInt32LE(4)),
    ...taken('vmdk'),
  },
  {
    what: 'a VMDK image of ESX',
    is: ({ head }) => has(head, 0, 'COWD') && head.length >= 8 && head.readUInt32LE(4) === 1,
    ...convert('vmdk'),
  },
  {
    what: 'the description of a VMDK image',
    is: atStart('# Disk DescriptorFile'),
    instead: lineThat('bring the files that it names, too, and convert it with', qemuConvert('vmdk')),
    otherwise: (path) =>
      `bring the files that it names, too, and make one that is read with ${convertLine(path, 'vmdk')}`,
  },
  {
    what: 'a VDI image',
    is: ({ head }) => has(head, 0, '<<< ') && has(head, 64, [0x7f, 0x10, 0xda, 0xbe]),
    ...taken('vdi'),
  },
  {
    what: 'a Parallels image',
    is: (ends) => atStart('WithoutFreeSpace')(ends) || atStart('WithouFreSpacExt')(ends),
    ...convert('parallels'),
  },
  { what: 'a WIM image', is: atStart('MSWIM\0\0\0'), ...just('apply it to a disk, and bring that') },
  {
    what: 'a sparse image of Android',
    is: atStart([0x3a, 0xff, 0x26, 0xed, 1, 0]),
    instead: lineThat('unpack it with', (from, into) => `simg2img ${from} ${into}`),
    otherwise: () => 'unpack it by `simg2img`, and bring what comes out as .raw',
  },
  { what: 'data compressed by gzip', is: unlessDisk(isGzip), ...unpack('gzip -dc') },
  { what: 'data compressed by xz', is: unlessDisk(atStart('\xfd7zXZ\0')), ...unpack('xz -dc') },
  { what: 'data compressed by zstd', is: unlessDisk(atStart([0x28, 0xb5, 0x2f, 0xfd])), ...unpack('zstd -dc') },
  {
    what: 'data compressed by bzip2',
    is: unlessDisk(({ head }) => has(head, 0, 'BZh') && has(head, 4, '1AY&SY')),
    ...unpack('bzip2 -dc'),
  },
  { what: 'data compressed by lz4', is: unlessDisk(atStart([0x04, 0x22, 0x4d, 0x18])), ...unpack('lz4 -dc') },
  { what: 'data compressed by lzop', is: unlessDisk(atStart('\x89LZO\0\r\n\x1a\n')), ...unpack('lzop -dc') },
  { what: 'data compressed by lzip', is: unlessDisk(atStart('LZIP\x01')), ...unpack('lzip -dc') },
  {
    what: 'a 7z archive',
    is: unlessDisk(atStart("7z\xbc\xaf'\x1c")),
    ...extract((from, into) => `7z x -so ${from} > ${into}`),
  },
  {
    what: 'a zip archive',
    is: unlessDisk(atStart('PK\x03\x04')),
    ...extract((from, into) => `unzip -p ${from} > ${into}`),
  },
  {
    what: 'a tar archive',
    is: unlessDisk(({ head }) => has(head, 257, 'ustar\0') || has(head, 257, 'ustar  ')),
    ...extract(filter('tar -xO')),
  },
  {
    what: 'a page of HTML',
    is: unlessDisk(({ head }) => /^\s*<(!doctype html|html)\b/i.test(head.toString('latin1', 0, 128))),
    ...just('look at what it says, and download the image again'),
  },
  {
    what: 'a pointer of Git LFS',
    is: unlessDisk(atStart('version https://git-lfs')),
    ...just('fetch the file with `git lfs pull`'),
  },
];

const foundIn = (ends: Ends): Foreign | undefined => FOREIGN.find(({ is }) => is(ends));

/** Of what is named as a raw image. Undefined: nothing says that it is no disk. */
export function foreign(path: string, ends: Ends): string | undefined {
  const found = foundIn(ends);
  return found && `${path} holds ${found.what}, and a raw image is the disk as it is: ${found.instead(path)}`;
}

/** Of what is named otherwise, and is not what its name says. `own`: the ends of names of that format. Undefined: what it is, nothing says. */
export function misnamed(path: string, ends: Ends, own: readonly string[]): string | undefined {
  // A VHD of fixed size begins as its disk does, and one whose footer is damaged is still none.
  const mayBeDisk = beginsLikeDisk(ends) && !own.includes('.vhd');
  const found = foundIn(ends) ?? (mayBeDisk ? DISK : undefined);
  if (!found || (found.extension !== undefined && own.includes(found.extension))) return undefined;
  const name =
    own[0] === undefined ? 'its name is that of no image' : `its name is that of a ${own[0].slice(1).toUpperCase()}`;
  return `${path} holds ${found.what}, and ${name}: ${found.otherwise(path)}`;
}

const DISK: Omit<Foreign, 'is'> = { what: 'a disk as it is', ...named('.raw') };
