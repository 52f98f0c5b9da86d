import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../telemetry/log.ts';
import { Cache, type Delta } from './cache.ts';
import type { Client, Selection } from './client.ts';
import { type ApiFault, messageOf } from './fault.ts';
import { all, type Key, type Kind, type KubeObject } from './object.ts';
import type { WatchEvent } from './watch-event.ts';
import { reconnectMs, step, type WatcherInput, type WatcherState, type WatcherStep } from './watcher.ts';

/** Objects in a page of a list: what client-go asks for. */
const PAGE_LIMIT = 500;

/** The times of an informer, in ms; each watch draws its own between the two, so that many informers spread. */
export interface InformerTimes {
  /** The API server is asked to end a watch after this. */
  readonly watch: readonly [number, number];
  /** Bookmarks come each minute, so a watch that says nothing for this long is dead. */
  readonly silence: readonly [number, number];
  /** A list for repair: if it finds something, the watch had lost it. */
  readonly relist: readonly [number, number];
}

const MINUTE = 60_000;
export const INFORMER_TIMES: InformerTimes = {
  watch: [5 * MINUTE, 10 * MINUTE],
  silence: [75_000, 90_000],
  relist: [600 * MINUTE, 660 * MINUTE],
};

export interface InformerOptions extends Selection {
  readonly client: Client;
  readonly kind: Kind;
  /** Absent = all namespaces. */
  readonly namespace?: string;
  readonly logger: Logger;
  readonly times?: InformerTimes;
  /** Counts lists and what they found beside the first one. */
  readonly onList?: (changes: number) => void;
}

export type Handler<T extends KubeObject> = (delta: Delta<T>) => void;

/** Keeps a cache of all objects of a kind equal to the API's, through whatever happens to it, and tells what changed. */
export class Informer<T extends KubeObject = KubeObject> {
  readonly kind: Kind;
  readonly #options: InformerOptions;
  readonly #times: InformerTimes;
  readonly #cache = new Cache<T>();
  readonly #handlers = new Set<Handler<T>>();
  readonly #stop = new AbortController();
  readonly #synced = Promise.withResolvers<boolean>();
  readonly #answered = Promise.withResolvers<boolean>();
  #isSynced = false;
  #run: Promise<void> | undefined;
  #relistAtMs = 0;
  /** The fault that was told last. */
  #said: string | undefined;

  constructor(options: InformerOptions) {
    this.#options = options;
    this.#times = options.times ?? INFORMER_TIMES;
    this.kind = options.kind;
  }

  /** True once the cache held everything; false when the informer was closed before. */
  get synced(): Promise<boolean> {
    return this.#synced.promise;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** True once the API has given everything, or has said that it gives nothing to this account; false when the informer was closed before. */
  get answered(): Promise<boolean> {
    return this.#answered.promise;
  }

  /** Absent = all namespaces. */
  get namespace(): string | undefined {
    return this.#options.namespace;
  }

  get(key: Key): T | undefined {
    return this.#cache.get(key);
  }

  list(): T[] {
    return [...this.#cache.values()];
  }

  /** Called for every object that is known already, before this returns, and for every change from now on. Returns what ends it. */
  onDelta(handler: Handler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.#cache.values()) this.#tell(handler, { kind: 'Added', object });
    return () => this.#handlers.delete(handler);
  }

  start(): void {
    this.#run ??= this.#loop();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#synced.resolve(false);
    this.#answered.resolve(false);
    await this.#run;
  }

  async #loop(): Promise<void> {
    let state: WatcherState<T> = { kind: 'Start' };
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const from = state.kind;
      const beganMs = performance.now();
      let last: WatcherInput<T> | undefined;
      let failed = false;
      for await (const input of this.#inputs(state)) {
        if (this.#stop.signal.aborted) return;
        const next: WatcherStep<T> = step(state, input);
        if (next.change) this.#learn(next.change);
        if (next.health === 'healthy') {
          failures = 0;
          this.#said = undefined;
        }
        failed = next.health === 'failed';
        state = next.state;
        last = input;
      }
      const lastedMs = performance.now() - beganMs;
      if (from === 'Listed' && lastedMs > STEADY_MS) failures = 0;
      // A watch that ends as soon as it is open, again and again, is paced like one that fails.
      const short = from === 'Listed' && state.kind === 'Listed' && lastedMs < SHORT_MS;
      if (!failed && !short) continue;
      const fault = faultOf(last);
      if (failed) this.#report(state, fault);
      await wait(reconnectMs(failures, fault), undefined, { signal: this.#stop.signal }).catch(() => {});
      failures += 1;
    }
  }

  /** What the API says to the next request of this state. */
  async *#inputs(state: WatcherState<T>): AsyncGenerator<WatcherInput<T>> {
    const { client, kind, namespace, labelSelector, fieldSelector } = this.#options;
    const target = all(kind, namespace);
    const signal = this.#stop.signal;
    const selection = { ...(labelSelector ? { labelSelector } : {}), ...(fieldSelector ? { fieldSelector } : {}) };
    switch (state.kind) {
      case 'Start':
      case 'Listing': {
        const token = state.kind === 'Listing' ? { continue: state.continue } : {};
        if (state.kind === 'Start') this.#relistAtMs = performance.now() + between(this.#times.relist);
        const page = await client.list<T>(target, { ...selection, ...token, limit: PAGE_LIMIT, signal });
        yield page.ok ? { kind: 'Page', ...page.value } : { kind: 'Failed', fault: page.error };
        return;
      }
      case 'Listed': {
        const { resourceVersion } = state;
        const timeoutSeconds = Math.round(between(this.#times.watch) / 1_000);
        const ended = new AbortController();
        const until = AbortSignal.any([signal, ended.signal]);
        const watch = await client.watch<T>(target, { ...selection, resourceVersion, timeoutSeconds, signal: until });
        if (!watch.ok) {
          yield { kind: 'Failed', fault: watch.error };
          return;
        }
        yield { kind: 'Opened' };
        yield* this.#read(watch.value, ended);
        return;
      }
      case 'Watching':
        throw new Error('a watcher opens no watch while it has one');
    }
  }

  /** The events of one watch, until it ends, goes silent or the time for a relist has come. */
  async *#read(events: AsyncIterable<WatchEvent<T>>, ended: AbortController): AsyncGenerator<WatcherInput<T>> {
    let why: 'Ended' | 'Silent' | 'Relist' = 'Ended';
    const endFor = (reason: 'Silent' | 'Relist') => () => {
      why = reason;
      ended.abort();
    };
    const relist = setTimeout(endFor('Relist'), Math.max(0, this.#relistAtMs - performance.now()));
    const silence = setTimeout(endFor('Silent'), between(this.#times.silence));
    try {
      for await (const event of events) {
        if (ended.signal.aborted) break;
        silence.refresh();
        yield { kind: 'Event', event };
        if (event.type === 'ERROR') return;
      }
      yield { kind: why };
    } finally {
      clearTimeout(relist);
      clearTimeout(silence);
      ended.abort();
    }
  }

  #learn(change: Parameters<Cache<T>['take']>[0]): void {
    const deltas = this.#cache.take(change);
    for (const delta of deltas) for (const handler of this.#handlers) this.#tell(handler, delta);
    if (change.kind !== 'Snapshot') return;
    if (this.#isSynced) this.#options.onList?.(deltas.length);
    this.#isSynced = true;
    this.#synced.resolve(true);
    this.#answered.resolve(true);
  }

  #tell(handler: Handler<T>, delta: Delta<T>): void {
    try {
      handler(delta);
    } catch (thrown) {
      this.#options.logger.error({ kind: this.kind.kind, error: messageOf(thrown) }, 'a handler of the informer threw');
    }
  }

  #report(state: WatcherState<T>, fault: ApiFault | undefined): void {
    const fields = { kind: this.kind.kind, next: state.kind === 'Start' ? 'list' : 'resume', ...fault };
    // The same fault again and again is one line.
    const said = `${fault?.code} ${fault?.message}`;
    if (said !== this.#said) this.#options.logger.warn(fields, 'the watch was interrupted');
    this.#said = said;
    if (fault?.code === 'Forbidden') this.#answered.resolve(true);
  }
}

/** A watch that lasted this long proves that the API server is well. */
const STEADY_MS = 10_000;
const SHORT_MS = 1_000;

const between = ([from, to]: readonly [number, number]): number => from + Math.random() * (to - from);

function faultOf<T extends KubeObject>(input: WatcherInput<T> | undefined): ApiFault | undefined {
  if (input?.kind === 'Failed') return input.fault;
  return input?.kind === 'Event' && input.event.type === 'ERROR' ? input.event.fault : undefined;
}
