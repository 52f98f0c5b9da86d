/** The open disks of the copies that are served, in step with them: opened when a copy becomes right, closed when no read needs it any more. */
import type { Disk } from '../../image/disk.ts';
import { openRaw } from '../../image/raw/raw.ts';
import type { DiskEntry } from '../../stream/server.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { ServedCopy } from './copies.ts';

interface Open {
  readonly copy: ServedCopy;
  readonly disk: Disk;
}

const keyOf = ({ vdisk, version, manifest }: ServedCopy): string => `${vdisk}/${version}@${manifest}`;

export class Disks {
  readonly #apply: (entries: readonly DiskEntry[]) => Promise<void>;
  readonly #log: Logger;
  #open = new Map<string, Open>();
  #turn: Promise<void> = Promise.resolve();

  /** `apply` resolves when nothing reads a disk that is no longer in its list. */
  constructor(apply: (entries: readonly DiskEntry[]) => Promise<void>, log: Logger) {
    this.#apply = apply;
    this.#log = log;
  }

  get entries(): readonly DiskEntry[] {
    return [...this.#open.values()].map(({ copy: { vdisk, version, manifest }, disk }) => ({
      vdisk,
      version,
      manifest,
      disk,
    }));
  }

  /** In order: a later set waits for an earlier one. */
  set(copies: readonly ServedCopy[]): Promise<void> {
    this.#turn = this.#turn.then(() => this.#set(copies));
    return this.#turn;
  }

  close(): Promise<void> {
    return this.set([]);
  }

  async #set(copies: readonly ServedCopy[]): Promise<void> {
    const next = new Map<string, Open>();
    for (const copy of copies) {
      const known = this.#open.get(keyOf(copy));
      const disk = known?.disk ?? (await this.#openDisk(copy));
      if (disk) next.set(keyOf(copy), { copy, disk });
    }
    const closing = [...this.#open].filter(([key]) => !next.has(key)).map(([, { disk }]) => disk);
    this.#open = next;
    await this.#apply(this.entries);
    await Promise.all(closing.map((disk) => disk.close()));
  }

  async #openDisk(copy: ServedCopy): Promise<Disk | undefined> {
    const opened = await openRaw(copy.imagePath);
    if (opened.ok) return opened.value;
    this.#log.warn({ vdisk: copy.vdisk, version: copy.version, ...opened.error }, 'disk not opened');
    return undefined;
  }
}
