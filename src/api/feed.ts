/** Live changes of a farm: one look serves all who watch it. */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { errorMessage } from '../kit/errors.ts';
import type { Result } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Farms, OpenFarm } from './farms.ts';
import type { Problem } from './problem.ts';
import { type Numbered, Ring } from './ring.ts';
import { isSameView, numberOf, seenBy, type Told, toldOf, type View } from './view.ts';
import { Watch } from './watch.ts';

export interface Watcher {
  readonly username: string;
  readonly lastEventId: string | undefined;
  /** Asked again each 5 s: rights end, tokens expire. A problem ends the stream. */
  readonly view: () => Promise<Result<View, Problem>>;
}

export interface FeedOptions {
  readonly farms: Pick<Farms, 'get'>;
  readonly everyMs: number;
  readonly heartbeatMs: number;
  readonly log: Logger;
}

export interface ClientStream {
  readonly response: ServerResponse;
  readonly watcher: Watcher;
  view: View;
}

/** Bytes of changes of a farm that are held for who comes back. */
const HELD = 8 << 20;
/** Of changes of one look: more are not told one by one. */
const MAX_TOLD = 256 << 10;
/** Of what was missed. */
const MAX_RESUMED = 1 << 20;
/** After the last client left. */
const LINGER_MS = 60_000;
/** With the life of a review: a right that ended is seen on no stream 10 s later. */
const RECHECK_MS = 5_000;
/** Bytes that wait for a client. */
const MAX_WAITING = 2 << 20;

const BEGIN = 'lists are to be read now: what was before is not told';
const TOO_MUCH = 'more changed at once than is told one by one: read the lists anew';
const OTHER_VIEW = 'what you may see is not what it was: read the lists anew';

export class Feed {
  readonly #farm: OpenFarm;
  readonly #options: FeedOptions;
  readonly #watch: Watch;
  readonly #ring = new Ring<Told>(HELD, ({ bytes }) => bytes);
  readonly #clients = new Set<ClientStream>();
  readonly #judged = new Set<ClientStream>();
  /** A number of another start, or of another copy of the operator, says nothing here. */
  readonly #start = randomBytes(6).toString('hex');
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #ended: () => void;
  /** Lists that are read after it are what changes are told of. */
  readonly #first: Promise<void>;
  #looking: Promise<void> | undefined;
  #emptySinceMs: number | undefined;
  /** Why it ended, as it is told to clients. */
  #end: string | undefined;

  constructor(farm: OpenFarm, options: FeedOptions, ended: () => void) {
    this.#farm = farm;
    this.#options = options;
    this.#watch = new Watch(farm);
    this.#ended = ended;
    this.#timers = [
      setInterval(() => void this.#look(), options.everyMs).unref(),
      setInterval(() => this.#beat(), options.heartbeatMs).unref(),
      setInterval(() => this.#recheck(), RECHECK_MS).unref(),
    ];
    this.#first = Promise.resolve().then(() => this.#look());
  }

  add(client: ClientStream): void {
    const { response } = client;
    response.on('error', () => {}); // who left is no news
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
    const { response, watcher } = client;
    if (response.destroyed || response.writableEnded) return;
    if (this.#end !== undefined) {
      response.end(this.#end);
      return;
    }
    this.#clients.add(client);
    const from = numberOf(watcher.lastEventId, this.#start);
    const missed = (from === undefined ? undefined : this.#ring.after(from))?.map(({ number, items }) => ({
      number,
      seen: items.flatMap((told) => seenBy(client.view, told) ?? []),
    }));
    const size = missed?.flatMap(({ seen }) => seen).reduce((sum, { length }) => sum + length, 0) ?? 0;
    if (!missed || size > MAX_RESUMED) this.#tellReset(client, BEGIN);
    else for (const { number, seen } of missed) this.#tell(client, number, seen);
  }

  /** `problem`: absent: the operator ends. */
  close(problem?: Problem): void {
    if (this.#end !== undefined) return;
    this.#end = problem ? endOf(problem) : '';
    for (const timer of this.#timers) clearInterval(timer);
    for (const client of this.#clients) this.#leave(client, this.#end);
    this.#ended();
  }

  /** Nothing is written to who was told the end. */
  #leave(client: ClientStream, end: string): void {
    this.#clients.delete(client);
    client.response.end(end);
  }

  /** One at a time: a database that is slow is not asked again meanwhile. */
  #look(): Promise<void> {
    this.#linger();
    const { namespace = '', name } = this.#farm.farm.metadata;
    // By this the farm is as its resource says now.
    if (this.#options.farms.get(namespace, name) !== this.#farm)
      this.close({
        code: 'NotFound',
        message: `Farm ${this.#farm.name} was deleted or made anew, or cannot be read: see the list of farms`,
      });
    if (this.#end !== undefined) return Promise.resolve();
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookNow(): Promise<void> {
    try {
      const { changes, isTooMuch = false } = await this.#watch.look();
      const items = changes.map(toldOf);
      const isLarge = items.reduce((sum, { bytes }) => sum + bytes, 0) > MAX_TOLD;
      if (isTooMuch || isLarge) this.#reset();
      if (isLarge || items.length === 0) return;
      const entry = this.#ring.add(items);
      for (const client of this.#clients) this.#tellEntry(client, entry);
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
    for (const client of this.#clients) this.#tellReset(client, TOO_MUCH);
  }

  #tellReset(client: ClientStream, reason: string): void {
    const { database } = this.#watch;
    this.#write(client, 'reset', this.#ring.last, JSON.stringify({ reason, database }));
  }

  #tellEntry(client: ClientStream, { number, items }: Numbered<Told>): void {
    this.#tell(
      client,
      number,
      items.flatMap((told) => seenBy(client.view, told) ?? []),
    );
  }

  #tell(client: ClientStream, number: number, seen: readonly string[]): void {
    if (seen.length > 0) this.#write(client, 'changes', number, `{"changes":[${seen.join()}]}`);
  }

  #write({ response }: ClientStream, event: string, number: number, data: string): void {
    if (response.writableLength > MAX_WAITING) response.destroy();
    else response.write(`id: ${this.#start}.${number}\nevent: ${event}\ndata: ${data}\n\n`);
  }

  /** Who hears nothing for a while knows that the connection is lost. */
  #beat(): void {
    for (const { response } of this.#clients) response.write(': still here\n\n');
  }

  #recheck(): void {
    for (const client of this.#clients) {
      if (this.#judged.has(client)) continue;
      this.#judged.add(client);
      void this.#judge(client).finally(() => this.#judged.delete(client));
    }
  }

  async #judge(client: ClientStream): Promise<void> {
    try {
      const view = await client.watcher.view();
      if (!this.#clients.has(client)) return;
      if (!view.ok) return this.#leave(client, endOf(view.error));
      if (isSameView(client.view, view.value)) return;
      client.view = view.value;
      this.#tellReset(client, OTHER_VIEW);
    } catch (thrown) {
      this.#options.log.error({ error: errorMessage(thrown) }, 'a client that watches was not judged');
      this.#leave(client, '');
    }
  }
}

const endOf = (problem: Problem): string => `event: end\ndata: ${JSON.stringify(problem)}\n\n`;
