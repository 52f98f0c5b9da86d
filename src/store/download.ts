/** An image of a store on its way out, such as to standard output: from any byte on, with the digest of all of it. */
import { createHash } from 'node:crypto';
import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileNames } from '../farm/files.ts';
import { CANCELLED, type Work, windowsOf } from '../image/copy.ts';
import type { OpenFault, ReadFault } from '../image/disk.ts';
import { formatOf } from '../image/formats.ts';
import { identityOf, sameFile } from '../image/identity.ts';
import { openImage, probeImage } from '../image/images.ts';
import { errorMessage } from '../kit/errors.ts';
import { openRegular, pathFault, statRegular } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type ConvertFault, convertFile } from './convert.ts';
import { imagesOf, type VDiskFiles, type VersionImage } from './versions.ts';

/** `asis`: the file. `raw`: the disk that it shows, with all that it is a difference of. Others: the same as an image, which is its file where that is a base of that format. */
export const DOWNLOADS = ['asis', 'raw', 'vhd', 'vhdx'] as const;

export interface Download extends Pick<Work, 'signal' | 'onProgress'> {
  readonly format: (typeof DOWNLOADS)[number];
  /** Absent: the newest version. */
  readonly number?: number;
  /** What was had before is digested, and not given again. */
  readonly offset?: number;
}

export interface Downloaded {
  readonly name: string;
  readonly number: number;
  /** Of all of it, whatever the offset. */
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** `Changed`: it was written to meanwhile. `OutputEnded`: who takes it does so no more. */
export type DownloadFault = ConvertFault | Fault<'NoVersion' | 'OffsetWrong' | 'Changed' | 'OutputEnded'>;

/** What is given at once. */
const CHUNK_BYTES = 1 << 20;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

type Chunks = AsyncIterable<Result<Buffer, DownloadFault>>;
interface Source {
  readonly sizeBytes: number;
  readonly chunks: Chunks;
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
    const given = await giveAll(image.value, source.value, options, give);
    if (given.ok) await source.value.remove?.();
    return given;
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
  { offset = 0, signal, onProgress }: Download,
): Promise<Result<Source, DownloadFault>> {
  const [of, there] = [await statRegular(path), await statRegular(made)];
  if (!of.ok) return of;
  const isOfIt = there.ok && there.value.mtimeMs >= of.value.mtimeMs;
  if (!isOfIt) {
    if (offset > 0)
      return fail(
        'OffsetWrong',
        `${made}, of which ${offset} bytes are said to be had, is not there any more: take all of it again, without --offset`,
      );
    if (there.ok) await unlink(made);
    const converted = await convertFile(path, made, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
    if (!converted.ok) return converted;
  }
  const source = await fileOf(made);
  return source.ok ? ok({ ...source.value, remove: () => unlink(made) }) : source;
}

async function giveAll(
  { image: name, number }: VersionImage,
  { sizeBytes, chunks }: Source,
  { offset = 0, signal, onProgress }: Download,
  give: (bytes: Buffer) => Promise<void>,
): Promise<Result<Downloaded, DownloadFault>> {
  if (offset > sizeBytes)
    return fail('OffsetWrong', `${name} has ${sizeBytes} bytes, and ${offset} are said to be had`);
  const hash = createHash('sha256');
  let at = 0;
  for await (const chunk of chunks) {
    if (signal?.aborted) return { ok: false, error: { ...CANCELLED, message: 'it was cancelled' } };
    if (!chunk.ok) return chunk;
    hash.update(chunk.value);
    const fresh = chunk.value.subarray(Math.max(0, Math.min(chunk.value.length, offset - at)));
    try {
      if (fresh.length > 0) await give(fresh);
    } catch (thrown) {
      return fail(
        'OutputEnded',
        `${name}: nobody takes it any more (${errorMessage(thrown)}): go on by --offset with as many bytes as came`,
      );
    }
    at += chunk.value.length;
    onProgress?.(at, sizeBytes);
  }
  return ok({ name, number, sizeBytes, sha256: hash.digest('hex') });
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
  const numbers = images.map(({ number }) => number).join(', ') || 'none';
  return fail('NoVersion', `${join(folder, fileName)} has no version ${asked ?? 0}: there is ${numbers}`);
}

async function fileOf(path: string): Promise<Result<Source, DownloadFault>> {
  const looked = await statRegular(path);
  if (!looked.ok) return looked;
  return ok({
    sizeBytes: Number(looked.value.size),
    chunks: chunksOfFile(path, identityOf(looked.value)),
    close: async () => undefined,
  });
}

/** Than a base of that format. */
async function isOtherThan(path: string, format: string): Promise<Result<boolean, DownloadFault>> {
  const looked = await statRegular(path);
  if (!looked.ok) return looked;
  const facts = await probeImage(path, Number(looked.value.size));
  if (facts && !facts.ok) return facts;
  return ok(formatOf(path)?.extension !== `.${format}` || facts?.value.parent !== undefined);
}

async function* chunksOfFile(path: string, identity: string): Chunks {
  const opened = await openRegular(path);
  if (!opened.ok) return yield opened;
  await using file = opened.value.file;
  const isSame = async (): Promise<boolean> => sameFile(identity, identityOf(await file.stat({ bigint: true })));
  if (!(await isSame())) return yield changed(path);
  for (let at = 0; at < Number(opened.value.stats.size); ) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, at);
    if (bytesRead === 0) break;
    yield ok(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  if (!(await isSame())) yield changed(path);
}

const changed = (path: string) => fail('Changed', `${path} was changed while it was read: take all of it again`);

async function diskOf(path: string): Promise<Result<Source, OpenFault>> {
  const opened = await openImage(path);
  if (!opened.ok) return opened;
  const disk = opened.value;
  return ok({ sizeBytes: disk.sizeBytes, chunks: chunksOfDisk(disk), close: () => disk.close() });
}

type OpenDisk = Parameters<typeof windowsOf>[0];

async function* chunksOfDisk(disk: OpenDisk): AsyncGenerator<Result<Buffer, ReadFault>> {
  for await (const pieces of windowsOf(disk)) {
    if (!pieces.ok) return yield pieces;
    for (const { offset, length, isZero } of pieces.value)
      for (let at = offset; at < offset + length; at += CHUNK_BYTES) {
        const bytes = Math.min(CHUNK_BYTES, offset + length - at);
        yield isZero ? ok(ZEROS.subarray(0, bytes)) : await disk.read(at, bytes);
      }
  }
}
