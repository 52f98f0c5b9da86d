/** Whether the files of a disk stayed as they were while it was read: what is made of one that was written meanwhile is neither of the two disks. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { Disk, OpenFile, ReadFault } from './disk.ts';
import { identityOf, sameFile } from './identity.ts';

export type ChangedFault = ReadFault | Fault<'Changed'>;

/** Undefined: no file of the disk was changed since. */
export type Unchanged = () => Promise<ChangedFault | undefined>;

/** `path`: of the disk's image. What it is a difference of lies in the same folder. */
export async function watchFiles(path: string, disk: Pick<Disk, 'files'>): Promise<Unchanged> {
  const look = async (): Promise<Result<readonly OpenFile[], ReadFault>> => {
    try {
      return ok((await disk.files?.()) ?? []);
    } catch (thrown) {
      return fail('ReadFailed', `${path} cannot be read: ${errorMessage(thrown)}`);
    }
  };
  const before = await look();
  return async () => {
    const now = before.ok ? await look() : before;
    if (!before.ok || !now.ok) return now.ok ? undefined : now.error;
    const changed = before.value.find(({ identity }, at) => !sameFile(identity, now.value[at]?.identity ?? ''));
    if (!changed) return undefined;
    const file = join(dirname(path), changed.name);
    return { code: 'Changed', message: `${file} was changed while it was read: do it again when nobody writes it` };
  };
}

/** Of what a difference is made of: it finds it by its name, in whose place another file may be by then. `path`: of the image, which is open as `file`. */
export const watchName =
  (path: string, file: OpenFile | undefined): Unchanged =>
  async () => {
    const named = await stat(path, { bigint: true }).then(
      (stats) => identityOf(stats),
      () => undefined,
    );
    if (named !== undefined && file && sameFile(named, file.identity)) return undefined;
    const message = `${path} is ${named === undefined ? 'not there any more' : 'another file now'}, and a difference of what it was would find it by that name: put it back, and do it again`;
    return { code: 'Changed', message };
  };
