/**
 * Files of a VDisk that no person has to bring: its base from `spec.source`, and kernel and initrd out of an image. What a VDisk says of them, and what is ordered
 * of which server. Pure, by what the statuses of VDisk and Store say.
 */
import { chooseHand, type FarmOrder, type Hand, type HandChoice } from '../../farm/orders.ts';
import { shownUrl } from '../../kit/url.ts';
import type { Statement } from '../../resources/conditions.ts';
import type { Store, VDisk } from '../../resources/kinds.ts';
import { versionsOf } from '../projection.ts';
import { isOver } from './work.ts';

type VDiskStatus = NonNullable<VDisk['status']>;
type Copy = NonNullable<VDiskStatus['copies']>[number];
export type StoreServers = NonNullable<NonNullable<Store['status']>['servers']>;
/** What is to be done where, or why it is not. */
export type Errand = HandChoice & { readonly order: Wanted };
type Wanted =
  | { readonly kind: 'fetch'; readonly url: string; readonly sha256: string; readonly sizeBytes?: number }
  | { readonly kind: 'boot-files'; readonly number: number };

export interface FileFacts {
  readonly vdisk: VDisk;
  /** As it is said now, or was last. */
  readonly status: Pick<VDiskStatus, 'versions' | 'copies' | 'work' | 'unmanaged'>;
  /** Of its Store. */
  readonly servers: StoreServers;
  readonly nowSeconds: number;
}

/** By number, of each version that lacks files which come so; a fetch is of version 0. */
export function errandsOf(facts: FileFacts): ReadonlyMap<number, Errand> {
  const copies = Map.groupBy(facts.status.copies ?? [], ({ version }) => version);
  const errands = versionsOf(facts.vdisk).flatMap(({ number }) => {
    const own = copies.get(number) ?? [];
    const errand = (number === 0 ? fetchOf(facts, own) : undefined) ?? bootFilesOf(facts, number, own);
    return errand ? [[number, errand] as const] : [];
  });
  return new Map(errands);
}

/** Where nobody who answers has an image of it, and nothing says that one was right: what is lost is a person's matter. */
function fetchOf({ vdisk, status, servers, nowSeconds }: FileFacts, copies: readonly Copy[]): Errand | undefined {
  const { source } = vdisk.spec;
  const { uid = vdisk.metadata.name } = vdisk.metadata;
  if (!source || copies.length === 0) return undefined;
  const { url, sha256, sizeBytes } = source.http;
  const order = { kind: 'fetch', url, sha256, ...(sizeBytes !== undefined && { sizeBytes }) } as const;
  const hands = copies.map(({ server, state }) => ({
    server,
    subject: `${uid} fetch ${sha256} ${url} ${server}`,
    isAble: state === 'Missing' && hasRoom(servers, server, sizeBytes),
  }));
  const choice = chooseHand(uid, hands, status.work ?? [], nowSeconds);
  if (isGoingOn(choice)) return { ...choice, order };
  const isThere = copies.some((copy) => copy.lacksBootFiles !== undefined) || (status.unmanaged ?? []).length > 0;
  if (isThere || isElsewhere(vdisk, status, 0, copies)) return undefined;
  // One that is away may be able, or have it.
  const isAway = choice.kind === 'NobodyAble' && copies.some(({ state }) => state !== 'Missing');
  return isAway ? undefined : { ...choice, order };
}

function bootFilesOf(
  { vdisk, status, nowSeconds }: FileFacts,
  number: number,
  copies: readonly Copy[],
): Errand | undefined {
  const { uid = vdisk.metadata.name } = vdisk.metadata;
  const hands = copies.flatMap(({ server, state, lacksBootFiles }): Hand[] => {
    if (lacksBootFiles === undefined) return [];
    const subject = `${uid} boot-files ${number} ${lacksBootFiles} ${server}`;
    return [{ server, subject, isAble: state === 'Missing' }];
  });
  if (hands.length === 0) return undefined;
  const order = { kind: 'boot-files', number } as const;
  const choice = chooseHand(uid, hands, status.work ?? [], nowSeconds);
  if (isGoingOn(choice)) return { ...choice, order };
  return isElsewhere(vdisk, status, number, copies) || choice.kind === 'NobodyAble' ? undefined : { ...choice, order };
}

const isGoingOn = (choice: HandChoice): choice is Extract<HandChoice, { readonly kind: 'Ordered' }> =>
  choice.kind === 'Ordered' && choice.isGoingOn;

/** Somebody works on its files; or has all of it; or had, as the farm database says. Copies that are right are not all told of. */
function isElsewhere(
  { spec }: VDisk,
  { versions = [], work = [] }: FileFacts['status'],
  number: number,
  copies: readonly Copy[],
): boolean {
  if (work.some((job) => !isOver(job))) return true;
  if (copies.some(({ state }) => state !== 'Missing' && state !== 'ServerUnreachable')) return true;
  const told = versions.find((version) => version.number === number);
  const isStated = spec.versions.find((version) => version.number === number)?.sha256 !== undefined;
  return (told?.upToDate ?? 0) > 0 || (told?.sha256 !== undefined && !isStated);
}

/** A Store tells of its free space in steps: of 1 % of the disk, or this. Whether it suffices the server says itself. */
const FREE_STEP_BYTES = 2 ** 30;

function hasRoom(servers: StoreServers, server: string, sizeBytes = 0): boolean {
  const found = servers.find(({ name }) => name === server);
  // A server reads its stores; its container `work` is who writes.
  if (found?.state !== 'Accessible' && found?.state !== 'ReadOnly') return false;
  const { freeBytes, totalBytes = 0 } = found;
  return freeBytes === undefined || freeBytes + 2 * Math.max(FREE_STEP_BYTES, totalBytes / 100) >= sizeBytes;
}

/** What this server is to do, of a VDisk whose files lie in that folder of it. */
export const fileOrders = (
  server: string,
  { spec }: VDisk,
  errands: ReadonlyMap<number, Errand>,
  folder: string,
): readonly FarmOrder[] =>
  [...errands.values()].flatMap((errand): FarmOrder[] =>
    errand.kind === 'Ordered' && errand.server === server
      ? [{ id: errand.id, folder, fileName: spec.fileName, ...errand.order }]
      : [],
  );

/** What is said of the version. `comes`: without a person's help. */
export function errandWords(errand: Errand): Statement & { readonly comes: boolean } {
  const { order } = errand;
  const isFetch = order.kind === 'fetch';
  const what = isFetch
    ? `version 0 from ${shownUrl(order.url)}`
    : `kernel and initrd of version ${order.number} out of its image`;
  if (errand.kind === 'Ordered') {
    const message = `server ${errand.server} ${isFetch ? 'fetches' : 'takes'} ${what}: status.work says how far it is`;
    return { reason: isFetch ? 'Fetching' : 'TakingBootFiles', message, comes: true };
  }
  if (errand.kind === 'NobodyAble') {
    const message = `no server that answers reaches the store, with room, to fetch ${what}: make room, or put the files there`;
    return { reason: 'FilesMissing', message, comes: false };
  }
  const why = errand.failed.map(({ server, message = '' }) => `server ${server}: ${message}`).join('; ');
  return isFetch
    ? {
        reason: 'FetchFailed',
        message: `nobody could fetch ${what}, which is tried again each hour: ${why}`,
        comes: true,
      }
    : {
        reason: 'FilesMissing',
        message: `nobody could take ${what}, which is tried again each day: put them there, or another image: ${why}`,
        comes: false,
      };
}
