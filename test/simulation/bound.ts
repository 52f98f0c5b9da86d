/** How long a read may wait once a server is well, by the client's own timers (src/stream/README.md, target/src/session.h). */
import type { Fault } from './scene.ts';

/**
 * A server that could not be had is asked again after 5 s, give or take a fifth (PROBE_MAX_US). A READ's time-out and a request that is parked are 5 s at most
 * (RTO_MAX_US, PARK_MAX_US), and run beside it.
 */
const AGAIN_US = 6e6;
/** Silence until a server is left (LEAVE_AFTER_US), a hint that is taken once a second (REJOIN_US), a client that was killed (nbd's 1 s), round trips. */
const REST_US = 2e6;

export const BOUND_US = AGAIN_US + REST_US;

/**
 * Faults that a client is told of, sees by silence, or (a slow disk) by reads that are late, which it asks of the stand-by. Others may cost it all of its
 * time-outs, again and again: there is no bound before they are over.
 */
const CLEAR = new Set<Fault['kind']>([
  'crash',
  'pause',
  'cut',
  'noCopy',
  'revoked',
  'busy',
  'badDisk',
  'drain',
  'hungDisk',
  'slowDisk',
]);

/** Some server is well, and the others are either well or plainly not. */
export function calm(faults: Iterable<Fault>, servers: number): boolean {
  const ill = new Set<number>();
  for (const fault of faults) {
    if (!('server' in fault) || !CLEAR.has(fault.kind)) return false;
    ill.add(fault.server);
  }
  return ill.size < servers;
}
