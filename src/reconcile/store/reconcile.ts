/** One look at a Store: what its servers see of it; then its status. */

import type { KubeObject } from '../../kube/object.ts';
import { key as keyFor } from '../../kube/object.ts';
import type { FarmRows } from '../../operator/rows.ts';
import type { Store } from '../../resources/kinds.ts';
import { type Context, ofFarm, resources } from '../context.ts';
import type { Member } from '../member.ts';
import { keepDevices } from '../quiet.ts';
import { bringMountsAbout, orphanMounts } from './mounts.ts';
import { movingAway, observe } from './observe.ts';
import { storeStatus } from './status.ts';

/** First the VDisks that name it go. */
const DELETION_WAITS_MS = 60_000;
/** Those whose files are in it while they go to another store, as where one commit moves them and prunes it. Whoever wants it gone before confirms it. */
const MOVE_WAITS_MS = 7 * 24 * 3_600_000;

export const storeMember: Member<'Store'> = {
  kind: 'Store',
  table: 'store',
  informer: ({ stores }) => stores,
  deletionWaitsMs: (store, context) => (usersOf(store, context).length > 0 ? MOVE_WAITS_MS : DELETION_WAITS_MS),
  keep: keepCounts,
  observe: async (context, store, object, signal) => {
    const findings = await observe(context, store, () => bringMountsAbout(context, store, object, signal));
    return {
      status: storeStatus(store, findings, new Date()),
      report: (status) => report(context, object, store, status),
    };
  },
  takeDown: async (context, store) => {
    const { namespace, name } = store.metadata;
    const rows = await context.runtimes.get(keyFor(namespace, store.spec.farmRef.name))?.rows();
    const moving = usersOf(store, context, rows);
    if (moving.length === 0) return undefined;
    return (
      `files of ${moving.map((vdisk) => `VDisk ${vdisk}`).join(', ')} go from it to another Store: it goes when they are there, or at once by ` +
      `\`kubectl annotate -n ${namespace} stores.bootfarm.io ${name} ${CONFIRM}=yes\``
    );
  },
  orphan: orphanMounts,
};

/** Of a person, as the admission policy reads it. */
const CONFIRM = 'bootfarm.io/confirm-delete';

/** Names of the vDisks for which it stays. */
function usersOf({ metadata, spec }: Store, { informers }: Context, rows?: FarmRows): readonly string[] {
  if (metadata.annotations?.[CONFIRM] !== undefined) return [];
  const vdisks = resources('VDisk', informers.vdisks, metadata.namespace).filter(ofFarm(spec.farmRef.name));
  return movingAway(metadata.name, vdisks, rows);
}

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
