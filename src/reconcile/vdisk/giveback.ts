/** What is ordered where a server has a copy that is more than its VDisk wants. Pure, by what the statuses say. */
import { storePath } from '../../farm/files.ts';
import type { Store as StoreRow } from '../../farm/model.ts';
import { type FarmOrder, orderId, orderIds } from '../../farm/orders.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { copiesWanted } from '../projection.ts';
import { isRight } from './status.ts';
import { isOver } from './work.ts';

export interface GiveBackFacts {
  readonly vdisk: VDisk;
  /** Its own. */
  readonly store: StoreRow;
  /** Devices stream it from this server, as far as that says. */
  readonly isUsed: boolean;
  readonly nowSeconds: number;
}

/** None where servers compare only, where it is used, or where the chosen servers do not have all of it. One that failed is ordered again in an hour. */
export function giveBackOrders(
  server: string,
  { vdisk: { metadata, spec, status = {} }, ...facts }: GiveBackFacts,
): readonly FarmOrder[] {
  const { store, isUsed, nowSeconds } = facts;
  const wanted = copiesWanted({ spec }, store);
  const { copies = [], versions = [], work = [], chosen = [] } = status;
  if (wanted === undefined || !store.replication || isUsed) return [];
  if (chosen.length < wanted || chosen.some(({ name }) => name === server)) return [];
  const own = copies.filter((copy) => copy.server === server && copy.surplus && isRight(copy));
  const known = versions.filter(({ sha256 }) => sha256 !== undefined);
  if (own.length === 0 || known.some(({ upToDate = 0 }) => upToDate < wanted)) return [];
  const subject = `${metadata.uid ?? metadata.name} give-back ${server} ${own.map(({ version }) => version).join()}`;
  const jobs = work.filter((job) => job.server === server);
  const going = jobs.find((job) => !isOver(job));
  const ids = orderIds(subject, nowSeconds);
  if (going ? !ids.includes(going.id) : jobs.some(({ id, state }) => ids.includes(id) && state !== 'Done')) return [];
  const id = going?.id ?? orderId(subject, nowSeconds);
  return [{ id, kind: 'give-back', folder: storePath(store, server), fileName: spec.fileName, server }];
}
