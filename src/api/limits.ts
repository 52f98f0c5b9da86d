/** What the API takes of connections, questions and bodies. */
import type { EdgeLimits } from '../net/server.ts';

/** All come from one address where they come through the API server or a port-forward, so one address may have much. */
export const CONNECTIONS: EdgeLimits = {
  total: 512,
  each: 256,
  keepAliveMs: 60_000,
  /** A hand-shake costs the main thread 2 ms. */
  connects: { burst: 200, perSecond: 50, keys: 1_024 },
  handshakeEveryMs: 5,
  questions: { burst: 1_000, perSecond: 300, keys: 1_024 },
};

/** A device with all its properties has 64 KiB of them. */
export const MAX_JSON_BYTES = 256 << 10;
/** 50,000 devices of 160 bytes. */
export const MAX_CSV_BYTES = 8 << 20;

/** Who watches: of one identity, and in all. */
export const CLIENTS = { each: 16, total: 128 } as const;
