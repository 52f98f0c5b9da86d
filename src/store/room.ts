/** Room in the file system of a folder. */
import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { withImage } from '../image/convert.ts';
import { dataRanges, type WorkFault, windowsOf } from '../image/copy.ts';
import { PARTIAL } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { inUnits } from '../kit/units.ts';

/** Left free in the state directory for what the server keeps there beside: a table or a manifest that would take it is not made. */
export const LEAST_FREE_BYTES = 256 << 20;

/** For who is not root; rejects where the file system does. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** `blocks` of stat(2), whatever the file system's are. */
const BLOCK_BYTES = 512;

/** Whether `target` may take `bytes` in its folder; what an earlier try of it left is taken already. */
export async function roomFor(folder: string, target: string, bytes: number): Promise<Result<void, Fault<'NoSpace'>>> {
  const there = await stat(target + PARTIAL).then(
    ({ blocks }) => blocks * BLOCK_BYTES,
    () => 0,
  );
  const free = await freeBytes(folder);
  if (free >= bytes - there) return ok(undefined);
  return fail(
    'NoSpace',
    `${folder} has ${inUnits(free)} free, and to make ${target} may take ${inUnits(bytes - there)}: make room, or make it on a machine that has it and bring what is made`,
  );
}

/** What is still to come of a file that is taken in. Undefined: it has room. */
export async function lacksRoom(path: string, bytes: number): Promise<Fault<'NoSpace'> | undefined> {
  const folder = dirname(path);
  const free = await freeBytes(folder);
  if (free >= bytes) return undefined;
  return { code: 'NoSpace', message: `${folder} has ${free} bytes free, and ${bytes} are to come: make room` };
}

/** Whether an image of all that `source` shows may be made. */
export async function roomForDisk(source: string, target: string): Promise<Result<void, WorkFault | Fault<'NoSpace'>>> {
  const bytes = await dataBytes(source);
  return bytes.ok ? roomFor(dirname(target), target, bytes.value) : bytes;
}

/** What its tables, or the holes of its file, do not say is zeros: what is written is this at most. */
export const dataBytes = (source: string): Promise<Result<number, WorkFault>> =>
  withImage(source, async (disk) => {
    let bytes = 0;
    for await (const pieces of windowsOf(disk)) {
      if (!pieces.ok) return pieces;
      for (const { length } of dataRanges(pieces.value, disk.sizeBytes)) bytes += length;
    }
    return ok(bytes);
  });
