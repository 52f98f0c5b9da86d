/** An image of a store on its way out: its file, its disk, or an image that is made for it. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileNames } from '../farm/files.ts';
import { windowsOf } from '../image/copy.ts';
import { type OpenFault, SECTOR_BYTES } from '../image/disk.ts';
import { describeChain } from '../image/facts.ts';
import { FOREIGN_FORMATS } from '../image/foreign.ts';
import { formatOf } from '../image/formats.ts';
import { openImage, probeImage } from '../image/images.ts';
import { type ChangedFault, type Unchanged, watchFiles } from '../image/unchanged.ts';
import { pathFault, statRegular } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type ConvertFault, convertFile } from './convert.ts';
import { makeForeign } from './foreign.ts';
import {
  CHUNK_BYTES,
  type Chunks,
  changed,
  type Given,
  giveAll,
  type Outgoing,
  type OutgoingFault,
  outgoingFile,
} from './outgoing.ts';
import type { ToolFault } from './tool.ts';
import { imagesOf, noVersion, type VDiskFiles, type VersionImage } from './versions.ts';

/** `asis`: the file. `raw`: the disk that it shows, with all that it is a difference of. Others: the same as an image, which is its file where that is a base of that format; those of other programs are made by qemu-img. */
export const DOWNLOADS = ['asis', 'raw', 'vhd', 'vhdx', ...FOREIGN_FORMATS] as const;

export interface Download extends Outgoing {
  readonly format: (typeof DOWNLOADS)[number];
  /** Absent: the newest version. */
  readonly number?: number;
}

export interface Downloaded extends Given {
  readonly name: string;
  readonly number: number;
  /** Of the disk, where what goes out is one as it is, and cannot say it: its sectors are not of 512 bytes. */
  readonly sectorBytes?: number;
}

export type DownloadFault = ConvertFault | OutgoingFault | ToolFault | Fault<'NoVersion'>;

const ZEROS = Buffer.alloc(CHUNK_BYTES);

interface Source {
  readonly sizeBytes: number;
  readonly chunks: Chunks;
  readonly sectorBytes?: number;
  readonly close: () => Promise<void>;
  /** It was made to be given. */
  readonly remove?: () => Promise<void>;
}

/** `give` rejects where nobody takes it any more. */
export async function download(
  vdisk: VDiskFiles,
  options: Download,
  give: (bytes: Buffer) => Promise<void>,
): Promise<Result<Downloaded, DownloadFault>> {
  const image = await imageOf(vdisk, options.number);
  if (!image.ok) return image;
  const source = await sourceOf(vdisk, image.value, options);
  if (!source.ok) return source;
  try {
    const { image: name, number } = image.value;
    const given = await giveAll(name, source.value, options, give);
    if (!given.ok) return given;
    await source.value.remove?.();
    const { sectorBytes } = source.value;
    return ok({ name, number, ...given.value, ...(sectorBytes !== undefined && { sectorBytes }) });
  } finally {
    await source.value.close();
  }
}

async function sourceOf(
  vdisk: VDiskFiles,
  { image, number }: VersionImage,
  options: Download,
): Promise<Result<Source, DownloadFault>> {
  const path = join(vdisk.folder, image);
  const { format } = options;
  if (format === 'raw') return diskOf(path);
  if (format === 'asis') return fileOf(path);
  const isOther = await isOtherThan(path, format);
  if (!isOther.ok) return isOther;
  if (!isOther.value) return fileOf(path);
  return madeOf(path, join(vdisk.folder, `${fileNames(vdisk.fileName, number).stem}.partial.${format}`), options);
}

/**
 * Of an image that is made beside it and goes when all of it was given. What broke off goes on with that one, whose every byte is as it was: another one of the same
 * disk is another file.
 */
async function madeOf(
  path: string,
  made: string,
  { format, offset = 0, signal, onProgress }: Download,
): Promise<Result<Source, DownloadFault>> {
  const writtenMs = await newestMs(path);
  if (!writtenMs.ok) return writtenMs;
  const there = await statRegular(made);
  const isOfIt = there.ok && there.value.mtimeMs >= writtenMs.value;
  if (!isOfIt) {
    if (offset > 0)
      return fail(
        'OffsetWrong',
        `${made}, of which ${offset} bytes are said to be had, is not there any more: take all of it again, without --offset`,
      );
    if (there.ok) await rm(made, { force: true });
    const work = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
    const foreign = FOREIGN_FORMATS.find((name) => name === format);
    const converted = await (foreign ? makeForeign(path, made, foreign, work) : convertFile(path, made, work));
    if (!converted.ok) return converted;
    const afterMs = await newestMs(path);
    if (!afterMs.ok || afterMs.value !== writtenMs.value) {
      await rm(made, { force: true });
      return afterMs.ok ? changed(path) : afterMs;
    }
  }
  const source = await fileOf(made);
  return source.ok ? ok({ ...source.value, remove: () => rm(made, { force: true }) }) : source;
}

/** When anything of the disk was last written or put there: what is copied with its time is as old as the other one was, its inode is not. */
async function newestMs(path: string): Promise<Result<bigint, OpenFault>> {
  const chain = await describeChain(path);
  if (!chain.ok) return chain;
  if (chain.value.missing) return { ok: false, error: chain.value.missing };
  let newest = 0n;
  for (const image of chain.value.images) {
    const looked = await statRegular(image.path);
    if (!looked.ok) return looked;
    const { mtimeMs, ctimeMs } = looked.value;
    for (const ms of [mtimeMs, ctimeMs]) if (ms > newest) newest = ms;
  }
  return ok(newest);
}

async function imageOf(
  { folder, fileName }: VDiskFiles,
  asked: number | undefined,
): Promise<Result<VersionImage, DownloadFault>> {
  let there: readonly string[];
  try {
    there = await readdir(folder);
  } catch (thrown) {
    return { ok: false, error: pathFault(folder, thrown) };
  }
  const images = imagesOf(there, fileName);
  const found = asked === undefined ? images.at(-1) : images.find(({ number }) => number === asked);
  if (found) return ok(found);
  return fail('NoVersion', noVersion({ folder, fileName }, there, asked));
}

/** Than a base of that format. */
async function isOtherThan(path: string, format: string): Promise<Result<boolean, DownloadFault>> {
  const looked = await statRegular(path);
  if (!looked.ok) return looked;
  const facts = await probeImage(path, Number(looked.value.size));
  if (facts && !facts.ok) return facts;
  return ok(formatOf(path)?.extension !== `.${format}` || facts?.value.parent !== undefined);
}

async function fileOf(path: string): Promise<Result<Source, DownloadFault>> {
  const file = await outgoingFile(path);
  return file.ok ? ok({ ...file.value, close: async () => undefined }) : file;
}

async function diskOf(path: string): Promise<Result<Source, OpenFault>> {
  const opened = await openImage(path);
  if (!opened.ok) return opened;
  const disk = opened.value;
  const unchanged = await watchFiles(path, disk);
  return ok({
    sizeBytes: disk.sizeBytes,
    chunks: chunksOfDisk(disk, unchanged),
    ...(disk.blockSize !== SECTOR_BYTES && { sectorBytes: disk.blockSize }),
    close: () => disk.close(),
  });
}

type OpenDisk = Parameters<typeof windowsOf>[0];

async function* chunksOfDisk(disk: OpenDisk, unchanged: Unchanged): AsyncGenerator<Result<Buffer, ChangedFault>> {
  for await (const pieces of windowsOf(disk)) {
    if (!pieces.ok) return yield pieces;
    for (const { offset, length, isZero } of pieces.value)
      for (let at = offset; at < offset + length; at += CHUNK_BYTES) {
        const bytes = Math.min(CHUNK_BYTES, offset + length - at);
        yield isZero ? ok(ZEROS.subarray(0, bytes)) : await disk.read(at, bytes);
      }
  }
  const fault = await unchanged();
  if (fault) yield { ok: false, error: fault };
}
