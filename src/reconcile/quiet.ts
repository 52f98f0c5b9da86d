/**
 * What a status does not tell: counts move by themselves and are told at most each 30 s, but for more devices, which the guard against deletion
 * has to know of; and a leader that has just begun knows less than the one
 * before it, whose verdicts it takes back only after 10 s.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Condition } from '../resources/conditions.ts';
import { Told } from './told.ts';

export const COUNTS_EVERY_MS = 30_000;
/** Enough to connect to a database and a replica, and to ask servers of which one does not answer. */
export const BEGINNING_MS = 10_000;

/** `after`, but with the counts of `before`. */
export type KeepCounts<S> = (after: S, before: S) => S;

export class Quiet {
  /** What Events said of the parts of a resource. */
  readonly told = new Told();
  readonly #toldMs = new Map<string, number>();
  readonly #faults = new Map<string, string>();
  /** The first reconcile of this leader. */
  #beganMs: number | undefined;

  /** The status to write: as found, as it is written, or with the counts as they are written when those were told less than 30 s ago. */
  status<S extends Judged>(
    key: string,
    before: S | undefined,
    after: S,
    keep: KeepCounts<S>,
    nowMs = performance.now(),
  ): S {
    this.#beganMs ??= nowMs;
    if (before === undefined) return after;
    if (nowMs - this.#beganMs < BEGINNING_MS && takesBack(after, before)) return before;
    const still = keep(after, before);
    if (isDeepStrictEqual(still, after)) return after;
    if (devicesOf(after) > devicesOf(before)) return after;
    const told = this.#toldMs.get(key);
    if (told !== undefined && nowMs - told < COUNTS_EVERY_MS) return still;
    this.#toldMs.set(key, nowMs);
    return after;
  }

  /** Whether this is another fault of `key` than the last time; undefined: there is none. A log says what changes. */
  isNews(key: string, fault: { readonly code: string; readonly message: string } | undefined): boolean {
    const said = fault && `${fault.code} ${fault.message}`;
    const before = this.#faults.get(key);
    if (said === undefined) this.#faults.delete(key);
    else this.#faults.set(key, said);
    return said !== undefined && said !== before;
  }

  forget(key: string): void {
    this.told.forget(key);
    this.#toldMs.delete(key);
    for (const fault of this.#faults.keys()) if (fault.startsWith(`${key} `)) this.#faults.delete(fault);
  }

  /** Another copy leads. */
  rest(): void {
    this.told.clear();
    this.#toldMs.clear();
    this.#faults.clear();
    this.#beganMs = undefined;
  }
}

/** A number, but for a Farm, which tells its devices apart. */
function devicesOf({ devices }: Judged): number {
  if (typeof devices === 'number') return devices;
  const { streaming = 0, booting = 0 } = devices ?? {};
  return streaming + booting;
}

interface Judged {
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
  readonly devices?: number | { readonly streaming?: number; readonly booting?: number };
}

/** Of the conditions, those that tell of something bad when they are True. */
const BAD: readonly string[] = ['Reconciling', 'Stalled', 'Degraded', 'RolloutPending'];

/**
 * Of the same spec something good is no longer said, and not because this operator changes something: that it knows. Or nothing is, as its Farm has no
 * runtime yet.
 */
function takesBack(after: Judged, before: Judged): boolean {
  const says = (reason: Condition['reason']) => after.conditions?.some((condition) => condition.reason === reason);
  if (after.observedGeneration !== before.observedGeneration || says('RollingOut')) return false;
  if (says('FarmNotReady')) return true;
  return (before.conditions ?? []).some(
    ({ type, status }) =>
      status === 'True' &&
      !BAD.includes(type) &&
      after.conditions?.find((found) => found.type === type)?.status !== 'True',
  );
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
