/** Builders of resources as the API gives them: small and valid; a test says what it is about. */
import type { ServerPlan } from '../../src/reconcile/streamingserver/objects.ts';
import { API_VERSION, type ResourceMeta } from '../../src/resources/kind.ts';
import type { Farm, KindName, ResourceByName, Store, StreamingServer, VDisk } from '../../src/resources/kinds.ts';
import { parse } from '../../src/resources/parse.ts';

/** As people write it: what has a default may be left out. */
export type Written<T> = T extends readonly (infer Item)[]
  ? readonly Written<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]?: Written<T[Key]> }
    : T;

interface Parts<Kind extends KindName> {
  readonly metadata?: Partial<ResourceMeta>;
  readonly spec?: Written<ResourceByName<Kind>['spec']>;
  readonly status?: ResourceByName<Kind>['status'];
}

const neverLookedAt = { observedGeneration: -1 };

/** As the operator reads it: with what it leaves out filled in. */
function read<Kind extends KindName>(kind: Kind, name: string, { metadata, spec, status }: Parts<Kind>, own: object) {
  const meta = { name, namespace: 'lab', uid: `uid-${metadata?.name ?? name}`, generation: 1, ...metadata };
  const parsed = parse(kind, { apiVersion: API_VERSION, kind, metadata: meta, spec: { ...own, ...spec } });
  if (!parsed.ok) throw new Error(parsed.error.message);
  return { ...parsed.value, status: status ?? neverLookedAt };
}

/** `farm`, with everything embedded, one site and one collection that boots `lab`. */
export const aFarm = (parts: Parts<'Farm'> = {}): Farm =>
  read('Farm', 'farm', parts, {
    database: { embedded: {} },
    collections: [{ name: 'room-101', vdisk: 'lab', class: 'Production' }],
  });

/** `main`, two servers. */
export const aStreamingServer = (parts: Parts<'StreamingServer'> = {}): StreamingServer =>
  read('StreamingServer', 'main', parts, { farmRef: { name: 'farm' }, replicas: 2, storeRoots: ['/srv'] });

/** `images`, local in /srv/vdisks where no volume is said. */
export const aStore = (parts: Parts<'Store'> = {}): Store => {
  const { nfs, persistentVolumeClaim, iscsi, fc } = parts.spec ?? {};
  const local = (nfs ?? persistentVolumeClaim ?? iscsi ?? fc) ? {} : { local: { path: '/srv/vdisks' } };
  return read('Store', 'images', parts, { farmRef: { name: 'farm' }, ...local });
};

/** `lab` in `images`, files called lab. */
export const aVDisk = (parts: Parts<'VDisk'> = {}): VDisk =>
  read('VDisk', 'lab', parts, { farmRef: { name: 'farm' }, storeRef: { name: 'images' }, fileName: 'lab' });

/** A server of a pool, as its Secret and its Deployment are made from. */
export const aServerPlan = (more: Partial<ServerPlan> = {}): ServerPlan => ({
  pool: aStreamingServer(),
  farm: 'farm',
  lineage: '00112233aabbccdd',
  site: 'default',
  node: 'node-a',
  image: 'bootfarm:1',
  release: '1',
  httpPort: 8069,
  ...more,
});
