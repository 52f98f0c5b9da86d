/** Live changes by server-sent events: who watches, and a feed a farm. */
import type { ServerResponse } from 'node:http';
import { ok, type Result } from '../kit/result.ts';
import type { OpenFarm } from './farms.ts';
import { Feed, type FeedOptions, type Watcher } from './feed.ts';
import { CLIENTS } from './limits.ts';
import { type Problem, problem } from './problem.ts';

export class Hub {
  readonly #options: FeedOptions;
  readonly #feeds = new Map<OpenFarm, Feed>();
  /** Streams that are open or about to be, by user. */
  readonly #clients = new Map<string, number>();
  #closed = false;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** What writes the stream, until either side ends it. */
  async open(farm: OpenFarm, watcher: Watcher): Promise<Result<(response: ServerResponse) => void, Problem>> {
    const place = this.#take(watcher.username);
    if (!place.ok) return place;
    const leave = place.value;
    const view = await watcher.view().catch((thrown) => {
      leave();
      throw thrown;
    });
    if (!view.ok) {
      leave();
      return view;
    }
    return ok((response) => {
      response.once('close', leave);
      if (response.closed) leave();
      else if (this.#closed) response.destroy();
      else this.#feedOf(farm).add({ response, watcher, view: view.value });
    });
  }

  /** Counted before anything is waited for. What gives it back, once. */
  #take(username: string): Result<() => void, Problem> {
    const mine = this.#clients.get(username) ?? 0;
    const all = [...this.#clients.values()].reduce((sum, count) => sum + count, 0);
    if (mine >= CLIENTS.each)
      return problem('TooMany', `${username} watches ${mine} times already, ${CLIENTS.each} is the limit: end one`);
    if (all >= CLIENTS.total)
      return problem(
        'TooMany',
        `${all} clients watch already, ${CLIENTS.total} is the limit of one operator: try again later`,
      );
    this.#clients.set(username, mine + 1);
    let isTaken = true;
    return ok(() => {
      if (!isTaken) return;
      isTaken = false;
      const left = (this.#clients.get(username) ?? 1) - 1;
      if (left > 0) this.#clients.set(username, left);
      else this.#clients.delete(username);
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
