import { type Backoff, backoffMs } from '../kit/backoff.ts';
import type { Key } from './object.ts';
import { Schedule } from './schedule.ts';

/** Edits (a person's change, a child's news) run before resyncs (a look for good measure). */
export type Priority = 'edit' | 'resync';

/** How long a key that failed waits: 5 ms × 2ⁿ up to 5 min, half of it at random. */
const FAILURE_BACKOFF: Backoff = { baseMs: 5, maxMs: 300_000 };

/** What a run of a key asked for. */
export type Done =
  | { readonly kind: 'Forget' }
  | { readonly kind: 'After'; readonly ms: number }
  | { readonly kind: 'Failed' };

/**
 * Where a key is. What it does not need is not there:
 *
 *     touch ──► Ready ──take──► Running ──done──► (forgotten)
 *                 ▲                │ After, Failed
 *                 └── due, edit ── Waiting
 */
type Entry =
  | { kind: 'Ready'; priority: Priority; sinceMs: number; failures: number }
  | { kind: 'Waiting'; priority: Priority; dueMs: number; failures: number }
  | {
      kind: 'Running';
      priority: Priority;
      startedMs: number;
      failures: number;
      touched: Priority | undefined;
      dueMs: number;
    };

export interface Taken {
  readonly key: Key;
  /** How long it was ready, in ms. */
  readonly waitedMs: number;
}

/**
 * A queue of keys. A key runs once at a time; touched while it runs, it runs again; touched often, it runs once.
 * Deterministic: the time comes in as `nowMs` (any monotonic clock), nothing waits in here.
 */
export class KeyQueue {
  readonly #entries = new Map<Key, Entry>();
  /** Keys in the order they became ready; the Set makes removal (a raised priority) cheap. */
  readonly #ready: Record<Priority, Set<Key>> = { edit: new Set(), resync: new Set() };
  readonly #due = new Schedule();
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /**
   * Something may have changed. An edit cuts a wait short; a resync does not: the key will be looked at anyway,
   * and a failing key keeps its back-off.
   */
  touch(key: Key, priority: Priority, nowMs: number): void {
    const entry = this.#entries.get(key);
    switch (entry?.kind) {
      case undefined:
        this.#makeReady(key, priority, nowMs, 0);
        return;
      case 'Ready':
        if (priority === 'edit' && entry.priority === 'resync') {
          this.#ready.resync.delete(key);
          this.#ready.edit.add(key);
          entry.priority = 'edit';
        }
        return;
      case 'Waiting':
        if (priority === 'edit') this.#makeReady(key, priority, nowMs, entry.failures);
        return;
      case 'Running':
        entry.touched = entry.touched === 'edit' ? 'edit' : priority;
    }
  }

  /** Looks at the key in `ms`, or earlier when it is due earlier. */
  after(key: Key, ms: number, nowMs: number): void {
    const entry = this.#entries.get(key);
    switch (entry?.kind) {
      case undefined:
        this.#makeWait(key, 'resync', nowMs + ms, 0);
        return;
      case 'Ready':
        return;
      case 'Waiting':
        if (nowMs + ms < entry.dueMs) this.#makeWait(key, entry.priority, nowMs + ms, entry.failures);
        return;
      case 'Running':
        entry.dueMs = Math.min(entry.dueMs, nowMs + ms);
    }
  }

  /** The next key to run, which is Running from now on; undefined when none is ready. */
  take(nowMs: number): Taken | undefined {
    for (let key = this.#due.take(nowMs); key !== undefined; key = this.#due.take(nowMs)) {
      const entry = this.#entries.get(key);
      if (entry?.kind === 'Waiting' && entry.dueMs <= nowMs) {
        this.#makeReady(key, entry.priority, entry.dueMs, entry.failures);
      }
    }
    for (const priority of ['edit', 'resync'] as const) {
      for (const key of this.#ready[priority]) {
        this.#ready[priority].delete(key);
        const entry = this.#entries.get(key);
        if (entry?.kind !== 'Ready') throw new Error(`key ${key} was ready, but is ${entry?.kind}`);
        const { failures, sinceMs } = entry;
        this.#entries.set(key, {
          kind: 'Running',
          priority,
          startedMs: nowMs,
          failures,
          touched: undefined,
          dueMs: Number.POSITIVE_INFINITY,
        });
        return { key, waitedMs: nowMs - sinceMs };
      }
    }
    return undefined;
  }

  /** A run ended. Throws for a key that is not Running. */
  done(key: Key, done: Done, nowMs: number): void {
    const entry = this.#entries.get(key);
    if (entry?.kind !== 'Running') throw new Error(`key ${key} is done, but was not running`);
    const { priority, touched, dueMs, failures } = entry;
    this.#entries.delete(key);
    const failed = done.kind === 'Failed' ? failures + 1 : 0;
    if (touched) {
      this.#makeReady(key, touched, nowMs, failed);
      return;
    }
    const nextMs = Math.min(dueMs, nowMs + this.#waitMs(done, failures));
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#makeWait(key, done.kind === 'Failed' ? priority : 'resync', nextMs, failed);
  }

  #waitMs(done: Done, failures: number): number {
    switch (done.kind) {
      case 'Forget':
        return Number.POSITIVE_INFINITY;
      case 'After':
        return done.ms;
      case 'Failed':
        return backoffMs(FAILURE_BACKOFF, failures, this.#random);
    }
  }

  /** When the next waiting key is due; undefined when none waits. A key may be ready before. */
  nextDueMs(): number | undefined {
    for (let first = this.#due.first(); first; first = this.#due.first()) {
      const entry = this.#entries.get(first.key);
      if (entry?.kind === 'Waiting' && entry.dueMs === first.dueMs) return first.dueMs;
      this.#due.take(first.dueMs); // left behind by a key that moved on
    }
    return undefined;
  }

  /** Keys that are ready and not taken. */
  depth(): number {
    return this.#ready.edit.size + this.#ready.resync.size;
  }

  /** Start times of the runs under way, in the clock's ms. */
  runningSinceMs(): number[] {
    return [...this.#entries.values()].flatMap((entry) => (entry.kind === 'Running' ? [entry.startedMs] : []));
  }

  #makeReady(key: Key, priority: Priority, sinceMs: number, failures: number): void {
    this.#entries.set(key, { kind: 'Ready', priority, sinceMs, failures });
    this.#ready[priority].add(key);
  }

  #makeWait(key: Key, priority: Priority, dueMs: number, failures: number): void {
    this.#entries.set(key, { kind: 'Waiting', priority, dueMs, failures });
    this.#due.add(key, dueMs);
  }
}
