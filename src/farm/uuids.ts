/** Which machines were seen with a UUID: board makers give one to whole series, and what two have names neither. Pure. */
import { otherOrder } from './address.ts';

/** Remembered; the one seen longest ago is forgotten first. Three times the largest farm: 10 MiB. */
const MAX_UUIDS = 65_536;
/** For each UUID: the one that asks, and another. */
const MACS = 2;
/** A machine that did not boot for a week may have got a new card. */
export const SIGHTING_LIFE_MS = 7 * 24 * 3_600_000;

export interface Sighting {
  readonly mac: string;
  /** All MACs of the device that this MAC is of; empty for a machine that the farm does not know by it. */
  readonly own: readonly string[];
}

interface Seen {
  readonly mac: string;
  readonly at: number;
}

/** One of the two byte orders that a UUID is sent in: two that are equal by it are one machine's. */
export const canonicalUuid = (uuid: string): string => {
  const other = otherOrder(uuid);
  return uuid < other ? uuid : other;
};

export class SeenUuids {
  /** By UUID, the MAC that was seen last first. */
  readonly #seen = new Map<string, readonly Seen[]>();

  /**
   * The MAC that was seen with it in the last week and is no MAC of this device. A machine with two cards that the farm knows one of is not told from
   * two machines. `now`: milliseconds of any clock that does not jump.
   */
  saw(uuid: string, { mac, own }: Sighting, now: number): string | undefined {
    const key = canonicalUuid(uuid);
    const before = (this.#seen.get(key) ?? []).filter(({ at }) => now - at <= SIGHTING_LIFE_MS);
    this.#seen.delete(key);
    this.#seen.set(key, [{ mac, at: now }, ...before.filter((seen) => seen.mac !== mac)].slice(0, MACS));
    if (this.#seen.size > MAX_UUIDS) this.#seen.delete(this.#seen.keys().next().value ?? key);
    return before.find((seen) => seen.mac !== mac && !own.includes(seen.mac))?.mac;
  }

  /** What was seen is written down elsewhere, or is no longer so. */
  forget(uuid: string): void {
    this.#seen.delete(canonicalUuid(uuid));
  }
}
