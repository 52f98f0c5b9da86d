/** Whether a machine that the farm does not know becomes a device of it: which have been heard, at what pace, and how many. Pure; time is given. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { Farm } from './model.ts';

export type AutoAddRule = NonNullable<Farm['autoAdd']>;

/** A device's property that says who added it: these count towards `autoAdd.maxDevices`. */
export const AUTO_ADDED = { source: 'auto-add' } as const;

/** From the first packet of its firmware to its question over HTTP: the slowest firmware and a person at its menu. */
export const HEARD_MS = 10 * 60_000;
/** Machines and addresses remembered: four times the largest room; the one heard longest ago is forgotten first. */
export const MAX_HEARD = 4_096;

/**
 * Which machines boot: a question over HTTP alone is a line that any program of the network can send. Firmware is heard by ProxyDHCP, which has its
 * MAC; where the site's own DHCP server names the boot file (options 66 and 67), by TFTP, which has its address alone: each file fetched
 * whole vouches for one machine of that address.
 */
export class Heard {
  readonly #machines = new Map<string, number>();
  readonly #addresses = new Map<string, number>();

  byDhcp(mac: string, nowMs: number): void {
    remember(this.#machines, mac, nowMs);
  }

  byTftp(address: string, nowMs: number): void {
    remember(this.#addresses, address, nowMs);
  }

  /** By DHCP alone: whom ProxyDHCP has answered may fetch what it was told. */
  knows(mac: string, nowMs: number): boolean {
    return lately(this.#machines, mac, nowMs);
  }

  has({ mac, address }: Asker, nowMs: number): boolean {
    return this.knows(mac, nowMs) || (address !== undefined && lately(this.#addresses, address, nowMs));
  }

  /**
   * It asks to be added. What vouched for it does so anew, so that it may wait its turn however long, and ask again before the replica shows it; and for
   * it alone: an address is nobody else's word from here on.
   */
  asks({ mac, address }: Asker, nowMs: number): void {
    if (!this.knows(mac, nowMs) && address !== undefined) this.#addresses.delete(address);
    this.byDhcp(mac, nowMs);
  }
}

export interface Asker {
  readonly mac: string;
  /** Where its question over HTTP comes from. */
  readonly address?: string;
}

function remember(table: Map<string, number>, key: string, nowMs: number): void {
  table.delete(key);
  table.set(key, nowMs);
  if (table.size > MAX_HEARD) table.delete(table.keys().next().value ?? key);
}

const lately = (table: ReadonlyMap<string, number>, key: string, nowMs: number): boolean => {
  const at = table.get(key);
  return at !== undefined && nowMs - at < HEARD_MS;
};

export const PACE_MS = 60_000;

export interface AutoAddFacts {
  readonly farm: Farm;
  readonly mac: string;
  readonly heard: boolean;
  /** Other devices that this server added, or is adding, within the last `PACE_MS`. */
  readonly addedLately: number;
}

/** `autoAdd.maxDevices` is looked at where the device is written: all servers count together. */
export function mayAutoAdd({
  farm,
  mac,
  heard,
  addedLately,
}: AutoAddFacts): Result<AutoAddRule, Fault<AutoAddRefusal>> {
  const { autoAdd, name } = farm;
  if (!autoAdd)
    return fail('AutoAddUnset', `farm ${name} adds unknown devices, but spec.autoAdd does not say how: set it`);
  if (!heard)
    return fail(
      'AutoAddNotHeard',
      `machine ${mac} is not added: this server has not heard it by DHCP or TFTP within ${HEARD_MS / 60_000} minutes. Switch it on again, or add it: bootfarm device add NAME --mac ${mac} --collection ${autoAdd.collection}`,
    );
  if (addedLately >= autoAdd.maxPerMinute)
    return fail(
      'AutoAddTooFast',
      `machine ${mac} waits: this server adds ${autoAdd.maxPerMinute} devices a minute (spec.autoAdd.maxPerMinute of farm ${name})`,
    );
  return ok(autoAdd);
}

export type AutoAddRefusal = 'AutoAddUnset' | 'AutoAddNotHeard' | 'AutoAddTooFast';
