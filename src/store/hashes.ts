/** What one pass over a file makes of its bytes: the digest of all of it, and its chunk manifest. */
import { createHash } from 'node:crypto';
import { ManifestMaker } from '../transfer/maker.ts';
import type { Manifest } from '../transfer/manifest.ts';

/** `chunkBytes`: of its manifest; absent: it gets none. */
export interface FileShape {
  readonly sizeBytes: number;
  readonly chunkBytes?: number | undefined;
}

export interface Hashed {
  /** 64 hex digits. */
  readonly sha256: string;
  readonly manifest?: Manifest;
}

/** Given all of the file, in order, in pieces of any length. */
export class Hashes {
  readonly #whole = createHash('sha256');
  readonly #maker: ManifestMaker | undefined;

  constructor({ sizeBytes, chunkBytes }: FileShape) {
    this.#maker = chunkBytes === undefined ? undefined : new ManifestMaker(sizeBytes, chunkBytes);
  }

  add(data: Uint8Array): void {
    this.#whole.update(data);
    this.#maker?.add(data);
  }

  finish(): Hashed {
    const sha256 = this.#whole.digest('hex');
    return { sha256, ...(this.#maker && { manifest: this.#maker.finish(sha256) }) };
  }
}
