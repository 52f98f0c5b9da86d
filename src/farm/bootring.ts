/**
 * The boot records that one server keeps in memory: of the farm's machines within so many bytes, of all others within a number, apart from them. So no
 * flood of made-up MACs takes a word away of a machine of the farm, nor from one network what was heard in another. Time is given.
 */
import {
  BOOT_LIMITS,
  type BootRecord,
  type BootStep,
  type MachineFacts,
  type UnknownMachine,
  unknownOf,
  withStep,
} from './bootrecord.ts';

export interface RingLimits {
  /** Of the farm's machines together, about. */
  readonly knownBytes: number;
  /** Machines that the farm does not know. */
  readonly unknown: number;
  /** Relays, and addresses, that are told apart; more of them count as one. */
  readonly places: number;
}

/**
 * A boot takes 2 KiB at the server that did all of it, 0.4 at one that only answered DHCP: 16 MiB are five boots of 1,500 machines that boot here, or one of each of
 * 15,000 of which most boot elsewhere. An unknown machine has one boot of `UNKNOWN_LIMITS`.
 */
export const RING_LIMITS: RingLimits = { knownBytes: 16 << 20, unknown: 1_024, places: 32 };
const UNKNOWN_LIMITS = { boots: 1, steps: 10 };

/** Something that was heard of a machine. */
export interface HeardStep extends MachineFacts {
  readonly mac: string;
  /** Undefined: the farm's data is not there, so nobody knows. */
  readonly known: boolean | undefined;
  readonly step: BootStep;
}

interface Kept {
  readonly record: BootRecord;
  readonly bytes: number;
}

/** As measured in the heap of Node 24. */
const RECORD_BYTES = 500;
const STEP_BYTES = 210;

const bytesOf = ({ boots }: BootRecord): number =>
  boots.reduce(
    (sum, { steps }) =>
      steps.reduce(
        (all, { detail, reason }) => all + STEP_BYTES + (detail?.length ?? 0) + (reason?.message.length ?? 0),
        sum,
      ),
    RECORD_BYTES,
  );

export class BootRing {
  readonly #limits: RingLimits;
  /** By MAC, who was heard longest ago first. */
  readonly #known = new Map<string, Kept>();
  #knownBytes = 0;
  /** By place, each by MAC in the same order. */
  readonly #unknown = new Map<string, Map<string, BootRecord>>();
  /** Where each of them is. */
  readonly #places = new Map<string, string>();

  constructor(limits: RingLimits = RING_LIMITS) {
    this.#limits = limits;
  }

  hear({ mac, known, step, ...facts }: HeardStep): void {
    const { at } = step;
    const before = this.record(mac);
    const isKnown = known ?? before?.known ?? false;
    const limits = isKnown ? BOOT_LIMITS : UNKNOWN_LIMITS;
    this.put({
      ...before,
      ...facts,
      mac,
      known: isKnown,
      firstAt: before?.firstAt ?? at,
      lastAt: at,
      boots: withStep(before?.boots.slice(-limits.boots) ?? [], step, limits),
    });
  }

  /** In the place of what is kept of that MAC. */
  put(record: BootRecord): void {
    this.#forget(record.mac);
    if (record.known) this.#keep(record);
    else this.#list(record);
  }

  record(mac: string): BootRecord | undefined {
    const place = this.#places.get(mac);
    return place === undefined ? this.#known.get(mac)?.record : this.#unknown.get(place)?.get(mac);
  }

  /** Those heard last, the newest first. */
  unknown(most: number): { readonly machines: readonly UnknownMachine[]; readonly more: number } {
    const all = [...this.#unknown.values()].flatMap((place) => [...place.values()]);
    const machines = all.sort((a, b) => b.lastAt - a.lastAt).slice(0, most);
    return { machines: machines.map(unknownOf), more: all.length - machines.length };
  }

  /** Of all machines, who was heard longest ago first among those of the farm. */
  *records(): Generator<BootRecord> {
    for (const { record } of this.#known.values()) yield record;
    for (const place of this.#unknown.values()) yield* place.values();
  }

  #forget(mac: string): void {
    this.#knownBytes -= this.#known.get(mac)?.bytes ?? 0;
    this.#known.delete(mac);
    const place = this.#places.get(mac);
    if (place !== undefined) this.#unlist(place, mac);
  }

  #keep(record: BootRecord): void {
    const bytes = bytesOf(record);
    this.#known.set(record.mac, { record, bytes });
    this.#knownBytes += bytes;
    while (this.#knownBytes > this.#limits.knownBytes) this.#shrink();
  }

  /** Who was heard longest ago loses its oldest boot, and with the last one its record. */
  #shrink(): void {
    for (const [mac, { record, bytes }] of this.#known) {
      const boots = record.boots.slice(1);
      const left = { ...record, boots };
      const leftBytes = boots.length > 0 ? bytesOf(left) : 0;
      this.#knownBytes += leftBytes - bytes;
      if (boots.length > 0) this.#known.set(mac, { record: left, bytes: leftBytes });
      else this.#known.delete(mac);
      return;
    }
  }

  #list(record: BootRecord): void {
    const place = this.#placeOf(record);
    const there = this.#unknown.get(place) ?? new Map<string, BootRecord>();
    this.#unknown.set(place, there.set(record.mac, record));
    this.#places.set(record.mac, place);
    if (this.#places.size > this.#limits.unknown) this.#makeRoom();
  }

  /**
   * Who asked by HTTP has an address of its own; a relay is a word in a packet, which anybody writes. Whatever relays are named, machines that asked by HTTP and
   * those of our own network are not among them.
   */
  #placeOf({ address, relay }: BootRecord): string {
    const [kind, name] =
      address !== undefined ? ['at', address] : relay !== undefined ? ['behind', relay] : ['here', ''];
    const place = `${kind} ${name}`;
    if (kind === 'here' || this.#unknown.has(place)) return place;
    const alike = [...this.#unknown.keys()].filter((other) => other.startsWith(kind)).length;
    return alike < this.#limits.places ? place : `${kind} all others`;
  }

  /** The place that has most loses who was heard there longest ago. */
  #makeRoom(): void {
    let [fullest, most] = ['', 0];
    for (const [place, { size }] of this.#unknown) if (size > most) [fullest, most] = [place, size];
    const [oldest = ''] = this.#unknown.get(fullest)?.keys() ?? [];
    this.#unlist(fullest, oldest);
  }

  #unlist(place: string, mac: string): void {
    this.#places.delete(mac);
    const there = this.#unknown.get(place);
    there?.delete(mac);
    if (there?.size === 0) this.#unknown.delete(place);
  }
}
