/** One after the other: what writes in a folder of a store. Two at once would give one number to two versions, and neither would know what room there is. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { WorkFault } from '../image/copy.ts';
import { lock } from '../image/native.ts';
import { pathFault } from '../kit/file.ts';
import { fail, type Result } from '../kit/result.ts';

/**
 * Holds the folder's lock (flock) meanwhile, which ends with the process. `BeingWritten`: another has it. A file system that has none for folders (NFS) keeps nobody
 * out: there a name still appears once.
 */
export async function alone<T, E>(
  folder: string,
  work: () => Promise<Result<T, E>>,
): Promise<Result<T, E | WorkFault>> {
  let held: FileHandle;
  try {
    held = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (thrown) {
    const fault = pathFault(folder, thrown);
    const message = fault.code === 'FileMissing' ? `${fault.message}: make it, or name another` : fault.message;
    return fail(fault.code, message);
  }
  try {
    if (lock(held.fd) === 'held')
      return fail('BeingWritten', `another file is being made in ${folder}: wait until it ends, or end it`);
    return await work();
  } finally {
    await held.close();
  }
}
