/** What is there: the servers that should hold copies of a VDisk, what they say of them, and what the database has recorded. */
import { parse } from 'node:path';
import type { ServerStatus, StoreReport, WorkReport } from '../../control/status.ts';
import { offersStore, storePath, versionOfStem } from '../../farm/files.ts';
import type { Store as StoreRow, VersionOverride } from '../../farm/model.ts';
import { key as keyFor } from '../../kube/object.ts';
import type { Store, VDisk } from '../../resources/kinds.ts';
import { type Context, devicesUsing, resources } from '../context.ts';
import { preconditions } from '../preconditions.ts';
import { copiesWanted, storeRow, versionsOf } from '../projection.ts';
import { reportOf } from '../store/observe.ts';
import { replaceAfterSeconds } from './spread.ts';
import { type CopyHolder, GONE_MS, type VDiskFindings } from './status.ts';

export async function observe(context: Context, vdisk: VDisk): Promise<VDiskFindings> {
  const { namespace, name } = vdisk.metadata;
  const { farmRef, storeRef } = vdisk.spec;
  const farmKey = keyFor(namespace, farmRef.name);
  const nothing: VDiskFindings = {
    holders: [],
    ...told(vdisk),
    devices: await devicesUsing(context, farmKey, vdisk.status?.devices, (use) => use.vdisk === name),
    nowSeconds: Math.floor(Date.now() / 1_000),
    ...ruleOf(context, namespace, farmRef.name),
  };
  const store = resources('Store', context.informers.stores, namespace).find(
    ({ metadata }) => metadata.name === storeRef.name,
  );
  const asked = preconditions('VDisk', {
    resource: vdisk,
    store,
    farm: context.informers.farms.get(farmKey),
    runtime: context.runtimes.get(farmKey),
  });
  if (!asked.ok) return { ...nothing, fault: asked.error };
  const { runtime } = asked.value;
  const row = storeRow(asked.value.store);
  const rows = await runtime.rows();
  const wanted = wantedOf(vdisk, asked.value.store, row);
  return {
    ...nothing,
    ...wanted,
    storeServers: asked.value.store.status?.servers ?? [],
    holders: runtime.servers
      .filter((server) => offersStore(row, server))
      .map(({ name: server, reachable, silentSinceMs, status }) => {
        const silentMs = silentSinceMs === undefined ? 0 : performance.now() - silentSinceMs;
        const folder = storePath(row, server);
        const load = status && wanted.wanted ? loadOf(status, row, server) : {};
        const isBlind = !seesFolder(status && reportOf(status, row, server));
        const held = shown(status, silentMs, row, server, vdisk);
        return { server, folder, reachable, isBlind, silentMs, ...load, ...held };
      }),
    ...(rows ? { recorded: rows.recorded.get(name) ?? new Map(), overrides: rows.overrides } : told(vdisk)),
  };
}

function wantedOf(vdisk: VDisk, store: Store, row: StoreRow): Pick<VDiskFindings, 'wanted'> {
  const count = copiesWanted(vdisk, row);
  if (count === undefined) return {};
  const replicates = row.replication !== undefined;
  return { wanted: { count, replicates, replaceAfterSeconds: replaceAfterSeconds(store) } };
}

function ruleOf({ informers }: Context, namespace: string, name: string): Pick<VDiskFindings, 'rule'> {
  const farm = resources('Farm', informers.farms, namespace).find(({ metadata }) => metadata.name === name);
  return farm?.spec.versions ? { rule: farm.spec.versions } : {};
}

/** As it was told last: the database is away, or what has to be there first is not. */
function told({ metadata, status }: VDisk): Pick<VDiskFindings, 'recorded' | 'overrides'> {
  const recorded = (status?.versions ?? []).flatMap(({ number, sha256: manifest, settledAt }) => {
    if (manifest === undefined) return [];
    const settled = settledAt === undefined ? {} : { settledAt: secondsSinceEpoch(settledAt) };
    return [[number, { manifest, ...settled }] as const];
  });
  return {
    recorded: new Map(recorded),
    overrides: status?.override ? [overrideRow(metadata.name, status.override)] : [],
  };
}

function overrideRow(vdisk: string, { version, until }: Override): VersionOverride {
  return { vdisk, version, ...(until === undefined ? {} : { until: secondsSinceEpoch(until) }) };
}

type Override = NonNullable<NonNullable<VDisk['status']>['override']>;
const secondsSinceEpoch = (time: string): number => Math.floor(Date.parse(time) / 1_000);

const seesFolder = (store: StoreReport | undefined): boolean =>
  store?.state === 'Accessible' || store?.state === 'ReadOnly';

/** By which a server is chosen to keep a copy. */
function loadOf(
  status: ServerStatus,
  row: StoreRow,
  server: string,
): Pick<CopyHolder, 'store' | 'devices' | 'powerRating'> {
  const store = reportOf(status, row, server);
  return { devices: status.devices, powerRating: status.powerRating, ...(store ? { store } : {}) };
}

/** What a server says of the folder, or of the files, that the specs named before says nothing of these. Of its work only it knows: what one that is silent said last holds for a while. */
function shown(
  status: ServerStatus | undefined,
  silentMs: number,
  row: StoreRow,
  server: string,
  vdisk: VDisk,
): Pick<CopyHolder, 'reports' | 'unmanaged' | 'work'> {
  const folder = status && reportOf(status, row, server);
  if (!folder) return { reports: [], unmanaged: [], work: [] };
  const { fileName } = vdisk.spec;
  // A server that does not know a version yet tells of its image, too.
  const named = versionsOf(vdisk).map(({ number }) => number);
  const isUnmanaged = (name: unknown): name is string => {
    if (typeof name !== 'string') return false;
    const number = versionOfStem(parse(name).name, fileName);
    return number !== undefined && !named.includes(number);
  };
  const isOurs = (job: WorkReport): boolean => job.folder === folder.path && job.fileName === fileName;
  return {
    reports: status.copies.filter(({ files }) => files.every(({ name }) => name.startsWith(`${fileName}.`))),
    unmanaged: (Array.isArray(folder.unmanaged) ? folder.unmanaged : []).filter(isUnmanaged),
    work: silentMs < GONE_MS ? (status.work ?? []).filter(isOurs) : [],
  };
}
