/**
 * Which transfers a server has, whose a packet is, and who gives way when there is no room: the oldest whose client was never heard. Pure but for its
 * own maps.
 */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { Source } from '../net/source.ts';

export interface Place {
  readonly client: Source;
  /** What it asked, as it came. */
  readonly request: string;
  /** Number of the server's port, which with `client` identifies the transfer. */
  readonly port: number;
  /** The client said ACK, so its address is no forger's. `Table.hear` sets it. */
  heard: boolean;
  /** A packet of the client at this port. */
  take: (bytes: Uint8Array) => void;
  /** Ends the transfer without a word, as its place, or its client, is another's now. */
  giveWay: () => void;
}

export interface Shares {
  readonly all: number;
  /** Of one address. */
  readonly source: number;
  /** As many as `source` at least, so that transfers of one client's port find one each. */
  readonly ports: number;
}

export type TableFault = Fault<'Repeated' | 'TooManyTransfers' | 'TooManyTransfersOfSource'>;

const keyOf = (port: number, client: Source): string => `${port} ${client.address} ${client.port}`;

export class Table {
  readonly #shares: Shares;
  readonly #places = new Map<string, Place>();
  /** Oldest first. */
  readonly #unheard = new Set<Place>();
  /** By address, oldest first. */
  readonly #ofSource = new Map<string, Set<Place>>();
  /** By port: transfers, and how many of them a stranger was told of. */
  readonly #ofPort: { running: number; told: number }[];
  #nextPort = 0;

  constructor(shares: Shares) {
    this.#shares = shares;
    this.#ofPort = Array.from({ length: shares.ports }, () => ({ running: 0, told: 0 }));
  }

  get places(): readonly Place[] {
    return [...this.#places.values()];
  }

  get unheard(): number {
    return this.#unheard.size;
  }

  /** The transfer that a packet of `client` at this port belongs to. */
  find(port: number, client: Source): Place | undefined {
    return this.#places.get(keyOf(port, client));
  }

  /**
   * A place for the transfer of `client`; the same request again has its transfer already (`Repeated`), until the client is heard: who goes on asks no
   * more, but a machine that is switched off and on does. A machine's port has one transfer, so another request says that the one before is given
   * up: at once where it was never heard; else when the new one is heard, as a request may be forged.
   */
  take(client: Source, request: string): Result<Place, TableFault> {
    const ofSource = this.#ofSource.get(client.address) ?? new Set<Place>();
    const before = [...ofSource].filter((place) => place.client.port === client.port);
    if (before.some((place) => place.request === request && !place.heard)) return fail('Repeated', 'its transfer runs');
    const portsBefore = before.map(({ port }) => port);
    for (const place of before) if (!place.heard) this.#make(place);
    if (ofSource.size >= this.#shares.source && !this.#make([...ofSource].find(({ heard }) => !heard)))
      return fail('TooManyTransfersOfSource', 'too many transfers of this address at once');
    if (this.#places.size >= this.#shares.all && !this.#make(this.#unheard.values().next().value))
      return fail('TooManyTransfers', 'server is busy, ask again');
    const place: Place = {
      ...{ client, request, port: this.#portFor(client, portsBefore), heard: false },
      take: () => {},
      giveWay: () => {},
    };
    this.#places.set(keyOf(place.port, client), place);
    this.#unheard.add(place);
    this.#ofSource.set(client.address, ofSource.add(place));
    this.#portOf(place).running += 1;
    return ok(place);
  }

  hear(place: Place): void {
    if (place.heard) return;
    place.heard = true;
    this.#unheard.delete(place);
    for (const other of this.#ofSource.get(place.client.address) ?? [])
      if (other !== place && other.client.port === place.client.port) this.#make(other);
  }

  leave(place: Place): void {
    const key = keyOf(place.port, place.client);
    if (this.#places.get(key) !== place) return;
    this.#places.delete(key);
    this.#unheard.delete(place);
    const ofSource = this.#ofSource.get(place.client.address);
    ofSource?.delete(place);
    if (ofSource?.size === 0) this.#ofSource.delete(place.client.address);
    const port = this.#portOf(place);
    port.running -= 1;
    port.told = Math.min(port.told, port.running);
  }

  /**
   * Whether a client without a transfer at this port may be told so: once for each transfer that is there. Not one that has a transfer elsewhere: what
   * comes late for the one before says nothing of it, and the error would end it.
   */
  mayTellStranger(port: number, client: Source): boolean {
    for (const place of this.#ofSource.get(client.address) ?? []) if (place.client.port === client.port) return false;
    const ofPort = this.#ofPort[port];
    if (!ofPort || ofPort.told >= ofPort.running) return false;
    ofPort.told += 1;
    return true;
  }

  /** Room in the place of this one, if there is one. */
  #make(place: Place | undefined): boolean {
    if (!place) return false;
    this.leave(place);
    place.giveWay();
    return true;
  }

  /** In turn, and none that the client's transfer before had, while there are others: an ERROR that comes late for that one would end the next. */
  #portFor(client: Source, before: readonly number[]): number {
    const { ports } = this.#shares;
    let last: number | undefined;
    for (let step = 0; step < ports; step += 1) {
      const port = (this.#nextPort + step) % ports;
      if (this.find(port, client)) continue;
      last = port;
      if (!before.includes(port)) break;
    }
    if (last === undefined) throw new Error(`${ports} ports are fewer than transfers of one client`);
    this.#nextPort = (last + 1) % ports;
    return last;
  }

  #portOf({ port }: Place): { running: number; told: number } {
    const ofPort = this.#ofPort[port];
    if (!ofPort) throw new Error(`no port ${port}`);
    return ofPort;
  }
}
