/** Which servers keep the copies of a vDisk that wants so many and no more. Pure. */
import { createHash } from 'node:crypto';

/** A server that was chosen. Times are Unix seconds. */
export interface Chosen {
  readonly name: string;
  readonly since: number;
  /** Since when it is away, or gets no copy though it lacks one. */
  readonly awaySince?: number;
}

/** A server of the store. */
export interface Keeper {
  readonly name: string;
  /** It answers, and reaches its store. */
  readonly alive: boolean;
  /** How long it has not answered; 0: it does. */
  readonly silentSeconds: number;
  /** It has every version of which it is known what is right. */
  readonly whole: boolean;
  /** Something of what it lacks is on its way. */
  readonly coming: boolean;
  /** Of what it lacks, at most; 0: it lacks nothing, or nobody knows how large it is. */
  readonly lacksBytes: number;
  /** It has something of it. */
  readonly hasSome: boolean;
  /** Absent: nobody knows, for its folder is not made yet. */
  readonly freeBytes?: number;
  readonly totalBytes: number;
  readonly devices: number;
  readonly powerRating: number;
}

export interface SpreadFacts {
  readonly vdisk: string;
  readonly wanted: number;
  /** The one server that serves it. */
  readonly pinned?: string;
  /** Those that were chosen, in any order. */
  readonly before: readonly Chosen[];
  /** All of the store. */
  readonly keepers: readonly Keeper[];
  /** Servers copy by themselves: one that gets nothing is not a person's matter. */
  readonly replicates: boolean;
  readonly replaceAfterSeconds: number;
  readonly nowSeconds: number;
}

export interface Spread {
  /** Each of them keeps its copy; the oldest first. */
  readonly chosen: readonly Chosen[];
  /** Those of them that are to have one now: without those that others stand in for. */
  readonly counted: readonly string[];
}

/**
 * Sticky: a server that was chosen stays, but
 * - one that is away, or gets nothing, for `replaceAfter` has another one chosen beside it, and stays chosen itself, for it may come back;
 * - of more than are wanted the newest goes, when so many others are whole;
 * - where none that was chosen has anything, and another one has it all, all are chosen anew;
 * - the one that serves it alone is chosen first, and never goes.
 */
export function spread(facts: SpreadFacts): Spread {
  const { wanted, keepers, nowSeconds, replaceAfterSeconds } = facts;
  const byName = new Map(keepers.map((keeper) => [keeper.name, keeper]));
  const kept = standing(facts, byName);
  const isOver = ({ awaySince }: Chosen): boolean =>
    awaySince !== undefined && nowSeconds - awaySince >= replaceAfterSeconds;
  const isStuck = ({ name }: Chosen): boolean => byName.get(name)?.alive === true;
  const active = kept.filter((one) => !isOver(one));
  const lacking = Math.max(0, wanted - active.length);
  const stuck = Math.min(lacking, kept.filter((one) => isOver(one) && isStuck(one)).length);
  const others = keepers.filter(({ name, alive }) => alive && !kept.some((one) => one.name === name));
  const ranked = inOrder(facts.vdisk, others);
  const first = ranked.slice(0, lacking - stuck);
  // In place of one that gets nothing only one that has room: else all would be asked, one after another.
  const second = ranked.filter((one) => !first.includes(one) && hasRoom(one)).slice(0, stuck);
  const added = [...first, ...second].map(({ name }) => ({ name, since: nowSeconds }));
  const isWhole = ({ name }: Chosen): boolean => keepers.some((one) => one.name === name && hasAll(one));
  let counted = byAge(facts, [...active, ...added]);
  let chosen = byAge(facts, [...kept, ...added]);
  while (counted.length > wanted) {
    const newest = counted.at(-1);
    const rest = counted.slice(0, -1);
    if (rest.filter(isWhole).length < wanted) break;
    counted = rest;
    chosen = chosen.filter((one) => one !== newest);
  }
  return { chosen, counted: counted.map(({ name }) => name) };
}

/** Those that were chosen, but who is none of the store's any more for `replaceAfter`, with since when they are away. */
function standing(facts: SpreadFacts, byName: ReadonlyMap<string, Keeper>): readonly Chosen[] {
  const { keepers, pinned, replicates, replaceAfterSeconds, nowSeconds } = facts;
  const own = facts.before.flatMap((one) => byName.get(one.name) ?? []);
  const hasOther = keepers.some((one) => hasAll(one) && !own.includes(one));
  const before = hasOther && !own.some(({ hasSome }) => hasSome) ? [] : facts.before;
  const isGiven = keepers.some(hasAll);
  const isNamed = pinned !== undefined && byName.has(pinned) && !before.some(({ name }) => name === pinned);
  return [...before, ...(isNamed ? [{ name: pinned, since: nowSeconds }] : [])].flatMap(
    ({ name, since, awaySince = nowSeconds }): Chosen[] => {
      const keeper = byName.get(name);
      if (!keeper) return nowSeconds - awaySince < replaceAfterSeconds ? [{ name, since, awaySince }] : [];
      const getsNothing = replicates && isGiven && !keeper.whole && !keeper.coming;
      if (keeper.alive && !getsNothing) return [{ name, since }];
      return [{ name, since, awaySince: Math.min(awaySince, nowSeconds - keeper.silentSeconds) }];
    },
  );
}

/** The one that serves it alone, then the oldest. */
function byAge({ vdisk, pinned }: SpreadFacts, list: readonly Chosen[]): readonly Chosen[] {
  const rankOf = ({ name }: Chosen): number => Number(name !== pinned);
  return list.toSorted(
    (a, b) => rankOf(a) - rankOf(b) || a.since - b.since || (weight(vdisk, a.name) < weight(vdisk, b.name) ? -1 : 1),
  );
}

/** Of which nothing is known to be right, nobody has all. */
const hasAll = ({ alive, whole, hasSome }: Keeper): boolean => alive && whole && hasSome;

/** Where it fits, so far as it is known. */
const hasRoom = ({ freeBytes, lacksBytes }: Keeper): boolean =>
  lacksBytes === 0 || (freeBytes !== undefined && freeBytes >= lacksBytes);

/** Steps: what differs by less is the same, and the hash of vDisk and server decides, so that what comes at once is spread. */
const ROOM_STEPS = 10;
const DEVICES_STEP = 20;

/** Who has room, then who lacks least, has the largest part of its disk free afterwards, has the fewest devices for its power. */
function inOrder(vdisk: string, keepers: readonly Keeper[]): readonly Keeper[] {
  const keyOf = (keeper: Keeper): readonly (number | string)[] => {
    const { freeBytes = 0, totalBytes, lacksBytes, devices, powerRating, name } = keeper;
    const left = totalBytes === 0 ? 0 : (freeBytes - lacksBytes) / totalBytes;
    const busy = Math.floor(devices / powerRating / DEVICES_STEP);
    return [Number(!hasRoom(keeper)), lacksBytes, -Math.floor(left * ROOM_STEPS), busy, weight(vdisk, name)];
  };
  return keepers
    .map((keeper) => ({ keeper, key: keyOf(keeper) }))
    .toSorted((a, b) => compare(a.key, b.key))
    .map(({ keeper }) => keeper);
}

function compare(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  const at = a.findIndex((part, index) => part !== b[index]);
  if (at < 0) return 0;
  return (a[at] ?? 0) < (b[at] ?? 0) ? -1 : 1;
}

/** Rendezvous hash, as in `place.ts`. */
const weight = (vdisk: string, server: string): string =>
  createHash('sha256').update(vdisk).update('\0').update(server).digest('hex');
