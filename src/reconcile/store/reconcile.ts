/** One look at a Store: what its servers see of it; then its status. */

import { remove } from '../../database/project.ts';
import { offersStore } from '../../farm/files.ts';
import { applyStatusChanged } from '../../kube/apply.ts';
import { setFinalizer, withFinalizer } from '../../kube/finalizer.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, key as keyFor, partsOf } from '../../kube/object.ts';
import { lookAgain, type Outcome, outcomeOf, retry, settled } from '../../kube/outcome.ts';
import type { Store } from '../../resources/kinds.ts';
import {
  type Context,
  FINALIZER,
  isAsking,
  LOOK_SETTLED_MS,
  LOOK_UNSETTLED_MS,
  ofFarm,
  resource,
  resources,
  tellUnreadable,
} from '../context.ts';
import { storeRow } from '../projection.ts';
import { keepDevices } from '../quiet.ts';
import { type StoreFindings, storeStatus } from './status.ts';

/** A deletion waits for its row to go: first the VDisks that name it. */
const DELETION_WAITS_MS = 60_000;

export async function reconcileStore(context: Context, key: string, signal: AbortSignal): Promise<Outcome> {
  const found = resource('Store', context.informers.stores, key);
  if (!found) {
    context.quiet.forget(`Store ${key}`);
    return settled;
  }
  const { namespace, name } = partsOf(key);
  const target = at(kinds.Store, namespace, name);
  const { object, parsed } = found;
  if (!parsed.ok) {
    if (object.metadata.deletionTimestamp)
      await setFinalizer(context.client, target, object, FINALIZER, false, { signal });
    return tellUnreadable(context, target, object, parsed.error, signal);
  }
  const store = parsed.value;
  const farm = keyFor(namespace, store.spec.farmRef.name);
  return withFinalizer({
    client: context.client,
    target,
    object,
    finalizer: FINALIZER,
    maxWaitMs: DELETION_WAITS_MS,
    signal,
    reconcile: (live) => reconcileLive(context, store, live, signal),
    cleanUp: async () => {
      const runtime = context.runtimes.get(farm);
      if (!runtime)
        return context.informers.farms.get(farm) ? retry('FarmNotReady', 'its Farm is being made') : settled;
      const removed = await remove(runtime.database, 'store', name);
      return removed.ok ? settled : retry(removed.error.code, removed.error.message);
    },
    onGiveUp: () => context.log.warn({ store: name }, 'store deleted while vDisks need it or the database is away'),
  });
}

async function reconcileLive(
  context: Context,
  store: Store,
  object: KubeObject,
  signal: AbortSignal,
): Promise<Outcome> {
  const { namespace, name } = store.metadata;
  if (isAsking(context, keyFor(namespace, store.spec.farmRef.name))) return lookAgain(LOOK_UNSETTLED_MS);
  const found = storeStatus(store, await look(context, store), new Date());
  const status = context.quiet.status(`Store ${keyFor(namespace, name)}`, store.status, found, keepDevices);
  tell(context, object, store, status);
  const target = at(kinds.Store, namespace, name);
  const written = await applyStatusChanged(context.client, target, status, object, { signal });
  if (!written.ok) return outcomeOf(written.error);
  const ready = status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  return lookAgain(ready ? LOOK_SETTLED_MS : LOOK_UNSETTLED_MS);
}

async function look(context: Context, store: Store): Promise<StoreFindings> {
  const { namespace = 'default', name: storeName } = store.metadata;
  const nothing = { servers: [], devices: store.status?.devices ?? 0 };
  const row = storeRow(store);
  if (!row)
    return {
      ...nothing,
      fault: {
        kind: 'stalled',
        reason: 'NotSupported',
        message: 'only local stores are supported in this release: set spec.local',
      },
    };
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
