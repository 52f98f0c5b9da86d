/** What is ordered where a server has a copy that is more than its VDisk wants. Pure, by what the statuses say. */
import type { CopyReport, StoreReport } from '../../control/status.ts';
import { storePath } from '../../farm/files.ts';
import type { Store as StoreRow } from '../../farm/model.ts';
import { type FarmOrder, orderId, orderIds } from '../../farm/orders.ts';
import type { ServerView } from '../../operator/poller.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { copiesWanted, versionsOf } from '../projection.ts';
import { isRight } from './status.ts';
import { isOver } from './work.ts';

/** What a server that answers says of its stores and of their copies. */
export interface SeenServer {
  readonly name: string;
  readonly stores: readonly Pick<StoreReport, 'name' | 'path' | 'volume' | 'foreign'>[];
  readonly copies: readonly Pick<CopyReport, 'vdisk' | 'version' | 'state' | 'manifest'>[];
}

export interface GiveBackFacts {
  readonly vdisk: VDisk;
  /** Its own. */
  readonly store: StoreRow;
  /** All servers that answer. */
  readonly seen: readonly SeenServer[];
  /** Devices stream it from this server, as far as that says. */
  readonly isUsed: boolean;
  readonly nowSeconds: number;
}

export const seenServers = (
  servers: readonly Pick<ServerView, 'name' | 'reachable' | 'status'>[],
): readonly SeenServer[] =>
  servers.flatMap(({ name, reachable, status }) =>
    reachable && status ? [{ name, stores: status.stores, copies: status.copies }] : [],
  );

/**
 * None where servers compare only, where it is used, where nobody knows what is right of all of it, or where it is not proved that so many of the chosen servers have
 * all of it in folders of their own. One that failed is ordered again in an hour.
 */
export function giveBackOrders(server: string, facts: GiveBackFacts): readonly FarmOrder[] {
  const { vdisk, store, isUsed, nowSeconds } = facts;
  const { metadata, spec, status = {} } = vdisk;
  const wanted = copiesWanted({ spec }, store);
  const { copies = [], versions = [], work = [], chosen = [] } = status;
  if (wanted === undefined || !store.replication || isUsed) return [];
  if (chosen.length < wanted || chosen.some(({ name }) => name === server)) return [];
  const isKnown = ({ number }: { readonly number: number }): boolean =>
    versions.some((told) => told.number === number && told.sha256 !== undefined && !told.conflict);
  if (![...versionsOf(vdisk), ...versions].every(isKnown)) return [];
  const volume = ownVolume(server, facts);
  const lacks = versions.some(
    ({ number, sha256, upToDate = 0 }) => upToDate < wanted || foldersWith(number, sha256, facts) < wanted,
  );
  if (volume === undefined || lacks) return [];
  const subject = `${metadata.uid ?? metadata.name} give-back ${server}`;
  const jobs = work.filter((job) => job.server === server);
  const going = jobs.find((job) => !isOver(job));
  const ids = orderIds(subject, nowSeconds);
  if (going ? !ids.includes(going.id) : jobs.some(({ id, state }) => ids.includes(id) && state !== 'Done')) return [];
  // What goes on has images that are there without what lay beside them.
  if (!going && !copies.some((copy) => copy.server === server && copy.surplus && isRight(copy))) return [];
  const id = going?.id ?? orderId(subject, nowSeconds);
  return [{ id, kind: 'give-back', folder: storePath(store, server), fileName: spec.fileName, server, volume }];
}

/** Where two servers have one folder its mark has one token. Its inode need not be one: by two protocols it may be two. */
const tokenOf = (volume: string): string | undefined => volume.split(' ')[0];

const storeOf = ({ name, stores }: SeenServer, row: StoreRow) =>
  stores.find((store) => store.name === row.name && store.path === storePath(row, name));

/** Undefined: it is not known, another farm has it, or it is the folder of another server or store, too. */
function ownVolume(server: string, { store, seen }: GiveBackFacts): string | undefined {
  const own = seen.flatMap((one) => (one.name === server ? (storeOf(one, store) ?? []) : []))[0];
  if (own?.volume === undefined || own.foreign) return undefined;
  const token = tokenOf(own.volume);
  const others = seen.flatMap(({ name, stores }) => stores.filter(({ path }) => name !== server || path !== own.path));
  return others.some(({ volume }) => volume !== undefined && tokenOf(volume) === token) ? undefined : own.volume;
}

/** In how many folders, of chosen servers that show that version as it is right. */
function foldersWith(version: number, right: string | undefined, { vdisk, store, seen }: GiveBackFacts): number {
  const isShown = ({ copies }: SeenServer): boolean =>
    copies.some(
      (copy) =>
        copy.vdisk === vdisk.metadata.name &&
        copy.version === version &&
        copy.state === 'Present' &&
        copy.manifest === right,
    );
  const tokens = seen
    .filter((one) => vdisk.status?.chosen?.some(({ name }) => name === one.name) && isShown(one))
    .flatMap((one) => storeOf(one, store) ?? [])
    .flatMap(({ volume, foreign }) => (volume === undefined || foreign ? [] : [tokenOf(volume)]));
  return new Set(tokens).size;
}
