/** The file that is being pulled: as `.partial`, written in any order by several threads, past the page cache where that can be. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type MakeWay, PartialFile } from '../image/partial.ts';
import type { WriteFault } from '../image/writer.ts';
import { errorMessage } from '../kit/errors.ts';
import { PARTIAL } from '../kit/file.ts';
import { ok, type Result } from '../kit/result.ts';

export interface Target {
  /** Of what is written meanwhile. */
  readonly path: string;
  readonly fds: { readonly fd: number; readonly direct?: number };
  /** Of what an earlier try left, of which nothing is believed. */
  sizeBytes(): Promise<number>;
  setSize(sizeBytes: number): Promise<void>;
  /** On the disk, and by its name. */
  finish(sizeBytes: number): Promise<WriteFault | undefined>;
  /** For the next try. */
  leave(): Promise<void>;
  remove(): Promise<void>;
}

export async function openTarget(path: string, makeWay?: MakeWay): Promise<Result<Target, WriteFault>> {
  const opened = await PartialFile.open(path, makeWay);
  if (!opened.ok) return opened;
  const partial = opened.value;
  partial.takeOver();
  const handles: FileHandle[] = [];
  const close = async () => {
    for (const handle of handles.splice(0)) await handle.close();
  };
  try {
    // The lock is held: it is the same file.
    const file = await open(path + PARTIAL, constants.O_RDWR | constants.O_NOFOLLOW);
    handles.push(file);
    const direct = await open(path + PARTIAL, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_DIRECT).catch(
      () => undefined,
    );
    if (direct) handles.push(direct);
    return ok({
      ...{ path: path + PARTIAL, fds: { fd: file.fd, ...(direct && { direct: direct.fd }) } },
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
