import type { Refusal } from './packet.ts';

/** Plain numbers that any thread may read at any time: one shared array a thread, written by that thread alone. */
export const COUNTERS = [
  /** Of the thread's loop: it grows while the thread lives, whatever comes. */
  'turns',
  'packetsIn',
  'bytesIn',
  'packetsOut',
  'bytesOut',
  'reads',
  'readBytes',
  'waits',
  'readErrors',
  'badReads',
  'logins',
  'attaches',
  'unknowns',
  'moves',
  'gsoFallbacks',
  'dropBadSource',
  'dropMalformed',
  'dropWrongTag',
  'dropReplayed',
  'dropUnexpected',
  'dropUnknownSession',
  'dropBusy',
  'dropSendFailed',
  'dropSilentNeighbour',
  'dropFault',
  'refusedTokenInvalid',
  'refusedTokenExpired',
  'refusedUnknownDevice',
  'refusedNoCopy',
  'refusedNoServer',
  'refusedBusy',
  'refusedTicketInvalid',
  'refusedDraining',
  'refusedOffline',
  'refusedSegmentTooSmall',
] as const satisfies readonly (string | `refused${Refusal}`)[];
export type Counter = (typeof COUNTERS)[number];
export type Counters = Readonly<Record<Counter, number>>;

/** Why a packet is not answered. */
export type DropReason = Extract<Counter, `drop${string}`>;

const INDEX = Object.fromEntries(COUNTERS.map((name, index) => [name, index])) as Readonly<Record<Counter, number>>;

/** Where a counter lies in the array: for hot paths, which add to it without looking its name up. */
export const counterAt = (name: Counter): number => INDEX[name];

export const makeCounters = (): Float64Array =>
  new Float64Array(new SharedArrayBuffer(COUNTERS.length * Float64Array.BYTES_PER_ELEMENT));

export function count(counters: Float64Array, name: Counter, by = 1): void {
  counters[INDEX[name]] = (counters[INDEX[name]] ?? 0) + by;
}

export const sumCounters = (all: readonly Float64Array[]): Counters =>
  Object.fromEntries(
    COUNTERS.map((name) => [name, all.reduce((sum, counters) => sum + (counters[INDEX[name]] ?? 0), 0)]),
  ) as Counters;
