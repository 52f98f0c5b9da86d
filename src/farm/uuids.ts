/** Which machines were seen with a UUID: board makers give one to whole series, and what two have names neither. Pure. */
import { otherOrder } from './address.ts';

/** Remembered; the one seen longest ago is forgotten first. Three times the largest farm: 10 MiB. */
const MAX_UUIDS = 65_536;
/** For each UUID: the one that asks, and another. */
const MACS = 2;

export interface Sighting {
  readonly mac: string;
  /** All MACs of the device that this MAC is of; empty for a machine that the farm does not know by it. */
  readonly own: readonly string[];
}

/** One of the two byte orders that a UUID is sent in. */
const canonical = (uuid: string): string => {
  const other = otherOrder(uuid);
  return uuid < other ? uuid : other;
};

export const isSameUuid = (one: string, other: string): boolean => canonical(one) === canonical(other);

export class SeenUuids {
  /** MACs by UUID, the last one first. */
  readonly #macs = new Map<string, readonly string[]>();

  /** The MAC that was seen with it and is no MAC of this device. A machine with two cards that the farm knows one of is not told from two machines. */
  saw(asked: string, { mac, own }: Sighting): string | undefined {
    const uuid = canonical(asked);
    const before = this.#macs.get(uuid) ?? [];
    this.#macs.delete(uuid);
    this.#macs.set(uuid, [mac, ...before.filter((seen) => seen !== mac)].slice(0, MACS));
    if (this.#macs.size > MAX_UUIDS) this.#macs.delete(this.#macs.keys().next().value ?? uuid);
    return before.find((seen) => seen !== mac && !own.includes(seen));
  }
}
