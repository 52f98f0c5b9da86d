/** What this server gives to others: files that it has verified, and the chunks that it has verified of those that it is pulling. */
import type { FileHandle } from 'node:fs/promises';
import { identityOf, sameFile } from '../image/identity.ts';
import { openRegular } from '../kit/file.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import type { Manifest } from './manifest.ts';

export interface Held {
  readonly manifest: Manifest;
  readonly path: string;
  /** Of the file that was verified (`image/identity.ts`): another in its place is not given. */
  readonly identity?: string;
  /** A byte a chunk, 1 where it is here and verified; it changes as more come. */
  readonly has: Uint8Array | 'all';
}

export class Holdings {
  /** By the digest of the file. */
  readonly #held = new Map<string, Set<Held>>();

  /** Until what it answers is called. */
  offer(held: Held): () => void {
    const { sha256 } = held.manifest;
    const all = this.#held.get(sha256) ?? new Set();
    this.#held.set(sha256, all.add(held));
    return () => {
      all.delete(held);
      if (all.size === 0) this.#held.delete(sha256);
    };
  }

  /** The one that is whole before others. */
  of(sha256: string): Held | undefined {
    const all = [...(this.#held.get(sha256) ?? [])];
    return all.find(({ has }) => has === 'all') ?? all[0];
  }
}

export async function openHeld({ path, identity }: Held): Promise<Result<FileHandle, { readonly message: string }>> {
  const opened = await openRegular(path);
  if (!opened.ok) return opened;
  const { file, stats } = opened.value;
  if (identity === undefined || sameFile(identityOf(stats), identity)) return ok(file);
  await file.close();
  return fail('FileChanged', `${path} is another file than the one that was verified`);
}

/** A bit a chunk, the highest first. */
export function bitmapOf(has: Uint8Array): Buffer {
  const bits = Buffer.alloc(Math.ceil(has.length / 8));
  for (let chunk = 0; chunk < has.length; chunk++)
    if (has[chunk] === 1) bits[chunk >> 3] = (bits[chunk >> 3] ?? 0) | (0x80 >> (chunk & 7));
  return bits;
}

export function chunksOf(bits: Uint8Array, chunks: number): Uint8Array {
  const has = new Uint8Array(chunks);
  for (let chunk = 0; chunk < chunks; chunk++) has[chunk] = ((bits[chunk >> 3] ?? 0) >> (7 - (chunk & 7))) & 1;
  return has;
}
