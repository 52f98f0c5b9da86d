/** Whether a file is still the one that was looked at. Tells that a digest is stale; what is right, only content says. */
import type { BigIntStats } from 'node:fs';

/** `inode:size:modified:changed:device`, and `:lasting` where the file system keeps its inodes; size in bytes, times in ns. */
export const identityOf = ({ ino, size, mtimeNs, ctimeNs, dev }: Stats, fileSystem?: number): string =>
  `${ino}:${size}:${mtimeNs}:${ctimeNs}:${dev}${fileSystem !== undefined && LASTING.has(fileSystem) ? ':lasting' : ''}`;

type Stats = Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs' | 'ctimeNs' | 'dev'>;

/**
 * Types of file systems (statfs(2), `f_type`) whose files have one inode each, the same for as long as they are. NFS is one: its inode is the `fileid` of
 * the server (RFC 8881, attribute 20), the same after another mount, and the kernel takes a file of which it is another for another file. Not in the list, and so
 * asked less of: FUSE and CIFS, which may give another at each look, vfat and exfat, which do after each time that they forget, and what nobody has tried.
 */
const LASTING: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // btrfs
  0x2fc12fc1, // ZFS
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
  0x01021994, // tmpfs
  0x7461636f, // OCFS2
  0x01161970, // GFS2
  0x00c36400, // Ceph
  0x6969, // NFS
]);

/**
 * May what is known of the content of the one be said of the other? Size and time of modification are the same, and so is one more witness:
 *
 * - the inode, on the same device. It tells of a file that was put in the place of another with the same size and time (`cp -p`, `rsync -t`, an archive that
 *   sets times). A chmod or a link more does not change it.
 * - the time of status change. Nobody can set it. But a `chmod` of two files gives both the same one, and a name that is a link may lead to either: so where
 *   inodes last, another inode is another file, whatever the times say. Elsewhere it is the witness that is left.
 *
 * The number of a device is no name: that of NFS is another after each mount, that of a disk may be after a restart. So another device alone, with the same
 * inode and both times the same, is a mount anew, and no reason to read a terabyte. Two file systems that hold another file under one inode, with the same
 * size and both times the same to the nanosecond, hide it until it is read again; so does what keeps no inodes, for a link that is led elsewhere.
 * Of the two only one need say that inodes last: who has a file open does not ask where it lies.
 */
export function sameFile(one: string, other: string): boolean {
  const [inode, size, modified, changed, device, lasting] = one.split(':');
  const [otherInode, otherSize, otherModified, otherChanged, otherDevice, otherLasting] = other.split(':');
  if (size !== otherSize || modified !== otherModified) return false;
  if (inode !== otherInode) return changed === otherChanged && (lasting ?? otherLasting) === undefined;
  return device === otherDevice || changed === otherChanged;
}

export const sameSize = (one: string, other: string | undefined): boolean => one.split(':')[1] === other?.split(':')[1];

/** When its content was written last, as far as the file says: Unix milliseconds. */
export const modifiedMs = (identity: string): number => Number(identity.split(':')[2]) / 1_000_000;
