/** The four kinds and the types of their resources. */
import { FarmKind } from './farm.ts';
import type { ResourceOf } from './kind.ts';
import { StoreKind } from './store.ts';
import { StreamingServerKind } from './streamingserver.ts';
import { VDiskKind } from './vdisk.ts';

export const KINDS = {
  Farm: FarmKind,
  StreamingServer: StreamingServerKind,
  Store: StoreKind,
  VDisk: VDiskKind,
} as const;

export type KindName = keyof typeof KINDS;
/** The resource of a kind by its name: `ResourceByName<'Farm'>`. */
export type ResourceByName<Name extends KindName> = ResourceOf<(typeof KINDS)[Name]>;

export type Farm = ResourceByName<'Farm'>;
export type StreamingServer = ResourceByName<'StreamingServer'>;
export type Store = ResourceByName<'Store'>;
export type VDisk = ResourceByName<'VDisk'>;

export type FarmSpec = Farm['spec'];
export type StreamingServerSpec = StreamingServer['spec'];
