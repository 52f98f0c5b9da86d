/**
 * Exponential back-off with full jitter on its upper half: `base × 2ⁿ`, never above `max`.
 * Half of the delay is fixed so that a retry is never immediate; the other half spreads a crowd.
 */
export interface Backoff {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** The delay in ms before attempt `attempt` (0 is the first retry); `random` gives [0, 1). */
export function backoffMs({ baseMs, maxMs }: Backoff, attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 52));
  return ceiling / 2 + (ceiling / 2) * random();
}
