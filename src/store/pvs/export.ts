/**
 * A vDisk as a folder that PVS imports: images of the versions that were chosen with all that they are differences of, what lies beside them, and, last, the
 * manifest: a folder without it is not whole. Nothing is ever overwritten; what is there already and is the same is gone on with.
 */
import { mkdir, realpath, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Work } from '../../image/copy.ts';
import { PartialFile } from '../../image/partial.ts';
import type { WriteFault } from '../../image/writer.ts';
import { errorCode, errorMessage } from '../../kit/errors.ts';
import { isThere, PARTIAL } from '../../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { CANCELLED_COPY, type CarryFault, copyWithHoles, isSameContent, linkFile } from '../carry.ts';
import { freeBytes } from '../room.ts';
import type { VDiskFiles } from '../versions.ts';
import { type FolderFault, type FoundVDisk, type FoundVersion, findVDisk, readSmall } from './folder.ts';
import { encodeManifest, type PvsManifest, type PvsVersion } from './manifest.ts';

export type Stated = Pick<PvsVersion, 'number' | 'access' | 'scheduledAt' | 'description'>;

export interface ExportOptions extends Pick<Work, 'signal' | 'onProgress'> {
  /** Numbers of versions; absent: all. */
  readonly numbers?: readonly number[];
  /** What the farm says of versions, before what the manifest in the folder does: those that it does not name are Maintenance. Absent: it is not known. */
  readonly stated?: readonly Stated[];
}

export interface Exported {
  readonly folder: string;
  readonly manifestName: string;
  readonly versions: readonly number[];
  /** Second names of the files of the store. */
  readonly linked: readonly string[];
  readonly copied: readonly string[];
  /** They were there. */
  readonly kept: readonly string[];
  /** Of these nobody said the access. */
  readonly assumed: readonly number[];
}

export type ExportFault = FolderFault | CarryFault | WriteFault | Fault<'NoVersion' | 'NoSpace'>;

/** What an export consists of. */
export interface Exporting extends Pick<Exported, 'manifestName' | 'versions' | 'assumed'> {
  readonly manifest: Buffer;
  readonly files: readonly File[];
}

export async function exportingOf(
  vdisk: VDiskFiles,
  { numbers, stated }: Pick<ExportOptions, 'numbers' | 'stated'>,
): Promise<Result<Exporting, ExportFault>> {
  const found = await findVDisk(vdisk);
  if (!found.ok) return found;
  const chosen = choose(found.value, numbers);
  if (!chosen.ok) return chosen;
  return ok({
    manifestName: `${vdisk.fileName}.xml`,
    manifest: encodeManifest(manifestOf(chosen.value, stated)),
    files: filesOf(chosen.value, stated),
    versions: chosen.value.map(({ number }) => number),
    assumed: stated ? [] : chosen.value.filter(({ isAssumed }) => isAssumed).map(({ number }) => number),
  });
}

export async function exportVDisk(
  vdisk: VDiskFiles,
  to: string,
  { signal, onProgress, ...chosen }: ExportOptions = {},
): Promise<Result<Exported, ExportFault>> {
  const exporting = await exportingOf(vdisk, chosen);
  if (!exporting.ok) return exporting;
  const made = await makeFolder(vdisk.folder, to);
  if (!made.ok) return made;
  const exported = await exportInto(vdisk, to, exporting.value, { signal, onProgress });
  // Of a folder that was made here and has nothing nothing is left.
  if (!exported.ok && made.value) await rmdir(to).catch(() => undefined);
  return exported;
}

async function exportInto(
  vdisk: VDiskFiles,
  to: string,
  exporting: Exporting,
  { signal, onProgress }: { readonly [K in 'signal' | 'onProgress']: ExportOptions[K] | undefined },
): Promise<Result<Exported, ExportFault>> {
  const { manifestName, manifest, files, versions, assumed } = exporting;
  const before = await judgeThere(vdisk.folder, to, files, signal);
  if (!before.ok) return before;
  const isWhole = await isManifest(join(to, manifestName), manifest);
  if (!isWhole.ok) return isWhole;
  const [kept, linked, copied] = [before.value, [] as string[], [] as string[]];
  for (const { name, mayLink } of files)
    if (mayLink && !kept.includes(name) && (await linkFile(join(vdisk.folder, name), join(to, name))))
      linked.push(name);
  const rest = files.map(({ name }) => name).filter((name) => !kept.includes(name) && !linked.includes(name));
  const sizes = await Promise.all(rest.map(async (name) => (await stat(join(vdisk.folder, name))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const lacks = await room(vdisk.folder, to, rest);
  if (lacks) return { ok: false, error: lacks };
  let done = 0;
  for (const [at, name] of rest.entries()) {
    const fault = await copyWithHoles(join(vdisk.folder, name), join(to, name), {
      signal,
      onProgress: (bytes) => onProgress?.(done + bytes, total),
    });
    if (fault) return { ok: false, error: fault };
    copied.push(name);
    done += sizes[at] ?? 0;
  }
  const fault = isWhole.value ? undefined : await writeWhole(join(to, manifestName), manifest);
  if (fault) return { ok: false, error: fault };
  return ok({ folder: to, manifestName, versions, linked, copied, kept, assumed });
}

/** Those, and of each what it is a difference of. */
function choose(
  { folder, fileName, versions }: FoundVDisk,
  numbers: readonly number[] | undefined,
): Result<readonly FoundVersion[], ExportFault> {
  const unknown = numbers?.find((number) => !versions.some((version) => version.number === number));
  if (unknown !== undefined) {
    const known = versions.map(({ number }) => number).join(', ');
    return fail('NoVersion', `${join(folder, fileName)} has no version ${unknown}: it has ${known}`);
  }
  const named = versions.filter(({ number }) => numbers?.includes(number) !== false);
  const faulty = named.find(({ image }) => !image.ok);
  if (faulty && !faulty.image.ok)
    return fail(
      'NoVersion',
      `version ${faulty.number} cannot be exported: ${faulty.image.error.message}; or name others by --version`,
    );
  const images = new Set(named.flatMap(({ image }) => (image.ok ? image.value.chain : [])));
  return ok(
    versions.filter((version) => version.image.ok && (named.includes(version) || images.has(version.diskFileName))),
  );
}

/** Whether it was not there. */
async function makeFolder(from: string, to: string): Promise<Result<boolean, ExportFault>> {
  try {
    await mkdir(to);
    return ok(true);
  } catch (thrown) {
    if (errorCode(thrown) !== 'EEXIST') return fail('WriteFailed', `${to} cannot be made: ${errorMessage(thrown)}`);
  }
  if (!(await stat(to)).isDirectory())
    return fail('FileExists', `${to} is no folder: name one, or one that is not there`);
  if ((await realpath(from)) !== (await realpath(to))) return ok(false);
  return fail('FileExists', `${to} is the folder that the vDisk lies in: name another one`);
}

/** As versions are now: sizes and times are those of the files. */
function manifestOf(versions: readonly FoundVersion[], stated?: readonly Stated[]): PvsManifest {
  return {
    startingVersion: Math.min(...versions.map(({ number }) => number)),
    versions: versions.map((version) => {
      const { number, type, deleteWhenFree, diskFileName, createdAt, image } = version;
      const { access, description, scheduledAt } = saidOf(version, stated);
      return {
        ...{ number, description, type, access, deleteWhenFree, diskFileName },
        ...(createdAt === undefined ? {} : { createdAt }),
        ...(scheduledAt === undefined ? {} : { scheduledAt }),
        ...(image.ok ? { sizeBytes: image.value.fileBytes, writtenAt: image.value.writtenAt } : {}),
      };
    }),
  };
}

const saidOf = (version: FoundVersion, stated: readonly Stated[] | undefined): Omit<Stated, 'number'> =>
  stated
    ? (stated.find(({ number }) => number === version.number) ?? {
        access: 'Maintenance',
        description: version.description,
      })
    : version;

interface File {
  readonly name: string;
  /** Nobody who imports the folder writes to it: images, but those of a version that is in maintenance. */
  readonly mayLink: boolean;
}

/** A base before its differences. */
function filesOf(versions: readonly FoundVersion[], stated: readonly Stated[] | undefined): readonly File[] {
  const files = new Map<string, File>();
  const writable = new Set(
    versions
      .filter((version) => [version, saidOf(version, stated)].some(({ access }) => access.includes('Maintenance')))
      .map(({ diskFileName }) => diskFileName),
  );
  for (const { image } of versions)
    for (const name of image.ok ? image.value.chain.toReversed() : [])
      files.set(name, { name, mayLink: !writable.has(name) });
  for (const { properties, propertiesName, bootFiles } of versions)
    for (const name of [...(properties ? [propertiesName] : []), ...bootFiles])
      files.set(name, { name, mayLink: false });
  return [...files.values()];
}

/** Names of those that are there already, the same as here. */
async function judgeThere(
  from: string,
  to: string,
  files: readonly File[],
  signal: AbortSignal | undefined,
): Promise<Result<string[], ExportFault>> {
  const same: string[] = [];
  for (const { name } of files) {
    const path = join(to, name);
    if (!(await isThere(path))) continue;
    const isSame = await isSameContent(join(from, name), path, signal);
    if (signal?.aborted) return { ok: false, error: CANCELLED_COPY };
    if (!isSame) return { ok: false, error: isAnother(path) };
    same.push(name);
  }
  return ok(same);
}

/** False: there is none. */
async function isManifest(path: string, manifest: Buffer): Promise<Result<boolean, ExportFault>> {
  if (!(await isThere(path))) return ok(false);
  const there = await readSmall(path);
  return there.ok && there.value.equals(manifest) ? ok(true) : { ok: false, error: isAnother(path) };
}

const isAnother = (path: string): ExportFault => ({
  code: 'FileExists',
  message: `${path} is there already and is another file, and is not overwritten: name another folder, or remove it`,
});

/** Files take what they have without their holes, less what an earlier try wrote. */
async function room(from: string, to: string, names: readonly string[]): Promise<ExportFault | undefined> {
  const used = (path: string): Promise<number> =>
    stat(path).then(
      ({ blocks }) => 512 * blocks,
      () => 0,
    );
  let bytes = 0;
  for (const name of names)
    bytes += Math.max(0, (await used(join(from, name))) - (await used(join(to, name + PARTIAL))));
  const free = await freeBytes(to);
  if (free >= bytes) return undefined;
  return {
    code: 'NoSpace',
    message: `${to} has ${free} bytes free, and ${bytes} are to come: make room, or export fewer versions by --version`,
  };
}

async function writeWhole(path: string, bytes: Buffer): Promise<WriteFault | undefined> {
  const opened = await PartialFile.open(path);
  if (!opened.ok) return opened.error;
  try {
    return (await opened.value.append(0, bytes)) ?? (await opened.value.finish(bytes.length));
  } finally {
    await opened.value.remove();
  }
}
