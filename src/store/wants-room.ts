/** How much room what a server lacks needs there: before it comes. Pure. */
import { join } from 'node:path';
import type { PullReport } from './pulls.ts';
import type { StoreWants } from './wants.ts';

/**
 * Bytes, at most: holes of a file take none, and which it has is not known before it comes. A file of which something came, or comes, has the room of all
 * of it reserved before (`transfer`), also when its try failed: it is not free any more. What is replaced stays beside it for a while: it frees nothing.
 */
export function needBytes(
  { folder, files }: Pick<StoreWants, 'folder' | 'files'>,
  pulls: readonly Pick<PullReport, 'path' | 'sha256' | 'state' | 'doneBytes'>[],
): number {
  return files.reduce((sum, { name, sha256, sizeBytes }) => {
    const pull = pulls.find((one) => one.path === join(folder, name) && one.sha256 === sha256);
    const isReserved = pull !== undefined && (pull.state === 'Running' || pull.doneBytes > 0);
    return isReserved ? sum : sum + sizeBytes;
  }, 0);
}
