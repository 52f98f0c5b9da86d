/** Room in the file system of a folder. */
import { statfs } from 'node:fs/promises';

/** For who is not root; rejects where the file system does. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
