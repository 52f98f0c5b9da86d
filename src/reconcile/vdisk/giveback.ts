/** What is ordered where a server has a copy that is more than its VDisk wants. Pure, by what the statuses say. */
import { storePath } from '../../farm/files.ts';
import type { Store as StoreRow } from '../../farm/model.ts';
import { type FarmOrder, orderId, orderIds } from '../../farm/orders.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { copiesWanted, versionsOf } from '../projection.ts';
import { isRight } from './judge.ts';
import { foldersWith, type SeenServer, storeOn, tokenOf } from './volumes.ts';
import { isOver } from './work.ts';

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
    ({ number, sha256, upToDate = 0 }) => upToDate < wanted || foldersOf(number, sha256, facts) < wanted,
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

/** Undefined: it is not known, another farm has it, or it is the folder of another server or store, too. */
function ownVolume(server: string, { store, seen }: GiveBackFacts): string | undefined {
  const own = seen.flatMap((one) => (one.name === server ? (storeOn(one, store) ?? []) : []))[0];
  if (own?.volume === undefined || own.foreign) return undefined;
  const token = tokenOf(own.volume);
  const others = seen.flatMap(({ name, stores }) => stores.filter(({ path }) => name !== server || path !== own.path));
  return others.some(({ volume }) => volume !== undefined && tokenOf(volume) === token) ? undefined : own.volume;
}

/** In how many folders, of chosen servers that show that version as it is right. */
const foldersOf = (version: number, right: string | undefined, facts: GiveBackFacts): number =>
  foldersWith(
    { vdisk: facts.vdisk.metadata.name, version, right },
    facts.store,
    facts.seen.filter(({ name }) => isChosen(facts, name)),
  ).size;

const isChosen = ({ vdisk }: GiveBackFacts, server: string): boolean =>
  vdisk.status?.chosen?.some(({ name }) => name === server) ?? false;

/**
 * What lies in a store from which a VDisk moved goes, as `movePolicy: Delete` says: where nobody reads it there, of each version it is known what is right, and so many
 * folders of the new store show just that as had it when it arrived, none of them this one. In a shared store one server does it.
 */
export function leaveOrders(server: string, old: StoreRow, facts: Omit<GiveBackFacts, 'isUsed'>): readonly FarmOrder[] {
  const { vdisk, store, seen, nowSeconds } = facts;
  const { metadata, spec, status = {} } = vdisk;
  const { movingFrom = [], arrived = 0, versions = [], work = [] } = status;
  if (spec.movePolicy !== 'Delete' || !movingFrom.includes(old.name) || arrived === 0) return [];
  const isKnown = ({ number }: { readonly number: number }): boolean =>
    versions.some((told) => told.number === number && told.sha256 !== undefined && !told.conflict);
  if (![...versionsOf(vdisk), ...versions].every(isKnown)) return [];
  const holders = seen.filter((one) => storeOn(one, old));
  const own = holders.find(({ name }) => name === server);
  if (!own || (old.shared && holders.map(({ name }) => name).sort()[0] !== server)) return [];
  const { volume, foreign } = storeOn(own, old) ?? {};
  if (volume === undefined || foreign) return [];
  const isOther = (one: SeenServer): boolean =>
    one.stores.some((at) => at.name !== old.name && at.volume !== undefined && tokenOf(at.volume) === tokenOf(volume));
  if (seen.some(isOther)) return [];
  const wanted = store.shared ? 1 : arrived;
  const isProved = ({ number, sha256 }: (typeof versions)[number]): boolean =>
    foldersWith({ vdisk: metadata.name, version: number, right: sha256 }, store, seen).size >= wanted;
  if (!versions.every(isProved)) return [];
  const subject = `${metadata.uid ?? metadata.name} leave ${old.name} ${server}`;
  const ids = orderIds(subject, nowSeconds);
  const jobs = work.filter((job) => job.server === server && ids.includes(job.id));
  const going = jobs.find((job) => !isOver(job));
  if (!going && jobs.some(({ state }) => state !== 'Done')) return [];
  const isThere = own.copies.some((copy) => copy.vdisk === metadata.name && copy.store === old.name && !isGone(copy));
  if (!going && !isThere) return [];
  const id = going?.id ?? orderId(subject, nowSeconds);
  return [{ id, kind: 'give-back', folder: storePath(old, server), fileName: spec.fileName, server, volume }];
}

/** What broke off has an image left. */
const isGone = ({ state, lacksBootFiles }: SeenServer['copies'][number]): boolean =>
  state === 'Missing' && lacksBootFiles === undefined;
