/** A file that was to come: whether it is there already, and whether it is what its name says. */
import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import {
  FOREIGN_FORMATS,
  FOREIGN_HEAD_BYTES,
  type ForeignFault,
  type ForeignFormat,
  foreignFormat,
} from '../image/foreign.ts';
import { probeImage } from '../image/images.ts';
import { type FileFault, openRegular, statRegular } from '../kit/file.ts';
import type { Result } from '../kit/result.ts';

/** What came, or was there. */
export interface Arrived {
  readonly path: string;
  readonly sizeBytes: number;
  /** It was there, the same. */
  readonly kept?: true;
  /** Why it is not what its name says, and what to do. */
  readonly doubt?: string;
}

export interface Expected {
  /** Absent: as large as it is. */
  readonly sizeBytes?: number | undefined;
  /** 64 hex digits. */
  readonly sha256: string;
  readonly signal?: AbortSignal | undefined;
}

/** Undefined: it is not there, or it is another one. */
export async function thereAlready(
  path: string,
  { sizeBytes, sha256, signal }: Expected,
): Promise<Arrived | undefined> {
  const opened = await openRegular(path);
  if (!opened.ok) return undefined;
  await using file = opened.value.file;
  const bytes = Number(opened.value.stats.size);
  if (sizeBytes !== undefined && sizeBytes !== bytes) return undefined;
  const hash = createHash('sha256');
  try {
    for await (const chunk of file.createReadStream({ start: 0, autoClose: false, ...(signal && { signal }) }))
      hash.update(chunk);
  } catch {
    return undefined; // what is wrong with it is told by who wants its name
  }
  return hash.digest('hex') === sha256 ? { path, sizeBytes: bytes, kept: true } : undefined;
}

/** With what is to be said of its content. */
export async function looked(arrived: Arrived): Promise<Arrived> {
  const doubt = await doubtOf(arrived);
  return doubt === undefined ? arrived : { ...arrived, doubt };
}

async function doubtOf({ path, sizeBytes }: Arrived): Promise<string | undefined> {
  if (isForeignName(path)) return foreignDoubt(path);
  const regular = await statRegular(path);
  const facts = regular.ok ? await probeImage(path, sizeBytes) : undefined;
  return facts?.ok === false ? facts.error.message : undefined;
}

/** What `import` takes. */
export const isForeignName = (path: string): boolean =>
  FOREIGN_FORMATS.some((format) => extname(path) === `.${format}`);

async function foreignDoubt(path: string): Promise<string | undefined> {
  const format = await foreignFormatOf(path);
  if (format.ok) return undefined;
  const { code, message } = format.error;
  return code === 'NotSupported' || code === 'FileCut' ? message : undefined; // one that cannot be read says nothing
}

/** By its first bytes. */
export async function foreignFormatOf(path: string): Promise<Result<ForeignFormat, ForeignFault | FileFault>> {
  const opened = await openRegular(path);
  if (!opened.ok) return opened;
  await using file = opened.value.file;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(FOREIGN_HEAD_BYTES), 0, FOREIGN_HEAD_BYTES, 0);
  return foreignFormat(path, buffer.subarray(0, bytesRead), Number(opened.value.stats.size));
}
