import type { Logger } from '../telemetry/log.ts';
import { messageOf } from './fault.ts';
import type { Informer } from './informer.ts';
import type { EngineMetrics, ReconcileResult } from './metrics.ts';
import { type Key, type KubeObject, keyOf } from './object.ts';
import type { Outcome } from './outcome.ts';
import { type Done, KeyQueue, type Priority } from './queue.ts';
import { isEdit } from './touch.ts';

/**
 * Looks at one object by its key and makes the world as it wants. Called for a key that is gone, too.
 * The signal ends with the leadership, the controller, or `reconcileTimeoutMs`: pass it to every request.
 */
export type Reconcile = (key: Key, signal: AbortSignal) => Promise<Outcome>;

/** Other objects whose changes are news for ours: children, or what it names. */
export interface Source {
  readonly informer: Pick<Informer, 'kind' | 'synced' | 'onDelta'>;
  /** The keys of ours that this object concerns. */
  readonly keysOf: (object: KubeObject) => readonly Key[];
}

export interface ControllerOptions {
  /** Labels metrics and logs: the kind, in lower case. */
  readonly name: string;
  readonly informer: Pick<Informer, 'kind' | 'synced' | 'isSynced' | 'onDelta' | 'list'>;
  readonly sources?: readonly Source[];
  /** What no informer brings: begins to call `touch` with keys, and is given what ends that. */
  readonly news?: (touch: (key: Key) => void) => () => void;
  readonly reconcile: Reconcile;
  /** Which updates of the object itself are worth a reconcile: by default all that are more than a new status. */
  readonly isNews?: (previous: KubeObject, object: KubeObject) => boolean;
  readonly workers?: number;
  /** Each object is looked at this often for good measure. */
  readonly resyncMs?: number;
  readonly reconcileTimeoutMs?: number;
  readonly logger: Logger;
  readonly metrics?: EngineMetrics;
}

const HOUR = 3_600_000;

/** A longer time makes Node's timers fire at once; a key that is due later is met by the next timer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const result: Readonly<Record<Outcome['kind'], ReconcileResult>> = {
  Settled: 'success',
  RequeueAfter: 'requeue_after',
  Retry: 'error',
  WaitForChange: 'error',
};

/** Runs a reconciler over the objects of an informer: every key that was touched, one look at a time per key. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #workers: number;
  readonly #queue = new KeyQueue();
  /** the reconciles under way, and what ends them early. */
  readonly #running = new Map<Promise<void>, AbortController>();
  readonly #subscriptions: readonly (() => void)[];
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #resync: NodeJS.Timeout | undefined;
  #started = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#workers = options.workers ?? 4;
    const { informer, sources = [], news, metrics, name, isNews = isEdit } = options;
    metrics?.observeQueue(name, this.#queue, now);
    let replays = true; // informers first tell what they know
    const priority = (): Priority => (replays || !informer.isSynced ? 'resync' : 'edit');
    const own = informer.onDelta((delta) => {
      if (delta.kind === 'Updated' && !isNews(delta.previous, delta.object)) return;
      this.touch(keyOf(delta.object), priority());
    });
    const others = sources.map(({ informer, keysOf }) =>
      informer.onDelta((delta) => {
        const before = delta.kind === 'Updated' ? keysOf(delta.previous) : [];
        for (const key of new Set([...keysOf(delta.object), ...before])) this.touch(key, priority());
      }),
    );
    this.#subscriptions = [own, ...others, ...(news ? [news((key) => this.touch(key))] : [])];
    replays = false;
  }

  /** Looks at a key soon: for news that no informer brings. */
  touch(key: Key, priority: Priority = 'edit'): void {
    this.#options.metrics?.added(this.#options.name);
    this.#queue.touch(key, priority, now());
    this.#pump();
  }

  /** Looks at a key in `ms`, or earlier. */
  after(key: Key, ms: number): void {
    this.#queue.after(key, ms, now());
    this.#pump();
  }

  /** Resolves when the informers know everything and the first reconciles have begun. False when they were closed before. */
  async start(): Promise<boolean> {
    const { informer, sources = [], resyncMs = 10 * HOUR } = this.#options;
    const synced = await Promise.all([informer.synced, ...sources.map((source) => source.informer.synced)]);
    if (this.#closed || synced.includes(false)) return false;
    this.#started = true;
    this.#resync = setInterval(() => {
      for (const object of informer.list()) this.touch(keyOf(object), 'resync');
    }, resyncMs);
    this.#pump();
    return true;
  }

  /** Begins no reconcile any more, aborts the signals of those under way and waits for them. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    clearTimeout(this.#timer);
    clearInterval(this.#resync);
    for (const abort of this.#running.values()) abort.abort();
    await Promise.all(this.#running.keys());
  }

  #pump(): void {
    if (!this.#started || this.#closed) return;
    while (this.#running.size < this.#workers) {
      const taken = this.#queue.take(now());
      if (!taken) break;
      this.#options.metrics?.waited(this.#options.name, taken.waitedMs / 1_000);
      const abort = new AbortController();
      const run = this.#reconcile(taken.key, abort).finally(() => {
        this.#running.delete(run);
        this.#countWorkers();
        this.#pump();
      });
      this.#running.set(run, abort);
      this.#countWorkers();
    }
    clearTimeout(this.#timer);
    const dueMs = this.#running.size < this.#workers ? this.#queue.nextDueMs() : undefined;
    if (dueMs === undefined) return;
    this.#timer = setTimeout(() => this.#pump(), Math.min(LONGEST_TIMER_MS, Math.max(0, dueMs - now())));
  }

  async #reconcile(key: Key, abort: AbortController): Promise<void> {
    const { name, reconcile, metrics, reconcileTimeoutMs = 120_000 } = this.#options;
    const beganMs = now();
    const limit = setTimeout(() => abort.abort(), reconcileTimeoutMs);
    let outcome: Outcome;
    try {
      outcome = await reconcile(key, abort.signal);
    } catch (thrown) {
      outcome = this.#threw(key, thrown);
    }
    clearTimeout(limit);
    const seconds = (now() - beganMs) / 1_000;
    metrics?.reconciled(name, result[outcome.kind], seconds);
    metrics?.worked(name, seconds);
    this.#queue.done(key, this.#judge(key, outcome), now());
  }

  #threw(key: Key, thrown: unknown): Outcome {
    const { name, logger, metrics } = this.#options;
    metrics?.panicked(name);
    if (!this.#closed) logger.error({ controller: name, key, error: thrown }, 'a reconciler threw');
    return { kind: 'Retry', code: 'Threw', message: messageOf(thrown) };
  }

  #judge(key: Key, outcome: Outcome): Done {
    const { name, logger, metrics } = this.#options;
    switch (outcome.kind) {
      case 'Settled':
        return { kind: 'Forget' };
      case 'RequeueAfter':
        return { kind: 'After', ms: outcome.afterMs };
      case 'WaitForChange':
        logger.warn({ controller: name, key, code: outcome.code, reason: outcome.message }, 'waits for a change');
        metrics?.waitsForChange(name);
        return { kind: 'Forget' };
      case 'Retry':
        if (!this.#closed) {
          logger.warn({ controller: name, key, code: outcome.code, reason: outcome.message }, 'failed, retries');
        }
        metrics?.retried(name);
        return { kind: 'Failed' };
    }
  }

  #countWorkers(): void {
    this.#options.metrics?.workers(this.#options.name, this.#running.size, this.#workers);
  }
}

const now = (): number => performance.now();
