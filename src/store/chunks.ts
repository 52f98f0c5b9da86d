/** The chunk manifests of a server's files, made in the pass that digests them: 0.05 % of their size. What goes wrong with one costs it, and not the digest. */
import { mkdir } from 'node:fs/promises';
import { errorMessage } from '../kit/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import { Manifests } from '../transfer/keep.ts';
import type { Manifest } from '../transfer/manifest.ts';
import { freeBytes, LEAST_FREE_BYTES } from './room.ts';
import { answered } from './tables.ts';

/** By the digest of the file, as all is. */
export class Chunks {
  readonly #manifests: Manifests;
  readonly #log: Logger;
  readonly #kept = new Set<string>();
  /** One after the other: what one file does not need any more another may have by then. */
  #writing = Promise.resolve();
  #isKept = true;

  constructor(stateDirectory: string, log: Logger) {
    this.#manifests = new Manifests(stateDirectory);
    this.#log = log;
  }

  /** Takes up those of an earlier process that are of these files; all else goes. */
  async load(known: ReadonlySet<string>): Promise<void> {
    for (const sha256 of await this.#manifests.tidy(known)) this.#kept.add(sha256);
  }

  /** There is one, as far as is known. */
  has(sha256: string): boolean {
    return this.#kept.has(sha256);
  }

  /** Undefined: there is none that can be read, and one is made by who asks for its digest next. */
  async of(sha256: string): Promise<Manifest | undefined> {
    const manifest = await answered(this.#manifests.of(sha256)).catch(() => undefined);
    if (!manifest) this.#kept.delete(sha256);
    return manifest;
  }

  /** Also in the place of one that rotted. Never rejects. */
  keep(manifest: Manifest): Promise<void> {
    return this.#write(async () => {
      await this.#keep(manifest);
      this.#kept.add(manifest.sha256);
      this.#isKept = true;
    });
  }

  async #keep(manifest: Manifest): Promise<void> {
    if (await this.#manifests.holds(manifest)) return;
    const { folder } = this.#manifests;
    await mkdir(folder, { recursive: true });
    const free = await freeBytes(folder);
    const least = manifest.encoded.length + LEAST_FREE_BYTES;
    if (free < least) throw new Error(`${folder} has ${free} bytes free, and ${least} are needed`);
    await this.#manifests.keep(manifest);
  }

  drop(sha256: string): void {
    if (this.#kept.delete(sha256)) void this.#write(() => this.#manifests.remove(sha256));
  }

  #write(step: () => Promise<void>): Promise<void> {
    this.#writing = this.#writing
      .then(() => answered(step()))
      .catch((thrown: unknown) => {
        if (this.#isKept) this.#log.warn({ error: errorMessage(thrown) }, 'chunk manifests are not kept');
        this.#isKept = false;
      });
    return this.#writing;
  }
}
