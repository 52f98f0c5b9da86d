/** A file of a store as another file, in another folder: a second name of it, or a copy with its holes. What a copy left that broke off is gone on with. */
import { type FileHandle, link, lstat, utimes } from 'node:fs/promises';
import type { WorkFault } from '../image/copy.ts';
import { identityOf, sameFile } from '../image/identity.ts';
import { stretches } from '../image/native.ts';
import { PartialFile } from '../image/partial.ts';
import { errorMessage } from '../kit/errors.ts';
import { openRegular, type RegularFile } from '../kit/file.ts';
import type { Fault } from '../kit/result.ts';

export type CarryFault = WorkFault | Fault<'ReadFailed' | 'Changed'>;

export const CANCELLED_COPY: Fault<'Cancelled'> = {
  code: 'Cancelled',
  message: 'it was cancelled, and what is there stays: the same command goes on with it',
};

interface Carrying {
  readonly signal?: AbortSignal | undefined;
  /** After each piece: bytes of the file that are done. */
  readonly onProgress?: (doneBytes: number) => void;
}

const STEP_BYTES = 1 << 20;

/**
 * False: this file cannot have a name there, or the name is another's, or nothing can be written there; who copies it instead is told which. Only who changes it nowhere
 * gives it one: both are one file.
 */
export const linkFile = async (from: string, to: string): Promise<boolean> => {
  try {
    if (!(await lstat(from)).isFile()) return false;
    await link(from, to);
    return true;
  } catch {
    return false;
  }
};

/** With its time. `Cancelled`, and what is wrong with the way: what was copied stays, for the next try. */
export async function copyWithHoles(
  from: string,
  to: string,
  carrying: Carrying = {},
): Promise<CarryFault | undefined> {
  const source = await openRegular(from);
  if (!source.ok) return source.error;
  await using file = source.value.file;
  const target = await PartialFile.open(to);
  if (!target.ok) return target.error;
  const { stats } = source.value;
  try {
    const fault = await copyInto(target.value, from, { file, stats }, carrying);
    if (fault) return fault;
    // Seconds are floating: half a millisecond keeps it from becoming the one before.
    const seconds = (Number(stats.mtimeMs) + 0.5) / 1_000;
    await utimes(to, seconds, seconds);
    return undefined;
  } catch (thrown) {
    return { code: 'ReadFailed', message: `${from} cannot be copied to ${to}: ${errorMessage(thrown)}` };
  } finally {
    await target.value.leave();
  }
}

async function copyInto(
  target: PartialFile,
  path: string,
  { file, stats }: RegularFile,
  { signal, onProgress }: Carrying,
): Promise<CarryFault | undefined> {
  const sizeBytes = Number(stats.size);
  for (const { offset, length, isHole } of stretches(file.fd, 0, sizeBytes))
    for (let at = offset; !isHole && at < offset + length; at += STEP_BYTES) {
      if (signal?.aborted) return CANCELLED_COPY;
      const bytes = await readFully(file, at, Math.min(STEP_BYTES, offset + length - at));
      const fault = bytes ? await target.append(at, bytes) : changed(path);
      if (fault) return fault;
      onProgress?.(at + (bytes?.length ?? 0));
    }
  if (!sameFile(identityOf(stats), identityOf(await file.stat({ bigint: true })))) return changed(path);
  return target.finish(sizeBytes);
}

const changed = (path: string): CarryFault => ({
  code: 'Changed',
  message: `${path} was changed while it was copied: do it again when nobody writes it`,
});

/** Undefined: the file is shorter. */
async function readFully(file: FileHandle, at: number, length: number): Promise<Buffer | undefined> {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) return undefined;
    done += bytesRead;
  }
  return bytes;
}

/** One file, or two of one content. */
export async function isSameContent(one: string, other: string, signal?: AbortSignal): Promise<boolean> {
  const [a, b] = [await openRegular(one), await openRegular(other)];
  await using first = a.ok ? a.value.file : undefined;
  await using second = b.ok ? b.value.file : undefined;
  if (!a.ok || !b.ok || !first || !second) return false;
  const { dev, ino, size } = a.value.stats;
  if (dev === b.value.stats.dev && ino === b.value.stats.ino) return true;
  if (size !== b.value.stats.size) return false;
  for (let at = 0; at < Number(size); at += STEP_BYTES) {
    const length = Math.min(STEP_BYTES, Number(size) - at);
    const [left, right] = [await readFully(first, at, length), await readFully(second, at, length)];
    if (signal?.aborted || !left || !right?.equals(left)) return false;
  }
  return true;
}
