/** Encoded manifests as they are given: read when they are asked for, one at a time, and the last ones stay. That of 40 GiB is 20 MiB, and sixty servers ask for it at once. */
import { webcrypto } from 'node:crypto';
import { openRegular } from '../kit/file.ts';
import { MAX_MANIFEST_BYTES } from './manifest.ts';

const KEPT_BYTES = 64 << 20;

interface Kept {
  readonly bytes: Promise<Buffer | undefined>;
  /** 0 while it is read. */
  length: number;
}

export class EncodedManifests {
  readonly #maxBytes: number;
  /** By their roots; who was asked for last is last. */
  readonly #kept = new Map<string, Kept>();
  #reading: Promise<unknown> = Promise.resolve();

  constructor(maxBytes = KEPT_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Undefined: what lies there is not what the root says. */
  of(path: string, root: string): Promise<Buffer | undefined> {
    const kept = this.#kept.get(root) ?? this.#read(path, root);
    this.#kept.delete(root);
    this.#kept.set(root, kept);
    return kept.bytes;
  }

  #read(path: string, root: string): Kept {
    const bytes = this.#reading.then(() => readEncoded(path, root));
    this.#reading = bytes;
    const kept: Kept = { bytes, length: 0 };
    void bytes.then((found) => {
      kept.length = found?.length ?? 0;
      if (found) this.#trim();
      else this.#kept.delete(root);
    });
    return kept;
  }

  #trim(): void {
    let total = [...this.#kept.values()].reduce((sum, { length }) => sum + length, 0);
    for (const [root, { length }] of this.#kept) {
      if (total <= this.#maxBytes) return;
      total -= length;
      if (length > 0) this.#kept.delete(root);
    }
  }
}

/** The thread of the event loop hashes nothing: 20 MiB are 15 ms of it. */
async function readEncoded(path: string, root: string): Promise<Buffer | undefined> {
  const opened = await openRegular(path);
  if (!opened.ok) return undefined;
  await using file = opened.value.file;
  if (opened.value.stats.size > MAX_MANIFEST_BYTES) return undefined;
  const bytes = await file.readFile().catch(() => undefined);
  if (!bytes) return undefined;
  const digest = await webcrypto.subtle.digest('SHA-256', bytes);
  return Buffer.from(digest).toString('hex') === root ? bytes : undefined;
}
