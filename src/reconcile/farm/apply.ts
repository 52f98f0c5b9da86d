/** A farm brought about: whose its database is, migrations, who leads it, its rows and its replica; then the copy of its Secrets. */
import { sql } from 'kysely';
import { type FoundDatabase, type Lead, readIdentity, recordKeys } from '../../database/identity.ts';
import { type Projected, project } from '../../database/project.ts';
import type { Identity } from '../../farm/identity.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import type { InformerView } from '../../kube/informers.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, key as keyFor } from '../../kube/object.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import type { Meta } from '../../replica/layout.ts';
import type { Farm } from '../../resources/kinds.ts';
import { type Context, logFault, ofFarm, resources } from '../context.ts';
import { databaseName } from '../names.ts';
import { projectionOf } from '../projection.ts';
import { encodeData } from '../secrets.ts';
import { SERVER_URI_KEY } from './database.ts';
import { type Decision, decideDatabase, type Known } from './identity.ts';
import { identityOf } from './observe.ts';
import { keepCopy, predecessorOf, type RecoveryStatus } from './recovery.ts';

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

export interface Up {
  /** What the database is from now on. */
  readonly identity: Identity;
  /** Servers are told what the runtime was not made with: the next reconcile makes it anew. */
  readonly isOutdated: boolean;
}

/** Whose database it is; then migrations, rows, replica. */
export async function bringUp(context: Context, farm: Farm, runtime: FarmRuntime): Promise<Result<Up, Fault>> {
  const warn = warnerOf(context, farm);
  const found = await runtime.database.run(readIdentity);
  if (!found.ok) return found;
  const meta = await runtime.meta();
  const decision = decide(context, farm, runtime, found.value, meta);
  if (decision.kind === 'Wait') return fail('NotAsked', decision.message);
  if (decision.kind === 'Refuse') {
    const refused = fail(decision.reason, decision.message);
    warn('whose', refused, 'database refused', { meta, servers: runtime.held() });
    runtime.refuse({ code: decision.reason, message: decision.message });
    return refused;
  }
  runtime.accept();
  if (!found.value.led) runtime.begin();
  const led = await migrateAndLead(runtime, found.value.led, leadOf(farm, found.value, meta, decision));
  warn('led', led, 'database not migrated, or not led');
  if (!led.ok) {
    void (await runtime.database.run((db) => sql`select 1`.execute(db))); // its breaker learns of the fault by asking, too
    return led;
  }
  const { keysUid } = runtime.inputs;
  const recorded = found.value.keys === keysUid ? ok(undefined) : await recordKeys(runtime.writes, keysUid);
  if (!recorded.ok) return recorded;
  const told = await tellServers(context, farm, runtime);
  warn('told', told, 'servers have no access to the database');
  if (!told.ok) return told;
  const projected = await writeRows(context, farm, runtime, decision);
  warn('projected', projected, 'farm not projected');
  if (!projected.ok) return projected;
  const { farmId, adoptions } = projected.value;
  runtime.project(farmId, led.value);
  return ok({ identity: { farm: farmId, adoptions, revision: 0 }, isOutdated: told.value });
}

type Warn = (what: string, answer: Result<unknown, Fault>, message: string, more?: object) => void;

function warnerOf(context: Context, { metadata: { namespace, name } }: Farm): Warn {
  const farm = keyFor(namespace, name);
  return (what, answer, message, more) => logFault(context, `Farm ${farm}`, what, answer, message, { farm, ...more });
}

/** Asked of all that remembers the farm. */
function decide(
  { informers }: Context,
  farm: Farm,
  runtime: FarmRuntime,
  found: FoundDatabase,
  meta: Known['meta'],
): Decision {
  const { name, namespace, uid = '' } = farm.metadata;
  const { adopt } = farm.spec;
  const [status, predecessor] = [identityOf(farm), predecessorOf(farm)];
  const known: Known = {
    uid,
    name: keyFor(namespace, name),
    keys: runtime.inputs.keysUid,
    ownerLives: informers.farms.list().some(({ metadata }) => metadata.uid === found.owner?.uid),
    meta,
    servers: runtime.held(),
    ...(status ? { status } : {}),
    ...(adopt === undefined ? {} : { adopt }),
    ...(predecessor ? { predecessor } : {}),
  };
  return decideDatabase(known, found);
}

/** What may be written, and is, because the database is the farm's. */
type Owned = Exclude<Decision, { readonly kind: 'Wait' | 'Refuse' }>;

/** Its epoch is above that of the replica, which may have outlived its database. */
function leadOf(
  { metadata }: Farm,
  { owner }: FoundDatabase,
  meta: Meta | 'Unread' | undefined,
  decision: Owned,
): Lead {
  const { name, namespace, uid = '' } = metadata;
  return {
    owner: { uid, name: keyFor(namespace, name) },
    floor: meta === undefined || meta === 'Unread' ? 0 : meta.epoch,
    ...(decision.kind === 'Adopt' || decision.succeeds ? { takeOver: { from: owner?.uid } } : {}),
  };
}

/** Of the resources that stay: the row of one that is being deleted is its finalizer's matter. */
async function writeRows(
  { informers, log }: Context,
  farm: Farm,
  runtime: FarmRuntime,
  decision: Owned,
): Promise<Result<Projected, Fault>> {
  const { name, namespace } = farm.metadata;
  const staying = <K extends 'Store' | 'VDisk' | 'StreamingServer'>(kind: K, informer: InformerView) =>
    resources(kind, informer, namespace)
      .filter(ofFarm(name))
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const adoption = decision.kind === 'Adopt' ? decision.adoption : undefined;
  if (adoption) log.warn({ name, ...adoption }, 'database adopted, as spec.adopt says');
  const projection = projectionOf({
    farm,
    stores: staying('Store', informers.stores),
    vdisks: staying('VDisk', informers.vdisks),
    pools: staying('StreamingServer', informers.pools),
  });
  return project(runtime.writes, projection, adoption);
}

/** A leader's epoch fences its migrations, too, once the database has a place for it. */
async function migrateAndLead(runtime: FarmRuntime, led: boolean, begin: Lead): Promise<Result<number, Fault>> {
  const before = led ? await beginToLead(runtime, begin) : undefined;
  if (before && !before.ok) return before;
  const migration = await runtime.migrate();
  if (migration) return { ok: false, error: migration };
  return before ?? beginToLead(runtime, begin);
}

/** Somebody else held the row, or took it a moment ago: the next reconcile sees who it is. */
async function beginToLead(runtime: FarmRuntime, begin: Lead): Promise<Result<number, Fault>> {
  const led = await runtime.lead(begin);
  return !led.ok && led.error.code === 'Conflict' ? fail('Fenced', led.error.message) : led;
}

/** What servers log in as, kept where it is found again while the database is away. True: it is news. */
async function tellServers({ client }: Context, farm: Farm, runtime: FarmRuntime): Promise<Result<boolean, Fault>> {
  const access = await runtime.serverAccess();
  if (!access.ok) return access;
  const { embedded } = farm.spec.database;
  if (embedded || access.value.uri === runtime.inputs.serverUri) return ok(false);
  const { name, namespace } = farm.metadata;
  const data = encodeData({ [SERVER_URI_KEY]: Buffer.from(access.value.uri) });
  const patched = await client.patch(at(kinds.Secret, namespace, databaseName(name)), { data });
  return patched.ok ? ok(true) : patched;
}
