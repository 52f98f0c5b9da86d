/** Resources as the API gives them: what their specs and statuses say, and no more. Pure. */
import type { KubeObject } from '../kube/object.ts';
import type { Farm, Store, StreamingServer, VDisk } from '../resources/kinds.ts';

export interface Named {
  readonly name: string;
}

export function farmOf({ metadata, spec, status }: Farm): Given {
  const { conditions = [], servers, devices, database, replica } = status;
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    conditions,
    ...(servers === undefined ? {} : { servers }),
    ...(devices === undefined ? {} : { devices }),
    ...(database === undefined ? {} : { database }),
    ...(replica === undefined ? {} : { replica }),
    suspend: spec.suspend,
    collections: spec.collections.map(({ name, site = spec.sites[0]?.name ?? 'default', vdisk, class: access }) => ({
      name,
      site,
      ...(vdisk === undefined ? {} : { vdisk }),
      class: access,
    })),
  };
}

/** Fields as `schema.ts` has them. */
type Given = Named & Readonly<Record<string, unknown>>;

export interface ServerOut extends Named {
  readonly pool: string;
  readonly site: string;
  readonly state: string;
  readonly devices: number;
}

export const serversOf = (pools: readonly StreamingServer[]): readonly ServerOut[] =>
  pools.flatMap(({ metadata, spec, status }) =>
    (status.servers ?? []).map(
      ({ addresses = [], devices = 0, booting = 0, powerRating = 1, loadPercent = 0, message = '', ...server }) => ({
        ...server,
        pool: metadata.name,
        site: spec.site ?? 'default',
        ...{ addresses, devices, booting, powerRating, loadPercent, message },
      }),
    ),
  );

export function vdiskOf({ metadata, spec, status }: VDisk): Given {
  const { conditions = [], bootVersion, override, sizeBytes, devices = 0, upToDate } = status;
  return {
    name: metadata.name,
    store: spec.storeRef.name,
    ...(status.movingFrom === undefined ? {} : { movingFrom: status.movingFrom }),
    fileName: spec.fileName,
    enabled: spec.enabled,
    conditions,
    ...(bootVersion === undefined ? {} : { bootVersion }),
    ...(override === undefined ? {} : { override }),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    devices,
    ...(upToDate === undefined ? {} : { upToDate }),
    versions: (status.versions ?? []).map((version) => {
      const releaseAt = spec.versions?.find(({ number }) => number === version.number)?.releaseAt;
      return { ...version, ...(releaseAt === undefined ? {} : { releaseAt }) };
    }),
    work: status.work ?? [],
    unmanaged: status.unmanaged ?? [],
  };
}

const KINDS = ['local', 'nfs', 'persistentVolumeClaim', 'iscsi', 'fc'] as const;

export function storeOf({ metadata, spec, status }: Store): Given {
  const { conditions = [], accessible, devices = 0, servers: seen = [] } = status;
  return {
    name: metadata.name,
    ...(spec.site === undefined ? {} : { site: spec.site }),
    kind: KINDS.find((kind) => spec[kind] !== undefined) ?? 'local',
    conditions,
    ...(accessible === undefined ? {} : { accessible }),
    devices,
    servers: seen,
  };
}

export interface Event {
  readonly type: string;
  readonly reason: string;
  readonly note: string;
  readonly count: number;
  /** RFC 3339. */
  readonly lastAt: string;
}

interface EventFields extends KubeObject {
  readonly type?: string;
  readonly reason?: string;
  readonly note?: string;
  readonly eventTime?: string | null;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string } | null;
  /** Of programs that still write the old kind. */
  readonly deprecatedLastTimestamp?: string | null;
  readonly deprecatedCount?: number;
}

export function eventOf(object: KubeObject): Event {
  const { type = '', reason = '', note = '', series, metadata, ...event } = object as EventFields;
  const lastAt =
    series?.lastObservedTime ?? event.eventTime ?? event.deprecatedLastTimestamp ?? metadata.creationTimestamp;
  return { type, reason, note, count: series?.count ?? event.deprecatedCount ?? 1, lastAt: lastAt ?? '' };
}

/** A pool in a list. */
export function poolOf({ metadata, spec, status }: StreamingServer): Given {
  const { conditions = [], replicas = 0, readyReplicas = 0, devices = 0 } = status;
  return {
    name: metadata.name,
    site: spec.site ?? 'default',
    conditions,
    servers: replicas,
    streaming: readyReplicas,
    devices,
  };
}
