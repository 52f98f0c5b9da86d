/** What is there: the servers that should offer a Store, and what they see of it. Nothing is asked here. */
import type { ServerStatus, StoreReport } from '../../control/status.ts';
import { offersStore, storePath } from '../../farm/files.ts';
import type { Store as StoreRow } from '../../farm/model.ts';
import { key as keyFor } from '../../kube/object.ts';
import type { FarmRows } from '../../operator/rows.ts';
import type { Store, VDisk } from '../../resources/kinds.ts';
import { type Context, devicesUsing, ofFarm, resources } from '../context.ts';
import { preconditions } from '../preconditions.ts';
import { storeRow } from '../projection.ts';
import { type MountFindings, NO_MOUNTS } from './mounts.ts';
import type { StoreFindings } from './status.ts';

/** `bringAbout`: what is done for a store that may be served. */
export async function observe(
  context: Context,
  store: Store,
  bringAbout: () => Promise<MountFindings> = async () => NO_MOUNTS,
): Promise<StoreFindings> {
  const { namespace, name: storeName } = store.metadata;
  const farmName = store.spec.farmRef.name;
  const farmKey = keyFor(namespace, farmName);
  const own = resources('VDisk', context.informers.vdisks, namespace).filter(ofFarm(farmName));
  const moving = movingAway(storeName, own, await context.runtimes.get(farmKey)?.rows());
  const vdisks = new Set(
    own
      .filter(({ spec }) => spec.storeRef.name === storeName)
      .map(({ metadata }) => metadata.name)
      .concat(moving),
  );
  const devices = await devicesUsing(context, farmKey, store.status?.devices, ({ vdisk }) => vdisks.has(vdisk));
  const nothing = { servers: [], devices, moving };
  const asked = preconditions('Store', {
    resource: store,
    farm: context.informers.farms.get(farmKey),
  });
  if (!asked.ok) return { ...nothing, fault: asked.error };
  const row = storeRow(asked.value.resource);
  const { fault, waits } = await bringAbout();
  if (fault) return { ...nothing, fault };
  return {
    ...{ devices, moving },
    servers: (context.runtimes.get(farmKey)?.servers ?? [])
      .filter((server) => offersStore(row, server))
      .map(({ name, reachable, message, status }) => {
        const report = status && reportOf(status, row, name);
        const mount = waits.get(name);
        return { name, reachable, message, ...(report ? { report } : {}), ...(mount === undefined ? {} : { mount }) };
      }),
  };
}

/** Names of the vDisks whose files go from a store to another, by all that knows of it: it is in use until they are there. */
export function movingAway(
  store: string,
  vdisks: readonly VDisk[],
  rows: Pick<FarmRows, 'places'> | undefined,
): readonly string[] {
  return vdisks
    .filter(({ metadata, spec, status }) => {
      const place = rows?.places.get(metadata.name);
      const from = place ? [place.store, ...(place.moving?.from ?? [])] : (status?.movingFrom ?? []);
      return spec.storeRef.name !== store && from.includes(store);
    })
    .map(({ metadata }) => metadata.name);
}

/** What a server says of the folder that the spec names; of the one that it named before, it says nothing of this one. */
export const reportOf = ({ stores }: ServerStatus, row: StoreRow, server: string): StoreReport | undefined =>
  stores.find(({ name, path }) => name === row.name && path === storePath(row, server));
