/** File systems that ask no other machine. */

/** Of statfs(2), `f_type`: ext, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS. */
const LOCAL: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1,
]);

export const isLocal = (fileSystem: number): boolean => LOCAL.has(fileSystem);
