/** Asks the servers of a farm how they are, each second and when one ends its connection. What they said last is held until they say something else. */
import { setTimeout as delay } from 'node:timers/promises';
import type { AskedServer, ControlClient } from '../control/client.ts';
import type { ServerStatus } from '../control/status.ts';

/** A server that should be there. */
export interface WantedServer {
  readonly name: string;
  readonly pool: string;
  readonly site: string;
  readonly address: string;
  readonly controlPort: number;
}

export interface ServerView extends WantedServer {
  /** Its last answer, which may be old. */
  readonly status?: ServerStatus;
  readonly reachable: boolean;
  /** Since when it does not answer, by `performance.now()`. */
  readonly silentSinceMs?: number;
  /** Why it is not. */
  readonly message: string;
}

const POLL_MS = 1_000;
/** While one that should be there does not answer: who waits for a rollout waits for this, too. */
const POLL_SILENT_MS = 500;
/** Though connections end as fast as they are made. */
const SOONEST_MS = 100;

/** Worth a look at once, and not at the next one: who began or ceased to answer, or is in another state. */
const isNews = (before: ServerView | undefined, { reachable, status }: ServerView): boolean =>
  before?.reachable !== reachable || before.status?.state !== status?.state;

export class Poller {
  readonly #control: ControlClient;
  readonly #onNews: () => void;
  readonly #stop = new AbortController();
  readonly #polling: Promise<void>;
  #wanted: readonly WantedServer[] | undefined;
  #asked = false;
  #views: ReadonlyMap<string, ServerView> = new Map();
  #askedMs = 0;
  /** Before the next question; aborted: it comes at the soonest. */
  #pause = new AbortController();

  /** `before`: the poller that this one replaces, whose answers hold until servers were asked again. */
  constructor(control: ControlClient, onNews: () => void, before?: Poller) {
    if (before) {
      this.#wanted = before.#wanted;
      this.#views = before.#views;
      this.#asked = before.#asked;
      this.#askedMs = before.#askedMs;
    }
    this.#control = control;
    this.#onNews = onNews;
    this.#polling = this.#poll();
  }

  /** The servers to ask from now on. */
  want(servers: readonly WantedServer[]): void {
    this.#wanted = servers;
  }

  /** Asks before it is time. */
  soon(): void {
    this.#pause.abort();
  }

  /** Each server was asked once: until then nothing follows from what it did not say. */
  get asked(): boolean {
    return this.#asked;
  }

  /** When they began to be asked for these answers, monotonic ms. */
  get askedMs(): number {
    return this.#askedMs;
  }

  get servers(): readonly ServerView[] {
    return (this.#wanted ?? []).map((server) => ({
      ...(this.#views.get(server.name) ?? { reachable: false, message: `server ${server.name} was not asked yet` }),
      ...server,
    }));
  }

  /** The last one of each server that was asked, though it may not be wanted any more. */
  get answers(): readonly ServerStatus[] {
    return [...this.#views.values()].flatMap(({ status }) => status ?? []);
  }

  /** One question more, of all that should be there. */
  ask<T>(question: (control: ControlClient, servers: readonly AskedServer[]) => Promise<T>): Promise<T> {
    const servers = (this.#wanted ?? []).map(({ name, address, controlPort: port }) => ({ name, address, port }));
    return question(this.#control, servers);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#polling;
    await this.#control.close();
  }

  async #poll(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#pause = new AbortController();
      const wanted = this.#wanted;
      const askedMs = performance.now();
      const looked = await Promise.all((wanted ?? []).map((server) => this.#observe(server)));
      const before = this.#views;
      this.#views = new Map(looked.map((view) => [view.name, view]));
      this.#askedMs = askedMs;
      this.#asked ||= wanted !== undefined;
      if (looked.some((view) => isNews(before.get(view.name), view))) this.#onNews();
      const isWhole = looked.every(({ reachable }) => reachable);
      await this.#rest(isWhole ? POLL_MS : POLL_SILENT_MS);
    }
  }

  async #rest(ms: number): Promise<void> {
    const { signal } = this.#stop;
    await delay(SOONEST_MS, undefined, { signal }).catch(() => {});
    await delay(ms - SOONEST_MS, undefined, { signal: AbortSignal.any([signal, this.#pause.signal]) }).catch(() => {});
  }

  async #observe(server: WantedServer): Promise<ServerView> {
    const { name, address, controlPort: port } = server;
    const { status, silentSinceMs = performance.now() } = this.#views.get(name) ?? {};
    const answer = await this.#control.status({ name, address, port });
    if (answer.ok) return { ...server, status: answer.value, reachable: true, message: '' };
    const { message } = answer.error;
    return { ...server, ...(status ? { status } : {}), reachable: false, silentSinceMs, message };
  }
}
