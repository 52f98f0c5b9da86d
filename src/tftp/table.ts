/** Which transfers a server has, and who gives way when there is no room: the oldest whose client was never heard. Pure but for its own map. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { Source } from '../net/source.ts';

export interface Place {
  readonly client: Source;
  /** The client said ACK, so its address is no forger's. */
  heard: boolean;
  /** Ends the transfer, as its place is another's now. */
  giveWay: () => void;
}

export interface Shares {
  readonly all: number;
  /** Of one address. */
  readonly source: number;
}

export type TableFault = Fault<'Repeated' | 'TooManyTransfers' | 'TooManyTransfersOfSource'>;

const keyOf = ({ address, port }: Source): string => `${address} ${port}`;

export class Table {
  readonly #shares: Shares;
  /** By address, then by port, oldest first; `#places` has all of them, oldest first. */
  readonly #ofSource = new Map<string, Map<string, Place>>();
  readonly #places = new Map<string, Place>();

  constructor(shares: Shares) {
    this.#shares = shares;
  }

  get places(): readonly Place[] {
    return [...this.#places.values()];
  }

  /** A place for the transfer of `client`; the same request again has its transfer already (`Repeated`). */
  take(client: Source): Result<Place, TableFault> {
    const key = keyOf(client);
    if (this.#places.has(key)) return fail('Repeated', 'its transfer runs');
    const ofSource = this.#ofSource.get(client.address) ?? new Map<string, Place>();
    if (ofSource.size >= this.#shares.source && !this.#make(ofSource))
      return fail('TooManyTransfersOfSource', 'too many transfers of this address at once');
    if (this.#places.size >= this.#shares.all && !this.#make(this.#places))
      return fail('TooManyTransfers', 'server is busy, ask again');
    const place: Place = { client, heard: false, giveWay: () => {} };
    this.#places.set(key, place);
    this.#ofSource.set(client.address, ofSource.set(key, place));
    return ok(place);
  }

  leave(place: Place): void {
    const key = keyOf(place.client);
    if (this.#places.get(key) !== place) return;
    this.#places.delete(key);
    const ofSource = this.#ofSource.get(place.client.address);
    ofSource?.delete(key);
    if (ofSource?.size === 0) this.#ofSource.delete(place.client.address);
  }

  /** Room among these, if one of them is unheard. */
  #make(among: ReadonlyMap<string, Place>): boolean {
    for (const place of among.values()) {
      if (place.heard) continue;
      this.leave(place);
      place.giveWay();
      return true;
    }
    return false;
  }
}
