/** From the resources of a farm to the entries that servers read. Pure. */
import type { Projection } from '../database/project.ts';
import type { Boot, LoadBalancing, Store as StoreRow, VDisk as VDiskRow, Version } from '../farm/model.ts';
import { SHARED_STORES } from '../farm/shared.ts';
import { secondsOf } from '../kit/units.ts';
import { DEFAULT_SITE } from '../resources/defaults.ts';
import type { Farm, FarmSpec, Store, StreamingServer, VDisk } from '../resources/kinds.ts';
import { quantityOf } from '../resources/units.ts';

export const siteNames = ({ sites }: FarmSpec): readonly string[] =>
  sites.length > 0 ? sites.map(({ name }) => name) : [DEFAULT_SITE];

/** A site that is not said is the only one; undefined when the farm has no such site, or several and none is said. */
export function siteOf(farm: FarmSpec, site: string | undefined): string | undefined {
  const names = siteNames(farm);
  if (site === undefined) return names.length === 1 ? names[0] : undefined;
  return names.includes(site) ? site : undefined;
}

function bootOf({
  loginServers,
  unknownDevices,
  noServer,
  verbose,
  proxyDHCP,
  tftp,
  http,
  bootFiles,
}: FarmSpec['boot']): Boot {
  return {
    loginServers,
    unknownDevices,
    noServer: { action: noServer.action, afterSeconds: secondsOf(noServer.after) },
    verbose,
    proxyDHCP: proxyDHCP.enabled,
    tftp: tftp.enabled,
    tftpMaxBlockSize: tftp.maxBlockSize,
    http,
    bootFiles,
  };
}

/** The boot of one site, merged. */
export const bootOfSite = (farm: FarmSpec, site: string): Boot =>
  bootOf({ ...farm.boot, ...farm.sites.find(({ name }) => name === site)?.boot });

function loadBalancingOf({ loadBalancing: { server, subnetAffinity } }: VDisk['spec']): LoadBalancing {
  return server === undefined ? { algorithm: 'LeastBusy', subnetAffinity } : { server };
}

export const vdiskRow = ({ metadata, spec }: VDisk): VDiskRow => ({
  name: metadata.name,
  store: spec.storeRef.name,
  fileName: spec.fileName,
  enabled: spec.enabled,
  loadBalancing: loadBalancingOf(spec),
  overlayMiB: spec.writeCache.sizeMiB,
  ...(spec.bootVersion === undefined ? {} : { bootVersion: spec.bootVersion }),
  commandLine: spec.os?.linux?.commandLine ?? '',
});

/** As it was told last: for a database that knows nothing of it (`database/project.ts`). */
function movingTold({ spec, status }: VDisk): Pick<VDiskRow, 'moving'> {
  const from = (status?.movingFrom ?? []).filter((name) => name !== spec.storeRef.name);
  return from.length > 0 ? { moving: { from } } : {};
}

/** Of how many servers keep a copy, and which; undefined: all of its store do. */
export const copiesWanted = ({ spec }: Pick<VDisk, 'spec'>, { shared }: StoreRow): number | undefined =>
  spec.copies === 'all' || shared ? undefined : spec.copies;

/** Before it was decided which do, nobody copies it. */
function copiesOf(vdisk: VDisk, store: StoreRow): Pick<VDiskRow, 'copies'> {
  const wanted = copiesWanted(vdisk, store);
  if (wanted === undefined) return {};
  return { copies: { wanted, servers: (vdisk.status?.chosen ?? []).map(({ name }) => name).sort() } };
}

/** With no entry at all, version 0 is Production. */
export function versionsOf({ metadata, spec }: VDisk): readonly Omit<Version, 'content'>[] {
  if (spec.versions.length === 0) return [{ vdisk: metadata.name, number: 0, access: 'Production' }];
  return spec.versions.map(({ number, access, sha256, releaseAt }) => ({
    vdisk: metadata.name,
    number,
    access,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(releaseAt === undefined ? {} : { releaseAt: Math.floor(Date.parse(releaseAt) / 1_000) }),
  }));
}

/** Of volumes that nodes mount, for all servers the same. */
export const isShared = ({ spec }: Store): boolean => spec.local === undefined;

/** A release that knows no shared stores reads of a folder that it may not enter. */
export function storeRow(store: Store): StoreRow {
  const { metadata, spec } = store;
  const verifyEvery = spec.replication?.verifyEvery;
  return {
    name: metadata.name,
    ...(spec.site === undefined ? {} : { site: spec.site }),
    pools: spec.servers.pools,
    servers: spec.servers.names,
    local: {
      path: spec.local?.path ?? `${SHARED_STORES}/${metadata.name}`,
      nodes: Object.fromEntries((spec.local?.nodes ?? []).map(({ name, path }) => [name, path])),
    },
    ...(isShared(store) ? { shared: true } : {}),
    ...(verifyEvery === undefined ? {} : { verifyEverySeconds: secondsOf(verifyEvery) }),
    ...(isShared(store) || spec.replication?.mode === 'Report' ? {} : { replication: replicationOf(spec.replication) }),
  };
}

const replicationOf = ({
  parallel = 2,
  bandwidth,
  keepStale = '168h',
}: NonNullable<Store['spec']['replication']> = {}) => ({
  parallel,
  ...(bandwidth === undefined ? {} : { bytesPerSecond: Math.floor(quantityOf(bandwidth) / 8) }),
  keepStaleSeconds: secondsOf(keepStale),
});

export interface FarmResources {
  readonly farm: Farm;
  readonly stores: readonly Store[];
  readonly vdisks: readonly VDisk[];
  readonly pools: readonly StreamingServer[];
}

/** What cannot be served as it is (a store of a later kind, a vDisk of such a store, a pool of no site) stays out; its own status says so. */
export function projectionOf({ farm: { metadata, spec }, stores, vdisks, pools }: FarmResources): Projection {
  const storeRows = stores.map(storeRow);
  const served = vdisks.flatMap((vdisk) => {
    const store = storeRows.find(({ name }) => name === vdisk.spec.storeRef.name);
    return store ? [{ vdisk, store }] : [];
  });
  const names = siteNames(spec);
  return {
    farm: {
      name: metadata.name,
      mode: spec.security.stream === 'Trusted' ? 'Trusted' : 'Authenticated',
      offline: { enabled: spec.offline.enabled, maxAgeSeconds: secondsOf(spec.offline.maxAge) },
      ...(spec.autoAdd ? { autoAdd: spec.autoAdd } : {}),
      suspend: spec.suspend,
    },
    sites: names.map((name) => ({ name, boot: bootOfSite(spec, name) })),
    collections: spec.collections.map(({ name, site, vdisk, class: access, template }) => ({
      name,
      site: site ?? names[0] ?? DEFAULT_SITE,
      ...(vdisk === undefined ? {} : { vdisk }),
      class: access,
      template,
    })),
    stores: storeRows,
    pools: pools.flatMap((pool) => {
      const site = siteOf(spec, pool.spec.site);
      return site === undefined ? [] : [{ name: pool.metadata.name, site }];
    }),
    vdisks: served.map(({ vdisk, store }) => ({
      ...{ ...vdiskRow(vdisk), ...movingTold(vdisk), ...copiesOf(vdisk, store) },
    })),
    versions: served.flatMap(({ vdisk }) => versionsOf(vdisk)),
  };
}
