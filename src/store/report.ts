/** From what lies in a store to what is reported of each version: pure. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileNames, manifestDigest } from '../farm/files.ts';
import type { VDisk, Version, VersionFile } from '../farm/model.ts';
import type { PropertiesFacts } from '../farm/properties.ts';
import type { Format } from '../image/disk.ts';
import { chainTooLong, FORMATS, imageNames, MAX_CHAIN } from '../image/formats.ts';
import { findParent, parentNames } from '../image/parent.ts';
import { byNumbers } from '../kit/numbered.ts';
import type { Digest } from './digests.ts';
import { byName, type FileFacts, type Inventory } from './inventory.ts';
import type { Copying } from './pulls.ts';

/** The files of one version as they are on this server. The shape that the control port shows. */
export interface CopyFacts {
  readonly vdisk: string;
  /** Where it lies; absent: in the one that the server knows of, which is of an earlier release. */
  readonly store?: string;
  readonly version: number;
  /** `Hashing` while a digest is being computed (with the part that is done), `Faulty` when a file cannot be an image or cannot be read. */
  readonly state: 'Present' | 'Hashing' | 'Missing' | 'Faulty';
  readonly progressPercent: number;
  readonly files: readonly VersionFile[];
  /** Digest of `files`, 64 hex digits; absent until all are hashed. */
  readonly manifest?: string;
  /** The image that its own is a difference of; absent: it is a base, or not known. */
  readonly differenceOf?: string;
  /** Size of the disk that the image shows, bytes; 0 until known. */
  readonly diskBytes: number;
  /** All of it is there but its kernel or initrd, and its image can be read: which image that is, in 8 hex digits. Another one is another try to find them in it. */
  readonly lacksBootFiles?: string;
  /** A file of it was written a moment ago, so it may not be whole: it is not judged yet, and what is right not learned from it. */
  readonly fresh?: true;
  /** When the file of it that was read longest ago was read, all of it, Unix milliseconds; absent until all are hashed. */
  readonly verifiedAt?: number;
  /** Names of those of its files whose content changed while size and time did not; absent: none. */
  readonly rotten?: readonly string[];
  /** It makes itself, from what other servers have. Absent: nothing of it is wanted from them. */
  readonly copying?: Copying;
  /** Its `.pvp`; null: there is none. Absent: nothing is said of it, for it was written a moment ago, or the server is of an earlier release. */
  readonly properties?: PropertiesFacts | null;
  readonly message: string;
}

export function copyFacts(
  vdisk: VDisk,
  version: Version,
  path: string,
  inventory: Inventory,
  digestOf: (file: FileFacts) => Digest,
  { formats = FORMATS }: { readonly formats?: readonly Format[] } = {},
): CopyFacts {
  const base = { vdisk: vdisk.name, version: version.number, progressPercent: 0, files: [], diskBytes: 0 };
  const names = fileNames(vdisk.fileName, version.number);
  const there = byName(inventory);
  const chain = chainOf(imageName(names.stem, version.number, there, formats), { path, there, formats });
  if (inventory.state === 'Missing' || inventory.state === 'Unreachable')
    return { ...base, state: 'Missing', message: inventory.message };
  const boots = [names.kernel, names.initrd];
  const present = [...chain.files, ...boots.map((name) => there.get(name))].filter((file) => file !== undefined);
  const now = {
    ...base,
    ...(present.some((file) => file.fresh) ? { fresh: true as const } : {}),
    ...propertiesIn(there.get(`${names.stem}.pvp`)),
  };
  const wrong = [chain.wrong, ...boots.map((name) => there.get(name)?.fault?.message)].filter((found) => found);
  if (wrong.length > 0) return { ...now, state: 'Faulty', message: wrong.join('; ') };

  const digests = present.map((file) => ({ file, digest: digestOf(file) }));
  // What is right is learned from a copy: one that is still being put there must never be taken for whole.
  const lacking = [...chain.lacking, ...boots.filter((name) => !there.has(name))];
  if (lacking.length > 0) {
    const [image] = chain.files;
    const lacks = image && chain.lacking.length === 0 ? { lacksBootFiles: whichImage(image) } : {};
    return { ...now, ...lacks, state: 'Missing', message: notThere(lacking, path) };
  }
  const failed = digests.map(({ digest }) => digest).find((digest) => digest.kind === 'failed');
  if (failed) return { ...now, state: 'Faulty', message: failed.message };
  const files = digests.flatMap(({ file, digest }) =>
    digest.kind === 'ready' ? [{ name: file.name, sizeBytes: file.sizeBytes, sha256: digest.sha256 }] : [],
  );
  const hashing = digests.flatMap(({ file, digest }) => (digest.kind === 'hashing' ? [file.name] : []));
  if (hashing.length > 0)
    return {
      ...now,
      state: 'Hashing',
      progressPercent: hashedPercent(digests),
      message: `the digest of ${hashing.join(', ')} is being computed`,
    };
  return {
    ...now,
    state: 'Present',
    progressPercent: 100,
    files,
    manifest: manifestDigest(files),
    diskBytes: chain.diskBytes,
    ...(chain.files[1] ? { differenceOf: chain.files[1].name } : {}),
    ...verifiedOf(digests.map(({ digest }) => digest)),
    ...rottenOf(digests),
    message: '',
  };
}

/** At most so many are told; what is left out is old. */
const MAX_UNMANAGED = 256;

/** Images of a folder that none of these versions needs: neither as its own nor below it. By name. */
export function unmanagedImages(
  versions: readonly { readonly vdisk: VDisk; readonly version: Version }[],
  path: string,
  inventory: Inventory,
  formats: readonly Format[] = FORMATS,
): readonly string[] {
  const there = byName(inventory);
  const needed = new Set(
    versions.flatMap(({ vdisk, version: { number } }) => {
      const { stem } = fileNames(vdisk.fileName, number);
      return chainOf(imageName(stem, number, there, formats), { path, there, formats }).files;
    }),
  );
  const others = inventory.files.filter((file) => file.image !== undefined && !needed.has(file));
  return others
    .map(({ name }) => name)
    .sort((a, b) => byNumbers(b, a))
    .slice(0, MAX_UNMANAGED)
    .sort();
}

/** The one that is meant; where there is none, the one that should be. */
function imageName(stem: string, number: number, there: ReadonlyMap<string, unknown>, formats: readonly Format[]) {
  const names = imageNames(stem, number > 0, formats);
  return names.find((name) => there.has(name)) ?? names[0] ?? stem;
}

function propertiesIn(file: FileFacts | undefined): Pick<CopyFacts, 'properties'> {
  if (!file) return { properties: null };
  if (file.fault) return { properties: { name: file.name, message: file.fault.message } };
  return file.properties && !file.fresh ? { properties: file.properties } : {};
}

const whichImage = ({ name, identity }: FileFacts): string =>
  createHash('sha256').update(`${name} ${identity}`).digest('hex').slice(0, 8);

const notThere = (names: readonly string[], path: string): string =>
  names.length === 1
    ? `${names[0]} is not in ${path}: put the file there`
    : `${names.join(', ')} are not in ${path}: put the files there`;

interface Chain {
  /** The image, and what it is a difference of, as far as it is there. */
  readonly files: readonly FileFacts[];
  /** Of the disk that the image shows. */
  readonly diskBytes: number;
  readonly lacking: readonly string[];
  /** Why one of them cannot be read. */
  readonly wrong?: string;
}

interface Folder {
  readonly path: string;
  readonly there: ReadonlyMap<string, FileFacts>;
  readonly formats: readonly Format[];
}

function chainOf(name: string, folder: Folder, depth = 1): Chain {
  const { path, there, formats } = folder;
  const file = there.get(name);
  if (!file) return { files: [], diskBytes: 0, lacking: [name] };
  const alone = { files: [file], diskBytes: 0, lacking: [] };
  if (file.fault) return { ...alone, wrong: file.fault.message };
  if (!file.image) return { ...alone, wrong: `${join(path, name)} is named as no image is` };
  if (!file.image.ok) return { ...alone, wrong: file.image.error.message };
  const { sizeBytes, blockSize = 512, parent } = file.image.value;
  if (depth === 1 && blockSize !== 512) return { ...alone, wrong: otherSectors(join(path, name), blockSize) };
  if (parent === undefined) return { ...alone, diskBytes: sizeBytes };
  if (depth === MAX_CHAIN) return { ...alone, wrong: chainTooLong(join(path, name)).message };
  const candidates = parentNames(name, parent, there, formats).map((other) => ({
    name: other,
    image: there.get(other)?.image,
  }));
  const found = findParent(join(path, name), parent, candidates);
  if (found.kind === 'wrong') return { ...alone, wrong: found.message };
  const below = chainOf(found.name, folder, depth + 1);
  return { ...below, files: [file, ...below.files], diskBytes: sizeBytes };
}

/** Its partitions are counted in its own sectors: a machine that sees others finds none. */
const otherSectors = (path: string, blockSize: number): string =>
  `${path} has sectors of ${blockSize} bytes, and this release gives machines sectors of 512: install into an image that is made with them (New-VHD -LogicalSectorSizeBytes 512)`;

function verifiedOf(digests: readonly Digest[]): Pick<CopyFacts, 'verifiedAt'> {
  const at = digests
    .map((digest) => (digest.kind === 'ready' ? digest.at : undefined))
    .filter((ms) => ms !== undefined);
  return at.length === digests.length ? { verifiedAt: Math.min(...at) } : {};
}

function rottenOf(digests: readonly Digested[]): Pick<CopyFacts, 'rotten'> {
  const rotten = digests.flatMap(({ file, digest }) => (digest.kind === 'ready' && digest.rotten ? [file.name] : []));
  return rotten.length > 0 ? { rotten } : {};
}

interface Digested {
  readonly file: FileFacts;
  readonly digest: Digest;
}

function hashedPercent(digests: readonly Digested[]): number {
  const total = digests.reduce((sum, { file }) => sum + file.sizeBytes, 0);
  const done = digests.reduce((sum, { file, digest }) => {
    const percent = digest.kind === 'ready' ? 100 : digest.kind === 'hashing' ? digest.progressPercent : 0;
    return sum + (file.sizeBytes * percent) / 100;
  }, 0);
  return total === 0 ? 0 : Math.floor((done / total) * 100);
}
