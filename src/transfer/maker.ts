/** Makes the manifest of a file in the pass that digests it. */
import { createHash, type Hash, hash } from 'node:crypto';
import { countOf, DIGEST_BYTES, encode, lengthOf, type Manifest } from './manifest.ts';

const ZEROS = Buffer.alloc(2 << 20);

/** Given all of the file, in order, in pieces of any length. */
export class ManifestMaker {
  readonly #shape: { readonly sizeBytes: number; readonly chunkBytes: number };
  readonly #digests: Buffer;
  readonly #zeros: Uint8Array;
  #chunk = 0;
  /** Of a chunk that came in part. */
  #open: { readonly hash: Hash; bytes: number; isZero: boolean } | undefined;

  constructor(sizeBytes: number, chunkBytes: number) {
    this.#shape = { sizeBytes, chunkBytes };
    this.#digests = Buffer.alloc(countOf(this.#shape) * DIGEST_BYTES);
    this.#zeros = new Uint8Array(countOf(this.#shape));
  }

  add(data: Uint8Array): void {
    for (let at = 0; at < data.length; ) {
      const length = lengthOf(this.#shape, this.#chunk);
      const bytes = data.subarray(at, at + length - (this.#open?.bytes ?? 0));
      if (bytes.length === 0) throw new Error(`more than the ${this.#shape.sizeBytes} bytes of the file were added`);
      if (bytes.length === length) this.#close(isZero(bytes), () => hash('sha256', bytes, 'buffer'));
      else this.#part(bytes, length);
      at += bytes.length;
    }
  }

  /** `sha256`: of all that was added. */
  finish(sha256: string): Manifest {
    if (this.#chunk < this.#zeros.length) throw new Error(`${this.#shape.sizeBytes} bytes were not all added`);
    return encode({ ...this.#shape, sha256, digests: this.#digests, zeros: this.#zeros });
  }

  #part(bytes: Uint8Array, length: number): void {
    this.#open ??= { hash: createHash('sha256'), bytes: 0, isZero: true };
    const open = this.#open;
    open.hash.update(bytes);
    open.bytes += bytes.length;
    open.isZero &&= isZero(bytes);
    if (open.bytes === length) this.#close(open.isZero, () => open.hash.digest());
  }

  #close(zero: boolean, digest: () => Buffer): void {
    if (zero) this.#zeros[this.#chunk] = 1;
    else this.#digests.set(digest(), this.#chunk * DIGEST_BYTES);
    this.#chunk++;
    this.#open = undefined;
  }
}

export const isZero = (bytes: Uint8Array): boolean => ZEROS.subarray(0, bytes.length).equals(bytes);
