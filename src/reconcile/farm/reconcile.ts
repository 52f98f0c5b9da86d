/** One look at a Farm: what it stands on, its rows in the database, its replica, its servers; then its status. */

import { sql } from 'kysely';
import { listDevices } from '../../database/devices.ts';
import { project } from '../../database/project.ts';
import { type Fault, ok, type Result } from '../../kit/result.ts';
import { applyStatusChanged } from '../../kube/apply.ts';
import type { Informer } from '../../kube/informer.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, partsOf } from '../../kube/object.ts';
import { lookAgain, type Outcome, outcomeOf, retry, settled } from '../../kube/outcome.ts';
import type { Farm } from '../../resources/kinds.ts';
import {
  type Context,
  forbiddenImages,
  forbiddenPaths,
  isAsking,
  LOOK_SETTLED_MS,
  LOOK_UNSETTLED_MS,
  ofFarm,
  resource,
  resources,
  tellUnreadable,
} from '../context.ts';
import { COMPONENT_LABEL, databaseName } from '../names.ts';
import { podFault, podsOf } from '../pods.ts';
import { projectionOf } from '../projection.ts';
import { keepDevices } from '../quiet.ts';
import { encodeData } from '../secrets.ts';
import { serversOfFarm } from '../servers.ts';
import { unsupported } from '../unsupported.ts';
import { SERVER_URI_KEY } from './database.ts';
import { ensureInfrastructure } from './infrastructure.ts';
import { ROTATE_KEYS_ANNOTATION } from './rotation.ts';
import type { FarmRuntime } from './runtimes.ts';
import { type FarmFindings, farmStatus } from './status.ts';

/** Known devices are counted this often. */
const COUNT_EVERY_MS = 30_000;
const counted = new WeakMap<FarmRuntime, { readonly at: number; readonly known: number }>();

export async function reconcileFarm(context: Context, key: string, signal: AbortSignal): Promise<Outcome> {
  const found = resource('Farm', context.informers.farms, key);
  if (!found) {
    context.quiet.forget(`Farm ${key}`);
    await context.runtimes.end(key);
    return settled;
  }
  const target = at(kinds.Farm, partsOf(key).namespace, partsOf(key).name);
  const { object, parsed } = found;
  if (!parsed.ok) return tellUnreadable(context, target, object, parsed.error, signal);
  const farm = parsed.value;
  const findings = await look(context, key, farm, object, signal);
  if ('is' in findings) return findings;
  if (farm.status && isAsking(context, key)) return lookAgain(LOOK_UNSETTLED_MS);
  const status = context.quiet.status(`Farm ${key}`, farm.status, farmStatus(farm, findings, new Date()), keepDevices);
  tell(context, object, farm, status);
  const written = await applyStatusChanged(context.client, target, status, object, { signal });
  if (!written.ok) return outcomeOf(written.error);
  const ready = status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  return lookAgain(ready ? LOOK_SETTLED_MS : LOOK_UNSETTLED_MS);
}

const UNKNOWN_DATABASE = {
  reachable: false,
  since: 0,
  fault: { code: 'Unreachable', message: 'the farm database is being made' },
} as const;

/** An API that did not answer is no finding: what is known stays as it is written. */
async function look(
  context: Context,
  key: string,
  farm: Farm,
  object: KubeObject,
  signal: AbortSignal,
): Promise<FarmFindings | Outcome> {
  const source = farm.spec.database.external?.secretRef;
  const databaseSource = source
    ? `Secret ${source.name}, key ${source.key ?? 'uri'}`
    : `Secret ${databaseName(farm.metadata.name)}`;
  const known = context.runtimes.get(key);
  const farmId = farm.status?.database?.farmID;
  const before: FarmFindings = {
    database: known?.database.state ?? databaseSince(farm),
    databaseSource,
    servers: known?.servers ?? [],
    ...(known?.replica ? { replica: known.replica } : {}),
    ...(farmId === undefined ? {} : { farmId }),
  };
  const refused = refusal(context, farm);
  if (refused) return { ...before, fault: { stalled: true, ...refused } };

  // Found right lately, and the database takes what is written: not asked for again.
  const generation = String(object.metadata.generation);
  const lately =
    known?.database.state.reachable && known.checked.has(INFRASTRUCTURE, generation) && !isRotating(farm, known);
  const servers = known?.asked ? known.servers : undefined;
  const made = lately
    ? ok({ inputs: known.inputs, keys: known.keys })
    : await ensureInfrastructure(context, farm, object, servers, signal);
  if (!made.ok) {
    const { code, message } = made.error;
    if (code === 'Unanswered') return retry(code, message);
    return { ...before, fault: { stalled: false, reason: code, message } };
  }
  const runtime = await context.runtimes.ensure(key, made.value.inputs);
  if ('code' in runtime)
    return {
      ...before,
      fault: { stalled: false, reason: 'SecretMissing', message: `${databaseSource}: ${runtime.message}` },
    };
  runtime.keys = made.value.keys;
  runtime.want(serversOfFarm(context, farm));
  const projected = await bringUp(context, farm, runtime);
  if (projected.ok && !lately) runtime.checked.note(INFRASTRUCTURE, generation);
  const fault = projected.ok
    ? undefined
    : await unprojected(context, farm, runtime, `${databaseSource}: ${projected.error.message}`, signal);
  const id = projected.ok ? projected.value : farmId;
  return {
    database: runtime.database.state,
    ...(id === undefined ? {} : { farmId: id }),
    databaseSource,
    ...(runtime.replica ? { replica: runtime.replica } : {}),
    servers: runtime.servers,
    ...(runtime.keys ? { keys: runtime.keys } : {}),
    ...(runtime.excess === undefined ? {} : { excess: runtime.excess }),
    ...(fault ? { fault } : {}),
    ...stuckPods(context, farm),
    ...(await knownDevices(runtime)),
  };
}

const INFRASTRUCTURE = 'infrastructure';

/** A step is under way, or asked for: looked at each time. */
function isRotating({ metadata }: Farm, { keys }: FarmRuntime): boolean {
  const request = metadata.annotations?.[ROTATE_KEYS_ANNOTATION];
  return !keys?.isQuiet || (request !== undefined && request !== '' && request !== keys.request);
}

function stuckPods({ informers }: Context, { metadata }: Farm): { stuck?: string } {
  const { name, namespace = 'default' } = metadata;
  const faults = ['database', 'replica']
    .flatMap((component) => podsOf(informers, namespace, name, COMPONENT_LABEL, component))
    .flatMap((pod) => podFault(pod) ?? []);
  return faults.length > 0 ? { stuck: faults.join('; ') } : {};
}

/** Why a farm has no rows yet; `refusal` is what a database that answers has against them. */
async function unprojected(
  { client }: Context,
  farm: Farm,
  runtime: FarmRuntime,
  refusal: string,
  signal: AbortSignal,
): Promise<FarmFindings['fault']> {
  if (runtime.database.state.reachable) return { stalled: false, reason: 'DatabaseRefuses', message: refusal };
  const { name, namespace } = farm.metadata;
  const { embedded } = farm.spec.database;
  if (!embedded || embedded.storage?.hostPath !== undefined || farm.status?.database?.farmID) return undefined;
  const claim = `data-${databaseName(name)}-0`;
  const found = await client.get<KubeObject & { readonly status?: { readonly phase?: string } }>(
    at(kinds.PersistentVolumeClaim, namespace, claim),
    { signal },
  );
  if (!found.ok || found.value.status?.phase !== 'Pending') return undefined;
  return {
    stalled: false,
    reason: 'VolumePending',
    message:
      `PersistentVolumeClaim ${claim} of the farm database is Pending: name a StorageClass of this cluster in ` +
      'spec.database.embedded.storage.storageClassName, or a folder of one node in storage.hostPath with nodeSelector',
  };
}

/** Since when it is away is kept from the status, so that a new leader does not say that it went just now. */
const databaseSince = (farm: Farm): FarmFindings['database'] => {
  const since = Date.parse(farm.status?.database?.offlineSince ?? '');
  return { ...UNKNOWN_DATABASE, since: Number.isNaN(since) ? Math.floor(Date.now() / 1_000) * 1_000 : since };
};

function refusal(
  { settings }: Context,
  { spec }: Farm,
): { reason: 'NotAllowed' | 'NotSupported'; message: string } | undefined {
  const embedded = [spec.database.embedded, spec.replica?.embedded].filter((found) => found !== undefined);
  const paths = forbiddenPaths(
    settings,
    embedded.flatMap(({ storage }) => storage?.hostPath ?? []),
  );
  if (paths.length > 0)
    return {
      reason: 'NotAllowed',
      message: `host path ${paths.join(', ')} is not on the operator's list: ${settings.allowedHostPaths.join(', ') || 'it is empty'}`,
    };
  const images = forbiddenImages(
    settings,
    embedded.map(({ image }) => image),
  );
  if (images.length > 0)
    return {
      reason: 'NotAllowed',
      message: `image ${images.join(', ')} is not on the operator's list: ${settings.allowedImages.join(', ') || 'it is empty'}`,
    };
  const later = unsupported('Farm', spec);
  if (later) return { reason: 'NotSupported', message: later };
  if (spec.security?.stream === 'Encrypted')
    return {
      reason: 'NotSupported',
      message: 'spec.security.stream Encrypted is not supported in this release: use Authenticated',
    };
  return undefined;
}

/** Migrations, rows, replica. Gives the farm's id. */
async function bringUp(context: Context, farm: Farm, runtime: FarmRuntime): Promise<Result<string, Fault>> {
  const { name, namespace = 'default' } = farm.metadata;
  const { informers, log } = context;
  const migration = await runtime.migrate();
  if (migration) {
    await runtime.database.run((db) => sql`select 1`.execute(db)); // its breaker learns of the fault by asking, too
    log.warn({ farm: name, ...migration }, 'database not migrated');
    return { ok: false, error: migration };
  }
  const told = await tellServers(context, farm, runtime);
  if (!told.ok) {
    log.warn({ farm: name, ...told.error }, 'servers have no access to the database');
    return told;
  }
  /** The row of one that is being deleted is its finalizer's matter. */
  const staying = <K extends 'Store' | 'VDisk' | 'StreamingServer'>(kind: K, informer: Informer) =>
    resources(kind, informer, namespace)
      .filter(ofFarm(name))
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const projected = await project(
    runtime.database,
    projectionOf({
      farm,
      stores: staying('Store', informers.stores),
      vdisks: staying('VDisk', informers.vdisks),
      pools: staying('StreamingServer', informers.pools),
    }),
  );
  if (!projected.ok) {
    log.warn({ farm: name, ...projected.error }, 'farm not projected');
    return projected;
  }
  runtime.project(projected.value.farmId);
  return ok(projected.value.farmId);
}

/** What servers log in as, kept where it is found again while the database is away. The next look makes the runtime anew with it. */
async function tellServers({ client }: Context, farm: Farm, runtime: FarmRuntime): Promise<Result<void, Fault>> {
  const access = await runtime.serverAccess();
  if (!access.ok) return access;
  const { embedded } = farm.spec.database;
  if (embedded || access.value.uri === runtime.inputs.serverUri) return ok(undefined);
  const { name, namespace } = farm.metadata;
  const data = encodeData({ [SERVER_URI_KEY]: Buffer.from(access.value.uri) });
  const patched = await client.patch(at(kinds.Secret, namespace, databaseName(name)), { data });
  runtime.checked.note(INFRASTRUCTURE, '');
  return patched.ok ? ok(undefined) : patched;
}

async function knownDevices(runtime: FarmRuntime): Promise<{ knownDevices?: number }> {
  const last = counted.get(runtime);
  if (last && performance.now() - last.at < COUNT_EVERY_MS) return { knownDevices: last.known };
  const devices = await listDevices(runtime.database);
  if (!devices.ok) return last ? { knownDevices: last.known } : {};
  counted.set(runtime, { at: performance.now(), known: devices.value.length });
  return { knownDevices: devices.value.length };
}

/** An Event when the database goes and when it returns. */
function tell(
  { record }: Context,
  object: Parameters<Context['record']>[0],
  farm: Farm,
  status: NonNullable<Farm['status']>,
): void {
  const [before, after] = [farm.status?.database?.state, status.database?.state];
  if (before === after || before === undefined || after === undefined) return;
  record(object, {
    type: after === 'Reachable' ? 'Normal' : 'Warning',
    reason: after === 'Reachable' ? 'DatabaseAnswers' : 'DatabaseUnreachable',
    action: 'Reconcile',
    note: status.database?.message ?? 'the farm database answers again',
  });
}
