/**
 * Kernel and initrd that nobody put beside an image, out of the image: found and read by GRUB's file systems (grub-fstest of Debian), which take an image as a file
 * and need no right and no mount.
 */
import { stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileNames, type VersionFileNames } from '../farm/files.ts';
import { convertImage } from '../image/convert.ts';
import type { Work, WorkFault } from '../image/copy.ts';
import { formatOf, stemOf } from '../image/formats.ts';
import { PartialFile } from '../image/partial.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { alone } from './alone.ts';
import { type BootPaths, type Listing, newestBoot } from './kernels.ts';
import { roomForDisk } from './room.ts';
import { runTool, type ToolFault } from './tool.ts';
import { imageOf, type VDiskFiles } from './versions.ts';

export type BootFilesFault = WorkFault | ToolFault | Fault<'KernelMissing' | 'NoSpace'>;

export interface BootFiles {
  /** In the folder. */
  readonly kernel: string;
  readonly initrd: string;
  /** Of the kernel, as the image names it. */
  readonly version: string;
}

/** A file system that somebody made to keep it busy is left after ten minutes of a processor. */
const BOUNDS = ['--as=1073741824', '--nofile=64', '--core=0', '--cpu=600'];
const MAX_FILE_BYTES = 1 << 30;
/** The image itself, its partitions, and what lies over them. */
const DEVICE = /\((?:loop0|lvm\/|md\/)[^()\s]*\)/g;
const MAX_DEVICES = 64;
const FOLDERS = ['/boot/', '/'];

/** Of a version that lies in a folder, the newest if none is named. What is there already stays, and is a fault. */
export const extractBootFiles = (
  vdisk: VDiskFiles,
  number: number | undefined,
  work: Work = {},
): Promise<Result<BootFiles, BootFilesFault>> =>
  alone(vdisk.folder, async () => {
    const version = await imageOf(vdisk, number);
    if (!version.ok) return version;
    const image = join(vdisk.folder, version.value.image);
    const names = fileNames(vdisk.fileName, version.value.number);
    const there = await bootFilesThere(vdisk.folder, names);
    if (there) return { ok: false, error: there };
    if (formatOf(image)?.extension === '.raw') return takeBootFiles(image, vdisk.folder, names, work.signal);
    const raw = join(vdisk.folder, `${names.stem}.partial.raw`);
    const room = await roomForDisk(image, raw);
    if (!room.ok) return room;
    try {
      const made = await convertImage(image, raw, work);
      return made.ok ? await takeBootFiles(raw, vdisk.folder, names, work.signal) : made;
    } finally {
      await unlink(raw).catch(() => undefined); // it was not made
    }
  });

async function bootFilesThere(folder: string, names: VersionFileNames): Promise<BootFilesFault | undefined> {
  for (const name of [names.kernel, names.initrd]) {
    const path = join(folder, name);
    if (await stat(path).catch(() => undefined))
      return { code: 'FileExists', message: `${path} is there already: remove kernel and initrd first` };
  }
  return undefined;
}

/** Those of an image that is being made of a raw one, before it has its name. Undefined: somebody put his own there. */
export async function bootFilesBeside(
  raw: string,
  image: string,
  signal?: AbortSignal,
): Promise<Result<BootFiles, BootFilesFault> | undefined> {
  const folder = dirname(image);
  const names = fileNames(stemOf(basename(image)) ?? '', 0);
  return (await bootFilesThere(folder, names)) ? undefined : takeBootFiles(raw, folder, names, signal);
}

export async function removeBootFiles(folder: string, { kernel, initrd }: BootFiles): Promise<void> {
  for (const name of [kernel, initrd]) await unlink(join(folder, name));
}

/** Out of a raw image. Both or none. `KernelMissing`: no file system that GRUB knows has a kernel with an initrd. */
async function takeBootFiles(
  raw: string,
  folder: string,
  names: VersionFileNames,
  signal?: AbortSignal,
): Promise<Result<BootFiles, BootFilesFault>> {
  const found = await findBoot(raw, signal);
  if (!found.ok) return found;
  const { version, kernel, initrd } = found.value;
  const first = await take(raw, initrd, join(folder, names.initrd), signal);
  if (first) return { ok: false, error: first };
  const second = await take(raw, kernel, join(folder, names.kernel), signal);
  if (!second) return ok({ kernel: names.kernel, initrd: names.initrd, version });
  await unlink(join(folder, names.initrd));
  return { ok: false, error: second };
}

async function findBoot(raw: string, signal: AbortSignal | undefined): Promise<Result<BootPaths, BootFilesFault>> {
  const devices = await list(raw, [], signal);
  if (!devices.ok) return devices;
  const listings: Listing[] = [];
  for (const [device] of [...devices.value.matchAll(DEVICE)].slice(0, MAX_DEVICES))
    for (const folder of FOLDERS) {
      const there = await list(raw, [device + folder], signal);
      if (there.ok) listings.push({ folder: device + folder, names: there.value.split(' ') });
      else if (there.error.code !== 'ImageInvalid') return there; // else it has no such folder
    }
  const newest = newestBoot(listings);
  if (newest) return ok(newest);
  return fail(
    'KernelMissing',
    'no kernel with an initrd is in /boot of a file system that GRUB knows: put them beside the image yourself',
  );
}

async function list(
  raw: string,
  folder: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Result<string, ToolFault>> {
  let out = '';
  const onBytes = (bytes: Buffer): void => {
    out = (out + bytes.toString()).slice(0, 1 << 20);
  };
  const run = await runTool('grub-fstest', [raw, 'ls', ...folder], { bounds: BOUNDS, accepted: [0], signal, onBytes });
  return run.ok ? ok(out) : run;
}

async function take(
  raw: string,
  from: string,
  target: string,
  signal: AbortSignal | undefined,
): Promise<BootFilesFault | undefined> {
  const opened = await PartialFile.open(target);
  if (!opened.ok) return opened.error;
  const { value: file } = opened;
  let bytes = 0;
  let fault: BootFilesFault | undefined;
  const onBytes = async (piece: Buffer): Promise<void> => {
    if (bytes + piece.length > MAX_FILE_BYTES) fault ??= tooLarge(from);
    fault ??= await file.append(bytes, piece);
    bytes += piece.length;
  };
  try {
    const run = await runTool('grub-fstest', [raw, 'cat', from], { bounds: BOUNDS, accepted: [0], signal, onBytes });
    if (!run.ok) return run.error;
    if (bytes === 0) fault ??= { code: 'ImageInvalid', message: `${from} of ${raw} is empty` };
    return fault ?? (await file.finish(bytes));
  } finally {
    await file.remove();
  }
}

const tooLarge = (from: string): ToolFault => ({
  code: 'ImageInvalid',
  message: `${from} has more than ${MAX_FILE_BYTES} bytes, which no kernel and no initrd has`,
});
