/** Live changes by server-sent events: one look at a farm serves all who watch it, four times a second at most. */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { errorMessage } from '../kit/errors.ts';
import { ok, type Result } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';
import type { OpenFarm } from './farms.ts';
import { CLIENTS } from './limits.ts';
import { type Problem, problem } from './problem.ts';
import { type Numbered, Ring } from './ring.ts';
import { type Change, type ChangeKind, Watch } from './watch.ts';

/** What a client may see: kinds, and of those that belong to collections which. */
export interface View {
  readonly kinds: ReadonlySet<ChangeKind>;
  /** By kind; absent: of all collections. */
  readonly within: ReadonlyMap<ChangeKind, ReadonlySet<string>>;
}

export interface Watcher {
  readonly username: string;
  readonly lastEventId: string | undefined;
  /** Asked again each half minute: rights end, tokens expire. A problem ends the stream. */
  readonly view: () => Promise<Result<View, Problem>>;
}

interface HubOptions {
  readonly everyMs: number;
  readonly heartbeatMs: number;
  readonly log: Logger;
}

/** Changes of a farm that are held for who comes back: a minute of 200 a second. */
const HELD = 12_000;
/** After the last client left. */
const LINGER_MS = 60_000;
const RECHECK_MS = 30_000;
/** Bytes that wait for a client. */
const MAX_WAITING = 2 << 20;

interface ClientStream {
  readonly response: ServerResponse;
  readonly watcher: Watcher;
  view: View;
}

export class Hub {
  readonly #options: HubOptions;
  readonly #feeds = new Map<OpenFarm, Feed>();
  /** Streams that are open or about to be, by user. */
  readonly #clients = new Map<string, number>();
  #closed = false;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  /** What writes the stream, until either side ends it. */
  async open(farm: OpenFarm, watcher: Watcher): Promise<Result<(response: ServerResponse) => void, Problem>> {
    const view = await watcher.view();
    if (!view.ok) return view;
    const { username } = watcher;
    const mine = this.#clients.get(username) ?? 0;
    const all = [...this.#clients.values()].reduce((sum, count) => sum + count, 0);
    if (mine >= CLIENTS.each)
      return problem('TooMany', `${username} watches ${mine} times already, ${CLIENTS.each} is the limit: end one`);
    if (all >= CLIENTS.total)
      return problem(
        'TooMany',
        `${all} clients watch already, ${CLIENTS.total} is the limit of one operator: try again later`,
      );
    return ok((response) => {
      this.#clients.set(username, (this.#clients.get(username) ?? 0) + 1);
      response.once('close', () => {
        const left = (this.#clients.get(username) ?? 1) - 1;
        if (left > 0) this.#clients.set(username, left);
        else this.#clients.delete(username);
      });
      if (this.#closed) response.destroy();
      else this.#feedOf(farm).add({ response, watcher, view: view.value });
    });
  }

  #feedOf(farm: OpenFarm): Feed {
    const known = this.#feeds.get(farm);
    if (known) return known;
    const feed = new Feed(farm, this.#options, () => this.#feeds.delete(farm));
    this.#feeds.set(farm, feed);
    return feed;
  }

  close(): void {
    this.#closed = true;
    for (const feed of this.#feeds.values()) feed.close();
  }
}

class Feed {
  readonly #options: HubOptions;
  readonly #watch: Watch;
  readonly #ring = new Ring<Change>(HELD);
  readonly #clients = new Set<ClientStream>();
  /** A number of another start, or of another copy of the operator, says nothing here. */
  readonly #start = randomBytes(6).toString('hex');
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #ended: () => void;
  /** Lists that are read after it are what changes are told of. */
  readonly #first: Promise<void>;
  #looking: Promise<void> | undefined;
  #emptySinceMs: number | undefined;

  constructor(farm: OpenFarm, options: HubOptions, ended: () => void) {
    this.#options = options;
    this.#watch = new Watch(farm);
    this.#ended = ended;
    this.#first = this.#look();
    this.#timers = [
      setInterval(() => void this.#look(), options.everyMs).unref(),
      setInterval(() => this.#beat(), options.heartbeatMs).unref(),
      setInterval(() => this.#recheck(), RECHECK_MS).unref(),
    ];
  }

  add(client: ClientStream): void {
    const { response } = client;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no', // an ingress is not to hold it back
    });
    response.flushHeaders();
    response.once('close', () => this.#clients.delete(client));
    void this.#first.then(() => this.#begin(client));
  }

  #begin(client: ClientStream): void {
    if (client.response.destroyed || client.response.writableEnded) return;
    this.#clients.add(client);
    const [start, number] = client.watcher.lastEventId?.split('.') ?? [];
    const missed = start === this.#start ? this.#ring.after(Number(number)) : undefined;
    if (missed) for (const entry of missed) this.#send(client, entry);
    else
      this.#write(client, 'reset', this.#ring.last, {
        reason: 'lists are to be read now: what was before is not told',
      });
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const { response } of this.#clients) response.end();
    this.#ended();
  }

  /** One at a time: a database that is slow is not asked again meanwhile. */
  #look(): Promise<void> {
    this.#linger();
    this.#looking ??= this.#tell().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #tell(): Promise<void> {
    try {
      const changes = await this.#watch.look();
      if (changes === 'TooMuch') return this.#reset();
      if (changes.length === 0) return;
      const entry = this.#ring.add(changes);
      for (const client of this.#clients) this.#send(client, entry);
    } catch (thrown) {
      this.#options.log.error({ error: errorMessage(thrown) }, 'changes were not looked at');
    }
  }

  #linger(): void {
    const nowMs = performance.now();
    if (this.#clients.size > 0) this.#emptySinceMs = undefined;
    else this.#emptySinceMs ??= nowMs;
    if (this.#emptySinceMs !== undefined && nowMs - this.#emptySinceMs > LINGER_MS) this.close();
  }

  #reset(): void {
    this.#ring.forget();
    for (const client of this.#clients)
      this.#write(client, 'reset', this.#ring.last, {
        reason: 'more changed at once than is told one by one: read the lists anew',
      });
  }

  #send(client: ClientStream, { number, changes }: Numbered<Change>): void {
    const seen = changes.flatMap((change) => seenBy(client.view, change) ?? []);
    if (seen.length > 0) this.#write(client, 'changes', number, { changes: seen });
  }

  #write({ response }: ClientStream, event: string, number: number, data: object): void {
    if (response.writableLength > MAX_WAITING) response.destroy();
    else response.write(`id: ${this.#start}.${number}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Who hears nothing for a while knows that the connection is lost. */
  #beat(): void {
    for (const { response } of this.#clients) response.write(': still here\n\n');
  }

  #recheck(): void {
    for (const client of this.#clients)
      void client.watcher.view().then((view) => {
        if (view.ok) client.view = view.value;
        else client.response.end(`event: end\ndata: ${JSON.stringify(view.error)}\n\n`);
      });
  }
}

/** What a client is told of a change; undefined: nothing. A device that left their collections is gone for them. */
export function seenBy(
  { kinds, within }: View,
  { collection, was, ...change }: Change,
): Omit<Change, 'collection'> | undefined {
  if (!kinds.has(change.kind)) return undefined;
  const some = within.get(change.kind);
  if (!some || (collection != null && some.has(collection))) return change;
  return was !== undefined && some.has(was) ? { kind: change.kind, name: change.name } : undefined;
}
