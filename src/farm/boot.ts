/** What a machine that asks to boot is told: pure, from the replica's data alone, the same on every server. */
import { type Bootstrap, bootstrapOf } from './bootstrap.ts';
import type { Device, FarmSnapshot, UnknownDevices, VDisk, Version } from './model.ts';
import { isKnown, versionFor } from './version.ts';

export type BootDecision =
  | {
      readonly kind: 'boot';
      readonly device: Device;
      readonly vdisk: VDisk;
      readonly version: Version;
      readonly manifest: string;
      readonly bootstrap: Bootstrap;
    }
  /** The farm does not know this machine; `action` is the site's rule for that. */
  | { readonly kind: 'unknown'; readonly action: UnknownDevices; readonly bootstrap: Bootstrap }
  /** Known, but it may not boot now: the message says why and what to do. */
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly message: string; readonly bootstrap: Bootstrap };

export type RefusalCode =
  | 'OtherSite'
  | 'Disabled'
  | 'NoVDisk'
  | 'VDiskDisabled'
  | 'NoVersion'
  | 'NoContent'
  | 'Suspended';

/** Undefined when the farm has no such site: then this server has nothing to say. */
export function decideBoot(
  snapshot: FarmSnapshot,
  site: string,
  device: Device | undefined,
  nowSeconds: number,
): BootDecision | undefined {
  const bootstrap = bootstrapOf(snapshot, site);
  if (!bootstrap) return undefined;
  if (!device) return { kind: 'unknown', action: bootstrap.boot.unknownDevices, bootstrap };
  const refuse = (code: RefusalCode, message: string): BootDecision => ({ kind: 'refused', code, message, bootstrap });

  const collection = snapshot.collections.find(({ name }) => name === device.collection);
  const vdisk = snapshot.vdisks.find(({ name }) => name === collection?.vdisk);
  if (snapshot.farm.suspend)
    return refuse('Suspended', `farm ${snapshot.farm.name} is suspended: set spec.suspend of the Farm to false`);
  if (collection && collection.site !== site)
    return refuse(
      'OtherSite',
      `device ${device.name} is in collection ${collection.name} of site ${collection.site}, not ${site}`,
    );
  if (!device.enabled) return refuse('Disabled', `device ${device.name} is disabled`);
  if (!collection?.vdisk || !vdisk)
    return refuse(
      'NoVDisk',
      `collection ${device.collection} of device ${device.name} has no vDisk${collection?.vdisk ? ` ${collection.vdisk}` : ''}: set it in spec.collections of the Farm`,
    );
  if (!vdisk.enabled)
    return refuse('VDiskDisabled', `vDisk ${vdisk.name} is disabled: set spec.enabled of the VDisk to true`);
  const { versions, overrides } = snapshot;
  const choice = versionFor({ vdisk, versions, overrides, nowSeconds, isKnown }, device.class ?? collection.class);
  if (choice.kind === 'none') return refuse('NoVersion', choice.message);
  const { version } = choice;
  if (!version.content)
    return refuse(
      'NoContent',
      `version ${version.number} of vDisk ${vdisk.name} has no known content yet: see status of the VDisk`,
    );
  return { kind: 'boot', device, vdisk, version, manifest: version.content.manifest, bootstrap };
}
