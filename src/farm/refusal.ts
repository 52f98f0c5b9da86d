/**
 * May a device whose token or ticket is right go on? One rule for its login, the renewal of its ticket and, while it streams, the sweep of the
 * server that it reads from. Pure.
 */
import type { Device, FarmSnapshot } from './model.ts';

/** What a device says that it is, sealed by a server of the farm. */
export interface Claimant {
  readonly device: string;
  readonly mac: string;
  /** Of the device when it booted, where the farm knew one. */
  readonly uuid?: string;
  readonly vdisk: string;
}

/** A claimant as one text. A name alone is not whom a refusal is of: another machine may have it now, or the same one another vDisk. */
export const claimOf = ({ device, mac, vdisk }: Claimant): string => `${device} ${mac} ${vdisk}`;

/** What the farm's data says of a name. */
export interface KnownDevice {
  readonly device?: Device;
  /** It was removed within the life of a ticket, and not added again. */
  readonly removed: boolean;
}

export const knownDevice = (device: Device | undefined, removed: boolean): KnownDevice => ({
  ...(device ? { device } : {}),
  removed,
});

export interface DeviceRefusal {
  readonly code: 'UnknownDevice' | 'NoServer';
  readonly message: string;
}

interface Rule {
  readonly code: DeviceRefusal['code'];
  readonly refuses: (claimant: Claimant, known: KnownDevice, snapshot: FarmSnapshot) => boolean;
  readonly message: (claimant: Claimant) => string;
}

/** In this order; the first that refuses is the reason. A name that the data does not show and nobody removed is new: its token knows better. */
const RULES: readonly Rule[] = [
  {
    code: 'UnknownDevice',
    refuses: (_, { device, removed }) => removed && !device,
    message: ({ device }) => `device ${device} was removed from the farm: add it again, or let the machine boot`,
  },
  {
    code: 'UnknownDevice',
    refuses: (_, { device }) => device?.enabled === false,
    message: ({ device }) => `device ${device} is disabled`,
  },
  {
    code: 'UnknownDevice',
    // By its UUID a machine is known with any MAC; a machine that has the name and another UUID is another one.
    refuses: ({ mac, uuid }, { device }) =>
      device !== undefined && !device.macs.includes(mac) && (uuid === undefined || uuid !== device.uuid),
    message: ({ device, mac }) => `device ${device} is another machine now, without MAC ${mac}: let this one boot anew`,
  },
  {
    code: 'NoServer',
    refuses: ({ vdisk }, _, { vdisks }) => vdisks.find(({ name }) => name === vdisk)?.enabled === false,
    message: ({ vdisk }) => `vDisk ${vdisk} is disabled: set spec.enabled of the VDisk to true`,
  },
];

/** Undefined: nothing speaks against it. */
export function refusalOf(claimant: Claimant, known: KnownDevice, snapshot: FarmSnapshot): DeviceRefusal | undefined {
  const rule = RULES.find(({ refuses }) => refuses(claimant, known, snapshot));
  return rule && { code: rule.code, message: rule.message(claimant) };
}
