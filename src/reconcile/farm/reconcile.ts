/** One look at a Farm: what it stands on, its rows in the database, its replica, its servers; then its status. */

import { sql } from 'kysely';
import { connect } from '../../database/connection.ts';
import { type Lead, readIdentity, recordKeys, release } from '../../database/identity.ts';
import { project } from '../../database/project.ts';
import type { Identity } from '../../farm/identity.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { applyStatusChanged } from '../../kube/apply.ts';
import { withFinalizer } from '../../kube/finalizer.ts';
import type { InformerView } from '../../kube/informers.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, key as keyFor, partsOf } from '../../kube/object.ts';
import { lookAgain, type Outcome, outcomeOf, retry, settled } from '../../kube/outcome.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import { inUse } from '../../operator/uses.ts';
import { fitStatus } from '../../resources/fit.ts';
import type { Farm } from '../../resources/kinds.ts';
import {
  type Context,
  isAsking,
  isSeen,
  LOOK_SETTLED_MS,
  LOOK_UNSETTLED_MS,
  logFault,
  ofFarm,
  resource,
  resources,
  tellUnreadable,
} from '../context.ts';
import { goesWithKind, tellDeleting } from '../deletion.ts';
import { COMPONENT_LABEL, databaseName, POOL_LABEL } from '../names.ts';
import { podFault, podsOf } from '../pods.ts';
import { preconditions } from '../preconditions.ts';
import { projectionOf } from '../projection.ts';
import { keepDevices } from '../quiet.ts';
import { encodeData } from '../secrets.ts';
import { nodeOf, serverDeployments, serversOfFarm } from '../servers.ts';
import { ownerAccess, SERVER_URI_KEY } from './database.ts';
import { decideDatabase } from './identity.ts';
import { ensureInfrastructure, isRotating, type Secrets, type Seen } from './infrastructure.ts';
import { orphanOwned } from './owned.ts';
import { keepCopy, predecessorOf, RECOVERY_KEY_ANNOTATION, type RecoveryStatus } from './recovery.ts';
import { type FarmFindings, farmStatus } from './status.ts';

/** Until what runs for it is let go, or its database is free for the next Farm of its name. */
const FINALIZER = 'bootfarm.io/database';
/** A database that answers is free within this, ms; one that does not keeps nobody waiting, not its namespace, either. */
const DELETION_WAITS_MS = 10_000;

/** Known devices are counted this often. */
const COUNT_EVERY_MS = 30_000;
const counted = new WeakMap<FarmRuntime, { readonly at: number; readonly known: number }>();
/** As they were found last. */
const secretsOf = new WeakMap<FarmRuntime, Secrets>();

export async function reconcileFarm(context: Context, key: string, signal: AbortSignal): Promise<Outcome> {
  const found = resource('Farm', context.informers.farms, key);
  if (!found) {
    context.quiet.forget(`Farm ${key}`);
    await context.runtimes.end(key);
    return settled;
  }
  const target = at(kinds.Farm, partsOf(key).namespace, partsOf(key).name);
  const { client } = context;
  const { object, parsed } = found;
  const held = {
    ...{ client, target, object, finalizer: FINALIZER, maxWaitMs: DELETION_WAITS_MS, signal },
    letGo: () => letGo(context, object, signal),
  };
  const onGiveUp = () =>
    context.log.warn({ farm: key }, 'deleted, and its database is not free for the next of its name');
  if (!parsed.ok) {
    const { error } = parsed;
    if (!object.metadata.deletionTimestamp) return tellUnreadable(context, target, object, error, signal);
    // Which database was its own is not known.
    const nothing = async () => settled;
    return withFinalizer({ ...held, reconcile: nothing, cleanUp: nothing, onGiveUp });
  }
  return withFinalizer({
    ...held,
    reconcile: (live) => lookAt(context, key, parsed.value, live, signal),
    cleanUp: (live) => takeLeave(context, key, parsed.value, live, signal),
    onGiveUp,
  });
}

async function lookAt(
  context: Context,
  key: string,
  farm: Farm,
  object: KubeObject,
  signal: AbortSignal,
): Promise<Outcome> {
  if (!isSeen(context, partsOf(key).namespace ?? 'default')) return lookAgain(LOOK_SETTLED_MS);
  const target = at(kinds.Farm, partsOf(key).namespace, partsOf(key).name);
  const findings = await look(context, key, farm, object, signal);
  if ('kind' in findings) return findings;
  if (farm.status && isAsking(context, key)) return lookAgain(LOOK_UNSETTLED_MS);
  const status = context.quiet.status(`Farm ${key}`, farm.status, farmStatus(farm, findings, new Date()), keepDevices);
  tell(context, object, farm, status);
  const written = await applyStatusChanged(context.client, target, fitStatus('Farm', status), object, { signal });
  if (!written.ok) return outcomeOf(written.error);
  const ready = status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  return lookAgain(ready ? LOOK_SETTLED_MS : LOOK_UNSETTLED_MS);
}

/**
 * Its database is free for the next Farm of its name. Services and StatefulSets go with it, volumes, folders and Secrets stay; where all Farms go, and
 * nobody said that this one should, all stays.
 */
async function takeLeave(
  context: Context,
  key: string,
  farm: Farm,
  object: KubeObject,
  signal: AbortSignal,
): Promise<Outcome> {
  const left = 'its volumes, folders and Secrets stay for the next Farm of this name';
  await tellDeleting(context, 'Farm', farm, object, left, signal);
  const released = await free(context, key, farm, signal);
  logFault(context, `Farm ${key}`, 'free', released, 'database not set free', { farm: key });
  // One that no status names may be led all the same: it is asked once, and nobody waits for it.
  return released.ok || farm.status?.database?.farmID === undefined ? settled : lookAgain(LOOK_UNSETTLED_MS);
}

/** Where all Farms go, what runs for it is its own no more. */
async function letGo(context: Context, object: KubeObject, signal: AbortSignal): Promise<Outcome> {
  const whole = await goesWithKind(context.client, 'Farm', signal);
  if (!whole.ok) return outcomeOf(whole.error);
  const done = whole.value ? await orphanOwned(context, object, signal) : ok(undefined);
  return done.ok ? settled : outcomeOf(done.error);
}

/** Also of a Farm that was deleted while no operator was there, and that is refused by now: nothing is made for it any more. */
async function free(
  { client, runtimes }: Context,
  key: string,
  farm: Farm,
  signal: AbortSignal,
): Promise<Result<unknown, Fault>> {
  const uid = farm.metadata.uid ?? '';
  const runtime = await runtimes.of(key, uid);
  if (runtime) return release(runtime.database, uid);
  const access = await ownerAccess(client, farm, signal);
  const database = access.ok
    ? connect({ ...access.value, maxConnections: 1, applicationName: 'bootfarm operator' })
    : access;
  if (!database.ok) return database;
  try {
    return await release(database.value, uid);
  } finally {
    await database.value.close();
  }
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
    ? `Secret ${source.name}, key ${source.key}`
    : `Secret ${databaseName(farm.metadata.name)}`;
  const known = await context.runtimes.of(key, farm.metadata.uid);
  const identity = identityOf(farm);
  const told = toldDevices(farm);
  const before: FarmFindings = {
    database: known?.database.state ?? databaseSince(farm),
    databaseSource,
    servers: known?.servers ?? [],
    wanted: wantedServers(context, farm),
    devices: inUse(await known?.uses(), told, () => true),
    ...(known?.replica ? { replica: known.replica } : {}),
    ...(identity ? { identity } : {}),
  };
  const asked = preconditions('Farm', { resource: farm, settings: context.settings });
  if (!asked.ok) return { ...before, fault: asked.error };

  // Found right lately, and the database takes what is written: not asked for again.
  const what = `${object.metadata.generation} ${farm.metadata.annotations?.[RECOVERY_KEY_ANNOTATION] ?? ''}`;
  const secrets = known && secretsOf.get(known);
  const lately =
    known?.database.state.reachable &&
    !known.refused &&
    known.checked.has(INFRASTRUCTURE, what) &&
    !isRotating(farm, secrets);
  const made = lately
    ? ok({ inputs: known.inputs, keys: secrets, rolling: [] })
    : await ensureInfrastructure(context, farm, object, await see(context, farm, known), signal);
  if (!made.ok) {
    const { code, message } = made.error;
    if (code === 'Unanswered') return retry(code, message);
    return { ...before, fault: { kind: 'reconciling', reason: code, message } };
  }
  const runtime = await context.runtimes.ensure(key, made.value.inputs);
  if ('code' in runtime)
    return {
      ...before,
      fault: { kind: 'reconciling', reason: 'SecretMissing', message: `${databaseSource}: ${runtime.message}` },
    };
  const { keys, rolling } = made.value;
  if (keys) secretsOf.set(runtime, keys);
  runtime.want(serversOfFarm(context, farm));
  const projected = await bringUp(context, farm, runtime);
  if (projected.ok && !lately && rolling.length === 0) runtime.checked.note(INFRASTRUCTURE, what);
  if (!projected.ok && projected.error.code === 'Fenced') return retry('Fenced', projected.error.message);
  const fault = projected.ok
    ? refusedReplica(runtime, databaseSource)
    : await unprojected(context, farm, runtime, databaseSource, projected.error, signal);
  const now = projected.ok ? projected.value : identity;
  const recovery = projected.ok && !lately ? await sealedCopy(context, farm, projected.value.farm, signal) : undefined;
  return {
    database: runtime.database.state,
    ...(now ? { identity: now } : {}),
    databaseSource,
    ...(runtime.replica ? { replica: runtime.replica } : {}),
    servers: runtime.servers,
    wanted: wantedServers(context, farm),
    ...(keys ? { keys } : {}),
    ...(recovery ? { recovery } : {}),
    ...(runtime.excess === undefined ? {} : { excess: runtime.excess }),
    ...(fault ? { fault } : {}),
    ...stuckPods(context, farm),
    rolling,
    ...(await knownDevices(runtime)),
    devices: inUse(await runtime.uses(), told, () => true),
  };
}

const INFRASTRUCTURE = 'infrastructure';

/** Undefined: nothing new is known of it. */
async function sealedCopy(
  { client, log }: Context,
  farm: Farm,
  id: string,
  signal: AbortSignal,
): Promise<RecoveryStatus | 'None' | undefined> {
  const kept = await keepCopy(client, farm, id, signal);
  if (kept.ok) return kept.value;
  if (kept.error.code !== 'Conflict') log.warn({ farm: farm.metadata.name, ...kept.error }, 'recovery copy not kept');
  return undefined;
}

/** Who has taken up what is looked at while something turns. */
async function see(context: Context, { metadata }: Farm, known: FarmRuntime | undefined): Promise<Seen> {
  if (!known) return {};
  const servers = known.asked ? known.servers : undefined;
  if (secretsOf.get(known)?.isQuiet ?? true) return { servers };
  const { name, namespace } = metadata;
  const there = serverDeployments(context, namespace, name).map((found) => ({
    pool: found.metadata.labels?.[POOL_LABEL] ?? '',
    node: nodeOf(found),
  }));
  return { servers, takeUp: { of: known.inputs.turns, lacking: await known.lacking(there) } };
}

function stuckPods({ informers }: Context, { metadata }: Farm): { stuck?: string } {
  const { name, namespace } = metadata;
  const faults = ['database', 'replica']
    .flatMap((component) => podsOf(informers, namespace, name, COMPONENT_LABEL, component))
    .flatMap((pod) => podFault(pod) ?? []);
  return faults.length > 0 ? { stuck: faults.join('; ') } : {};
}

/** The projector looks for itself: it may have found what was not so a moment ago. */
function refusedReplica({ replica }: FarmRuntime, source: string): FarmFindings['fault'] {
  if (!replica?.refused) return undefined;
  return { kind: 'stalled', reason: replica.refused, message: `${source}: ${replica.message}` };
}

/** Why a farm has no rows, or none are written; `error` is what a database that answers has against them. */
async function unprojected(
  { client }: Context,
  farm: Farm,
  runtime: FarmRuntime,
  source: string,
  error: Fault,
  signal: AbortSignal,
): Promise<FarmFindings['fault']> {
  const message = `${source}: ${error.message}`;
  if (error.code === 'DatabaseForeign' || error.code === 'DatabaseBehind')
    return { kind: 'stalled', reason: error.code, message };
  if (error.code === 'NotAsked') return { kind: 'reconciling', reason: 'ReplicaUnreachable', message: error.message };
  if (runtime.database.state.reachable) return { kind: 'reconciling', reason: 'DatabaseRefuses', message };
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
    kind: 'reconciling',
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

/** Whose database it is; then migrations, rows, replica. Gives what the database is from now on. */
async function bringUp(context: Context, farm: Farm, runtime: FarmRuntime): Promise<Result<Identity, Fault>> {
  const { name, namespace, uid = '' } = farm.metadata;
  const { informers, log } = context;
  const key = keyFor(namespace, name);
  const warn = (what: string, answer: Result<unknown, Fault>, message: string, more: object = {}): void =>
    logFault(context, `Farm ${key}`, what, answer, message, { farm: key, ...more });
  const found = await runtime.database.run(readIdentity);
  if (!found.ok) return found;
  const meta = await runtime.meta();
  const { adopt } = farm.spec;
  const status = identityOf(farm);
  const predecessor = predecessorOf(farm);
  const { owner } = found.value;
  const decision = decideDatabase(
    {
      uid,
      name: key,
      keys: runtime.inputs.keysUid,
      ownerLives: informers.farms.list().some(({ metadata }) => metadata.uid === owner?.uid),
      meta,
      servers: runtime.held(),
      ...(status ? { status } : {}),
      ...(adopt === undefined ? {} : { adopt }),
      ...(predecessor ? { predecessor } : {}),
    },
    found.value,
  );
  if (decision.kind === 'Wait') return fail('NotAsked', decision.message);
  if (decision.kind === 'Refuse') {
    const refused = fail(decision.reason, decision.message);
    warn('whose', refused, 'database refused', { meta, servers: runtime.held() });
    runtime.refuse({ code: decision.reason, message: decision.message });
    return refused;
  }
  runtime.accept();
  if (!found.value.led) runtime.begin();
  const begin = {
    owner: { uid, name: keyFor(namespace, name) },
    floor: meta === undefined || meta === 'Unread' ? 0 : meta.epoch,
    ...(decision.kind === 'Adopt' || decision.succeeds ? { takeOver: { from: owner?.uid } } : {}),
  };
  const led = await migrateAndLead(runtime, found.value.led, begin);
  warn('led', led, 'database not migrated, or not led');
  if (!led.ok) {
    void (await runtime.database.run((db) => sql`select 1`.execute(db))); // its breaker learns of the fault by asking, too
    return led;
  }
  if (found.value.keys !== runtime.inputs.keysUid) {
    const recorded = await recordKeys(runtime.writes, runtime.inputs.keysUid);
    if (!recorded.ok) return recorded;
  }
  const told = await tellServers(context, farm, runtime);
  warn('told', told, 'servers have no access to the database');
  if (!told.ok) return told;
  /** The row of one that is being deleted is its finalizer's matter. */
  const staying = <K extends 'Store' | 'VDisk' | 'StreamingServer'>(kind: K, informer: InformerView) =>
    resources(kind, informer, namespace)
      .filter(ofFarm(name))
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const adoption = decision.kind === 'Adopt' ? decision.adoption : undefined;
  if (adoption) log.warn({ name, ...adoption }, 'database adopted, as spec.adopt says');
  const projected = await project(
    runtime.writes,
    projectionOf({
      farm,
      stores: staying('Store', informers.stores),
      vdisks: staying('VDisk', informers.vdisks),
      pools: staying('StreamingServer', informers.pools),
    }),
    adoption,
  );
  warn('projected', projected, 'farm not projected');
  if (!projected.ok) return projected;
  const { farmId, adoptions } = projected.value;
  runtime.project(farmId, led.value);
  return ok({ farm: farmId, adoptions, revision: 0 });
}

/** A leader's epoch fences its migrations, too, once the database has a place for it. */
async function migrateAndLead(runtime: FarmRuntime, led: boolean, begin: Lead): Promise<Result<number, Fault>> {
  const before = led ? await beginToLead(runtime, begin) : undefined;
  if (before && !before.ok) return before;
  const migration = await runtime.migrate();
  if (migration) return { ok: false, error: migration };
  return before ?? beginToLead(runtime, begin);
}

/** Somebody else held the row, or took it a moment ago: the next look sees who it is. */
async function beginToLead(runtime: FarmRuntime, begin: Lead): Promise<Result<number, Fault>> {
  const led = await runtime.lead(begin);
  return !led.ok && led.error.code === 'Conflict' ? fail('Fenced', led.error.message) : led;
}

/** What the status remembers; META alone knows of revisions. */
function identityOf({ status }: Farm): Identity | undefined {
  const { farmID, adoptions = 0 } = status?.database ?? {};
  return farmID === undefined ? undefined : { farm: farmID, adoptions, revision: 0 };
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

/** That pools ask for which stay. */
const wantedServers = ({ informers }: Context, { metadata }: Farm): number =>
  resources('StreamingServer', informers.pools, metadata.namespace)
    .filter(ofFarm(metadata.name))
    .filter((pool) => pool.metadata.deletionTimestamp === undefined)
    .reduce((sum, { spec }) => sum + spec.replicas, 0);

const toldDevices = ({ status }: Farm): number => (status?.devices?.streaming ?? 0) + (status?.devices?.booting ?? 0);

async function knownDevices(runtime: FarmRuntime): Promise<{ knownDevices?: number }> {
  const last = counted.get(runtime);
  if (last && performance.now() - last.at < COUNT_EVERY_MS) return { knownDevices: last.known };
  const devices = await runtime.countDevices();
  if (devices === undefined) return last ? { knownDevices: last.known } : {};
  counted.set(runtime, { at: performance.now(), known: devices });
  return { knownDevices: devices };
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
  const why = status.conditions?.find(({ type }) => type === 'DatabaseReachable')?.reason;
  record(object, {
    type: after === 'Reachable' ? 'Normal' : 'Warning',
    reason: why ?? 'DatabaseUnreachable',
    action: 'Reconcile',
    note: status.database?.message ?? 'the farm database answers again',
  });
}
