/** One look at a Store: what its servers see of it; then its status. */

import { offersStore } from '../../farm/files.ts';
import { applyStatusChanged } from '../../kube/apply.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, key as keyFor, partsOf } from '../../kube/object.ts';
import { lookAgain, type Outcome, outcomeOf, settled } from '../../kube/outcome.ts';
import type { Store } from '../../resources/kinds.ts';
import { type Context, LOOK_SETTLED_MS, LOOK_UNSETTLED_MS, resource, resources, tellUnreadable } from '../context.ts';
import { storeRow } from '../projection.ts';
import { type StoreFindings, storeStatus } from './status.ts';

export async function reconcileStore(context: Context, key: string, signal: AbortSignal): Promise<Outcome> {
  const found = resource('Store', context.informers.stores, key);
  if (!found) return settled;
  const { namespace, name } = partsOf(key);
  const target = at(kinds.Store, namespace, name);
  const { object, parsed } = found;
  if (!parsed.ok) return tellUnreadable(context, target, object, parsed.error, signal);
  const status = storeStatus(parsed.value, look(context, parsed.value), new Date());
  tell(context, object, parsed.value, status);
  const written = await applyStatusChanged(context.client, target, status, object, { signal });
  if (!written.ok) return outcomeOf(written.error);
  const ready = status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  return lookAgain(ready ? LOOK_SETTLED_MS : LOOK_UNSETTLED_MS);
}

function look(context: Context, store: Store): StoreFindings {
  const { namespace = 'default' } = store.metadata;
  const row = storeRow(store);
  if (!row)
    return {
      servers: [],
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
      servers: [],
      fault: {
        kind: 'reconciling',
        reason: 'FarmMissing',
        message: `Farm ${farmName}, which spec.farmRef names, is not in namespace ${namespace}`,
      },
    };
  const servers = context.runtimes.get(keyFor(namespace, farmName))?.servers ?? [];
  return {
    servers: servers
      .filter((server) => offersStore(row, server))
      .map(({ name, reachable, message, status }) => {
        const report = status?.stores.find((found) => found.name === store.metadata.name);
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
