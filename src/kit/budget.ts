/**
 * Budgets by key: each may spend `burst` at once and `perSecond` after that, whatever the others do. At most `keys` of them are remembered: the one
 * that spent longest ago is forgotten first, and begins anew when it comes again. Time is given, never read.
 */
export interface BudgetTerms {
  readonly burst: number;
  readonly perSecond: number;
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

  /** Spends one of `key`'s; false when there is none. */
  spend(key: string, nowMs: number): boolean {
    const { burst, perSecond, keys } = this.#terms;
    const { amount, atMs } = this.#left.get(key) ?? { amount: burst, atMs: nowMs };
    const left = Math.min(burst, amount + (Math.max(0, nowMs - atMs) * perSecond) / 1_000);
    if (left < 1) return false;
    this.#left.delete(key);
    this.#left.set(key, { amount: left - 1, atMs: nowMs });
    if (this.#left.size > keys) this.#left.delete(this.#left.keys().next().value ?? key);
    return true;
  }
}
