/**
 * New versions of a vDisk from those that lie in a folder of a store. Names are PVS's. What is there is never changed, and a new version is there with all its
 * files or not at all.
 */
import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileNames, versionOfStem } from '../farm/files.ts';
import type { Made } from '../image/convert.ts';
import type { Work, WorkFault } from '../image/copy.ts';
import { createDifference } from '../image/difference.ts';
import { describeChain } from '../image/facts.ts';
import { FORMATS, formatOf, imageNames, MAX_CHAIN, stemOf } from '../image/formats.ts';
import { probeImage } from '../image/images.ts';
import { type MergeKind, mergeImages } from '../image/merge.ts';
import { copyFile } from '../image/partial.ts';
import { word } from '../image/shell.ts';
import { isThere, PARTIAL, pathFault, statRegular } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { inUnits } from '../kit/units.ts';
import { alone } from './alone.ts';
import { tooLong } from './longest.ts';
import { roomForDisk } from './room.ts';

export type VersionFault = WorkFault | Fault<'NoSpace'>;

/** Of the versions of a VDisk. */
export const MAX_VERSION = 999_999;

/** A vDisk as it lies in a folder. */
export interface VDiskFiles {
  readonly folder: string;
  /** `fileName` of its VDisk: `lab`. */
  readonly fileName: string;
}

export interface NewVersion {
  readonly number: number;
  /** Of its image. */
  readonly name: string;
  /** The newest image before it: what it is a difference of, or what was merged. */
  readonly before: string;
  readonly diskBytes: number;
  /** How much less that is than what the version before has; absent: none. */
  readonly lessBytes?: number;
  /** Of the image, with its holes. */
  readonly fileBytes: number;
  /** Kernel and initrd that it has from the version before. */
  readonly bootFiles: readonly string[];
  /** Nothing was made: it was the newest, and shows what was to be shown. */
  readonly unchanged?: true;
}

export interface VersionWork extends Work {
  /** Which one is made: nothing of it is there before this is done. */
  readonly onVersion?: (number: number) => Promise<void>;
  /** The one that an earlier try began: no other is made. Absent: the next one. */
  readonly number?: number;
}

export interface NewVersionOptions extends VersionWork {
  /** An image that shows what the new version shall show, and of what the newest shows already none is made; absent: what the newest one does. */
  readonly from?: string;
}

/** A difference of the newest version. */
export const newVersion = (
  vdisk: VDiskFiles,
  options: NewVersionOptions = {},
): Promise<Result<NewVersion, VersionFault>> => alone(vdisk.folder, () => makeDifference(vdisk, options));

async function makeDifference(
  vdisk: VDiskFiles,
  { from, ...work }: NewVersionOptions,
): Promise<Result<NewVersion, VersionFault>> {
  const newest = await imageOf(vdisk);
  if (!newest.ok) return newest;
  const { image, number } = newest.value;
  const end = formatOf(image)?.differencing;
  if (end !== undefined) {
    const parent = join(vdisk.folder, image);
    const full = await chainFull(vdisk, parent);
    if (full) return { ok: false, error: full };
    // A kernel that lies there for it is what it has otherwise.
    const unlessSame = !(await hasBootFiles(vdisk, number + 1));
    const made = await makeVersion(vdisk, newest.value, end, work, (target, more) =>
      createDifference(target, parent, { unlessSame, ...(from !== undefined && { from }), ...more }),
    );
    if (!made.ok) return made;
    return ok(made.value ?? (await unchanged(vdisk, newest.value)));
  }
  const path = join(vdisk.folder, image);
  const into = join(vdisk.folder, `${stemOf(image)}.vhdx`);
  return fail(
    'NotSupported',
    `${path} has a format that knows no differences: \`bootfarm vdisk convert ${word(path)} ${word(into)}\`, then remove ${path}`,
  );
}

/** Where no image can be a difference of this one any more. What is wrong with it otherwise is told when it is opened. */
async function chainFull({ folder, fileName }: VDiskFiles, parent: string): Promise<VersionFault | undefined> {
  const chain = await describeChain(parent);
  if (!chain.ok || chain.value.missing || chain.value.images.length < MAX_CHAIN) return undefined;
  const line = `bootfarm vdisk merge ${word(join(folder, fileName))} --base`;
  return {
    code: 'ChainTooLong',
    message: `${parent} is the last of ${MAX_CHAIN} images, each a difference of the next, and ${MAX_CHAIN} is the most: merge them first by \`${line}\``,
  };
}

/** The newest, as if it had just been made. */
async function unchanged({ folder }: VDiskFiles, { number, image }: VersionImage): Promise<NewVersion> {
  const path = join(folder, image);
  const fileBytes = (await stat(path)).size;
  const bytes = (await diskBytes(path)) ?? fileBytes;
  return { number, name: image, before: image, diskBytes: bytes, fileBytes, bootFiles: [], unchanged: true };
}

async function hasBootFiles({ folder, fileName }: VDiskFiles, number: number): Promise<boolean> {
  const { kernel, initrd } = fileNames(fileName, number);
  return (await isThere(join(folder, kernel))) || (await isThere(join(folder, initrd)));
}

/** Whether a new version of what `from` shows has all of the disk before; a fault: it would end earlier. What cannot be read is told when it is made. */
export async function keepsSize(vdisk: VDiskFiles, from: string): Promise<Result<void, Fault<'WouldShrink'>>> {
  const newest = await imageOf(vdisk);
  if (!newest.ok) return ok(undefined);
  const { image } = newest.value;
  const [was, is] = [await diskBytes(join(vdisk.folder, image)), await diskBytes(from)];
  if (was === undefined || is === undefined || is >= was) return ok(undefined);
  const [more, less] = [was, is].map((bytes) => `${inUnits(bytes)} (${bytes} bytes)`);
  return fail(
    'WouldShrink',
    `${from} is a disk of ${less}, and ${image} is one of ${more}: what is behind that end would be in the new version no more; bring all of it where it was cut, or say --shrink if that is meant`,
  );
}

/** Undefined: it is no image that can be read. */
async function diskBytes(path: string): Promise<number | undefined> {
  const looked = await statRegular(path);
  const facts = looked.ok ? await probeImage(path, Number(looked.value.size)) : undefined;
  return facts?.ok ? facts.value.sizeBytes : undefined;
}

export interface MergeWork extends VersionWork {
  /** Only where this is the newest. */
  readonly version?: number;
}

/** All of the newest chain as a new base, or all of its updates as one. Undefined: there is nothing to merge. */
export const mergeVersions = (
  vdisk: VDiskFiles,
  kind: MergeKind,
  work: MergeWork = {},
): Promise<Result<NewVersion | undefined, VersionFault>> => alone(vdisk.folder, () => makeMerged(vdisk, kind, work));

async function makeMerged(
  vdisk: VDiskFiles,
  kind: MergeKind,
  { version, ...work }: MergeWork,
): Promise<Result<NewVersion | undefined, VersionFault>> {
  const newest = await imageOf(vdisk);
  if (!newest.ok) return newest;
  const { number, image } = newest.value;
  if (version !== undefined && version !== number) return ok(undefined);
  const format = formatOf(image);
  const end = (kind === 'base' ? format?.extension : format?.differencing) ?? '';
  const source = join(vdisk.folder, image);
  const isChain = format?.differencing !== undefined && image.endsWith(format.differencing);
  return makeVersion(vdisk, newest.value, end, work, async (target, more) => {
    const room = kind === 'base' && isChain ? await roomForDisk(source, target) : ok(undefined);
    return room.ok ? mergeImages(source, target, kind, more) : room;
  });
}

export interface VersionImage {
  readonly number: number;
  readonly image: string;
}

/** The image of a version: the newest, or the one with that number. */
export async function imageOf(
  { folder, fileName }: VDiskFiles,
  wanted?: number,
): Promise<Result<VersionImage, WorkFault>> {
  let there: readonly string[];
  try {
    there = await readdir(folder);
  } catch (thrown) {
    return { ok: false, error: pathFault(folder, thrown) };
  }
  const images = imagesOf(there, fileName);
  const image = wanted === undefined ? images.at(-1) : images.find(({ number }) => number === wanted);
  if (image) return ok(image);
  return { ok: false, error: { code: 'FileMissing', message: noVersion({ folder, fileName }, there, wanted) } };
}

/** Why a vDisk, or a version of it, is none of a folder that has these names, and what to name instead. */
export function noVersion({ folder, fileName }: VDiskFiles, there: readonly string[], wanted?: number): string {
  const numbers = imagesOf(there, fileName).map(({ number }) => number);
  const which = wanted === undefined ? 'no version' : `no version ${wanted}`;
  if (numbers.length > 0) return `${folder} has ${which} of ${fileName}: it has ${numbers.join(', ')}`;
  const { stem } = fileNames(fileName, wanted ?? 0);
  const ends = FORMATS.map(({ extension }) => stem + extension).join(', ');
  return `${folder} has ${which} of ${fileName} (${ends}): ${otherVDisks({ folder, fileName }, there)}`;
}

/** Of a folder with many, those that are told. */
const TOLD_VDISKS = 20;

/** What to name instead of a vDisk that does not lie there. */
export function otherVDisks({ folder, fileName }: VDiskFiles, there: readonly string[]): string {
  const all = vdisksOf(there);
  const typed = (stemOf(fileName) ?? fileName).toLowerCase();
  const meant = all.find((name) => name.toLowerCase() === typed);
  if (meant !== undefined) return `you mean ${join(folder, meant)}`;
  if (all.length === 0)
    return 'no image of any vDisk lies there (.vhdx, .vhd, .raw): put it there, or name another folder';
  const told = all.slice(0, TOLD_VDISKS).join(', ');
  const more = all.length > TOLD_VDISKS ? ` and ${all.length - TOLD_VDISKS} more` : '';
  return `there ${all.length === 1 ? 'is' : 'are'} ${told}${more}: name a vDisk that lies there`;
}

/** Names of the vDisks of a folder: of their images, without ends and numbers. What is made beside one to be given or read (`lab.partial.raw`) is none. */
export function vdisksOf(there: readonly string[]): readonly string[] {
  const stems = there.flatMap((name) => stemOf(name) ?? []).filter((stem) => !stem.endsWith(PARTIAL));
  return [...new Set(stems.map((stem) => stem.replace(/\.[1-9]\d{0,8}$/, '')))].sort();
}

/** Of each version of a vDisk the image that is meant; by number. */
export function imagesOf(there: readonly string[], fileName: string): readonly VersionImage[] {
  const numbers = new Set(there.flatMap((name) => versionOf(name, fileName) ?? []));
  return [...numbers]
    .sort((a, b) => a - b)
    .flatMap((number) => {
      const image = imageNamesOf(fileName, number).find((name) => there.includes(name));
      return image === undefined ? [] : [{ number, image }];
    });
}

/** How the image of a version may be named: the first that is there is meant. */
export const imageNamesOf = (fileName: string, number: number): readonly string[] =>
  imageNames(fileNames(fileName, number).stem, number > 0);

/** Without its end; undefined: it has none of an image. */
export const imageStem = (name: string): string | undefined => stemOf(name);

/** Undefined: it is no image of this vDisk. */
export function versionOf(name: string, fileName: string): number | undefined {
  const stem = stemOf(name);
  return stem === undefined ? undefined : versionOfStem(stem, fileName);
}

async function makeVersion(
  { folder, fileName }: VDiskFiles,
  newest: VersionImage,
  end: string,
  { onVersion, number: begun, ...work }: VersionWork,
  make: (target: string, work: Work) => Promise<Result<Made | undefined, VersionFault>>,
): Promise<Result<NewVersion | undefined, VersionFault>> {
  const number = newest.number + 1;
  if (number > MAX_VERSION) {
    const line = [
      'convert',
      word(join(folder, newest.image)),
      word(join(folder, `NAME${formatOf(newest.image)?.extension}`)),
    ];
    return fail(
      'NotSupported',
      `${newest.image} is in ${folder}, and versions end at ${MAX_VERSION}: there is no next one; begin a vDisk of another name by \`bootfarm vdisk ${line.join(' ')}\``,
    );
  }
  if (begun !== undefined && begun !== number)
    return fail(
      'FileExists',
      `${newest.image} is in ${folder}, and version ${begun} was to be made: an earlier try may have made it; if it did not, order it again`,
    );
  const name = fileNames(fileName, number).stem + end;
  const long = tooLong(name);
  if (long) return { ok: false, error: long };
  await onVersion?.(number);
  const target = join(folder, name);
  const bootFiles: string[] = [];
  const beforeName = () => copyBootFiles(folder, fileName, newest.number, bootFiles);
  const made = await make(target, { ...work, beforeName });
  if (!made.ok) {
    for (const file of bootFiles) await unlink(join(folder, file)).catch(() => undefined);
    return made;
  }
  if (!made.value) return ok(undefined);
  const fileBytes = (await stat(target)).size;
  return ok({ number, name, before: newest.image, ...made.value, fileBytes, bootFiles });
}

/** Those that are there already stay: who put them there meant them. Of what is copied the names are put into `copied`. */
async function copyBootFiles(
  folder: string,
  fileName: string,
  from: number,
  copied: string[],
): Promise<WorkFault | undefined> {
  const [old, now] = [fileNames(fileName, from), fileNames(fileName, from + 1)];
  for (const kind of ['kernel', 'initrd'] as const) {
    const fault = await copyFile(join(folder, old[kind]), join(folder, now[kind]));
    if (fault?.code === 'FileExists' || fault?.code === 'FileMissing') continue;
    if (fault) return fault;
    copied.push(now[kind]);
  }
  return undefined;
}
