/** Stores of which all servers see the same files: volumes that each server's node mounts. Pure. */
import { createHash } from 'node:crypto';
import { offersStore } from './files.ts';
import type { Server, Store } from './model.ts';

/** Where they are mounted in the pod of each server, each in a folder of its name. */
export const SHARED_STORES = '/run/bootfarm-stores';

/**
 * How many times as long as the store says it is until this server reads all of a file again. Of a shared store one server reads as often as it says, chosen
 * by rendezvous hash, so few stores change hands when servers come or go. Each other reads as much more rarely as there are servers: what the one finds
 * wrong they find by themselves, and together they read twice what one alone would.
 */
export function verifyTimes(store: Store, server: string, servers: readonly Server[]): number {
  if (!store.shared) return 1;
  const offering = new Set([server, ...servers.filter((one) => offersStore(store, one)).map(({ name }) => name)]);
  const weight = (name: string): string => createHash('sha256').update(`${store.name}/${name}`).digest('hex');
  const first = [...offering].every((other) => weight(other) <= weight(server));
  return first ? 1 : offering.size;
}
