/** Which kernel of a disk a machine boots when nobody said: the newest that has an initrd. */

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

/** As Debian, Fedora, SUSE, Arch and Alpine name them. Those for rescue have every driver and start slowly; `.old` is what a link leads to. */
const KERNEL = /^(?:vmlinuz|vmlinux|kernel)-(?!.*rescue)(.+?)(?<!\.old)$/;
const initrdNames = (version: string): readonly string[] => [
  `initrd.img-${version}`,
  `initramfs-${version}.img`,
  `initrd-${version}`,
  `initrd-${version}.img`,
  `initramfs-${version}`,
];

/** Numbers in names are numbers: 6.1.0-10 is after 6.1.0-9. */
const byVersion = new Intl.Collator('en', { numeric: true });

export function newestBoot(listings: readonly Listing[]): BootPaths | undefined {
  return listings
    .flatMap(({ folder, names }) =>
      names.flatMap((name): readonly BootPaths[] => {
        const version = KERNEL.exec(name)?.[1];
        const initrd = version && initrdNames(version).find((other) => names.includes(other));
        return version && initrd ? [{ version, kernel: folder + name, initrd: folder + initrd }] : [];
      }),
    )
    .toSorted((a, b) => byVersion.compare(b.version, a.version))
    .at(0);
}
