/** Machines as servers heard them and as the farm knows them, while its database is away: from what the replica held. Pure. */
import { parseUuid } from '../farm/address.ts';
import type { BootRecord } from '../farm/bootrecord.ts';
import type { Device } from '../farm/model.ts';
import { canonicalUuid } from '../farm/uuids.ts';
import { ok } from '../kit/result.ts';
import type { MachineData } from '../operator/explain.ts';
import type { ReplicaFarm } from '../replica/devices.ts';

export function dataOf({ devices, sessions, snapshot }: ReplicaFarm): MachineData {
  const found = (is: (device: Device) => boolean) => ok(devices.find(is));
  return {
    snapshot: async () => ok(snapshot),
    deviceByName: async (name) => found((device) => device.name === name),
    deviceByMac: async (mac) => found(({ macs }) => macs.includes(mac)),
    deviceByUuid: async (uuid) =>
      found((device) => device.uuid !== undefined && canonicalUuid(device.uuid) === canonicalUuid(uuid)),
    sessionOf: async (name) => ok(sessions.find(({ device }) => device === name)),
  };
}

/** What it says of itself, where that is one machine's and no other device has it. */
export function heardUuid(record: BootRecord | undefined, isTaken: (uuid: string) => boolean): string | undefined {
  const uuid = record?.uuid === undefined ? undefined : parseUuid(record.uuid);
  return uuid === undefined || isTaken(canonicalUuid(uuid)) ? undefined : uuid;
}
