/** One look at a VDisk: what servers hold of it; records what is right where nobody had said it; then its status. */
import { remove, setVersionContent } from '../../database/project.ts';
import { offersStore } from '../../farm/files.ts';
import { applyStatusChanged } from '../../kube/apply.ts';
import { setFinalizer, withFinalizer } from '../../kube/finalizer.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, key as keyFor, partsOf } from '../../kube/object.ts';
import { lookAgain, type Outcome, outcomeOf, retry, settled } from '../../kube/outcome.ts';
import type { VDisk } from '../../resources/kinds.ts';
import {
  type Context,
  FINALIZER,
  isAsking,
  LOOK_SETTLED_MS,
  LOOK_UNSETTLED_MS,
  resource,
  resources,
  tellUnreadable,
} from '../context.ts';
import type { FarmRuntime } from '../farm/runtimes.ts';
import { storeRow } from '../projection.ts';
import { keepDevices } from '../quiet.ts';
import { judge, type VDiskFindings, vdiskStatus } from './status.ts';

/** A deletion waits for its row to go; no longer than this, or a namespace could not be removed without its database. */
const DELETION_WAITS_MS = 60_000;

export async function reconcileVDisk(context: Context, key: string, signal: AbortSignal): Promise<Outcome> {
  const found = resource('VDisk', context.informers.vdisks, key);
  if (!found) {
    context.quiet.forget(`VDisk ${key}`);
    return settled;
  }
  const { namespace, name } = partsOf(key);
  const target = at(kinds.VDisk, namespace, name);
  const { object, parsed } = found;
  if (!parsed.ok) {
    if (object.metadata.deletionTimestamp)
      await setFinalizer(context.client, target, object, FINALIZER, false, { signal });
    return tellUnreadable(context, target, object, parsed.error, signal);
  }
  const vdisk = parsed.value;
  const farm = keyFor(namespace, vdisk.spec.farmRef.name);
  const runtime = context.runtimes.get(farm);
  return withFinalizer({
    client: context.client,
    target,
    object,
    finalizer: FINALIZER,
    maxWaitMs: DELETION_WAITS_MS,
    signal,
    reconcile: (live) => reconcileLive(context, vdisk, live, runtime, signal),
    cleanUp: async () => {
      if (!runtime)
        return context.informers.farms.get(farm) ? retry('FarmNotReady', 'its Farm is being made') : settled;
      const removed = await remove(runtime.database, 'vdisk', name);
      return removed.ok ? settled : retry(removed.error.code, removed.error.message);
    },
    onGiveUp: () => context.log.warn({ vdisk: name }, 'vDisk deleted while the database is away: its row stays'),
  });
}

async function reconcileLive(
  context: Context,
  vdisk: VDisk,
  object: KubeObject,
  runtime: FarmRuntime | undefined,
  signal: AbortSignal,
): Promise<Outcome> {
  const { namespace = 'default', name } = vdisk.metadata;
  if (isAsking(context, keyFor(namespace, vdisk.spec.farmRef.name))) return lookAgain(LOOK_UNSETTLED_MS);
  const findings = await look(context, vdisk, runtime);
  const versions = judge(vdisk, findings);
  for (const { number, content } of versions)
    if (runtime && content && !findings.fault) await setVersionContent(runtime.database, name, number, content);
  const found = vdiskStatus(vdisk, findings, versions, new Date());
  const status = context.quiet.status(`VDisk ${keyFor(namespace, name)}`, vdisk.status, found, keepDevices);
  tell(context, object, vdisk, status);
  const written = await applyStatusChanged(context.client, at(kinds.VDisk, namespace, name), status, object, {
    signal,
  });
  if (!written.ok) return outcomeOf(written.error);
  const ready = status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  return lookAgain(ready ? LOOK_SETTLED_MS : LOOK_UNSETTLED_MS);
}

async function look(context: Context, vdisk: VDisk, runtime: FarmRuntime | undefined): Promise<VDiskFindings> {
  const { namespace = 'default', name } = vdisk.metadata;
  const { farmRef, storeRef } = vdisk.spec;
  const nothing: VDiskFindings = {
    holders: [],
    recorded: new Map(),
    devices: vdisk.status?.devices ?? 0,
    nowSeconds: Math.floor(Date.now() / 1_000),
  };
  const store = resources('Store', context.informers.stores, namespace).find(
    ({ metadata }) => metadata.name === storeRef.name,
  );
  const row = store && storeRow(store);
  if (!store)
    return {
      ...nothing,
      fault: {
        kind: 'reconciling',
        reason: 'StoreMissing',
        message: `Store ${storeRef.name}, which spec.storeRef names, is not in namespace ${namespace}`,
      },
    };
  if (!row)
    return {
      ...nothing,
      fault: {
        kind: 'reconciling',
        reason: 'StoreNotReady',
        message: `Store ${storeRef.name} is not supported in this release: see its conditions`,
      },
    };
  if (vdisk.spec.os?.firmware)
    return {
      ...nothing,
      fault: {
        kind: 'stalled',
        reason: 'NotSupported',
        message: 'spec.os.firmware is not supported in this release: use linux',
      },
    };
  if (!runtime)
    return {
      ...nothing,
      fault: {
        kind: 'reconciling',
        reason: 'FarmNotReady',
        message: `Farm ${farmRef.name} is being made: see its conditions`,
      },
    };
  const rows = await runtime.rows();
  const told = (vdisk.status?.versions ?? []).flatMap(({ number, sha256 }) =>
    sha256 ? [[number, sha256] as const] : [],
  );
  return {
    ...nothing,
    holders: runtime.servers
      .filter((server) => offersStore(row, server))
      .map(({ name: server, reachable, status }) => ({ server, reachable, reports: status?.copies ?? [] })),
    recorded: rows ? (rows.recorded.get(name) ?? new Map()) : new Map(told),
    devices: rows ? (rows.streaming.get(name) ?? 0) : nothing.devices,
  };
}

/** An Event for a copy that is not right and was not told of. */
function tell({ record }: Context, object: KubeObject, vdisk: VDisk, status: ReturnType<typeof vdiskStatus>): void {
  const bad = ['Missing', 'Corrupt', 'OutOfDate', 'Conflict'];
  for (const copy of status.copies ?? []) {
    const before = vdisk.status?.copies?.find(
      ({ server, version }) => server === copy.server && version === copy.version,
    );
    if (bad.includes(copy.state) && (before?.state !== copy.state || before.message !== copy.message))
      record(object, {
        type: 'Warning',
        reason: `Copy${copy.state}`,
        action: 'Compare',
        note: `server ${copy.server}: ${copy.message ?? ''}`,
      });
  }
}
