/** What is here already: chunks of another file, such as the version before. First by position, then by content. */
import { DIGEST_BYTES, type Manifest } from './manifest.ts';

export interface Claim {
  readonly chunk: number;
  /** Where the other file has it. */
  readonly offset: number;
}

/** Those of `wanted` that are not `got` and that the other file has, as its manifest says. Without one each is worth a look where it would lie. Pure. */
export function claimsOf(wanted: Manifest, got: Uint8Array, other: Manifest | undefined): Claim[] {
  const isFit = other?.chunkBytes === wanted.chunkBytes;
  const index = other && isFit ? new ContentIndex(other) : undefined;
  const claims: Claim[] = [];
  for (let chunk = 0; chunk < wanted.chunks; chunk++) {
    if (got[chunk] === 1) continue;
    const there = index ? index.find(wanted, chunk) : chunk;
    if (there !== undefined) claims.push({ chunk, offset: there * wanted.chunkBytes });
  }
  return claims;
}

/** Chunks by their digests: open addressing, by the first four bytes. */
class ContentIndex {
  readonly #of: Manifest;
  readonly #mask: number;
  /** The number of a chunk and one more; 0: none. */
  readonly #slots: Uint32Array;

  constructor(of: Manifest) {
    this.#of = of;
    const size = 2 ** Math.ceil(Math.log2(2 * of.chunks + 2));
    this.#mask = size - 1;
    this.#slots = new Uint32Array(size);
    for (let chunk = 0; chunk < of.chunks; chunk++)
      if (of.zeros[chunk] === 0) this.#slots[this.#place(of, chunk)] = chunk + 1;
  }

  /** The one at the same place, if it is the same. */
  find(wanted: Manifest, chunk: number): number | undefined {
    if (chunk < this.#of.chunks && this.#isSame(chunk, wanted, chunk)) return chunk;
    const there = this.#slots[this.#place(wanted, chunk)] ?? 0;
    return there === 0 ? undefined : there - 1;
  }

  /** Where it is, or would be. */
  #place({ digests }: Manifest, chunk: number): number {
    const at = chunk * DIGEST_BYTES;
    const head =
      (digests[at] ?? 0) |
      ((digests[at + 1] ?? 0) << 8) |
      ((digests[at + 2] ?? 0) << 16) |
      ((digests[at + 3] ?? 0) << 24);
    for (let place = head & this.#mask; ; place = (place + 1) & this.#mask) {
      const there = this.#slots[place] ?? 0;
      if (there === 0 || this.#sameDigest(there - 1, digests, at)) return place;
    }
  }

  #isSame(there: number, wanted: Manifest, chunk: number): boolean {
    return this.#of.zeros[there] === 0 && this.#sameDigest(there, wanted.digests, chunk * DIGEST_BYTES);
  }

  #sameDigest(there: number, digests: Uint8Array, at: number): boolean {
    const from = there * DIGEST_BYTES;
    for (let byte = 0; byte < DIGEST_BYTES; byte++)
      if (this.#of.digests[from + byte] !== digests[at + byte]) return false;
    return true;
  }
}
