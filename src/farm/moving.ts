/**
 * A vDisk that moves from one store to another. Pure.
 *
 * ```
 *             spec.storeRef: B                    enough copies in B            no device reads A any more
 *   in A ───────────────────────► from: [A] ─────────────────────────► arrived ───────────────────────────► in B
 *                                 B takes what it lacks from A;        machines go to B;
 *                                 both are served                      A is served to who still reads it
 * ```
 *
 * Where it was is recorded in the row by which servers know where it is to be, in the transaction that changes it: whoever acts on the new place knows the old one.
 */
import { keepsCopy, offersStore } from './files.ts';
import type { Moving, Server, Store, VDisk } from './model.ts';

/** Names of the stores where its files may lie: where they are to be first. */
export const storesOf = ({ store, moving }: Pick<VDisk, 'store' | 'moving'>): readonly string[] => [
  store,
  ...(moving?.from ?? []),
];

/** As it is written, of what is wanted and what was there: a store is forgotten by `arrivedAt` alone, or when it is removed itself. */
export function carried(wanted: VDisk, before: Pick<VDisk, 'store' | 'moving'> | undefined): VDisk {
  const { moving: told, ...now } = wanted;
  if (!before) return told ? wanted : now;
  if (before.store === now.store) return before.moving ? { ...now, moving: before.moving } : now;
  return { ...now, moving: { from: without([...(before.moving?.from ?? []), before.store], now.store) } };
}

const without = (stores: readonly string[], name: string): string[] => [
  ...new Set(stores.filter((store) => store !== name)),
];

/** A copy on this server is left behind: machines go to the new store, where it is to have none. */
export const isLeft = (
  vdisk: VDisk,
  server: Pick<Server, 'name' | 'pool' | 'site'>,
  stores: readonly Store[],
): boolean =>
  vdisk.moving?.arrived !== undefined &&
  !stores.some((one) => one.name === vdisk.store && offersStore(one, server) && keepsCopy(vdisk, server.name));

/** Who writes into a shared store: who did, while it lives; else the first of those that can, by name. */
export const writerOf = (
  moving: Pick<Moving, 'by'>,
  servers: readonly { readonly name: string; readonly isAble: boolean; readonly silentSeconds: number }[],
): string | undefined => {
  const own = servers.find(({ name }) => name === moving.by);
  if (own && (own.isAble || own.silentSeconds < AWAY_SECONDS)) return own.name;
  return (
    servers
      .filter(({ isAble }) => isAble)
      .map(({ name }) => name)
      .sort()[0] ?? own?.name
  );
};

/** One that starts anew goes on. Two that write for a moment write the same bytes into one file, and one of them waits for its lock. */
const AWAY_SECONDS = 60;
