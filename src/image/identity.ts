/** Whether a file is still the one that was looked at. Tells that a digest is stale; what is right, only content says. */
import type { BigIntStats } from 'node:fs';

/** `inode:size:modified:changed`; size in bytes, times in ns. */
export const identityOf = ({ ino, size, mtimeNs, ctimeNs }: Stats): string => `${ino}:${size}:${mtimeNs}:${ctimeNs}`;

type Stats = Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>;

/**
 * May what is known of the content of the one be said of the other? Size and time of modification are the same, and so is one more witness:
 *
 * - the inode. It alone tells of a file that was put in the place of another with the same size and time (`cp -p`, `rsync -t`). A file system need not
 *   keep it: FUSE and CIFS may give another at each look, vfat after each time that it forgets.
 * - the time of status change. Nobody can set it, so it tells of the other file, too. But a chmod or a link more changes it, and nothing of the content.
 *
 * So a list of file systems is not needed, and where inodes last nothing is taken for the same that was not before. What sets the time of change from the time of
 * modification (sshfs) and keeps no inodes hides a file of the same size and time until it is read again.
 */
export function sameFile(one: string, other: string): boolean {
  const [inode, size, modified, changed] = one.split(':');
  const [otherInode, otherSize, otherModified, otherChanged] = other.split(':');
  return size === otherSize && modified === otherModified && (inode === otherInode || changed === otherChanged);
}

export const sameSize = (one: string, other: string | undefined): boolean => one.split(':')[1] === other?.split(':')[1];
