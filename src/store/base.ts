/**
 * The base of a vDisk from a web server: an image of ours under its own name, one of another program imported; and kernel and initrd out of it, where nobody put his
 * beside it. What an earlier try brought is gone on with.
 */
import { readdir, rename, rm, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { WorkFault } from '../image/copy.ts';
import { FOREIGN_HEAD_BYTES, foreignFormat } from '../image/foreign.ts';
import { formatOf, stemOf } from '../image/formats.ts';
import { PartialFile } from '../image/partial.ts';
import { errorMessage } from '../kit/errors.ts';
import { isThere, openRegular, PARTIAL } from '../kit/file.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { shownUrl } from '../kit/url.ts';
import { type BootFiles, type BootFilesFault, extractBootFiles } from './bootfiles.ts';
import { linkFile } from './carry.ts';
import { type Fetch, type FetchFault, fetchFile, type HeadFault } from './fetch.ts';
import { type ImportFault, importFile } from './import.ts';
import { imageOf, type VDiskFiles } from './versions.ts';

export interface FetchedBase {
  readonly path: string;
  /** Kernel and initrd that were found in it, or why none; absent: they lay there already. */
  readonly bootFiles?: Result<BootFiles, BootFilesFault>;
}

export type FetchBaseFault = FetchFault | ImportFault | BootFilesFault;

/** What is no image by its name: whole, right by its digest, and not looked into yet. */
const FETCHED = '.fetched';

/** Its name: as the address ends where that is an image of ours, `.vhdx` where one of another program is imported, else `.raw`. */
export function baseTarget({ folder, fileName }: VDiskFiles, url: string): string {
  const path = join(folder, fileName);
  return path + (ownEnd(url) ?? (/\.(qcow2|vmdk|vdi)$/.test(nameIn(url)) ? '.vhdx' : '.raw'));
}

const nameIn = (url: string): string => (URL.parse(url)?.pathname ?? '').toLowerCase();

/** Of an image that stays as it is. A difference is no base. */
function ownEnd(url: string): string | undefined {
  const name = nameIn(url);
  const end = formatOf(name)?.extension;
  return end !== undefined && name.endsWith(end) ? end : undefined;
}

/** `target`: of `baseTarget`. */
export async function fetchBase(target: string, fetch: Fetch): Promise<Result<FetchedBase, FetchBaseFault>> {
  const vdisk = { folder: dirname(target), fileName: stemOf(basename(target)) ?? '' };
  const fetched = `${target}.${fetch.sha256.slice(0, 8)}${FETCHED}`;
  await sweep(vdisk, fetched);
  const there = await imageOf(vdisk, 0);
  if (!there.ok && there.error.code !== 'FileMissing') return there;
  const brought: Result<FetchedBase, FetchBaseFault> = there.ok
    ? ok({ path: join(vdisk.folder, there.value.image) })
    : await bring(vdisk, target, fetched, fetch);
  if (brought.ok) await sweep(vdisk);
  if (!brought.ok || brought.value.bootFiles) return brought;
  const bootFiles = await extractBootFiles(vdisk, 0, fetch.signal && { signal: fetch.signal });
  if (!bootFiles.ok && NOT_YET.has(bootFiles.error.code)) return bootFiles;
  const { path } = brought.value;
  return ok({ path, ...(bootFiles.ok || bootFiles.error.code !== 'FileExists' ? { bootFiles } : {}) });
}

/** What says nothing of the image. */
const NOT_YET: ReadonlySet<string> = new Set<BootFilesFault['code']>(['BeingWritten', 'Cancelled']);

/** What was fetched of another address, or was killed before it went; `kept` stays, and what somebody writes. */
async function sweep({ folder, fileName }: VDiskFiles, kept?: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const [, end, partial] = /^(\.[a-z]+\.[0-9a-f]{8}\.fetched)(\.partial)?$/.exec(name.slice(fileName.length)) ?? [];
    if (!name.startsWith(fileName) || end === undefined || (kept && name.startsWith(basename(kept)))) continue;
    const path = join(folder, fileName + end);
    if (partial === undefined) await rm(path, { force: true });
    const left = partial === PARTIAL ? await PartialFile.open(path) : undefined;
    if (left?.ok) await left.value.remove();
  }
}

async function bring(
  vdisk: VDiskFiles,
  target: string,
  fetched: string,
  fetch: Fetch,
): Promise<Result<FetchedBase, FetchBaseFault>> {
  const isFree = () => stillFree(vdisk);
  if (ownEnd(fetch.url) !== undefined) return fetchFile(target, { ...fetch, beforeName: isFree });
  if (!(await isThere(fetched))) {
    const what = `what ${shownUrl(fetch.url)} sends`;
    const judgeHead = (head: Buffer, bytes: number) => headFault(what, head, bytes, target);
    const came = await fetchFile(fetched, { ...fetch, judgeHead });
    if (!came.ok) return came;
  }
  const clash = await isFree();
  const made: Result<FetchedBase, FetchBaseFault> = clash
    ? { ok: false, error: clash }
    : await nameOrImport(fetched, target, fetch);
  if (!made.ok && OF_NO_USE.has(made.error.code)) await rm(fetched, { force: true });
  return made;
}

/** Of what was fetched, whatever is done next. */
const OF_NO_USE: ReadonlySet<string> = new Set<FetchBaseFault['code']>([
  ...(['NotSupported', 'FileCut', 'ImageInvalid', 'FileExists'] as const),
]);

/** Somebody may have put one there while it was fetched: both would be version 0. */
async function stillFree(vdisk: VDiskFiles): Promise<WorkFault | undefined> {
  const there = await imageOf(vdisk, 0);
  if (!there.ok) return there.error.code === 'FileMissing' ? undefined : there.error;
  const path = join(vdisk.folder, there.value.image);
  return {
    code: 'FileExists',
    message: `${path} came there meanwhile, and is the base now: what was fetched is not kept`,
  };
}

async function nameOrImport(
  fetched: string,
  target: string,
  { signal, onProgress }: Fetch,
): Promise<Result<FetchedBase, FetchBaseFault>> {
  const kind = await kindOf(fetched);
  if (!kind.ok) return kind;
  if (kind.value === 'raw' && target.endsWith('.raw')) {
    const fault = await giveName(fetched, target);
    return fault ? { ok: false, error: fault } : ok({ path: target });
  }
  const made = await importFile(fetched, target, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
  if (!made.ok) return made;
  return ok({ path: target, ...(made.value.bootFiles ? { bootFiles: made.value.bootFiles } : {}) });
}

/** Where the file system knows no second names the name is looked for before. */
async function giveName(fetched: string, target: string): Promise<FetchBaseFault | undefined> {
  try {
    if (await linkFile(fetched, target)) await unlink(fetched);
    else if (await isThere(target))
      return { code: 'FileExists', message: `${target} is there already, and is not overwritten` };
    else await rename(fetched, target);
    return undefined;
  } catch (thrown) {
    return { code: 'WriteFailed', message: `${target} cannot be named: ${errorMessage(thrown)}` };
  }
}

/** What a file begins with whose name says nothing. */
const HEADS: readonly { readonly at: number; readonly hex: string; readonly is: 'foreign' | string }[] = [
  { at: 0, hex: '514649fb', is: 'foreign' }, // qcow2
  { at: 0, hex: '4b444d56', is: 'foreign' }, // VMDK
  { at: 64, hex: '7f10dabe', is: 'foreign' }, // VDI
  { at: 0, hex: '7668647866696c65', is: 'a VHDX: give it an address that ends with .vhdx, and is no difference' },
  { at: 0, hex: '636f6e6563746978', is: 'a VHD: give it an address that ends with .vhd, and is no difference' },
  ...['1f8b08', 'fd377a585a00', '28b52ffd', '425a6839', '504b0304'].map((hex) => ({
    ...{ at: 0, hex, is: 'packed (gzip, xz, zstd, bzip2 or zip): put it there unpacked' },
  })),
];

function kindOfHead(path: string, head: Buffer): Result<'raw' | 'foreign', HeadFault> {
  const hex = head.toString('hex');
  const { is = 'raw' } = HEADS.find(({ at, hex: begins }) => hex.startsWith(begins, 2 * at)) ?? {};
  if (is === 'raw' || is === 'foreign') return ok(is);
  return fail('NotSupported', `${path} is ${is}`);
}

/** What is refused in the end is refused before all of it is fetched. */
function headFault(what: string, head: Buffer, sizeBytes: number, target: string): HeadFault | undefined {
  const kind = kindOfHead(what, head);
  if (!kind.ok) return kind.error;
  if (kind.value === 'raw' && target.endsWith('.raw')) return undefined;
  const format = foreignFormat(what, head, sizeBytes);
  return format.ok ? undefined : format.error;
}

async function kindOf(path: string): Promise<Result<'raw' | 'foreign', FetchBaseFault>> {
  const opened = await openRegular(path);
  if (!opened.ok) return opened;
  await using file = opened.value.file;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(FOREIGN_HEAD_BYTES), 0, FOREIGN_HEAD_BYTES, 0);
  return kindOfHead(path, buffer.subarray(0, bytesRead));
}
