/** Versions whose copy here gave wrong data: a block that rotted on the disk or in memory, past its digest. Found by devices, or by this server's own reads. */
import { refKey, type VersionRef } from '../farm/token.ts';
import type { Fault } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';
import { type Paced, paced } from '../telemetry/paced.ts';

/** A copy of which nothing wrong was read for so long is told of no more: its page may have been read anew from a disk that is right. */
const FORGOTTEN_AFTER_MS = 600_000;

interface Found extends VersionRef {
  readonly atMs: number;
}

export class BadCopies {
  readonly #found = new Map<string, Found>();
  readonly #clock: () => number;
  readonly #log: Paced;

  /** `clock`: milliseconds that never jump. */
  constructor(log: Logger, clock = () => performance.now()) {
    this.#clock = clock;
    this.#log = paced((fields, message) => log.error(fields, message), 'a copy gave wrong data');
  }

  told({ vdisk, version, manifest }: VersionRef, why: string, reads = 1): void {
    const ref = { vdisk, version, manifest };
    this.#log({ ...ref, why, reads });
    this.#found.set(refKey(ref), { ...ref, atMs: this.#clock() });
  }

  get faults(): readonly Fault<'BadCopy'>[] {
    const now = this.#clock();
    for (const [key, { atMs }] of this.#found) if (now - atMs > FORGOTTEN_AFTER_MS) this.#found.delete(key);
    return [...this.#found.values()].map(({ vdisk, version }) => ({
      code: 'BadCopy',
      message: `bad copy of ${vdisk} version ${version}: reads of it here gave wrong data, and other servers answer them. Test the disk and the memory of the node, then copy the image again; the log has each`,
    }));
  }
}
