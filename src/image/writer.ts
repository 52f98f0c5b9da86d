/** The port of what is being written: an image that is made from its first sector to its last, and has its name when it is whole. */
import type { FileFault } from '../kit/file.ts';
import type { Fault } from '../kit/result.ts';

/**
 * - `FileExists`: a file has that name, and none is ever overwritten.
 * - `BeingWritten`: another process writes it.
 * - `SizeInvalid`, `NotSupported`: the format has no such image.
 */
export type WriteFault =
  | FileFault
  | Fault<'FileExists' | 'BeingWritten' | 'NoSpace' | 'WriteFailed' | 'SizeInvalid' | 'NotSupported'>;

export interface NewImage {
  /** Of the disk: a multiple of its `blockSize`. */
  readonly sizeBytes: number;
  /** The logical block that the device sees. */
  readonly blockSize: 512 | 4096;
  /** Each block has its place in the file; absent: only those that are written have one. */
  readonly fixed?: boolean;
  /** What the file grows by. Absent: as the format likes it. */
  readonly blockBytes?: number;
  /** It is a difference of this one. */
  readonly parent?: NewParent;
}

/** An image of the same format, in the same folder. */
export interface NewParent {
  readonly name: string;
  /** As its facts say it. */
  readonly id: string;
  /** Unix milliseconds. */
  readonly modifiedMs: number;
}

/** Offsets and lengths are whole logical blocks, and each call lies behind the one before. What no call tells of is zeros, or of a difference the parent's. */
export interface ImageWriter {
  /** Undefined: it is written. */
  write(offset: number, bytes: Buffer): Promise<WriteFault | undefined>;
  /** They are zeros, also where the parent has others. */
  zeros(offset: number, length: number): Promise<WriteFault | undefined>;
  /** Its tables, on the disk, and then its name. After a fault there is still `abort`. */
  finish(): Promise<WriteFault | undefined>;
  /** Removes what is not finished; nothing where it is. Idempotent. */
  abort(): Promise<void>;
}
