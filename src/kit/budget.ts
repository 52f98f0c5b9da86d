/**
 * Budgets by key: each may spend `burst` at once and `perSecond` after that, whatever the others do. At most `keys` of them are remembered: the one
 * that spent longest ago is forgotten first, and begins anew when it comes again. Time is given, never read.
 */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

export interface BudgetTerms extends Rate {
  readonly keys: number;
}

export class Budget {
  readonly #terms: BudgetTerms;
  /** Who spent longest ago is first. */
  readonly #left = new Map<string, { readonly amount: number; readonly atMs: number }>();

  constructor(terms: BudgetTerms) {
    this.#terms = terms;
  }

  get keys(): number {
    return this.#left.size;
  }

  /** What `key` may spend now. */
  left(key: string, nowMs: number): number {
    const { burst, perSecond } = this.#terms;
    const { amount, atMs } = this.#left.get(key) ?? { amount: burst, atMs: nowMs };
    return Math.min(burst, amount + (Math.max(0, nowMs - atMs) * perSecond) / 1_000);
  }

  /** Spends one of `key`'s; false when there is none. */
  spend(key: string, nowMs: number): boolean {
    const left = this.left(key, nowMs);
    if (left < 1) return false;
    this.#left.delete(key);
    this.#left.set(key, { amount: left - 1, atMs: nowMs });
    if (this.#left.size > this.#terms.keys) this.#left.delete(this.#left.keys().next().value ?? key);
    return true;
  }
}

/** A budget of all sources together, and a share of each: what a source asks beyond its share takes nothing from the others. */
export class Shares {
  readonly #of: Budget;
  readonly #all: Budget;

  constructor(source: BudgetTerms, all: Rate) {
    this.#of = new Budget(source);
    this.#all = new Budget({ ...all, keys: 1 });
  }

  /** Of both or of none. */
  spend(source: string, nowMs: number): boolean {
    return this.#of.left(source, nowMs) >= 1 && this.#all.spend('', nowMs) && this.#of.spend(source, nowMs);
  }
}
