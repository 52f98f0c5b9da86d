/** What is there: the servers that should hold copies of a VDisk, what they say of them, and what the database has recorded. */
import { parse } from 'node:path';
import type { ServerStatus, StoreReport, WorkReport } from '../../control/status.ts';
import { offersStore, storePath, versionOfStem } from '../../farm/files.ts';
import type { Store as StoreRow, VersionOverride } from '../../farm/model.ts';
import { key as keyFor } from '../../kube/object.ts';
import type { ServerView } from '../../operator/poller.ts';
import type { Place } from '../../operator/rows.ts';
import type { Store, VDisk } from '../../resources/kinds.ts';
import { type Context, devicesUsing, resources } from '../context.ts';
import { preconditions } from '../preconditions.ts';
import { copiesWanted, storeRow, versionsOf } from '../projection.ts';
import { reportOf } from '../store/observe.ts';
import { type CopyHolder, GONE_MS, type LeftHolder, type VDiskFindings } from './judge.ts';
import { replaceAfterSeconds } from './spread.ts';

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
  const stores = resources('Store', context.informers.stores, namespace);
  const named = (store: string): Store | undefined => stores.find(({ metadata }) => metadata.name === store);
  const asked = preconditions('VDisk', {
    resource: vdisk,
    store: named(storeRef.name),
    farm: context.informers.farms.get(farmKey),
    runtime: context.runtimes.get(farmKey),
  });
  if (!asked.ok) return { ...nothing, fault: asked.error };
  const { runtime } = asked.value;
  const rows = await runtime.rows();
  const place = rows ? rows.places.get(name) : placeTold(vdisk);
  // What servers do not know yet is not looked at.
  const store = (place && named(place.store)) ?? asked.value.store;
  const row = storeRow(store);
  const wanted = wantedOf(vdisk, store, row);
  const of = (at: StoreRow): CopyHolder[] =>
    runtime.servers
      .filter((server) => offersStore(at, server))
      .map(({ name: server, reachable, silentSinceMs, status }) => {
        const silentMs = silentSinceMs === undefined ? 0 : performance.now() - silentSinceMs;
        const folder = storePath(at, server);
        const load = status && wanted.wanted ? loadOf(status, at, server) : {};
        const isBlind = !seesFolder(status && reportOf(status, at, server));
        const held = shown(status, silentMs, at, server, vdisk, place?.moving ? undefined : at.name);
        const { volume } = (status && reportOf(status, at, server)) ?? {};
        const seen = volume === undefined ? {} : { volume };
        return { server, folder, reachable, isBlind, silentMs, ...seen, ...load, ...held };
      });
  const from = place?.moving?.from ?? [];
  const left = from.flatMap((old): LeftHolder[] => {
    const known = rows?.stores.find((one) => one.name === old) ?? (named(old) && storeRow(named(old) as Store));
    return known
      ? of(known).map((holder) => ({ ...holder, of: old, ...streamsOf(runtime.servers, holder, name) }))
      : [];
  });
  return {
    ...nothing,
    ...wanted,
    storeServers: store.status?.servers ?? [],
    holders: of(row),
    ...(place ? { place } : {}),
    ...(row.shared ? { isShared: true } : {}),
    ...(from.length > 0 ? { left } : {}),
    ...(rows ? { recorded: rows.recorded.get(name) ?? new Map(), overrides: rows.overrides } : told(vdisk)),
  };
}

/** While the database is away. */
function placeTold({ spec, status }: VDisk): Place {
  const { store = spec.storeRef.name, movingFrom = [], arrived } = status ?? {};
  const moving = { from: movingFrom, ...(arrived === undefined ? {} : { arrived }) };
  return { store, ...(movingFrom.length > 0 ? { moving } : {}) };
}

function streamsOf(
  servers: readonly ServerView[],
  { server, reachable }: CopyHolder,
  vdisk: string,
): Pick<CopyHolder, 'streams'> {
  const uses = servers.find(({ name }) => name === server)?.status?.uses;
  return reachable && uses ? { streams: uses.find((use) => use.vdisk === vdisk)?.devices ?? 0 } : {};
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
  /** Where it lies by the word of a server that does not say it, which is of an earlier release; undefined: nobody knows. */
  knownStore: string | undefined,
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
    reports: status.copies.filter(
      ({ store = knownStore, files }) =>
        store === row.name && files.every(({ name }) => name.startsWith(`${fileName}.`)),
    ),
    unmanaged: (Array.isArray(folder.unmanaged) ? folder.unmanaged : []).filter(isUnmanaged),
    work: silentMs < GONE_MS ? (status.work ?? []).filter(isOurs) : [],
  };
}
