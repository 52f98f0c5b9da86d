/** What this server gives to others: files that are right here, and what was verified of those that are being pulled. */
import type { FileHandle } from 'node:fs/promises';
import { identityOf, sameFile } from '../image/identity.ts';
import { openRegular } from '../kit/file.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import type { Manifest, ManifestFacts } from './manifest.ts';
import type { ShownProperties } from './wire.ts';

export interface Held {
  readonly manifest: ManifestFacts;
  readonly path: string;
  /** A bit a chunk, the highest first: whether it is here and verified. */
  readonly has: Uint8Array | 'all';
  /** Of the file that was verified: another in its place is not given. */
  open(): Promise<Result<FileHandle, { readonly message: string }>>;
  /** The manifest itself, which may be 32 MiB, read when it is asked for. Undefined: it is not there any more, or is not what its root says. */
  encoded(): Promise<Buffer | undefined>;
}

export interface Holdings {
  of(sha256: string): Promise<Held | undefined>;
  /** Each of which `of` has, too. Absent: none. */
  properties?(): readonly ShownProperties[];
}

/** A file that is being pulled. */
export interface Offer {
  readonly manifest: Manifest;
  readonly path: string;
  /** A byte a chunk, 1 where it is here and verified; it changes as more come. */
  readonly has: Uint8Array;
}

export interface Offers {
  /** Until what it answers is called. */
  offer(offer: Offer): () => void;
}

/** Another file in the place of the one that was found right is not given. `identity`: as `image/identity.ts` writes it. */
export async function openVerified({
  path,
  identity,
}: {
  readonly path: string;
  readonly identity: string;
}): Promise<Result<FileHandle, { readonly message: string }>> {
  const opened = await openRegular(path);
  if (!opened.ok) return opened;
  const { file, stats } = opened.value;
  if (sameFile(identityOf(stats), identity)) return ok(file);
  await file.close();
  return fail('FileChanged', `${path} is another file than the one that was found right`);
}

export const bitmapBytesOf = (chunks: number): number => Math.ceil(chunks / 8);

/** A bit a chunk, the highest first. */
export function bitmapOf(has: Uint8Array): Buffer {
  const bits = Buffer.alloc(bitmapBytesOf(has.length));
  for (let chunk = 0; chunk < has.length; chunk++)
    if (has[chunk] === 1) bits[chunk >> 3] = (bits[chunk >> 3] ?? 0) | (0x80 >> (chunk & 7));
  return bits;
}

export function chunksOf(bits: Uint8Array, chunks: number): Uint8Array {
  const has = new Uint8Array(chunks);
  for (let chunk = 0; chunk < chunks; chunk++) has[chunk] = Number(hasChunk(bits, chunk));
  return has;
}

export const hasChunk = (bits: Uint8Array, chunk: number): boolean =>
  ((bits[chunk >> 3] ?? 0) & (0x80 >> (chunk & 7))) !== 0;
