/** Builders of resources as the API gives them: small and valid; a test says what it is about. */
import { API_VERSION, type ResourceMeta } from '../../src/resources/kind.ts';
import type { Farm, Store, StreamingServer, VDisk } from '../../src/resources/kinds.ts';

interface Parts<Spec, Status> {
  readonly metadata?: Partial<ResourceMeta>;
  readonly spec?: Partial<Spec>;
  readonly status?: Status;
}

const meta = (name: string, more: Partial<ResourceMeta> | undefined): ResourceMeta => ({
  name,
  namespace: 'lab',
  uid: `uid-${more?.name ?? name}`,
  generation: 1,
  ...more,
});

const neverLookedAt = { observedGeneration: -1 };

/** `farm`, with everything embedded, one site and one collection that boots `lab`. */
export const aFarm = ({ metadata, spec, status }: Parts<Farm['spec'], Farm['status']> = {}): Farm => ({
  apiVersion: API_VERSION,
  kind: 'Farm',
  metadata: meta('farm', metadata),
  spec: {
    database: { embedded: {} },
    collections: [{ name: 'room-101', vdisk: 'lab', class: 'Production' }],
    ...spec,
  },
  status: status ?? neverLookedAt,
});

/** `main`, two servers. */
export const aStreamingServer = ({
  metadata,
  spec,
  status,
}: Parts<StreamingServer['spec'], StreamingServer['status']> = {}): StreamingServer => ({
  apiVersion: API_VERSION,
  kind: 'StreamingServer',
  metadata: meta('main', metadata),
  spec: {
    farmRef: { name: 'farm' },
    replicas: 2,
    storeRoots: ['/srv'],
    stateDirectory: '/var/lib/bootfarm',
    ...spec,
  },
  status: status ?? neverLookedAt,
});

/** `images`, local in /srv/vdisks. */
export const aStore = ({ metadata, spec, status }: Parts<Store['spec'], Store['status']> = {}): Store => ({
  apiVersion: API_VERSION,
  kind: 'Store',
  metadata: meta('images', metadata),
  spec: { farmRef: { name: 'farm' }, local: { path: '/srv/vdisks' }, ...spec },
  status: status ?? neverLookedAt,
});

/** `lab` in `images`, files called lab. */
export const aVDisk = ({ metadata, spec, status }: Parts<VDisk['spec'], VDisk['status']> = {}): VDisk => ({
  apiVersion: API_VERSION,
  kind: 'VDisk',
  metadata: meta('lab', metadata),
  spec: { farmRef: { name: 'farm' }, storeRef: { name: 'images' }, fileName: 'lab', ...spec },
  status: status ?? neverLookedAt,
});
