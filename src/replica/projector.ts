/** The leading operator's loop: keeps the primary Redis at the state of the database, and says how that goes. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { type Kysely, sql } from 'kysely';
import type { Database } from '../database/connection.ts';
import type { Tables } from '../database/tables.ts';
import type { IdentityReason } from '../farm/identity.ts';
import { backoffMs } from '../kit/backoff.ts';
import { never, ok } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';
import { applyChanges, confirm, type Leader, rebuild, type Step, type StepResult, takeOver } from './feed.ts';
import { asked, openOnce, type RedisAccess } from './link.ts';

/**
 * - `InSync`: what is committed is in the primary within a second or so.
 * - `Lagging`: the oldest change waits longer than that.
 * - `Rebuilding`: the primary was empty, foreign or not at the database's state; followers serve what they hold.
 * - `Stale`: the primary cannot be reached, or may not be written (`refused`); followers serve what they hold.
 * - `Offline`: the database cannot be read; what the primary holds is the latest there is.
 */
export type ReplicaState = 'InSync' | 'Lagging' | 'Rebuilding' | 'Stale' | 'Offline';

export interface ReplicaHealth {
  readonly state: ReplicaState;
  /** Followers that are connected to the primary and up to date with it. */
  readonly followers: number;
  /** Unix milliseconds of the last change of `state`. */
  readonly lastChange: number;
  /** Why, in words; empty when InSync. */
  readonly message: string;
  /** The database is not the one that the replica is of: only a person helps. */
  readonly refused?: IdentityReason;
}

export interface ProjectorOptions {
  readonly database: Database;
  readonly redis: RedisAccess;
  readonly farmId: string;
  /** Of this leadership, as `lead` gave it: above all before it. */
  readonly epoch: number;
  readonly log: Logger;
  /** Default: `SETTLED_MS`. */
  readonly settledMs?: number;
  /** On every change of state or of the number of followers. */
  readonly onState?: (health: ReplicaHealth) => void;
}

export interface Projector {
  readonly health: ReplicaHealth;
  /** Over: closed, or fenced by a leader of a later epoch. */
  readonly done: Promise<{ readonly fencedBy?: number }>;
  close(): Promise<void>;
}

/** While changes come, and when none do: the second bounds what a single change waits. */
const BUSY_MS = 10;
const IDLE_MS = 40;
const RETRY = { baseMs: 100, maxMs: 5_000 };
/** Followers judge the age of the replica by this mark; it also finds a primary that somebody emptied. */
const CONFIRM_MS = 1_000;
const LAGGING_SECONDS = 2;
/**
 * After so long META learns of a revision. A fail-over of PostgreSQL may lose its last seconds: that is no restore, and the replica is built
 * anew; a database that lacks what it had committed before is one that was restored to the past.
 */
const SETTLED_MS = 10_000;

export function startProjector(options: ProjectorOptions): Projector {
  return new FeedLoop(options);
}

/** What a turn came to: how long to wait before the next, or the end. */
type Turn = { readonly waitMs: number } | { readonly fencedBy: number };

class FeedLoop implements Projector {
  readonly done: Projector['done'];
  readonly #options: ProjectorOptions;
  readonly #leader: Leader;
  readonly #stop = new AbortController();
  #redis: Redis | undefined;
  /** What both sides hold, as far as this leader knows; absent: not attached. */
  #token: string | undefined;
  /** Of the database as it was committed: now, and what META was told; between them one that becomes old enough to be told. */
  #revision = 0;
  #settled = 0;
  #settling: { readonly revision: number; readonly at: number } | undefined;
  #failures = 0;
  #idleMs = BUSY_MS;
  #confirmedAt = 0;
  #health: ReplicaHealth = { state: 'Stale', followers: 0, lastChange: Date.now(), message: 'not connected yet' };

  constructor(options: ProjectorOptions) {
    this.#options = options;
    this.#leader = { farmId: options.farmId, epoch: options.epoch };
    this.done = this.#run();
  }

  get health(): ReplicaHealth {
    return this.#health;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.done;
  }

  async #run(): Projector['done'] {
    const { signal } = this.#stop;
    try {
      while (!signal.aborted) {
        const turn = await this.#turn();
        if ('fencedBy' in turn) return turn;
        await delay(turn.waitMs, undefined, { signal, ref: false }).catch(() => {});
      }
      return {};
    } finally {
      this.#drop();
    }
  }

  async #turn(): Promise<Turn> {
    if (!this.#redis) {
      const opened = await openOnce(this.#options.redis);
      if (!opened.ok) return this.#failed('Stale', opened.error.message);
      this.#redis = opened.value;
    }
    if (this.#token === undefined) return this.#attach(this.#redis);
    return this.#follow(this.#redis, this.#token);
  }

  /** Once a connection: the process behind it may be another one, and empty. Only then may followers follow. */
  async #attach(redis: Redis): Promise<Turn> {
    const { database, log } = this.#options;
    let result = await takeOver(database, redis, this.#leader);
    if (result.ok && result.value.kind === 'Disagree') {
      this.#say('Rebuilding', 'the primary does not hold the state of the database');
      result = await rebuild(database, redis, this.#leader);
      if (result.ok && result.value.kind === 'Done') log.info({ entries: result.value.changes }, 'replica rebuilt');
    }
    if (!result.ok || result.value.kind !== 'Done') return this.#failure(result);
    const opened = await asked('primary', () => redis.replicaof('NO', 'ONE')); // see `primaryConfig`
    if (!opened.ok) return this.#failure(ok({ kind: 'RedisFailed', fault: opened.error }));
    this.#token = result.value.token;
    this.#revision = result.value.revision;
    this.#settled = result.value.settled;
    this.#settling = undefined;
    return { waitMs: 0 };
  }

  async #follow(redis: Redis, token: string): Promise<Turn> {
    const { database } = this.#options;
    const feed = await database.run(readFeed);
    if (!feed.ok) return this.#failure(feed);
    if (feed.value.token !== token) return this.#failure(ok({ kind: 'Disagree' }));
    if (feed.value.waitingSeconds !== null) {
      const result = await applyChanges(database, redis, this.#leader, token);
      if (!result.ok || result.value.kind !== 'Done') return this.#failure(result);
      this.#token = result.value.token;
      this.#revision = result.value.revision;
      this.#idleMs = BUSY_MS;
    } else this.#idleMs = Math.min(IDLE_MS, this.#idleMs * 2);
    if (Date.now() - this.#confirmedAt >= CONFIRM_MS) {
      const hindered = await confirm(redis, this.#leader, this.#token ?? token, this.#settle(Date.now()));
      if (hindered) return this.#failure(ok(hindered));
      await this.#countFollowers(redis);
      this.#confirmedAt = Date.now();
    }
    this.#failures = 0;
    const waited = feed.value.waitingSeconds ?? 0;
    if (waited > LAGGING_SECONDS) this.#say('Lagging', `the oldest change waits for more than ${LAGGING_SECONDS} s`);
    else this.#say('InSync', '');
    return { waitMs: this.#idleMs };
  }

  /** What META may know now. */
  #settle(now: number): number {
    const { settledMs = SETTLED_MS } = this.#options;
    if (this.#settling && now - this.#settling.at >= settledMs) {
      this.#settled = this.#settling.revision;
      this.#settling = undefined;
    }
    if (this.#revision > this.#settled) this.#settling ??= { revision: this.#revision, at: now };
    return this.#settled;
  }

  #failure(result: Awaited<StepResult>): Turn {
    if (!result.ok) {
      if (result.error.code === 'Conflict') return { waitMs: BUSY_MS }; // somebody else held the cursor
      return this.#failed('Offline', result.error.message);
    }
    const step: Step = result.value;
    switch (step.kind) {
      case 'Fenced':
        this.#options.log.warn({ epoch: this.#leader.epoch, later: step.epoch }, 'projector fenced by a later leader');
        return { fencedBy: step.epoch };
      case 'RedisFailed':
        this.#drop();
        return this.#failed('Stale', step.fault.message);
      case 'Refused':
        this.#token = undefined;
        return this.#failed('Stale', step.message, step.reason);
      case 'Disagree':
        this.#token = undefined;
        return { waitMs: this.#backoff() };
      case 'Done':
        return { waitMs: 0 };
      default:
        return never(step);
    }
  }

  #failed(state: ReplicaState, message: string, refused?: IdentityReason): Turn {
    this.#say(state, message, refused);
    return { waitMs: this.#backoff() };
  }

  #backoff(): number {
    return backoffMs(RETRY, this.#failures++);
  }

  /** The next connection may reach another process, so nothing that is known of this one holds. */
  #drop(): void {
    this.#redis?.disconnect();
    this.#redis = undefined;
    this.#token = undefined;
  }

  async #countFollowers(redis: Redis): Promise<void> {
    const info = await asked('primary', () => redis.info('replication'));
    const followers = info.ok ? (info.value.match(/^slave\d+:.*state=online/gm)?.length ?? 0) : 0;
    if (followers !== this.#health.followers) this.#publish({ ...this.#health, followers });
  }

  #say(state: ReplicaState, message: string, refused?: IdentityReason): void {
    const changed = state !== this.#health.state;
    if (!changed && message === this.#health.message) return;
    if (changed) this.#options.log.info({ state, reason: message }, 'replica state');
    this.#publish({
      state,
      message,
      followers: state === 'Stale' ? 0 : this.#health.followers,
      lastChange: changed ? Date.now() : this.#health.lastChange,
      ...(refused ? { refused } : {}),
    });
  }

  #publish(health: ReplicaHealth): void {
    this.#health = health;
    this.#options.onState?.(health);
  }
}

/** What an idle turn costs: one row of each table. */
async function readFeed(db: Kysely<Tables>): Promise<{ token: string; waitingSeconds: number | null }> {
  const { rows } = await sql<{ token: string; waitingSeconds: number | null }>`
    select token, (select extract(epoch from clock_timestamp() - at)::float8 from dirty order by id limit 1) as "waitingSeconds"
    from feed_cursor`.execute(db);
  return rows[0] ?? { token: '', waitingSeconds: null };
}
