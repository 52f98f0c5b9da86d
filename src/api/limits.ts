/** What the API takes of connections, questions and bodies. */
import type { BudgetTerms } from '../kit/budget.ts';
import type { EdgeLimits, PlaceLimits } from '../net/server.ts';

/** Of those whose first question did not show yet who they are. All come from one address where they come through the API server or an ingress. */
export const CONNECTIONS: EdgeLimits = {
  total: 512,
  each: 256,
  newest: true,
  keepAliveMs: 60_000,
  /** A hand-shake costs the main thread 2 ms. */
  connects: { burst: 400, perSecond: 100, keys: 1_024 },
  handshakeEveryMs: 5,
  questions: { burst: 1_000, perSecond: 300, keys: 1_024 },
};
/** Of a caller, wherever they come from: a console has 6, and 16 that watch. */
export const CALLERS: PlaceLimits = {
  total: 512,
  each: 64,
  questions: { burst: 1_000, perSecond: 300, keys: 4_096 },
};

/** A device with all its properties has 64 KiB of them. */
export const MAX_JSON_BYTES = 256 << 10;
/** 50,000 devices of 160 bytes. */
export const MAX_CSV_BYTES = 8 << 20;
/** That are read at one time: each is held whole. */
export const CSV_BODIES = 2;

/** Of all callers together: the API server has others to answer. */
export const REVIEWS_AT_ONCE = 16;
export const REVIEWS_WAITING = 512;
/** Tokens that nobody is known by, of one address: each costs a review. */
export const UNKNOWN_TOKENS: BudgetTerms = { burst: 200, perSecond: 20, keys: 1_024 };

/** Who watches: of one identity, and in all. */
export const CLIENTS = { each: 16, total: 128 } as const;
