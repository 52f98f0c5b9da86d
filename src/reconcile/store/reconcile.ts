/** One look at a Store: what its servers see of it; then its status. */

import { offersStore } from '../../farm/files.ts';
import { type KubeObject, key as keyFor } from '../../kube/object.ts';
import type { Store } from '../../resources/kinds.ts';
import type { Child } from '../child.ts';
import { type Context, ofFarm, resources } from '../context.ts';
import { storeRow } from '../projection.ts';
import { keepDevices } from '../quiet.ts';
import { unsupported } from '../unsupported.ts';
import { type StoreFindings, storeStatus } from './status.ts';

/** First the VDisks that name it go. */
const DELETION_WAITS_MS = 60_000;

export const storeChild: Child<'Store'> = {
  kind: 'Store',
  table: 'store',
  informer: ({ stores }) => stores,
  deletionWaitsMs: () => DELETION_WAITS_MS,
  keep: keepDevices,
  look: async (context, store, object) => ({
    status: storeStatus(store, await look(context, store), new Date()),
    tell: (status) => tell(context, object, store, status),
  }),
};

async function look(context: Context, store: Store): Promise<StoreFindings> {
  const { namespace = 'default', name: storeName } = store.metadata;
  const nothing = { servers: [], devices: store.status?.devices ?? 0 };
  const row = storeRow(store);
  const later = unsupported('Store', store.spec) ?? (row ? undefined : 'spec.local is missing');
  if (later !== undefined || !row)
    return { ...nothing, fault: { kind: 'stalled', reason: 'NotSupported', message: later ?? '' } };
  const farmName = store.spec.farmRef.name;
  const farm = resources('Farm', context.informers.farms, namespace).find(({ metadata }) => metadata.name === farmName);
  if (!farm)
    return {
      ...nothing,
      fault: {
        kind: 'reconciling',
        reason: 'FarmMissing',
        message: `Farm ${farmName}, which spec.farmRef names, is not in namespace ${namespace}`,
      },
    };
  const runtime = context.runtimes.get(keyFor(namespace, farmName));
  const rows = await runtime?.rows();
  const vdisks = resources('VDisk', context.informers.vdisks, namespace)
    .filter(ofFarm(farmName))
    .filter(({ spec }) => spec.storeRef.name === storeName);
  return {
    devices: rows
      ? vdisks.reduce((sum, { metadata }) => sum + (rows.streaming.get(metadata.name) ?? 0), 0)
      : nothing.devices,
    servers: (runtime?.servers ?? [])
      .filter((server) => offersStore(row, server))
      .map(({ name, reachable, message, status }) => {
        const report = status?.stores.find((found) => found.name === storeName);
        return { name, reachable, message, ...(report ? { report } : {}) };
      }),
  };
}

function tell({ record }: Context, object: KubeObject, store: Store, status: ReturnType<typeof storeStatus>): void {
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
