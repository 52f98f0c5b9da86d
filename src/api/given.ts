/** Resources as the API gives them: what their specs and statuses say, and no more. Pure. */
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
    fileName: spec.fileName,
    enabled: spec.enabled,
    conditions,
    ...(bootVersion === undefined ? {} : { bootVersion }),
    ...(override === undefined ? {} : { override }),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    devices,
    ...(upToDate === undefined ? {} : { upToDate }),
    versions: status.versions ?? [],
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
