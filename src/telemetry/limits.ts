/** Limits of the telemetry port, each with its reason. */
import type { EdgeLimits } from '../net/server.ts';

export const CONNECTIONS: EdgeLimits = {
  /** A kubelet opens one a probe, Prometheus one a scrape. */
  total: 128,
  /** All probes of a node come from one address; half is left for others whatever it does. */
  each: 64,
  keepAliveMs: 5_000,
  /** They cost the telemetry thread alone. */
  connects: { burst: 500, perSecond: 100, keys: 1_024 },
  questions: { burst: 2_000, perSecond: 500, keys: 1_024 },
};
/** Readiness asks each protocol a real question: once a second is enough for all who ask. */
export const READY_FRESH_MS = 1_000;
/** Below the kubelet's 3 s, so that it hears why. */
export const READY_DEADLINE_MS = 2_000;
/** Making the text costs the main thread milliseconds. */
export const METRICS_FRESH_MS = 100;
export const METRICS_DEADLINE_MS = 5_000;
/** A stream thread turns each 100 ms, a busy one more often. */
export const STREAM_PATIENCE_MS = 10_000;
/** The main thread is needed by logins and boots alone; threads that stream go on without it, so it gets long. */
export const MAIN_PATIENCE_MS = 60_000;
/** The worker holds a text of metrics and its connections; its whole thread takes 14 MiB of memory of its own. */
export const WORKER_HEAP_MIB = 48;
