/**
 * The base of a vDisk from a web server: an image of ours under its own name, one of another program imported; and kernel and initrd out of it, where nobody put his
 * beside it. What an earlier try brought is gone on with.
 */
import { rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FOREIGN_HEAD_BYTES } from '../image/foreign.ts';
import { formatOf, stemOf } from '../image/formats.ts';
import { isThere, openRegular } from '../kit/file.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { type BootFiles, type BootFilesFault, extractBootFiles } from './bootfiles.ts';
import { linkFile } from './carry.ts';
import { type Fetch, type FetchFault, fetchFile } from './fetch.ts';
import { type ImportFault, importFile } from './import.ts';
import type { VDiskFiles } from './versions.ts';

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
  const brought: Result<FetchedBase, FetchBaseFault> = (await isThere(target))
    ? ok({ path: target })
    : await bring(target, fetch);
  if (!brought.ok || brought.value.bootFiles) return brought;
  const vdisk = { folder: dirname(target), fileName: stemOf(basename(target)) ?? '' };
  const bootFiles = await extractBootFiles(vdisk, 0, fetch.signal && { signal: fetch.signal });
  if (!bootFiles.ok && NOT_YET.has(bootFiles.error.code)) return bootFiles;
  return ok({ path: target, ...(bootFiles.ok || bootFiles.error.code !== 'FileExists' ? { bootFiles } : {}) });
}

/** What says nothing of the image. */
const NOT_YET: ReadonlySet<string> = new Set<BootFilesFault['code']>(['BeingWritten', 'Cancelled']);

async function bring(target: string, fetch: Fetch): Promise<Result<FetchedBase, FetchBaseFault>> {
  if (ownEnd(fetch.url) !== undefined) return fetchFile(target, fetch);
  // Another file is another name: what an earlier address brought is not taken for it.
  const fetched = `${target}.${fetch.sha256.slice(0, 8)}${FETCHED}`;
  if (!(await isThere(fetched))) {
    const came = await fetchFile(fetched, fetch);
    if (!came.ok) return came;
  }
  const kind = await kindOf(fetched);
  if (!kind.ok) return kind;
  if (kind.value === 'raw' && target.endsWith('.raw')) return giveName(fetched, target);
  const { signal, onProgress } = fetch;
  const made = await importFile(fetched, target, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
  if (!made.ok) return made;
  await unlink(fetched);
  return ok({ path: target, ...(made.value.bootFiles ? { bootFiles: made.value.bootFiles } : {}) });
}

async function giveName(fetched: string, target: string): Promise<Result<FetchedBase, FetchBaseFault>> {
  if (await linkFile(fetched, target)) await unlink(fetched);
  else await rename(fetched, target);
  return ok({ path: target });
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

async function kindOf(path: string): Promise<Result<'raw' | 'foreign', FetchBaseFault>> {
  const opened = await openRegular(path);
  if (!opened.ok) return opened;
  await using file = opened.value.file;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(FOREIGN_HEAD_BYTES), 0, FOREIGN_HEAD_BYTES, 0);
  const head = buffer.toString('hex', 0, bytesRead);
  const { is = 'raw' } = HEADS.find(({ at, hex }) => head.startsWith(hex, 2 * at)) ?? {};
  if (is === 'raw' || is === 'foreign') return ok(is);
  return fail('NotSupported', `${path} is ${is}`);
}
