/** Where each piece of a disk lies, as `qemu-img map` has it: in which image of the chain, in which file, or that it is zeros. */
import { ok, type Result } from '../kit/result.ts';
import type { Disk, Piece, ReadFault } from './disk.ts';

export interface MapEntry {
  readonly start: number;
  readonly length: number;
  /** 0: of the image itself. */
  readonly depth: number;
  readonly present: boolean;
  readonly zero: boolean;
  /** It lies in the file: also zeros do, in the hole of an image of fixed size. */
  readonly data: boolean;
  readonly offset?: number;
  readonly filename?: string;
}

/** `wholeFiles`: of a disk that lies in one piece, what the file has as holes is zeros; `plain`: and is not there at all. */
export interface MapOptions {
  readonly wholeFiles: boolean;
  readonly plain: boolean;
}

/** In order, all of the disk; neighbours that say the same are one. A fault is the last. */
export async function* mapDisk(disk: Disk, options: MapOptions): AsyncGenerator<Result<MapEntry, ReadFault>> {
  let last: MapEntry | undefined;
  for await (const pieces of allPieces(disk)) {
    if (!pieces.ok) return yield pieces;
    for (const piece of pieces.value) {
      const entry = entryOf(piece, options);
      if (last && continues(last, entry)) {
        last = { ...last, length: last.length + entry.length };
        continue;
      }
      if (last) yield ok(last);
      last = entry;
    }
  }
  if (last) yield ok(last);
}

/** Held at once. */
const PIECES = 16_384;

/** In order, all of the disk. A fault is the last. */
export async function* allPieces(disk: Disk): AsyncGenerator<Result<readonly Piece[], ReadFault>> {
  for (let offset = 0; disk.map && offset < disk.sizeBytes; ) {
    const pieces = await disk.map(offset, disk.sizeBytes - offset, PIECES);
    yield pieces;
    const last = pieces.ok ? pieces.value.at(-1) : undefined;
    if (!last) return;
    offset = last.offset + last.length;
  }
}

function entryOf({ offset, length, depth, isZero, isAbsent, at }: Piece, { plain, wholeFiles }: MapOptions): MapEntry {
  const zero = isZero && (!at || wholeFiles);
  const data = at ? !(zero && plain) : !zero;
  const place = at ? { offset: at.offset, filename: at.file.path } : {};
  return { start: offset, length, depth, present: !isAbsent, zero, data, ...place };
}

const continues = (last: MapEntry, next: MapEntry): boolean =>
  (['depth', 'present', 'zero', 'data', 'filename'] as const).every((key) => last[key] === next[key]) &&
  (last.offset === undefined ? next.offset === undefined : last.offset + last.length === next.offset);
