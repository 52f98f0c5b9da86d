/** One look at a Store: what its servers see of it; then its status. */

import type { KubeObject } from '../../kube/object.ts';
import type { Store } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import type { Member } from '../member.ts';
import { keepDevices } from '../quiet.ts';
import { bringMountsAbout, orphanMounts } from './mounts.ts';
import { observe } from './observe.ts';
import { storeStatus } from './status.ts';

/** First the VDisks that name it go. */
const DELETION_WAITS_MS = 60_000;

export const storeMember: Member<'Store'> = {
  kind: 'Store',
  table: 'store',
  informer: ({ stores }) => stores,
  deletionWaitsMs: () => DELETION_WAITS_MS,
  keep: keepCounts,
  observe: async (context, store, object, signal) => {
    const findings = await observe(context, store, () => bringMountsAbout(context, store, object, signal));
    return {
      status: storeStatus(store, findings, new Date()),
      report: (status) => report(context, object, store, status),
    };
  },
  orphan: orphanMounts,
};

type StoreStatus = ReturnType<typeof storeStatus>;

function keepCounts(after: StoreStatus, before: StoreStatus): StoreStatus {
  const servers = after.servers?.map((server) => {
    const freeBytes = before.servers?.find(({ name }) => name === server.name)?.freeBytes;
    return freeBytes === undefined || server.freeBytes === undefined ? server : { ...server, freeBytes };
  });
  return { ...keepDevices(after, before), ...(servers ? { servers } : {}) };
}

function report({ record }: Context, object: KubeObject, store: Store, status: StoreStatus): void {
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
