/** What it means that a file reads otherwise than before while its size and time are those of then: its disk did that, or somebody who hides it. Pure. */
import { differing, lengthOf, type Manifest } from '../transfer/manifest.ts';

export interface Seen {
  readonly sha256: string;
  /** Its digest before it rotted; absent: it did not. */
  readonly was?: string;
}

/** How much was found. */
export interface Rot {
  readonly chunks: number;
  readonly bytes: number;
}

/** So many are told, the first ones. */
const MAX_OFFSETS = 16;

/** `last`: the same file as it was read last. It stays rotten until it reads again as it did at first. */
export function wasOf(last: Seen | undefined, sha256: string): string | undefined {
  const was = last?.was ?? last?.sha256;
  return was === sha256 ? undefined : was;
}

/** Where it changed. `offsets`: in bytes. */
export function rotOf(before: Manifest, now: Manifest): Rot & { readonly offsets: readonly number[] } {
  const chunks = differing(before, now);
  const bytes = chunks.reduce((sum, chunk) => sum + lengthOf(before, chunk), 0);
  const offsets = chunks.slice(0, MAX_OFFSETS).map((chunk) => chunk * before.chunkBytes);
  return { chunks: chunks.length, bytes, offsets };
}
