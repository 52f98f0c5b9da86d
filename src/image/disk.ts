/**
 * A disk as blocks: the port that every image format implements and that layers stack on; and what a format is. Reading only (images are made by `writer.ts`);
 * versions being written and caches will add `write`, `flush` and `discard`. Golden files are opened read-only and never changed in place.
 */
import type { FileFault } from '../kit/file.ts';
import type { Fault, Result } from '../kit/result.ts';
import type { Area } from './overlap.ts';
import type { ImageWriter, NewImage, WriteFault } from './writer.ts';

export type ReadFault = Fault<'ReadBeyondEnd' | 'ReadFailed' | 'FileCut' | 'DiskClosed' | 'ContentWrong'>;
/**
 * What the content of a file is refused for: only another file mends it.
 *
 * - `ImageInvalid`: what it says of itself contradicts itself, or its format.
 * - `FileCut`: it ends before what it says that it holds.
 * - `NotSupported`: it may be right, and is not read by this release.
 */
export type ImageFault = Fault<'ImageInvalid' | 'FileCut' | 'SizeInvalid' | 'NotSupported'>;
export type OpenFault = FileFault | ReadFault | ImageFault | Fault<'ChainTooLong' | 'ParentWrong' | 'LinkOutside'>;

/** Bytes of the disk that lie as they are in an open file: what lets the stream server read without this interface in between. */
export interface Extent {
  /** Where on the disk, in bytes. */
  readonly offset: number;
  readonly length: number;
  /** Open for reading for as long as the disk is. */
  readonly fd: number;
  /** Where in the file, in bytes. */
  readonly fileOffset: number;
}

/** A part of the disk, by what is known of it without reading it. */
export interface Piece {
  /** On the disk, in bytes. */
  readonly offset: number;
  readonly length: number;
  /** Which image of the chain says so: 0 is the image itself, 1 what it is a difference of. */
  readonly depth: number;
  /** Zeros, of which nothing has to be read. */
  readonly isZero: boolean;
  /** Zeros because no image has it: this one says nothing of it, and nothing lies below. */
  readonly isAbsent?: true;
  /** Where it lies in a file as it is; of zeros, as a hole. Absent: nowhere, or in a log. */
  readonly at?: { readonly file: MappedFile; readonly offset: number };
}

/** A file of the disk that a piece lies in. */
export interface MappedFile {
  readonly path: string;
  /** Into `bytes` from `place` on, what the page cache has of the range from its beginning on, at once: how many bytes. The rest has to be read by the disk. */
  readCached(bytes: Buffer, place: number, length: number, offset: number): number;
}

/** Of which a map tells at once: as many as 64 MiB have sectors, which is what it may have a piece for. */
export const MOST_PIECES = 131_072;

/** A file that a disk is made of, as it is now: of what is open, whatever its name leads to. */
export interface OpenFile {
  /** By which it was opened, without its folder. */
  readonly name: string;
  /** As `identity.ts` writes it. */
  readonly identity: string;
}

/**
 * What is known of the content of files that are open, by what their names lead to.
 *
 * - `Right`, `Wrong`: their names lead to them, and their digests are there.
 * - `Hashing`: their names lead to them, and a digest is being computed.
 * - `Elsewhere`: a name leads to another file, or to none.
 * - `Unseen`: the folder could not be looked into.
 */
export type Content = 'Right' | 'Wrong' | 'Hashing' | 'Elsewhere' | 'Unseen';

/** The leaf table of a disk as threads read it (`tree/layout.ts`): its reads are compared with it. */
export interface Leaves {
  /** 64 hex digits. */
  readonly root: string;
  /** Open for reading for as long as the disk is. */
  readonly fd: number;
  /** 32 bytes a page of 4 KiB of the file, by which each page is proved. */
  readonly pageHashes: Uint8Array<SharedArrayBuffer>;
}

export interface Disk {
  /** A multiple of 512. */
  readonly sizeBytes: number;
  /** The logical block that the device sees. */
  readonly blockSize: 512 | 4096;
  /** Exactly `length` bytes from `offset`, in a Buffer that is the caller's; any alignment. Never rejects: what goes wrong is a fault. */
  read(offset: number, length: number): Promise<Result<Buffer, ReadFault>>;
  /** The same into `bytes` from `place` on: nothing is allocated for it. Undefined: all is there. Absent: only `read` is. */
  readInto?(bytes: Buffer, place: number, length: number, offset: number): Promise<ReadFault | undefined>;
  /**
   * In order of `offset`, covering what it can of the range; what is missing has to be read by `read`. One by one, because there may be more than
   * who asks has room for. Absent: nothing lies plain.
   */
  extents?(offset: number, length: number): Iterable<Extent>;
  /** In order, all of the range; or its beginning, in `most` pieces (`MOST_PIECES`). By tables and holes alone. Absent: nothing is known. */
  map?(
    offset: number,
    length: number,
    most?: number,
    /** Of this disk in the chain that is asked. */
    depth?: number,
  ): Promise<Result<readonly Piece[], ReadFault>>;
  /** Absent: there is no table (yet). */
  readonly leaves?: Leaves;
  /** The image first, then what it is a difference of, in turn. Absent: it lies in no files. Rejects where the file system does. */
  files?(): Promise<readonly OpenFile[]>;
  /** Idempotent. Reads after it are faults. */
  close(): Promise<void>;
}

/** What an image says of itself. */
export interface ImageFacts {
  /** Of the disk, which may be larger than the file, and smaller. */
  readonly sizeBytes: number;
  /** The logical block that the device sees. Absent: 512. */
  readonly blockSize?: 512 | 4096;
  /** By which a difference knows what it is a difference of. Absent: its format has none. */
  readonly id?: string;
  /** The id stays when the content is changed, so two images may have it and be others. */
  readonly idStays?: true;
  /** The image that this one is a difference of. */
  readonly parent?: ParentFacts;
}

/** What there is to know of an image beside its disk: for people who look at it, and for what judges its file. */
export interface Description {
  readonly facts: ImageFacts;
  /** Absent: its format has one kind. */
  readonly subformat?: 'fixed' | 'dynamic' | 'differencing';
  /** Absent: it has no blocks. */
  readonly blockBytes?: number;
  /** The program that wrote it, as it says. */
  readonly creator?: string;
  /** Of pages that a log lays over the file, because the image was not closed. */
  readonly loggedBytes?: number;
  /** What is damaged or not as the format has it, and is read all the same; a sentence each, without its full stop. */
  readonly odd: readonly string[];
  /** What lies in the file. Absent: the file is the disk. */
  readonly layout?: Layout;
}

export interface Layout {
  readonly fileBytes: number;
  /** Beside blocks, in bytes. */
  readonly areas: readonly Area[];
  /** Where each block begins that the file has, with a bitmap that belongs to it; in bytes. */
  readonly slots: readonly number[];
  /** The same of room that tables lead to, and that holds nothing. */
  readonly reserved: readonly number[];
  readonly slotBytes: number;
  /** What tables say of the blocks of the disk. */
  readonly blocks: { readonly all: number; readonly here: number; readonly partly: number };
}

/** What an image says of the one that it is a difference of, which lies in the same folder. */
export interface ParentFacts {
  /** Names that it may have, in the order in which they are believed; hints, for files are renamed. */
  readonly names: readonly string[];
  /** Its `id` is one of these. Absent: its name alone says it. */
  readonly ids?: readonly string[];
}

/** How images of one kind are told, judged and opened: a line of the table in `formats.ts`. */
export interface Format {
  /** What their names end with: `.raw`. */
  readonly extension: string;
  /** The file is the disk, byte for byte: its leaf table is made in the pass that digests it. */
  readonly plain?: true;
  /** The same of those that are a difference of another image. Absent: there are none. */
  readonly differencing?: string;
  /** Or why the file is no such image. Asked again when the file changed: it reads what the image says of itself, at most some MiB, and nothing of the disk. */
  probe(path: string, fileBytes: number): Promise<Result<ImageFacts, OpenFault>>;
  /** Begins an image that has this name when it is finished. Absent: it is read alone. */
  create?(path: string, image: NewImage): Promise<Result<ImageWriter, WriteFault>>;
  /** Looks at the file as `probe` does, and says all that it has seen. Absent: its facts are all. */
  describe?(path: string): Promise<Result<Description, OpenFault>>;
  /** Opens the file read-only; `parent` opens what it is a difference of, which is then this disk's to close. */
  open(path: string, parent: OpenParent): Promise<Result<Disk, OpenFault>>;
}

export type OpenParent = (parent: ParentFacts) => Promise<Result<Disk, OpenFault>>;

export const SECTOR_BYTES = 512;

/** The check every format does first, by subtraction so that no sum overflows. */
export function beyondEnd(disk: Pick<Disk, 'sizeBytes'>, offset: number, length: number): ReadFault | undefined {
  const inside = offset >= 0 && length >= 0 && offset <= disk.sizeBytes && length <= disk.sizeBytes - offset;
  if (inside && Number.isSafeInteger(offset) && Number.isSafeInteger(length)) return undefined;
  return {
    code: 'ReadBeyondEnd',
    message: `${length} bytes at ${offset} do not lie within the ${disk.sizeBytes} bytes of the disk`,
  };
}

/** `length` bytes of the disk from `offset` on into `bytes` from `place` on, whichever way it reads. Undefined: all is there. */
export async function readInto(
  disk: Disk,
  bytes: Buffer,
  place: number,
  length: number,
  offset: number,
): Promise<ReadFault | undefined> {
  if (disk.readInto) return disk.readInto(bytes, place, length, offset);
  const read = await disk.read(offset, length);
  if (!read.ok) return read.error;
  read.value.copy(bytes, place);
  return undefined;
}
