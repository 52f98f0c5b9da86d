import type { ApiFault } from './fault.ts';

/** How a look at an object ended: there is nothing else a reconciler can say. */
export type Outcome =
  /** All is as wanted: look again when something changes. */
  | { readonly kind: 'Settled' }
  /** Work goes on, or something changes with time. */
  | { readonly kind: 'RequeueAfter'; readonly afterMs: number }
  /** It failed and may work the next time: with back-off. */
  | { readonly kind: 'Retry'; readonly code: string; readonly message: string }
  /** It failed and only a change of the object (or of what it names) can help. */
  | { readonly kind: 'WaitForChange'; readonly code: string; readonly message: string };

export const settled: Outcome = { kind: 'Settled' };
export const requeueAfter = (afterMs: number): Outcome => ({ kind: 'RequeueAfter', afterMs });
export const retry = (code: string, message: string): Outcome => ({ kind: 'Retry', code, message });
export const waitForChange = (code: string, message: string): Outcome => ({ kind: 'WaitForChange', code, message });

/** The outcome of a request that failed: look again when the API said when, otherwise retry with back-off. */
export const outcomeOf = ({ code, message, retryAfterMs }: ApiFault): Outcome =>
  retryAfterMs === undefined ? retry(code, message) : requeueAfter(retryAfterMs);
