/** A farm brought about: what it stands on, then whose its database is, migrations, who leads it, its rows and its replica. */
import { sql } from 'kysely';
import { type Lead, readIdentity, recordKeys } from '../../database/identity.ts';
import { project } from '../../database/project.ts';
import type { Identity } from '../../farm/identity.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import type { InformerView } from '../../kube/informers.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, key as keyFor } from '../../kube/object.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import type { Farm } from '../../resources/kinds.ts';
import { type Context, logFault, ofFarm, resources } from '../context.ts';
import { databaseName, POOL_LABEL } from '../names.ts';
import { projectionOf } from '../projection.ts';
import { encodeData } from '../secrets.ts';
import { nodeOf, serverDeployments } from '../servers.ts';
import { SERVER_URI_KEY } from './database.ts';
import { decideDatabase } from './identity.ts';
import type { Secrets, Seen } from './infrastructure.ts';
import { identityOf } from './observe.ts';
import { keepCopy, predecessorOf, type RecoveryStatus } from './recovery.ts';

export const INFRASTRUCTURE = 'infrastructure';

/** As they were found last. */
export const secretsOf = new WeakMap<FarmRuntime, Secrets>();

/** Who has taken up what is looked at while something turns. */
export async function see(context: Context, { metadata }: Farm, known: FarmRuntime | undefined): Promise<Seen> {
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

/** Undefined: nothing new is known of it. */
export async function sealedCopy(
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

/** Whose database it is; then migrations, rows, replica. Gives what the database is from now on. */
export async function bringUp(context: Context, farm: Farm, runtime: FarmRuntime): Promise<Result<Identity, Fault>> {
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
