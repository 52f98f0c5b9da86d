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
  /** It has every version of which it is known what is right; of none that is known nobody has all. */
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

/** Longer than a server may act on what it knew before a switch: it took its own copy for one too many. */
const SWITCH_SECONDS = 120;

/**
 * Sticky: a server that was chosen stays, but
 * - one that is away, or gets nothing, for `replaceAfter` has another one chosen beside it, and stays chosen itself, for it may come back;
 * - of more than are wanted the newest goes, when so many others are whole, and none of them was chosen after it a moment ago;
 * - where none that was chosen has anything, and another one has, all are chosen anew;
 * - the one that serves it alone is chosen first, and never goes.
 *
 * Of the same facts the same is chosen again, with the same times: a status is written when it changes.
 */
export function spread(facts: SpreadFacts): Spread {
  const { wanted, keepers, before, nowSeconds, replaceAfterSeconds } = facts;
  const kept = staying(facts).flatMap((one) => standing(facts, one));
  const isOver = (one: Chosen): boolean => isStoodInFor(one, replaceAfterSeconds, nowSeconds);
  const isStuck = ({ name }: Chosen): boolean => keepers.some((one) => one.name === name && one.alive);
  const active = kept.filter((one) => !isOver(one));
  const lacking = Math.max(0, wanted - active.length);
  const stuck = Math.min(lacking, kept.filter((one) => isOver(one) && isStuck(one)).length);
  const others = keepers.filter(({ name, alive }) => alive && !kept.some((one) => one.name === name));
  const ranked = inOrder(facts, others);
  const first = ranked.slice(0, lacking - stuck);
  // In place of one that gets nothing only one that has room: else all would be asked, one after another.
  const second = ranked.filter((one) => !first.includes(one) && hasRoom(one)).slice(0, stuck);
  const added = [...first, ...second].flatMap(({ name }) => {
    const { since = nowSeconds } = before.find((one) => one.name === name) ?? {};
    return standing(facts, { name, since });
  });
  const isWhole = ({ name }: Chosen): boolean => keepers.some((one) => one.name === name && hasAll(one));
  let counted = byAge(facts, [...active, ...added]);
  let chosen = byAge(facts, [...kept, ...added]);
  for (let newest = counted.at(-1); newest && counted.length > wanted; newest = counted.at(-1)) {
    const going = newest;
    const isSettled = ({ since }: Chosen): boolean => since <= going.since || nowSeconds - since >= SWITCH_SECONDS;
    const rest = counted.slice(0, -1);
    if (rest.filter((one) => isWhole(one) && isSettled(one)).length < wanted) break;
    counted = rest;
    chosen = chosen.filter((one) => one !== going);
  }
  return { chosen, counted: counted.map(({ name }) => name) };
}

/** It is away, or gets nothing, for so long that it counts no more: others do in its place. */
export const isStoodInFor = (
  { awaySince }: Pick<Chosen, 'awaySince'>,
  replaceAfterSeconds: number,
  nowSeconds: number,
): boolean => awaySince !== undefined && nowSeconds - awaySince >= replaceAfterSeconds;

/** Those that were chosen, and the one that serves it alone. */
function staying({ before, keepers, pinned, nowSeconds }: SpreadFacts): readonly Chosen[] {
  const own = keepers.filter(({ name }) => before.some((one) => one.name === name));
  const isElsewhere = !own.some(({ hasSome }) => hasSome) && keepers.some(({ alive, hasSome }) => alive && hasSome);
  const list = isElsewhere ? before.filter(({ name }) => name === pinned) : before;
  const isNamed = keepers.some(({ name }) => name === pinned) && !list.some(({ name }) => name === pinned);
  return isNamed && pinned !== undefined ? [...list, { name: pinned, since: nowSeconds }] : list;
}

/** With since when it is away; none where it is none of the store's any more for `replaceAfter`. */
function standing(facts: SpreadFacts, { name, since, awaySince = facts.nowSeconds }: Chosen): readonly Chosen[] {
  const { keepers, replicates, replaceAfterSeconds, nowSeconds } = facts;
  const keeper = keepers.find((one) => one.name === name);
  if (!keeper) return nowSeconds - awaySince < replaceAfterSeconds ? [{ name, since, awaySince }] : [];
  const getsNothing = replicates && keepers.some(hasAll) && !keeper.whole && !keeper.coming;
  if (keeper.alive && !getsNothing) return [{ name, since }];
  return [{ name, since, awaySince: Math.min(awaySince, nowSeconds - keeper.silentSeconds) }];
}

/** The one that serves it alone, then the oldest. */
function byAge({ vdisk, pinned }: SpreadFacts, list: readonly Chosen[]): readonly Chosen[] {
  const rankOf = ({ name }: Chosen): number => Number(name !== pinned);
  return list.toSorted(
    (a, b) => rankOf(a) - rankOf(b) || a.since - b.since || (weight(vdisk, a.name) < weight(vdisk, b.name) ? -1 : 1),
  );
}

const hasAll = ({ alive, whole }: Keeper): boolean => alive && whole;

/** Where it fits, so far as it is known. */
const hasRoom = ({ freeBytes, lacksBytes }: Keeper): boolean =>
  lacksBytes === 0 || (freeBytes !== undefined && freeBytes >= lacksBytes);

/** Steps: what differs by less is the same, and the hash of vDisk and server decides, so that what comes at once is spread. */
const ROOM_STEPS = 10;
const DEVICES_STEP = 20;

/**
 * Who has it all, or, where nobody has, some of it: only there it becomes more. Then who has room, who lacks least, has the largest part of its disk free
 * afterwards, has the fewest devices for its power.
 */
function inOrder({ vdisk, keepers: all }: SpreadFacts, keepers: readonly Keeper[]): readonly Keeper[] {
  const isGiven = all.some(hasAll);
  const hasIt = (keeper: Keeper): boolean => (isGiven ? hasAll(keeper) : keeper.hasSome);
  const keyOf = (keeper: Keeper): readonly (number | string)[] => {
    const { freeBytes = 0, totalBytes, lacksBytes, devices, powerRating, name } = keeper;
    const left = totalBytes === 0 ? 0 : (freeBytes - lacksBytes) / totalBytes;
    const busy = Math.floor(devices / powerRating / DEVICES_STEP);
    const first = [Number(!hasIt(keeper)), Number(!hasRoom(keeper)), lacksBytes];
    return [...first, -Math.floor(left * ROOM_STEPS), busy, weight(vdisk, name)];
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
