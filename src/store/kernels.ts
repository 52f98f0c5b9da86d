/** Which kernel of a disk a machine boots when nobody said: the newest that has an initrd. */
import { byNumbers } from '../kit/numbered.ts';

/** What lies in a folder of a file system of the disk. */
export interface Listing {
  /** With a slash at its end. */
  readonly folder: string;
  readonly names: readonly string[];
}

export interface BootPaths {
  readonly version: string;
  readonly kernel: string;
  readonly initrd: string;
}

/**
 * As Debian, Fedora, SUSE, Arch and Alpine name them. Those for rescue have every driver and start slowly; `.old` is what a link leads to. Whoever made the image
 * chose the names, and people read them: nothing but what a release of Linux has (`uname -r`).
 */
const KERNEL = /^(?:vmlinuz|vmlinux|kernel)-(?!.*rescue)([\w.+~:-]{1,128}?)(?<!\.old)$/;
const initrdNames = (version: string): readonly string[] => [
  `initrd.img-${version}`,
  `initramfs-${version}.img`,
  `initrd-${version}`,
  `initrd-${version}.img`,
  `initramfs-${version}`,
];

export function newestBoot(listings: readonly Listing[]): BootPaths | undefined {
  return listings
    .flatMap(({ folder, names }) => {
      const there = new Set(names);
      return [...there].flatMap((name): readonly BootPaths[] => {
        const version = KERNEL.exec(name)?.[1];
        const initrd = version && initrdNames(version).find((other) => there.has(other));
        return version && initrd ? [{ version, kernel: folder + name, initrd: folder + initrd }] : [];
      });
    })
    .toSorted((a, b) => byNumbers(b.version, a.version))
    .at(0);
}
