/** A vDisk as it lies in a folder of PVS: what its manifest says of each version, and what is there of it. Only what is there is read. */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileNames } from '../../farm/files.ts';
import type { OpenFault } from '../../image/disk.ts';
import { describeChain } from '../../image/facts.ts';
import { stemOf } from '../../image/formats.ts';
import { openImage } from '../../image/images.ts';
import { word } from '../../image/shell.ts';
import { type FileFault, openRegular, pathFault, statRegular } from '../../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { type Beside, besideOf } from '../beside.ts';
import { imagesOf, otherVDisks, type VDiskFiles, vdisksOf } from '../versions.ts';
import { decodeManifest, type ManifestFault, type PvsManifest, type PvsVersion } from './manifest.ts';
import { decodeProperties, type PropertiesFault, type PvsProperties } from './properties.ts';

export interface FoundImage {
  /** The image first, then what it is a difference of, in turn. */
  readonly chain: readonly string[];
  readonly diskBytes: number;
  readonly fileBytes: number;
  /** Unix milliseconds. */
  readonly writtenAt: number;
}

export interface FoundVersion extends PvsVersion {
  /** No manifest says anything of it: its type is that of its image, and its access a guess. */
  readonly isAssumed: boolean;
  /** A fault: it cannot be read with all that it is a difference of. */
  readonly image: Result<FoundImage, OpenFault>;
  /** Name of its `.pvp`. */
  readonly propertiesName: string;
  /** Absent: there is no `.pvp`. */
  readonly properties?: Result<PvsProperties, PropertiesFault | FileFault>;
  /** Kernel and initrd that are there. */
  readonly bootFiles: readonly string[];
  /** Other images of its name. */
  readonly beside: Beside;
}

export interface FoundVDisk extends VDiskFiles {
  /** Absent: there is none. */
  readonly manifestName?: string;
  readonly startingVersion: number;
  /** By number. */
  readonly versions: readonly FoundVersion[];
}

export type FolderFault = FileFault | ManifestFault | Fault<'NoVDisk'>;

/** More than a manifest or a `.pvp` has: it is read no further. */
const MAX_SMALL_BYTES = 1 << 20;

export async function findVDisk({ folder, fileName }: VDiskFiles): Promise<Result<FoundVDisk, FolderFault>> {
  const listed = await namesIn(folder);
  if (!listed.ok) return listed;
  const there = listed.value;
  const manifestName = otherCase(`${fileName}.xml`, there);
  const manifest = manifestName === undefined ? ok(undefined) : await readManifest(join(folder, manifestName));
  if (!manifest.ok) return manifest;
  const stated = manifest.value?.versions ?? [];
  const images = imagesOf(there, fileName).filter(({ number }) => !stated.some((version) => version.number === number));
  if (stated.length + images.length === 0)
    return fail(
      'NoVDisk',
      `${folder} has no image of ${fileName} and no ${fileName}.xml: ${otherVDisks({ folder, fileName }, there)}`,
    );
  const versions = [
    ...(await Promise.all(stated.map((version) => found(folder, version, false, there)))),
    ...(await Promise.all(
      images.map(({ number, image }) => found(folder, unstated(number, image, 'Maintenance'), true, there)),
    )),
  ].sort((a, b) => a.number - b.number);
  return ok({
    ...{ folder, fileName },
    ...(manifestName === undefined ? {} : { manifestName }),
    startingVersion: manifest.value?.startingVersion ?? versions[0]?.number ?? 0,
    versions: manifest.value ? versions : versions.map((version, at) => guessed(version, at === versions.length - 1)),
  });
}

export async function vdisksIn(folder: string): Promise<Result<readonly string[], FileFault>> {
  const listed = await namesIn(folder);
  return listed.ok ? ok(vdisksOf(listed.value)) : listed;
}

async function namesIn(folder: string): Promise<Result<readonly string[], FileFault>> {
  try {
    return ok(await readdir(folder));
  } catch (thrown) {
    return { ok: false, error: pathFault(folder, thrown) };
  }
}

/** It comes from where case is nothing. */
const otherCase = (name: string, there: readonly string[]): string | undefined =>
  there.includes(name) ? name : there.find((other) => other.toLowerCase() === name.toLowerCase());

async function readManifest(path: string): Promise<Result<PvsManifest, FolderFault>> {
  const bytes = await readSmall(path);
  if (!bytes.ok) return named(path, bytes.error);
  const manifest = decodeManifest(bytes.value);
  if (manifest.ok) return manifest;
  const { code, message } = manifest.error;
  const way = `export the vDisk in PVS again and bring its manifest, or put this one aside: \`mv -n ${word(path)} ${word(`${path}.aside`)}\`, and what it says is assumed`;
  return named(path, { code, message: `${message}; ${way}` });
}

/** The path stands in front where the message has no path yet. */
const named = <Code extends string>(path: string, { code, message }: Fault<Code>): Result<never, Fault<Code>> => ({
  ok: false,
  error: { code, message: message.startsWith(path) ? message : `${path}: ${message}` },
});

/** Of a file that is larger than any that PVS writes beside images only so much is read that it is seen. */
export async function readSmall(path: string): Promise<Result<Buffer, FileFault>> {
  const opened = await openRegular(path);
  if (!opened.ok) return opened;
  const { file, stats } = opened.value;
  try {
    const bytes = Buffer.alloc(Math.min(Number(stats.size), MAX_SMALL_BYTES + 1));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    return ok(bytes.subarray(0, bytesRead));
  } catch (thrown) {
    return { ok: false, error: pathFault(path, thrown) };
  } finally {
    await file.close();
  }
}

const unstated = (number: number, diskFileName: string, access: PvsVersion['access']): PvsVersion => ({
  ...{ number, description: '', type: 'Base', access, deleteWhenFree: false, diskFileName },
});

/** Without a manifest, of what can be read: what was followed by another version was released once; a newest difference may be what somebody works on. */
function guessed(version: FoundVersion, isNewest: boolean): FoundVersion {
  if (!version.image.ok) return version;
  const isDifference = version.image.value.chain.length > 1;
  return isNewest && isDifference ? version : { ...version, access: 'Production' };
}

async function found(
  folder: string,
  version: PvsVersion,
  isAssumed: boolean,
  there: readonly string[],
): Promise<FoundVersion> {
  const { diskFileName, number } = version;
  const image = await imageIn(folder, diskFileName, there);
  const stem = stemOf(diskFileName) ?? diskFileName;
  const propertiesName = otherCase(`${stem}.pvp`, there) ?? `${stem}.pvp`;
  const { kernel, initrd } = fileNames(stem, 0);
  const isDifference = image.ok && image.value.chain.length > 1;
  const type = isAssumed ? (isDifference ? 'Manual' : number === 0 ? 'Base' : 'MergeBase') : version.type;
  return {
    ...version,
    ...{ type, isAssumed, image, propertiesName },
    ...(there.includes(propertiesName) ? { properties: await readProperties(join(folder, propertiesName)) } : {}),
    bootFiles: [kernel, initrd].filter((name) => there.includes(name)),
    beside: besideOf(diskFileName, there),
  };
}

/** Opening proves each parent by its identifier. */
async function imageIn(folder: string, name: string, there: readonly string[]): Promise<Result<FoundImage, OpenFault>> {
  const path = join(folder, name);
  const other = otherCase(name, there);
  if (other !== undefined && other !== name)
    return fail('FileMissing', `${path} is not there, but ${other} is: rename it to ${name}`);
  const opened = await openImage(path);
  if (!opened.ok) return opened;
  await opened.value.close();
  const [chain, looked] = await Promise.all([describeChain(path), statRegular(path)]);
  if (!chain.ok) return chain;
  if (!looked.ok) return looked;
  const { images, missing } = chain.value;
  if (missing) return { ok: false, error: missing };
  return ok({
    chain: images.map((each) => basename(each.path)),
    diskBytes: images[0]?.description.facts.sizeBytes ?? 0,
    fileBytes: Number(looked.value.size),
    writtenAt: Number(looked.value.mtimeMs),
  });
}

async function readProperties(path: string): Promise<Result<PvsProperties, PropertiesFault | FileFault>> {
  const bytes = await readSmall(path);
  const properties = bytes.ok ? decodeProperties(bytes.value) : bytes;
  return properties.ok ? properties : named(path, properties.error);
}
