/** One look at a VDisk: what servers hold of it; records what is right where nobody had said it; then its status. */
import type { CopyReport, ServerStatus } from '../../control/status.ts';
import type { Database } from '../../database/connection.ts';
import { setVersionContent } from '../../database/project.ts';
import { offersStore, storePath } from '../../farm/files.ts';
import type { Store as StoreRow } from '../../farm/model.ts';
import { ok } from '../../kit/result.ts';
import { type KubeObject, key as keyFor } from '../../kube/object.ts';
import type { VDisk } from '../../resources/kinds.ts';
import type { Child } from '../child.ts';
import { type Context, devicesUsing, resources } from '../context.ts';
import { preconditions } from '../preconditions.ts';
import { storeRow } from '../projection.ts';
import { keepDevices } from '../quiet.ts';
import { judge, type VDiskFindings, type VersionJudged, vdiskStatus } from './status.ts';

const DELETION_WAITS_MS = 60_000;

export const vdiskChild: Child<'VDisk'> = {
  kind: 'VDisk',
  table: 'vdisk',
  informer: ({ vdisks }) => vdisks,
  deletionWaitsMs: () => DELETION_WAITS_MS,
  keep: keepDevices,
  look: async (context, vdisk, object) => {
    const { namespace, name } = vdisk.metadata;
    const runtime = context.runtimes.get(keyFor(namespace, vdisk.spec.farmRef.name));
    const findings = await look(context, vdisk);
    const versions = judge(vdisk, findings);
    const fault = findings.fault ?? (runtime && (await stateContent(runtime.writes, name, versions)));
    return {
      status: vdiskStatus(vdisk, fault ? { ...findings, fault } : findings, versions, new Date()),
      tell: (status) => tell(context, object, vdisk, status),
    };
  },
};

/** What the database does not know is served by nobody, so a VDisk is not Ready before it is written. */
export async function stateContent(
  writes: Database,
  vdisk: string,
  versions: readonly Pick<VersionJudged, 'number' | 'content'>[],
): Promise<VDiskFindings['fault']> {
  let fault: VDiskFindings['fault'];
  for (const { number, content } of versions) {
    const stated = content ? await setVersionContent(writes, vdisk, number, content) : ok(true);
    if (stated.ok && stated.value) continue;
    const why = stated.ok ? 'the farm database has no such version yet' : stated.error.message;
    const message = `what is right of version ${number} is not recorded: ${why}`;
    fault ??= { kind: 'reconciling', reason: 'FarmNotReady', message };
  }
  return fault;
}

async function look(context: Context, vdisk: VDisk): Promise<VDiskFindings> {
  const { namespace, name } = vdisk.metadata;
  const { farmRef, storeRef } = vdisk.spec;
  const farmKey = keyFor(namespace, farmRef.name);
  const nothing: VDiskFindings = {
    holders: [],
    recorded: new Map(),
    devices: await devicesUsing(context, farmKey, vdisk.status?.devices, (use) => use.vdisk === name),
    nowSeconds: Math.floor(Date.now() / 1_000),
  };
  const store = resources('Store', context.informers.stores, namespace).find(
    ({ metadata }) => metadata.name === storeRef.name,
  );
  const asked = preconditions('VDisk', {
    resource: vdisk,
    store,
    row: store && storeRow(store),
    farm: context.informers.farms.get(farmKey),
    runtime: context.runtimes.get(farmKey),
  });
  if (!asked.ok) return { ...nothing, fault: asked.error };
  const { row, runtime } = asked.value;
  const rows = await runtime.rows();
  const told = (vdisk.status?.versions ?? []).flatMap(({ number, sha256 }) =>
    sha256 ? [[number, sha256] as const] : [],
  );
  return {
    ...nothing,
    holders: runtime.servers
      .filter((server) => offersStore(row, server))
      .map(({ name: server, reachable, status }) => ({
        ...{ server, reachable },
        reports: status ? reportsOf(status, row, server, vdisk.spec.fileName) : [],
      })),
    recorded: rows ? (rows.recorded.get(name) ?? new Map()) : new Map(told),
  };
}

/** What a server says of the folder, or of the files, that the specs named before says nothing of these. */
function reportsOf(
  { stores, copies }: ServerStatus,
  row: StoreRow,
  server: string,
  fileName: string,
): readonly CopyReport[] {
  if (!stores.some(({ name, path }) => name === row.name && path === storePath(row, server))) return [];
  return copies.filter(({ files }) => files.every(({ name }) => name.startsWith(`${fileName}.`)));
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
