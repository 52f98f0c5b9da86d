/**
 * The breaker: half-dead counts as dead. While it is open nobody waits for the database; one probe at a time finds out when it is back.
 *
 * ```
 *            Failed                      Failed: later
 *  Closed ─────────────► Open(probeAt) ◄───────┐
 *     ▲                        │───────────────┘
 *     └────────── Succeeded ───┘
 * ```
 */
import { backoffMs } from '../kit/backoff.ts';
import type { DatabaseFault } from './fault.ts';

export type Breaker =
  | { readonly kind: 'Closed'; readonly since: number }
  | {
      readonly kind: 'Open';
      /** Unix milliseconds. */
      readonly since: number;
      readonly fault: DatabaseFault;
      readonly attempt: number;
      readonly probeAt: number;
    };

export type BreakerEvent = { readonly kind: 'Succeeded' } | { readonly kind: 'Failed'; readonly fault: DatabaseFault };

/** A database that restarts is back within a second or two; a thousand servers must not all ask it at once. */
const PROBE = { baseMs: 200, maxMs: 5_000 };

export function stepBreaker(breaker: Breaker, event: BreakerEvent, now: number, random: () => number): Breaker {
  if (event.kind === 'Succeeded') return breaker.kind === 'Closed' ? breaker : { kind: 'Closed', since: now };
  const attempt = breaker.kind === 'Open' ? breaker.attempt + 1 : 0;
  return {
    kind: 'Open',
    since: breaker.kind === 'Open' ? breaker.since : now,
    fault: event.fault,
    attempt,
    probeAt: now + backoffMs(PROBE, attempt, random),
  };
}
