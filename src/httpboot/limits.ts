/** Limits of the HTTP boot server, each with its reason. */
import type { EdgeLimits } from '../net/server.ts';

export const CONNECTIONS: EdgeLimits = {
  /** A boot storm of 500 machines opens one connection each; more than twice that is no boot storm. */
  total: 1_024,
  /** A machine opens one at a time. A room of machines behind one address fits; who is over it asks again after 5 s. */
  each: 256,
  /** Between two downloads of one machine lies its own unpacking; keep-alive beyond that only holds memory. */
  keepAliveMs: 15_000,
  /** A machine opens a few in a boot; a room of 256 behind one address, within a minute. A machine that is refused asks again after 5 s. */
  connects: { burst: 1_000, perSecond: 100, keys: 4_096 },
  /** Each costs the main thread up to a millisecond: one source gets a fifth of it, and a room of machines its five questions each. */
  questions: { burst: 2_000, perSecond: 200, keys: 4_096 },
};
/**
 * Scripts for machines that boot nothing here: those that the farm does not know, and all while its data is away. Made-up MACs cost nothing, and what
 * their answers take is taken from the machines of the farm. Who is beyond finds its connection closed, and asks again after 5 s: so a room of 500.
 */
export const ANSWERS_TO_NOBODY = { burst: 1_000, perSecond: 100, keys: 1 };
/** Nobody has to send us anything. */
export const MAX_BODY_BYTES = 1_024;
/** Ours are below 200 characters. */
export const MAX_URL_CHARACTERS = 2_048;
/**
 * Of a file, read at once when the machine has taken what was read before: a full house holds 80 MiB. Above MALLOC_MMAP_THRESHOLD_ of the pod, so that it goes
 * back to the kernel at once; what Node reads packets into (64 KiB) is below, and is not asked of the kernel for each.
 */
export const CHUNK_BYTES = 80 << 10;
/** Of one folder, for all machines together: more only make a turn of the loop longer, and each connection waits a turn to be accepted. A disk that is silent keeps its own. */
export const READS_AT_ONCE = 4;
