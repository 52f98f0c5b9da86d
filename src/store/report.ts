/** From what lies in a store to what is reported of each version: pure. */
import { fileNames, manifestDigest } from '../farm/files.ts';
import type { VDisk, Version, VersionFile } from '../farm/model.ts';
import type { Digest } from './digests.ts';
import type { FileFacts, Inventory } from './inventory.ts';

/** The files of one version as they are on this server. The shape that the control port shows. */
export interface CopyFacts {
  readonly vdisk: string;
  readonly version: number;
  /** `Hashing` while a digest is being computed (with the part that is done), `Faulty` when a file cannot be an image or cannot be read. */
  readonly state: 'Present' | 'Hashing' | 'Missing' | 'Faulty';
  readonly progressPercent: number;
  readonly files: readonly VersionFile[];
  /** Digest of `files`, 64 hex digits; absent until all are hashed. */
  readonly manifest?: string;
  /** Size of the disk that the image shows, bytes; 0 until known. */
  readonly diskBytes: number;
  readonly message: string;
}

const SECTOR_BYTES = 512;

export function copyFacts(
  vdisk: VDisk,
  version: Version,
  path: string,
  inventory: Inventory,
  digestOf: (file: FileFacts) => Digest,
): CopyFacts {
  const base = { vdisk: vdisk.name, version: version.number, progressPercent: 0, files: [], diskBytes: 0 };
  const names = fileNames(vdisk.fileName, version.number);
  const byName = new Map(inventory.files.map((file) => [file.name, file]));
  const image = names.images.map((name) => byName.get(name)).find((file) => file !== undefined);
  if (inventory.state === 'Missing' || inventory.state === 'Unreachable')
    return { ...base, state: 'Missing', message: inventory.message };
  const wrong = image && imageFault(image, path);
  if (wrong) return { ...base, state: 'Faulty', message: wrong };

  const boots = [names.kernel, names.initrd];
  const present = [image, ...boots.map((name) => byName.get(name))].filter((file) => file !== undefined);
  const digests = present.map((file) => ({ file, digest: digestOf(file) }));
  // What is right is learned from a copy: one that is still being put there must never be taken for whole.
  const lacking = [...(image ? [] : names.images.slice(0, 1)), ...boots.filter((name) => !byName.has(name))];
  if (!image || lacking.length > 0) return { ...base, state: 'Missing', message: notThere(lacking, path) };
  const failed = digests.map(({ digest }) => digest).find((digest) => digest.kind === 'failed');
  if (failed) return { ...base, state: 'Faulty', message: failed.message };
  const files = digests.flatMap(({ file, digest }) =>
    digest.kind === 'ready' ? [{ name: file.name, sizeBytes: file.sizeBytes, sha256: digest.sha256 }] : [],
  );
  if (files.length < digests.length)
    return {
      ...base,
      state: 'Hashing',
      progressPercent: hashedPercent(digests),
      message: 'the digest is being computed',
    };
  return {
    ...base,
    state: 'Present',
    progressPercent: 100,
    files,
    manifest: manifestDigest(files),
    diskBytes: image.sizeBytes,
    message: '',
  };
}

const notThere = (names: readonly string[], path: string): string =>
  names.length === 1
    ? `${names[0]} is not in ${path}: put the file there`
    : `${names.join(', ')} are not in ${path}: put the files there`;

function imageFault({ name, sizeBytes }: FileFacts, path: string): string | undefined {
  if (!name.endsWith('.raw'))
    return `${name} in ${path}: only raw images are read in this release; convert it with qemu-img`;
  if (sizeBytes === 0) return `${name} in ${path} is empty: copy it again`;
  if (sizeBytes % SECTOR_BYTES !== 0)
    return `${name} in ${path} has ${sizeBytes} bytes, which is no multiple of ${SECTOR_BYTES}: it was cut; copy it again`;
  return undefined;
}

function hashedPercent(digests: readonly { readonly file: FileFacts; readonly digest: Digest }[]): number {
  const total = digests.reduce((sum, { file }) => sum + file.sizeBytes, 0);
  const done = digests.reduce((sum, { file, digest }) => {
    const percent = digest.kind === 'ready' ? 100 : digest.kind === 'hashing' ? digest.progressPercent : 0;
    return sum + (file.sizeBytes * percent) / 100;
  }, 0);
  return total === 0 ? 0 : Math.floor((done / total) * 100);
}
