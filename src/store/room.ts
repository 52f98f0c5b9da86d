/** Room in the file system of a folder. */
import { stat, statfs } from 'node:fs/promises';
import { PARTIAL } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { inUnits } from '../kit/units.ts';

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
