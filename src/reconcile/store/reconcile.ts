/** One look at a Store: what its servers see of it; then its status. */

import { offersStore, storePath } from '../../farm/files.ts';
import { type KubeObject, key as keyFor } from '../../kube/object.ts';
import type { Store } from '../../resources/kinds.ts';
import type { Child } from '../child.ts';
import { type Context, devicesUsing, ofFarm, resources } from '../context.ts';
import { preconditions } from '../preconditions.ts';
import { storeRow } from '../projection.ts';
import { keepDevices } from '../quiet.ts';
import { type StoreFindings, storeStatus } from './status.ts';

/** First the VDisks that name it go. */
const DELETION_WAITS_MS = 60_000;

export const storeChild: Child<'Store'> = {
  kind: 'Store',
  table: 'store',
  informer: ({ stores }) => stores,
  deletionWaitsMs: () => DELETION_WAITS_MS,
  keep: keepCounts,
  look: async (context, store, object) => ({
    status: storeStatus(store, await look(context, store), new Date()),
    tell: (status) => tell(context, object, store, status),
  }),
};

type StoreStatus = ReturnType<typeof storeStatus>;

function keepCounts(after: StoreStatus, before: StoreStatus): StoreStatus {
  const servers = after.servers?.map((server) => {
    const freeBytes = before.servers?.find(({ name }) => name === server.name)?.freeBytes;
    return freeBytes === undefined || server.freeBytes === undefined ? server : { ...server, freeBytes };
  });
  return { ...keepDevices(after, before), ...(servers ? { servers } : {}) };
}

async function look(context: Context, store: Store): Promise<StoreFindings> {
  const { namespace, name: storeName } = store.metadata;
  const farmName = store.spec.farmRef.name;
  const farmKey = keyFor(namespace, farmName);
  const vdisks = new Set(
    resources('VDisk', context.informers.vdisks, namespace)
      .filter(ofFarm(farmName))
      .filter(({ spec }) => spec.storeRef.name === storeName)
      .map(({ metadata }) => metadata.name),
  );
  const devices = await devicesUsing(context, farmKey, store.status?.devices, ({ vdisk }) => vdisks.has(vdisk));
  const nothing = { servers: [], devices };
  const asked = preconditions('Store', {
    resource: store,
    row: storeRow(store),
    farm: context.informers.farms.get(farmKey),
  });
  if (!asked.ok) return { ...nothing, fault: asked.error };
  const { row } = asked.value;
  return {
    devices,
    servers: (context.runtimes.get(farmKey)?.servers ?? [])
      .filter((server) => offersStore(row, server))
      .map(({ name, reachable, message, status }) => {
        // What a server says of the folder that the spec named before says nothing of this one.
        const path = storePath(row, name);
        const report = status?.stores.find((found) => found.name === storeName && found.path === path);
        return { name, reachable, message, ...(report ? { report } : {}) };
      }),
  };
}

function tell({ record }: Context, object: KubeObject, store: Store, status: StoreStatus): void {
  for (const server of status.servers ?? []) {
    const before = store.status?.servers?.find(({ name }) => name === server.name);
    if (server.state === 'Missing' && before?.message !== server.message)
      record(object, {
        type: 'Warning',
        reason: 'StoreMissing',
        action: 'Reconcile',
        note: `server ${server.name}: ${server.message ?? ''}`,
      });
  }
}
