/** Host names of `boot.loginServers`, as the IPv4 addresses that a device can be told: its client asks no name server. */
import { isIPv4, isIPv6 } from 'node:net';
import type { ServerFault } from '../control/status.ts';
import type { Endpoint } from '../farm/model.ts';
import { inTime } from '../kit/patience.ts';

/** Every IPv4 address of a name; throws what the resolver says. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** After so long a name is asked for again; until there is an answer, the last one holds. */
export const NAME_LIFE_MS = 60_000;
/** A machine waits for its configuration, and asks the next server after eight seconds. */
const NAMES_DEADLINE_MS = 2_000;

interface Known {
  readonly addresses: readonly string[];
  readonly askedAt: number;
  /** Why the last question had no answer. */
  readonly error?: string;
}

export class Names {
  readonly #lookup: Lookup;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<void>>();
  /** Names are asked for one after the other: getaddrinfo holds a thread of those few that read vDisks, and a dead name server holds it long. */
  #last: Promise<void> = Promise.resolve();
  #wanted: readonly Endpoint[] = [];

  constructor(lookup: Lookup, now: () => number = Date.now) {
    this.#lookup = lookup;
    this.#now = now;
  }

  /** Those that a device can reach, within the deadline: what is not known by then is left out, and is a fault. */
  async resolve(endpoints: readonly Endpoint[], deadlineMs = NAMES_DEADLINE_MS): Promise<readonly Endpoint[]> {
    this.#wanted = endpoints;
    const names = new Set(endpoints.map(({ host }) => host).filter((host) => !isIPv4(host) && !isIPv6(host)));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    const old = [...names].filter((name) => this.#now() - (this.#known.get(name)?.askedAt ?? -Infinity) > NAME_LIFE_MS);
    const asked = old.map((name) => this.#ask(name));
    /* An answer that is old serves while the next one comes. */
    if (old.some((name) => !this.#known.get(name)?.addresses.length)) await inTime(Promise.all(asked), deadlineMs);
    return endpoints.flatMap(({ host, port }) => this.#addresses(host).map((address) => ({ host: address, port })));
  }

  /** Advisory: devices boot by the others. */
  get faults(): readonly ServerFault[] {
    return this.#wanted.flatMap(({ host }) => {
      const why = this.#unusable(host);
      return why === undefined
        ? []
        : {
            code: 'LoginServerUnusable',
            advisory: true,
            message: `boot.loginServers names ${host}, ${why}: devices are told of the others. Correct it in spec.boot.loginServers of the Farm, or what this node's name server says`,
          };
    });
  }

  #addresses(host: string): readonly string[] {
    return isIPv4(host) ? [host] : (this.#known.get(host)?.addresses ?? []);
  }

  #unusable(host: string): string | undefined {
    if (isIPv4(host)) return undefined;
    if (isIPv6(host)) return 'and this release streams over IPv4 alone';
    const { error = 'no answer yet' } = this.#known.get(host) ?? {};
    return this.#addresses(host).length > 0 ? undefined : `which cannot be resolved (${error})`;
  }

  #ask(name: string): Promise<void> {
    const asking = this.#asking.get(name) ?? this.#last.then(() => this.#answer(name));
    this.#asking.set(name, asking);
    this.#last = asking;
    return asking;
  }

  async #answer(name: string): Promise<void> {
    const before = this.#known.get(name)?.addresses ?? [];
    const known = await this.#lookup(name).then(
      (addresses) => ({ addresses: addresses.filter(isIPv4).toSorted() }),
      (error: NodeJS.ErrnoException) => ({ addresses: before, error: error.code ?? error.message }),
    );
    this.#asking.delete(name);
    this.#known.set(name, { ...known, askedAt: this.#now() });
  }
}
