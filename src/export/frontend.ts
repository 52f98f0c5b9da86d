/** The port between the versions that a server serves and the block protocols that serve them: stream today. */
import type { VersionRef } from '../farm/token.ts';
import type { Disk } from '../image/disk.ts';

/** A version that this server holds an UpToDate copy of, open. */
export interface Export extends VersionRef {
  readonly disk: Disk;
  /** Where its image lies: what is silent there is silent together. Absent: it lies alone. */
  readonly folder?: string;
}

export interface Frontend {
  /**
   * Replaces what it serves. Resolves when nothing reads a disk any more that is not in the list: until then the disk stays open, and its owner closes it.
   */
  setExports(exports: readonly Export[]): Promise<void>;
}
