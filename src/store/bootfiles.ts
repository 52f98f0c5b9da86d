/**
 * Kernel and initrd that nobody put beside an image, out of the image: found and read by GRUB's file systems (grub-fstest of Debian), which take an image as a file
 * and need no right and no mount.
 */
import { rm, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileNames, type VersionFileNames } from '../farm/files.ts';
import { convertImage } from '../image/convert.ts';
import type { Work, WorkFault } from '../image/copy.ts';
import { formatOf, stemOf } from '../image/formats.ts';
import { PartialFile } from '../image/partial.ts';
import { isThere, openRegular } from '../kit/file.ts';
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

/** A file system that somebody made to keep it busy is left after ten minutes of a processor, and an image of many such after half an hour. */
const BOUNDS = ['--as=1073741824', '--nofile=64', '--core=0', '--cpu=600'];
const MOST_MS = 30 * 60_000;
const MAX_FILE_BYTES = 1 << 30;
/** The image itself, its partitions, and what lies over them. */
const DEVICE = /\((?:loop0|lvm\/|md\/)[^()\s]*\)/g;
const MAX_DEVICES = 64;
const FOLDERS = ['/boot/', '/'];

interface BootFilesWork extends Work {
  /** For all that is read of the image. */
  readonly mostMs?: number;
}

/** Of a version that lies in a folder, the newest if none is named. What is there already stays: that is a fault, unless it is one of the two, and as the image has it. */
export const extractBootFiles = (
  vdisk: VDiskFiles,
  number: number | undefined,
  work: BootFilesWork = {},
): Promise<Result<BootFiles, BootFilesFault>> =>
  alone(vdisk.folder, async () => {
    const version = await imageOf(vdisk, number);
    if (!version.ok) return version;
    const image = join(vdisk.folder, version.value.image);
    const names = fileNames(vdisk.fileName, version.value.number);
    const there = await bothThere(vdisk.folder, names);
    if (there) return { ok: false, error: there };
    if (formatOf(image)?.extension === '.raw') return ofTaken(await takeBootFiles(image, vdisk.folder, names, work));
    const raw = join(vdisk.folder, `${names.stem}.partial.raw`);
    // A run that was killed left it.
    await rm(raw, { force: true });
    const room = await roomForDisk(image, raw);
    if (!room.ok) return room;
    try {
      const made = await convertImage(image, raw, work);
      return made.ok ? ofTaken(await takeBootFiles(raw, vdisk.folder, names, work)) : made;
    } finally {
      await rm(raw, { force: true });
    }
  });

const ofTaken = (taken: Result<TakenBootFiles, BootFilesFault>): Result<BootFiles, BootFilesFault> =>
  taken.ok ? ok(taken.value.bootFiles) : taken;

async function bothThere(folder: string, names: VersionFileNames): Promise<BootFilesFault | undefined> {
  const [kernel, initrd] = [join(folder, names.kernel), join(folder, names.initrd)];
  return (await isThere(kernel)) && (await isThere(initrd)) ? alreadyThere(kernel) : undefined;
}

const alreadyThere = (path: string): BootFilesFault => ({
  code: 'FileExists',
  message: `${path} is there already: remove kernel and initrd first`,
});

export interface TakenBootFiles {
  readonly bootFiles: BootFiles;
  /** Paths: those of them that were not there before. */
  readonly made: readonly string[];
}

/** Those of an image that is being made of a raw one, before it has its name. Undefined: somebody put his own there. */
export async function bootFilesBeside(
  raw: string,
  image: string,
  signal?: AbortSignal,
): Promise<Result<TakenBootFiles, BootFilesFault> | undefined> {
  const folder = dirname(image);
  const names = fileNames(stemOf(basename(image)) ?? '', 0);
  if (await bothThere(folder, names)) return undefined;
  const taken = await takeBootFiles(raw, folder, names, signal && { signal });
  return !taken.ok && taken.error.code === 'FileExists' ? undefined : taken;
}

export async function removeBootFiles({ made }: TakenBootFiles): Promise<void> {
  for (const path of made) await unlink(path);
}

/**
 * Out of a raw image. Both or none, but after a run that was killed between their names: then one is there, and is compared. `KernelMissing`: no file system that
 * GRUB knows has a kernel with an initrd.
 */
async function takeBootFiles(
  raw: string,
  folder: string,
  names: VersionFileNames,
  { signal, mostMs = MOST_MS }: BootFilesWork = {},
): Promise<Result<TakenBootFiles, BootFilesFault>> {
  const late = AbortSignal.timeout(mostMs);
  const until = signal ? AbortSignal.any([signal, late]) : late;
  const made: string[] = [];
  const taken = await takeBoth(raw, folder, names, until, made);
  if (taken.ok) return ok({ bootFiles: taken.value, made });
  for (const path of made) await unlink(path);
  return late.aborted && !signal?.aborted ? { ok: false, error: tooLong(raw, mostMs) } : taken;
}

/** Paths of what it made are put into `made`. */
async function takeBoth(
  raw: string,
  folder: string,
  names: VersionFileNames,
  signal: AbortSignal,
  made: string[],
): Promise<Result<BootFiles, BootFilesFault>> {
  const found = await findBoot(raw, signal);
  if (!found.ok) return found;
  const { version } = found.value;
  for (const kind of ['initrd', 'kernel'] as const) {
    const path = join(folder, names[kind]);
    const isOld = await isThere(path);
    const fault = await (isOld ? compare : take)(raw, found.value[kind], path, signal);
    if (fault) return { ok: false, error: fault };
    if (!isOld) made.push(path);
  }
  return ok({ kernel: names.kernel, initrd: names.initrd, version });
}

const tooLong = (raw: string, mostMs: number): ToolFault => ({
  code: 'ImageInvalid',
  message: `${raw} kept its reader busy for ${mostMs / 60_000} min: put kernel and initrd beside the image yourself`,
});

async function findBoot(raw: string, signal: AbortSignal): Promise<Result<BootPaths, BootFilesFault>> {
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

async function list(raw: string, folder: readonly string[], signal: AbortSignal): Promise<Result<string, ToolFault>> {
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
  signal: AbortSignal,
): Promise<BootFilesFault | undefined> {
  const opened = await PartialFile.open(target);
  if (!opened.ok) return opened.error;
  const { value: file } = opened;
  try {
    const read = await readOut(raw, from, signal, (at, piece) => file.append(at, piece));
    return read.ok ? await file.finish(read.value) : read.error;
  } finally {
    await file.remove();
  }
}

/** With what is there: a fault where it is another file. */
async function compare(
  raw: string,
  from: string,
  path: string,
  signal: AbortSignal,
): Promise<BootFilesFault | undefined> {
  const opened = await openRegular(path);
  if (!opened.ok) return alreadyThere(path);
  await using file = opened.value.file;
  const read = await readOut(raw, from, signal, async (at, piece) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(piece.length), 0, piece.length, at);
    return bytesRead === piece.length && buffer.equals(piece) ? undefined : alreadyThere(path);
  });
  if (!read.ok) return read.error;
  return BigInt(read.value) === opened.value.stats.size ? undefined : alreadyThere(path);
}

/** How many bytes it has. What `give` refuses, or is too much, is the end of it. */
async function readOut(
  raw: string,
  from: string,
  signal: AbortSignal,
  give: (at: number, piece: Buffer) => Promise<BootFilesFault | undefined>,
): Promise<Result<number, BootFilesFault>> {
  let bytes = 0;
  let fault: BootFilesFault | undefined;
  const enough = new AbortController();
  const onBytes = async (piece: Buffer): Promise<void> => {
    if (fault) return;
    if (bytes + piece.length > MAX_FILE_BYTES) fault = tooLarge(from);
    fault ??= await give(bytes, piece);
    bytes += piece.length;
    if (fault) enough.abort();
  };
  const bounded = { bounds: BOUNDS, accepted: [0], signal: AbortSignal.any([signal, enough.signal]), onBytes };
  const run = await runTool('grub-fstest', [raw, 'cat', from], bounded);
  if (fault) return { ok: false, error: fault };
  if (!run.ok) return run;
  return bytes > 0 ? ok(bytes) : fail('ImageInvalid', `${from} of ${raw} is empty`);
}

const tooLarge = (from: string): ToolFault => ({
  code: 'ImageInvalid',
  message: `${from} has more than ${MAX_FILE_BYTES} bytes, which no kernel and no initrd has`,
});
