/** Which version of a vDisk a device boots. Promoting is a commit in git, so the rule is simple and its answer explains itself. */
import type { Access, VDisk, Version } from './model.ts';

/** What a choice depends on. */
type Candidate = Omit<Version, 'content'>;

export type VersionChoice<V extends Candidate = Version> =
  | { readonly kind: 'version'; readonly version: V }
  | { readonly kind: 'none'; readonly message: string };

/** The lowest access that a class of device may boot comes first: Maintenance sees all, Production only Production. */
const MAY_BOOT: Readonly<Record<Access, readonly Access[]>> = {
  Production: ['Production'],
  Test: ['Test', 'Production'],
  Maintenance: ['Maintenance', 'Test', 'Production'],
};

/**
 * Production devices: `bootVersion` where it is set, else the newest Production version whose `releaseAt` has come.
 * Test and Maintenance devices: the newest version of the lowest access that they may boot.
 */
export function versionFor<V extends Candidate>(
  vdisk: Pick<VDisk, 'name' | 'bootVersion'>,
  versions: readonly V[],
  device: Access,
  nowSeconds: number,
): VersionChoice<V> {
  const own = versions.filter((version) => version.vdisk === vdisk.name);
  const isReleased = ({ access, releaseAt = 0 }: V): boolean => access !== 'Production' || releaseAt <= nowSeconds;
  const released = own.filter(isReleased);
  if (device === 'Production' && vdisk.bootVersion !== undefined) {
    const pinned = own.find((version) => version.number === vdisk.bootVersion);
    if (pinned) return { kind: 'version', version: pinned };
    return {
      kind: 'none',
      message: `VDisk ${vdisk.name} has no version ${vdisk.bootVersion}, which its bootVersion names`,
    };
  }
  for (const access of MAY_BOOT[device]) {
    const newest = released.filter((version) => version.access === access).sort((a, b) => b.number - a.number)[0];
    if (newest) return { kind: 'version', version: newest };
  }
  const told = own.map((version) => `${version.number} is ${version.access}${isReleased(version) ? '' : ' later'}`);
  return {
    kind: 'none',
    message: `VDisk ${vdisk.name} has no version that a ${device} device may boot: ${told.join(', ') || 'it has none'}`,
  };
}
