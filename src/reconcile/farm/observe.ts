/** What is there and known of a Farm: read from informers, from its runtime and from its status. The API is asked for one claim. */
import type { Identity } from '../../farm/identity.ts';
import { type Fault, ok, type Result } from '../../kit/result.ts';
import type { Client } from '../../kube/client.ts';
import type { ApiFault } from '../../kube/fault.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject } from '../../kube/object.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import { inUse } from '../../operator/uses.ts';
import type { Hindrance } from '../../resources/conditions.ts';
import type { Farm } from '../../resources/kinds.ts';
import { type Context, ofFarm, resources } from '../context.ts';
import { COMPONENT_LABEL, databaseName } from '../names.ts';
import { podFault, podsOf } from '../pods.ts';
import { isRefusal } from './fault.ts';
import type { FarmFindings } from './status.ts';

/** What is known without asking for anything: of a farm that does not run, from its status. */
export async function observe(context: Context, farm: Farm, runtime: FarmRuntime | undefined): Promise<FarmFindings> {
  const source = farm.spec.database.external?.secretRef;
  const identity = identityOf(farm);
  return {
    database: runtime?.database.state ?? databaseSince(farm),
    databaseSource: source ? `Secret ${source.name}, key ${source.key}` : `Secret ${databaseName(farm.metadata.name)}`,
    servers: runtime?.servers ?? [],
    wanted: wantedServers(context, farm),
    devices: inUse(await runtime?.uses(), toldDevices(farm), () => true),
    ...(runtime?.replica ? { replica: runtime.replica } : {}),
    ...(identity ? { identity } : {}),
  };
}

const UNKNOWN_DATABASE = {
  reachable: false,
  since: 0,
  fault: { code: 'Unreachable', message: 'the farm database is being made' },
} as const;

/** Since when it is away is kept from the status, so that a new leader does not say that it went just now. */
const databaseSince = (farm: Farm): FarmFindings['database'] => {
  const since = Date.parse(farm.status?.database?.offlineSince ?? '');
  return { ...UNKNOWN_DATABASE, since: Number.isNaN(since) ? Math.floor(Date.now() / 1_000) * 1_000 : since };
};

/** What the status remembers; META alone knows of revisions. */
export function identityOf({ status }: Farm): Identity | undefined {
  const { farmID, adoptions = 0 } = status?.database ?? {};
  return farmID === undefined ? undefined : { farm: farmID, adoptions, revision: 0 };
}

/** That pools ask for which stay. */
const wantedServers = ({ informers }: Context, { metadata }: Farm): number =>
  resources('StreamingServer', informers.pools, metadata.namespace)
    .filter(ofFarm(metadata.name))
    .filter((pool) => pool.metadata.deletionTimestamp === undefined)
    .reduce((sum, { spec }) => sum + spec.replicas, 0);

const toldDevices = ({ status }: Farm): number => (status?.devices?.streaming ?? 0) + (status?.devices?.booting ?? 0);

/** Known devices are counted this often. */
const COUNT_EVERY_MS = 30_000;
const counted = new WeakMap<FarmRuntime, { readonly at: number; readonly known: number }>();

export async function knownDevices(runtime: FarmRuntime): Promise<{ knownDevices?: number }> {
  const last = counted.get(runtime);
  if (last && performance.now() - last.at < COUNT_EVERY_MS) return { knownDevices: last.known };
  const devices = await runtime.countDevices();
  if (devices === undefined) return last ? { knownDevices: last.known } : {};
  counted.set(runtime, { at: performance.now(), known: devices });
  return { knownDevices: devices };
}

export function stuckPods({ informers }: Context, { metadata }: Farm): { stuck?: string } {
  const { name, namespace } = metadata;
  const faults = ['database', 'replica']
    .flatMap((component) => podsOf(informers, namespace, name, COMPONENT_LABEL, component))
    .flatMap((pod) => podFault(pod) ?? []);
  return faults.length > 0 ? { stuck: faults.join('; ') } : {};
}

/** The projector looks for itself: it may have found what was not so a moment ago. */
export function refusedReplica({ replica }: FarmRuntime, source: string): FarmFindings['fault'] {
  if (!replica?.refused) return undefined;
  return { kind: 'stalled', reason: replica.refused, message: `${source}: ${replica.message}` };
}

/** Why a farm has no rows, or none are written; `error` is what a database that answers has against them. */
export async function unprojected(
  { client }: Context,
  farm: Farm,
  runtime: FarmRuntime,
  source: string,
  error: Fault,
  signal: AbortSignal,
): Promise<Result<Hindrance | undefined, ApiFault>> {
  const message = `${source}: ${error.message}`;
  if (error.code === 'DatabaseForeign' || error.code === 'DatabaseBehind')
    return ok({ kind: 'stalled', reason: error.code, message });
  if (error.code === 'NotAsked')
    return ok({ kind: 'reconciling', reason: 'ReplicaUnreachable', message: error.message });
  if (runtime.database.state.reachable) return ok({ kind: 'reconciling', reason: 'DatabaseRefuses', message });
  return pendingVolume(client, farm, signal);
}

/** An API that does not answer says nothing of it; one that refuses will not later, either. */
async function pendingVolume(
  client: Client,
  farm: Farm,
  signal: AbortSignal,
): Promise<Result<Hindrance | undefined, ApiFault>> {
  const { name, namespace } = farm.metadata;
  const { embedded } = farm.spec.database;
  if (!embedded || embedded.storage?.hostPath !== undefined || farm.status?.database?.farmID) return ok(undefined);
  const claim = `data-${databaseName(name)}-0`;
  const found = await client.get<KubeObject & { readonly status?: { readonly phase?: string } }>(
    at(kinds.PersistentVolumeClaim, namespace, claim),
    { signal },
  );
  if (!found.ok && !isRefusal(found.error)) return found;
  if (!found.ok || found.value.status?.phase !== 'Pending') return ok(undefined);
  return ok({
    kind: 'reconciling',
    reason: 'VolumePending',
    message:
      `PersistentVolumeClaim ${claim} of the farm database is Pending: name a StorageClass of this cluster in ` +
      'spec.database.embedded.storage.storageClassName, or a folder of one node in storage.hostPath with nodeSelector',
  });
}
