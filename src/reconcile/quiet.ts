/** Counts move by themselves; a status tells them at most each 30 s, and everything else at once. */
import { isDeepStrictEqual } from 'node:util';
import type { Condition } from '../resources/conditions.ts';

export const COUNTS_EVERY_MS = 30_000;

/** `after`, but with the counts of `before`. */
export type KeepCounts<S> = (after: S, before: S) => S;

export class Quiet {
  readonly #toldMs = new Map<string, number>();

  /** The status to write: as found, or with the counts as they are written when those were told less than 30 s ago. */
  status<S>(key: string, before: S | undefined, after: S, keep: KeepCounts<S>, nowMs = performance.now()): S {
    if (before === undefined) return after;
    const still = keep(after, before);
    if (isDeepStrictEqual(still, after)) return after;
    const told = this.#toldMs.get(key);
    if (told !== undefined && nowMs - told < COUNTS_EVERY_MS) return still;
    this.#toldMs.set(key, nowMs);
    return after;
  }

  forget(key: string): void {
    this.#toldMs.delete(key);
  }
}

/** The devices of a status, whatever their shape. */
export const keepDevices = <S extends { readonly devices?: unknown }>(after: S, before: S): S =>
  before.devices === undefined ? after : { ...after, devices: before.devices };

/** Conditions of these types that say the same, in other numbers. */
export const keepWords = (
  after: readonly Condition[],
  before: readonly Condition[],
  types: readonly string[],
): Condition[] =>
  after.map((condition) => {
    const same = before.find(
      ({ type, status, reason }) =>
        type === condition.type && status === condition.status && reason === condition.reason,
    );
    return same && types.includes(condition.type) ? { ...condition, message: same.message } : condition;
  });
