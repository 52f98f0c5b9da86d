/** Several changes of one device come to one: the newest epoch's, and of one epoch its end. */
import type { SessionChange } from '../database/servers.ts';

/** One change a device, in no particular order. */
export function collapse(changes: Iterable<SessionChange>): readonly SessionChange[] {
  const latest = new Map<string, SessionChange>();
  for (const change of changes) latest.set(change.device, later(latest.get(change.device), change));
  return [...latest.values()];
}

/** An end of a newer epoch than any session known here ends what the database knows; it has no session of its own. */
export function later(a: SessionChange | undefined, b: SessionChange): SessionChange {
  if (!a) return b;
  if (a.epoch !== b.epoch) return a.epoch > b.epoch ? a : b;
  if ((a.session || !b.session) && (a.ended || !b.ended)) return a; // nothing that it did not say
  const session = a.session ?? b.session;
  return { device: a.device, epoch: a.epoch, ended: a.ended || b.ended, ...(session ? { session } : {}) };
}
