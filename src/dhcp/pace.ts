/**
 * How many answers a machine gets, and machines that the farm does not know all together. A relay is a word in a packet, as a MAC is: a budget for each
 * relay that is named would be one for whoever names another each time, and one for all of them could be emptied for a machine from anywhere. So
 * each machine has three: on our own network; behind the relay that it was heard behind first, as long as it is; and behind all others together. Time
 * is given, never read; the tables are changed in place.
 */
import { Budget, type BudgetTerms } from '../kit/budget.ts';
import { ANSWERS_OF_MACHINE, ANSWERS_TO_UNKNOWN, RELAY_KEPT_MS, RELAYS } from './limits.ts';

export const NO_RELAY = '0.0.0.0';

/** Whose answer it is. */
export interface Asking {
  readonly mac: string;
  /** `giaddr` */
  readonly relay: string;
  /** The farm knows the machine. */
  readonly known: boolean;
}

export class Pace {
  /** Made-up machines are without end, so they have a table of their own: none of them makes a known one be forgotten. */
  readonly #ofKnown = new Places(ANSWERS_OF_MACHINE);
  readonly #ofUnknown = new Places(ANSWERS_OF_MACHINE);
  readonly #toUnknown = new Budget(ANSWERS_TO_UNKNOWN);
  readonly #relays = new Seats(RELAYS);

  /** Spends one answer; else says whose budget has nothing left for it. */
  overspent({ mac, relay, known }: Asking, nowMs: number): 'Flood' | 'FloodOfUnknown' | undefined {
    if (!(known ? this.#ofKnown : this.#ofUnknown).spend(mac, relay, nowMs)) return 'Flood';
    return known || this.#toUnknown.spend(this.#relays.placeOf(relay, nowMs), nowMs) ? undefined : 'FloodOfUnknown';
  }
}

/** The budgets of each machine. */
class Places {
  readonly #budget: Budget;
  readonly #most: number;
  /** By MAC, the one heard longest ago first. */
  readonly #seats = new Map<string, Seats>();

  constructor(terms: BudgetTerms) {
    this.#budget = new Budget(terms);
    this.#most = terms.keys;
  }

  spend(mac: string, relay: string, nowMs: number): boolean {
    return this.#budget.spend(`${mac} ${relay === NO_RELAY ? relay : this.#seatsOf(mac).placeOf(relay, nowMs)}`, nowMs);
  }

  /** Only of machines behind relays. */
  #seatsOf(mac: string): Seats {
    const seats = this.#seats.get(mac) ?? new Seats(1);
    this.#seats.delete(mac);
    this.#seats.set(mac, seats);
    if (this.#seats.size > this.#most) this.#seats.delete(this.#seats.keys().next().value ?? mac);
    return seats;
  }
}

/** Relays that have a budget of their own: who came first, until it was not heard of for long. All others share one. */
class Seats {
  readonly #most: number;
  /** When it was heard last, oldest first. */
  readonly #heardMs = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  placeOf(relay: string, nowMs: number): string {
    if (relay === NO_RELAY) return relay;
    if (!this.#heardMs.delete(relay) && !this.#hasRoom(nowMs)) return 'another';
    this.#heardMs.set(relay, nowMs);
    return relay;
  }

  #hasRoom(nowMs: number): boolean {
    if (this.#heardMs.size < this.#most) return true;
    const [[oldest, heardMs] = ['', nowMs]] = this.#heardMs;
    return nowMs - heardMs >= RELAY_KEPT_MS && this.#heardMs.delete(oldest);
  }
}
