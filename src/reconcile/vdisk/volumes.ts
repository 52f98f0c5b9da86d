/** Which folders are one, by the marks that servers show of them (`store/mark.ts`). Pure. */
import type { CopyReport, StoreReport } from '../../control/status.ts';
import { storePath } from '../../farm/files.ts';
import type { Store as StoreRow } from '../../farm/model.ts';
import type { ServerView } from '../../operator/poller.ts';

/** What a server that answers says of its stores and of their copies. */
export interface SeenServer {
  readonly name: string;
  readonly stores: readonly Pick<StoreReport, 'name' | 'path' | 'volume' | 'foreign'>[];
  readonly copies: readonly Pick<CopyReport, 'vdisk' | 'store' | 'version' | 'state' | 'manifest' | 'lacksBootFiles'>[];
}

export const seenServers = (
  servers: readonly Pick<ServerView, 'name' | 'reachable' | 'status'>[],
): readonly SeenServer[] =>
  servers.flatMap(({ name, reachable, status }) =>
    reachable && status ? [{ name, stores: status.stores, copies: status.copies }] : [],
  );

/** Where two servers have one folder its mark has one token. Its inode need not be one: by two protocols it may be two. */
export const tokenOf = (volume: string | undefined): string | undefined => volume?.split(' ')[0];

export const storeOn = ({ name, stores }: SeenServer, row: StoreRow) =>
  stores.find((store) => store.name === row.name && store.path === storePath(row, name));

/** A version as it must be, of a VDisk. */
export interface Wanted {
  readonly vdisk: string;
  readonly version: number;
  /** Its manifest. */
  readonly right: string | undefined;
}

/** Tokens of the folders of that store, of these servers, that show the version as it is right. */
export function foldersWith(
  { vdisk, version, right }: Wanted,
  store: StoreRow,
  servers: readonly SeenServer[],
): ReadonlySet<string | undefined> {
  const isShown = ({ copies }: SeenServer): boolean =>
    copies.some(
      (copy) =>
        copy.vdisk === vdisk &&
        (copy.store ?? store.name) === store.name &&
        copy.version === version &&
        copy.state === 'Present' &&
        copy.manifest === right,
    );
  const found = servers.filter(isShown).flatMap((one) => storeOn(one, store) ?? []);
  return new Set(found.flatMap(({ volume, foreign }) => (volume === undefined || foreign ? [] : [tokenOf(volume)])));
}
