/** A new image that is a difference of another one: empty, or what another disk has otherwise. */
import { basename } from 'node:path';
import { statRegular } from '../kit/file.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { type Made, withImage } from './convert.ts';
import {
  CANCELLED,
  dataOf,
  dataRanges,
  GRAIN_BYTES,
  isZero,
  joined,
  type Making,
  makeImage,
  type Range,
  type Work,
  type WorkFault,
  windowsOf,
} from './copy.ts';
import type { Disk, Piece, ReadFault } from './disk.ts';
import { chainTooLong, MAX_CHAIN } from './formats.ts';
import { probeImage } from './images.ts';
import { watchName } from './unchanged.ts';
import type { ImageWriter, NewParent } from './writer.ts';

export interface DifferenceOptions extends Work {
  /** An image of any format; absent: what is made shows what its parent does. */
  readonly from?: string;
  /** Where `from` shows just what the parent does, nothing is made. */
  readonly unlessSame?: boolean;
}

/** Makes `target`, a difference of `parent`, which lies in the same folder; its name says its format, which is the parent's. Undefined: nothing was, by `unlessSame`. */
export const createDifference = (
  target: string,
  parent: string,
  { from, ...work }: DifferenceOptions = {},
): Promise<Result<Made | undefined, WorkFault>> =>
  withImage(parent, async (below, isBelow) => {
    const files = (await below.files?.()) ?? [];
    if (files.length >= MAX_CHAIN) return { ok: false, error: chainTooLong(target) };
    const named = await parentOf(parent);
    if (!named.ok) return named;
    const unchanged = [isBelow, watchName(parent, files[0])];
    if (from === undefined) return differ(target, named.value, below, below, { ...work, unchanged });
    return withImage(from, async (disk, isSo) => {
      const making = { ...work, unchanged: [isSo, ...unchanged] };
      if (disk.blockSize === below.blockSize) return differ(target, named.value, disk, below, making);
      const message = `${from} has sectors of ${disk.blockSize} bytes, and ${parent} has those of ${below.blockSize}: a difference has those of its parent`;
      return fail('NotSupported', message);
    });
  });

/** What a difference says of the image below it. */
export async function parentOf(path: string): Promise<Result<NewParent, WorkFault>> {
  const looked = await statRegular(path);
  if (!looked.ok) return looked;
  const facts = await probeImage(path, Number(looked.value.size));
  if (!facts?.ok) return facts ?? fail('NotSupported', `${path} is named as no image is`);
  const { id } = facts.value;
  if (id !== undefined) return ok({ name: basename(path), id, modifiedMs: Number(looked.value.mtimeMs) });
  return fail(
    'NotSupported',
    `${path} has no identifier by which a difference would know it: convert it to VHDX with \`bootfarm vdisk convert\` first`,
  );
}

async function differ(
  target: string,
  parent: NewParent,
  disk: Disk,
  below: Disk,
  { unlessSame, ...work }: Making & Pick<DifferenceOptions, 'unlessSame'>,
): Promise<Result<Made | undefined, WorkFault>> {
  const { sizeBytes, blockSize } = disk;
  let isSame = unlessSame === true && disk !== below && sizeBytes === below.sizeBytes;
  const made = await makeImage(target, { sizeBytes, blockSize, parent }, work, async (to) => {
    if (disk === below) return undefined;
    const differs = (): void => {
      isSame = false;
    };
    let fault = await writeDifferences(disk, below, isSame ? told(to, differs) : to, work);
    if (isSame) for (const isSo of work.unchanged) fault ??= await isSo();
    return fault ?? (isSame ? SAME : undefined);
  });
  if (!made.ok) return made.error === SAME ? ok(undefined) : made;
  const lessBytes = below.sizeBytes - sizeBytes;
  return ok({ diskBytes: sizeBytes, ...(lessBytes > 0 && { lessBytes }) });
}

/** Why nothing is made, where nothing is wrong. */
const SAME: WorkFault = { code: 'Cancelled', message: 'nothing differs' };

/** Tells before each write. */
const told = (to: ImageWriter, tell: () => void): ImageWriter => ({
  write(offset, bytes) {
    tell();
    return to.write(offset, bytes);
  },
  zeros(offset, length) {
    tell();
    return to.zeros(offset, length);
  },
  finish: () => to.finish(),
  abort: () => to.abort(),
});

/** What `disk` has otherwise than `below`, sector by sector. Where both have zeros nothing is read. */
async function writeDifferences(disk: Disk, below: Disk, to: ImageWriter, work: Work): Promise<WorkFault | undefined> {
  const longer = padded(below);
  for await (const pieces of windowsOf(disk)) {
    if (work.signal?.aborted) return CANCELLED;
    if (!pieces.ok) return pieces.error;
    const { offset = 0, end = 0 } = spanOf(pieces.value);
    const others = await longer.map(offset, end - offset);
    if (!others.ok) return others.error;
    const ranges = [...dataRanges(pieces.value, disk.sizeBytes), ...dataRanges(others.value, disk.sizeBytes)];
    const fault = await writeChanged(disk, longer, joined(ranges.sort((a, b) => a.offset - b.offset)), to, work);
    if (fault) return fault;
    work.onProgress?.(end, disk.sizeBytes);
  }
  return undefined;
}

function spanOf(pieces: readonly Piece[]): { readonly offset?: number; readonly end?: number } {
  const [first, last] = [pieces[0], pieces.at(-1)];
  return first && last ? { offset: first.offset, end: last.offset + last.length } : {};
}

async function writeChanged(
  disk: Disk,
  below: Pick<Disk, 'read'>,
  ranges: readonly Range[],
  to: ImageWriter,
  { signal, onProgress }: Work,
): Promise<WorkFault | undefined> {
  const others = dataOf(below, ranges);
  for await (const mine of dataOf(disk, ranges)) {
    const theirs = (await others.next()).value;
    if (signal?.aborted) return CANCELLED;
    if (!mine.ok) return mine.error;
    if (!theirs?.ok) return theirs?.error;
    const { offset, bytes } = mine.value;
    for (const { from, to: end } of changes(bytes, theirs.value.bytes, disk.blockSize)) {
      const changed = bytes.subarray(from, end);
      const fault = await (isZero(changed) ? to.zeros(offset + from, end - from) : to.write(offset + from, changed));
      if (fault) return fault;
    }
    onProgress?.(offset + bytes.length, disk.sizeBytes);
  }
  return undefined;
}

/** Runs of sectors in which two pieces of one length differ; each within a grain. */
export function* changes(
  mine: Buffer,
  theirs: Buffer,
  sectorBytes: number,
): Generator<{ readonly from: number; readonly to: number }> {
  if (mine.equals(theirs)) return;
  const isSame = (from: number, to: number): boolean => mine.subarray(from, to).equals(theirs.subarray(from, to));
  for (let grain = 0; grain < mine.length; grain += GRAIN_BYTES) {
    const end = Math.min(mine.length, grain + GRAIN_BYTES);
    if (isSame(grain, end)) continue;
    let from = -1;
    for (let at = grain; at < end; at += sectorBytes) {
      const same = isSame(at, Math.min(end, at + sectorBytes));
      if (!same && from < 0) from = at;
      if (!same || from < 0) continue;
      yield { from, to: at };
      from = -1;
    }
    if (from >= 0) yield { from, to: end };
  }
}

/** With zeros behind its end. */
function padded(disk: Disk): Required<Pick<Disk, 'read' | 'map'>> {
  const own = (offset: number, length: number): number => Math.max(0, Math.min(length, disk.sizeBytes - offset));
  return {
    async read(offset, length) {
      const there = own(offset, length);
      const read: Result<Buffer, ReadFault> = there > 0 ? await disk.read(offset, there) : ok(Buffer.alloc(0));
      return !read.ok || there === length ? read : ok(Buffer.concat([read.value], length));
    },
    async map(offset, length) {
      const there = own(offset, length);
      if (there <= 0) return ok([{ offset, length, depth: 0, isZero: true }]);
      return (await disk.map?.(offset, there)) ?? ok([{ offset, length: there, depth: 0, isZero: false }]);
    },
  };
}
