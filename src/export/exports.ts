/** The open disks of the copies that are served, in step with them: opened when a copy becomes right, closed when no read needs it any more. */
import { refKey, type VersionRef } from '../farm/token.ts';
import type { Disk } from '../image/disk.ts';
import { openImage } from '../image/images.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Export, Frontend } from './frontend.ts';

/** A copy whose content is right. */
interface Copy extends VersionRef {
  readonly imagePath: string;
}

interface Open {
  readonly copy: Copy;
  readonly disk: Disk;
}

export class Exports {
  readonly #apply: Frontend['setExports'];
  readonly #log: Logger;
  readonly #openImage: typeof openImage;
  #wanted = new Map<string, Copy>();
  readonly #open = new Map<string, Open>();
  readonly #opening = new Set<string>();

  /** `apply` resolves when nothing reads a disk that is no longer in its list. */
  constructor(apply: Frontend['setExports'], log: Logger, open = openImage) {
    this.#apply = apply;
    this.#log = log;
    this.#openImage = open;
  }

  get list(): readonly Export[] {
    return [...this.#open.values()].map(({ copy: { vdisk, version, manifest }, disk }) => ({
      vdisk,
      version,
      manifest,
      disk,
    }));
  }

  /** Resolves when all of it is done. Each disk is given out as soon as it is open: a store that hangs keeps back its own alone. */
  async set(copies: readonly Copy[]): Promise<void> {
    this.#wanted = new Map(copies.map((copy) => [refKey(copy), copy]));
    const gone = [...this.#open].filter(([key]) => !this.#wanted.has(key));
    for (const [key] of gone) this.#open.delete(key);
    const closed = gone.length === 0 ? undefined : this.#apply(this.list).then(() => this.#close(gone));
    await Promise.all([closed, ...copies.map((copy) => this.#openDisk(copy))]);
  }

  close(): Promise<void> {
    return this.set([]);
  }

  async #openDisk(copy: Copy): Promise<void> {
    const key = refKey(copy);
    if (this.#open.has(key) || this.#opening.has(key)) return;
    this.#opening.add(key);
    const opened = await this.#openImage(copy.imagePath);
    this.#opening.delete(key);
    if (!opened.ok) {
      this.#log.warn({ vdisk: copy.vdisk, version: copy.version, ...opened.error }, 'disk not opened');
      return;
    }
    const disk = { copy, disk: opened.value };
    if (!this.#wanted.has(key)) return this.#close([[key, disk]]);
    this.#open.set(key, disk);
    await this.#apply(this.list);
  }

  async #close(gone: readonly (readonly [string, Open])[]): Promise<void> {
    await Promise.all(gone.map(([, { disk }]) => disk.close()));
  }
}
