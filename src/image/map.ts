/** Where each piece of a disk lies, as `qemu-img map` has it: in which image of the chain, in which file, or that it is zeros. */
import type { Result } from '../kit/result.ts';
import type { Disk, Range, ReadFault } from './disk.ts';
import { stretches } from './native.ts';

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
  for await (const range of disk.ranges?.(0, disk.sizeBytes) ?? []) {
    if (!range.ok) return yield range;
    for (const entry of entriesOf(range.value, options)) {
      if (last && continues(last, entry)) {
        last = { ...last, length: last.length + entry.length };
        continue;
      }
      if (last) yield { ok: true, value: last };
      last = entry;
    }
  }
  if (last) yield { ok: true, value: last };
}

function* entriesOf(range: Range, { plain, wholeFiles }: MapOptions): Generator<MapEntry> {
  const { offset: start, length, depth, present, zero, at } = range;
  if (!at) return yield { start, length, depth, present, zero, data: !zero };
  const whole = [{ offset: at.offset, length, isHole: false }];
  for (const { offset, length, isHole } of wholeFiles ? stretches(at.fd, at.offset, range.length) : whole) {
    const place = { offset, filename: at.path };
    yield {
      start: start + offset - at.offset,
      length,
      depth,
      present,
      zero: isHole,
      data: !(isHole && plain),
      ...place,
    };
  }
}

const continues = (last: MapEntry, next: MapEntry): boolean =>
  (['depth', 'present', 'zero', 'data', 'filename'] as const).every((key) => last[key] === next[key]) &&
  (last.offset === undefined ? next.offset === undefined : last.offset + last.length === next.offset);
