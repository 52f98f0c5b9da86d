/** The file that is being pulled: as `.partial`, written in any order by several threads, past the page cache where that can be. */
import { constants } from 'node:fs';
import { type FileHandle, open, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type MakeWay, PartialFile } from '../image/partial.ts';
import type { WriteFault } from '../image/writer.ts';
import { errorMessage } from '../kit/errors.ts';
import { PARTIAL } from '../kit/file.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { inUnits } from '../kit/units.ts';

export interface Target {
  /** Of what is written meanwhile. */
  readonly path: string;
  readonly fds: { readonly fd: number; readonly direct?: number };
  /** Whether so many bytes of it have room, with what it has already; some stay free for who else needs it. */
  lacksRoom(bytes: number): Promise<Fault<'NoSpace'> | undefined>;
  /** Of what an earlier try left, of which nothing is believed. */
  sizeBytes(): Promise<number>;
  setSize(sizeBytes: number): Promise<void>;
  /** On the disk, and by its name. */
  finish(sizeBytes: number): Promise<WriteFault | undefined>;
  /** For the next try. */
  leave(): Promise<void>;
  remove(): Promise<void>;
}

/** Of stat(2), whatever the file system's are. */
const BLOCK_BYTES = 512;
/** What else writes there has this. */
const LEAST_FREE_BYTES = 64 << 20;

const noRoom = (path: string, need: number, free: number): Fault<'NoSpace'> => ({
  code: 'NoSpace',
  message: `${path} needs ${inUnits(need)}, and ${dirname(path)} has ${inUnits(Math.max(0, free))} to give: make room there`,
});

/** Bytes may be free, and no file can be made. */
async function lacksInode(path: string, { code }: WriteFault): Promise<Fault<'NoSpace'> | undefined> {
  if (code !== 'NoSpace') return undefined;
  const space = await statfs(dirname(path)).catch(() => undefined);
  if (!space || space.files === 0 || space.ffree > 0) return undefined;
  return { code, message: `${path}: its file system has no inodes left: remove files there that nobody needs` };
}

/** Of its own: what a person copies there is called NAME.partial, and is not ours to go on with, nor to remove. */
export const partialOf = (path: string, sha256: string): string => `${path}.${sha256.slice(0, 8)}${PARTIAL}`;

export async function openTarget(path: string, sha256: string, makeWay?: MakeWay): Promise<Result<Target, WriteFault>> {
  const partialPath = partialOf(path, sha256);
  const opened = await PartialFile.open(path, { makeWay, partial: partialPath });
  if (!opened.ok) return { ok: false, error: (await lacksInode(path, opened.error)) ?? opened.error };
  const partial = opened.value;
  partial.takeOver();
  const handles: FileHandle[] = [];
  const close = async () => {
    for (const handle of handles.splice(0)) await handle.close();
  };
  try {
    // The lock is held: it is the same file.
    const file = await open(partialPath, constants.O_RDWR | constants.O_NOFOLLOW);
    handles.push(file);
    const direct = await open(partialPath, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_DIRECT).catch(
      () => undefined,
    );
    if (direct) handles.push(direct);
    return ok({
      ...{ path: partialPath, fds: { fd: file.fd, ...(direct && { direct: direct.fd }) } },
      async lacksRoom(bytes) {
        const [{ blocks }, { bavail, bsize }] = await Promise.all([file.stat(), statfs(dirname(path))]);
        const need = bytes - blocks * BLOCK_BYTES;
        const free = bavail * bsize - LEAST_FREE_BYTES;
        return need <= free ? undefined : noRoom(path, need, free);
      },
      sizeBytes: async () => (await file.stat()).size,
      setSize: (sizeBytes) => file.truncate(sizeBytes),
      async finish(sizeBytes) {
        await close();
        return partial.finish(sizeBytes);
      },
      async leave() {
        await close();
        await partial.leave();
      },
      async remove() {
        await close();
        await partial.remove();
      },
    });
  } catch (thrown) {
    await close();
    await partial.leave();
    return { ok: false, error: { code: 'WriteFailed', message: `${path} cannot be written: ${errorMessage(thrown)}` } };
  }
}
