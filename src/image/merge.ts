/**
 * PVS's two merges. The images that are merged stay as they are.
 *
 * ```
 * lab.vhdx ◄─ lab.1.avhdx ◄─ lab.2.avhdx ◄─ lab.3.avhdx
 * base       [──────────── all of it ─────────────────]   lab.4.vhdx
 * updates                   [──────────────────────────]   lab.4.avhdx, a difference of lab.vhdx
 * ```
 */
import { dirname, join } from 'node:path';
import { ok, type Result } from '../kit/result.ts';
import { convertImage, type Made, withImage } from './convert.ts';
import { CANCELLED, copyRanges, joined, makeImage, type Range, type Work, type WorkFault, windowsOf } from './copy.ts';
import { parentOf } from './difference.ts';
import type { Disk, Piece } from './disk.ts';
import { watchName } from './unchanged.ts';
import type { ImageWriter } from './writer.ts';

export type MergeKind = 'base' | 'updates';

/** Makes `target` of the chain whose last image is `source`. Undefined: there is nothing to merge, and nothing was made. */
export const mergeImages = (
  source: string,
  target: string,
  kind: MergeKind,
  work: Work = {},
): Promise<Result<Made | undefined, WorkFault>> =>
  withImage(source, async (disk, unchanged) => {
    const files = (await disk.files?.()) ?? [];
    const base = files.at(-1);
    const updates = files.length - 1;
    if (!base || updates < (kind === 'base' ? 1 : 2)) return ok(undefined);
    if (kind === 'base') return convertImage(source, target, work);
    const path = join(dirname(source), base.name);
    const parent = await parentOf(path);
    if (!parent.ok) return parent;
    const { sizeBytes, blockSize } = disk;
    const image = { sizeBytes, blockSize, parent: parent.value };
    const making = { ...work, unchanged: [unchanged, watchName(path, base)] };
    const made = await makeImage(target, image, making, (to) => writeUpdates(disk, updates, to, work));
    return made.ok ? ok({ diskBytes: sizeBytes }) : made;
  });

/** What the first `updates` images of the chain have. */
async function writeUpdates(disk: Disk, updates: number, to: ImageWriter, work: Work): Promise<WorkFault | undefined> {
  for await (const pieces of windowsOf(disk)) {
    if (work.signal?.aborted) return CANCELLED;
    if (!pieces.ok) return pieces.error;
    for (const part of partsOf(pieces.value, updates, disk.blockSize)) {
      const fault =
        part.kind === 'zeros'
          ? await to.zeros(part.offset, part.length)
          : await copyRanges(disk, to, part.ranges, work);
      if (fault) return fault;
    }
    const { offset, length } = pieces.value.at(-1) ?? { offset: 0, length: 0 };
    work.onProgress?.(offset + length, disk.sizeBytes);
  }
  return undefined;
}

type Part = ({ readonly kind: 'zeros' } & Range) | { readonly kind: 'data'; readonly ranges: readonly Range[] };

/** In order. Images of a chain may have smaller sectors than the last one: what is no whole one of that is read. */
function partsOf(pieces: readonly Piece[], updates: number, sectorBytes: number): Part[] {
  const parts: Part[] = [];
  let ranges: Range[] = [];
  const flush = (): void => {
    if (ranges.length > 0) parts.push({ kind: 'data', ranges: joined(ranges) });
    ranges = [];
  };
  for (const { offset, length, depth, isZero, isAbsent } of pieces) {
    // Nothing lies below the last update either, or the base decides.
    if (depth >= (isAbsent ? updates - 1 : updates)) continue;
    const from = Math.floor(offset / sectorBytes) * sectorBytes;
    const end = Math.ceil((offset + length) / sectorBytes) * sectorBytes;
    if (isZero && from === offset && end === offset + length) {
      flush();
      parts.push({ kind: 'zeros', offset, length });
    } else ranges.push({ offset: from, length: end - from });
  }
  flush();
  return parts;
}
