/**
 * May a disk that is open be read on, when what lies in the folder is not (or not yet again) what the farm says? Pure.
 *
 * What is open is judged by itself: a file that was renamed over, removed, or lost its kernel still has every byte that was proved. Only a change of the file that
 * is open makes it doubtful. One change may be a `touch`: who reads goes on until its digest is there. A writer goes on changing it, and is found by the second
 * change; another size is proof enough.
 */
import type { Content, OpenFile } from '../image/disk.ts';
import { sameFile, sameSize } from '../image/identity.ts';

export interface OpenFacts {
  /** As they were when their content was proved. */
  readonly proved: readonly OpenFile[];
  /** As they were when they were first seen changed, and not proved again since. */
  readonly doubted?: readonly OpenFile[];
  /** Undefined: the file system did not answer. */
  readonly now: readonly OpenFile[] | undefined;
  readonly content: Content;
}

export type Judgement = 'Proved' | 'Doubtful' | 'Wrong';

export function judgeOpen({ proved, doubted, now, content }: OpenFacts): Judgement {
  if (content === 'Wrong') return 'Wrong';
  if (content === 'Right') return 'Proved';
  if (now === undefined) return doubted ? 'Doubtful' : 'Proved';
  if (sameFiles(now, proved)) return 'Proved';
  if (content === 'Elsewhere' || !now.every((file, index) => sameSize(file.identity, proved[index]?.identity)))
    return 'Wrong';
  return doubted === undefined || sameFiles(now, doubted) ? 'Doubtful' : 'Wrong';
}

export const sameFiles = (some: readonly OpenFile[], others: readonly OpenFile[]): boolean =>
  some.length === others.length &&
  some.every(({ name, identity }, index) => {
    const other = others[index];
    return other !== undefined && name === other.name && sameFile(identity, other.identity);
  });
