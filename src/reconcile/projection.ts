/** From the resources of a farm to the rows that servers read: defaults filled in here and nowhere else. Pure. */
import type { Projection } from '../database/project.ts';
import {
  AUTO_ADD,
  type Boot,
  type LoadBalancing,
  type Store as StoreRow,
  type VDisk as VDiskRow,
  type Version,
} from '../farm/model.ts';
import type { Farm, FarmSpec, Store, StreamingServer, VDisk } from '../resources/kinds.ts';
import { secondsOf } from '../resources/units.ts';

export const DEFAULT_SITE = 'default';
export const DEFAULT_PORTS = { stream: 6910, control: 6911, telemetry: 6912, http: 8069 } as const;
const DEFAULT_OVERLAY_MIB = 512;

type BootSpec = NonNullable<FarmSpec['boot']>;

export const siteNames = ({ sites = [] }: FarmSpec): readonly string[] =>
  sites.length > 0 ? sites.map(({ name }) => name) : [DEFAULT_SITE];

/** A site that is not said is the only one; undefined when the farm has no such site, or several and none is said. */
export function siteOf(farm: FarmSpec, site: string | undefined): string | undefined {
  const names = siteNames(farm);
  if (site === undefined) return names.length === 1 ? names[0] : undefined;
  return names.includes(site) ? site : undefined;
}

function bootOf(farm: BootSpec = {}, site: BootSpec = {}): Boot {
  const boot = { ...farm, ...site };
  return {
    loginServers: (boot.loginServers ?? []).map(({ host, port }) => ({ host, port: port ?? DEFAULT_PORTS.stream })),
    unknownDevices: boot.unknownDevices ?? 'Ignore',
    noServer: {
      action: boot.noServer?.action ?? 'Wait',
      afterSeconds: secondsOf(boot.noServer?.after ?? '10m'),
    },
    verbose: boot.verbose ?? false,
    proxyDHCP: boot.proxyDHCP?.enabled ?? true,
    tftp: boot.tftp?.enabled ?? true,
    http: { enabled: boot.http?.enabled ?? true, port: boot.http?.port ?? DEFAULT_PORTS.http },
    bootFiles: { bios: boot.bootFiles?.bios ?? 'undionly.kpxe', efi64: boot.bootFiles?.efi64 ?? 'snponly.efi' },
  };
}

/** The boot of one site, merged. */
export const bootOfSite = (farm: FarmSpec, site: string): Boot =>
  bootOf(farm.boot, farm.sites?.find(({ name }) => name === site)?.boot);

function loadBalancingOf({ loadBalancing = {} }: VDisk['spec']): LoadBalancing {
  if (loadBalancing.server !== undefined) return { server: loadBalancing.server };
  return { algorithm: 'LeastBusy', subnetAffinity: loadBalancing.subnetAffinity ?? 'None' };
}

const vdiskRow = ({ metadata, spec }: VDisk): VDiskRow => ({
  name: metadata.name,
  store: spec.storeRef.name,
  fileName: spec.fileName,
  enabled: spec.enabled ?? true,
  loadBalancing: loadBalancingOf(spec),
  overlayMiB: spec.writeCache?.sizeMiB ?? DEFAULT_OVERLAY_MIB,
  ...(spec.bootVersion === undefined ? {} : { bootVersion: spec.bootVersion }),
  commandLine: spec.os?.linux?.commandLine ?? '',
});

/** With no entry at all, version 0 is Production. */
export function versionsOf({ metadata, spec }: VDisk): readonly Omit<Version, 'content'>[] {
  const versions = spec.versions ?? [];
  if (versions.length === 0) return [{ vdisk: metadata.name, number: 0, access: 'Production' }];
  return versions.map(({ number, access, releaseAt }) => ({
    vdisk: metadata.name,
    number,
    access,
    ...(releaseAt === undefined ? {} : { releaseAt: Math.floor(Date.parse(releaseAt) / 1_000) }),
  }));
}

/** Undefined for a store that this release cannot serve. */
export function storeRow({ metadata, spec }: Store): StoreRow | undefined {
  if (!spec.local) return undefined;
  return {
    name: metadata.name,
    ...(spec.site === undefined ? {} : { site: spec.site }),
    pools: spec.servers?.pools ?? [],
    servers: spec.servers?.names ?? [],
    local: {
      path: spec.local.path,
      nodes: Object.fromEntries((spec.local.nodes ?? []).map(({ name, path }) => [name, path])),
    },
  };
}

export interface FarmResources {
  readonly farm: Farm;
  readonly stores: readonly Store[];
  readonly vdisks: readonly VDisk[];
  readonly pools: readonly StreamingServer[];
}

/** What cannot be served as it is (a store of a later kind, a vDisk of such a store, a pool of no site) stays out; its own status says so. */
export function projectionOf({ farm: { metadata, spec }, stores, vdisks, pools }: FarmResources): Projection {
  const storeRows = stores.flatMap((store) => storeRow(store) ?? []);
  const served = vdisks.filter((vdisk) => storeRows.some(({ name }) => name === vdisk.spec.storeRef.name));
  const names = siteNames(spec);
  return {
    farm: {
      name: metadata.name,
      mode: spec.security?.stream === 'Trusted' ? 'Trusted' : 'Authenticated',
      offline: {
        enabled: spec.offline?.enabled ?? true,
        maxAgeSeconds: secondsOf(spec.offline?.maxAge ?? '720h'),
      },
      ...(spec.autoAdd
        ? {
            autoAdd: {
              collection: spec.autoAdd.collection,
              namePrefix: spec.autoAdd.namePrefix ?? 'pc',
              digits: spec.autoAdd.digits ?? 4,
              maxDevices: spec.autoAdd.maxDevices ?? AUTO_ADD.maxDevices,
              maxPerMinute: spec.autoAdd.maxPerMinute ?? AUTO_ADD.maxPerMinute,
            },
          }
        : {}),
      suspend: spec.suspend ?? false,
    },
    sites: names.map((name) => ({ name, boot: bootOfSite(spec, name) })),
    collections: (spec.collections ?? []).map(({ name, site, vdisk, class: access, template }) => ({
      name,
      site: site ?? names[0] ?? DEFAULT_SITE,
      ...(vdisk === undefined ? {} : { vdisk }),
      class: access ?? 'Production',
      template: template ?? {},
    })),
    stores: storeRows,
    pools: pools.flatMap((pool) => {
      const site = siteOf(spec, pool.spec.site);
      return site === undefined ? [] : [{ name: pool.metadata.name, site }];
    }),
    vdisks: served.map(vdiskRow),
    versions: served.flatMap(versionsOf),
  };
}
