import { createHash } from 'node:crypto';

/** What an event says, and about what. */
export interface EventSaying {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, from the constants of the kind. */
  readonly reason: string;
  /** What was done, CamelCase: the API demands one. */
  readonly action: string;
  /** For people: names the thing, the value and the way out. Cut at 1,024 bytes. */
  readonly note: string;
}

/** The same saying about the same object within this time is one event with a count. */
export const SERIES_MS = 360_000;
/** A growing count is written down at most this often. */
export const COUNT_EVERY_MS = 60_000;
/** Events that one object may make: so many at once, and one more each so often. What is above is dropped. */
export const BURST = 25;
export const REFILL_MS = 300_000;
/** Objects and sayings remembered; the oldest go first. */
export const MAX_REMEMBERED = 4_096;

export type EventAction =
  | { readonly kind: 'Create'; readonly id: string }
  | { readonly kind: 'Count'; readonly id: string; readonly name: string; readonly count: number }
  | { readonly kind: 'Drop'; readonly why: 'Repeated' | 'TooMany' };

interface Saying {
  name: string;
  count: number;
  lastMs: number;
  writtenMs: number;
}

/** Decides what becomes of each event; knows no API. Times are any clock's ms. */
export class EventBook {
  readonly #sayings = new Map<string, Saying>();
  readonly #budgets = new Map<string, { tokens: number; atMs: number }>();

  /** `uid` is of the object the event is about, `name` what a new event would be called. */
  record(uid: string, saying: EventSaying, name: string, nowMs: number): EventAction {
    const id = idOf(uid, saying);
    const known = this.#sayings.get(id);
    if (known && nowMs - known.lastMs < SERIES_MS) {
      known.count += 1;
      known.lastMs = nowMs;
      if (nowMs - known.writtenMs < COUNT_EVERY_MS) return { kind: 'Drop', why: 'Repeated' };
      known.writtenMs = nowMs;
      return { kind: 'Count', id, name: known.name, count: known.count };
    }
    if (!this.#spend(uid, nowMs)) return { kind: 'Drop', why: 'TooMany' };
    remember(this.#sayings, id, { name, count: 1, lastMs: nowMs, writtenMs: nowMs });
    return { kind: 'Create', id };
  }

  /** The event could not be written, or is not there any more: the next one is a new one. */
  forget(id: string): void {
    this.#sayings.delete(id);
  }

  #spend(uid: string, nowMs: number): boolean {
    const { tokens, atMs } = this.#budgets.get(uid) ?? { tokens: BURST, atMs: nowMs };
    const now = Math.min(BURST, tokens + (nowMs - atMs) / REFILL_MS);
    remember(this.#budgets, uid, { tokens: now >= 1 ? now - 1 : now, atMs: nowMs });
    return now >= 1;
  }
}

const idOf = (uid: string, { type, reason, action, note }: EventSaying): string =>
  createHash('sha256')
    .update(JSON.stringify([uid, type, reason, action, note]))
    .digest('hex')
    .slice(0, 16);

function remember<T>(map: Map<string, T>, id: string, value: T): void {
  map.delete(id);
  map.set(id, value);
  const oldest = map.size > MAX_REMEMBERED ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
}
