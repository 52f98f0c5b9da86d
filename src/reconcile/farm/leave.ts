/** A Farm that goes: its database is free for the next one of its name, what runs for it goes or is let go. */
import { connect } from '../../database/connection.ts';
import { release } from '../../database/identity.ts';
import { type Fault, ok, type Result } from '../../kit/result.ts';
import type { KubeObject } from '../../kube/object.ts';
import { type Outcome, outcomeOf, requeueAfter, settled } from '../../kube/outcome.ts';
import type { Farm } from '../../resources/kinds.ts';
import { type Context, logFault, RECONCILE_UNSETTLED_MS } from '../context.ts';
import { goesWithKind, reportDeleting } from '../deletion.ts';
import { ownerAccess } from './database.ts';
import { orphanOwned } from './owned.ts';

/**
 * Its database is free for the next Farm of its name. Services and StatefulSets go with it, volumes, folders and Secrets stay; where all Farms go, and
 * nobody said that this one should, all stays.
 */
export async function takeLeave(
  context: Context,
  key: string,
  farm: Farm,
  object: KubeObject,
  signal: AbortSignal,
): Promise<Outcome> {
  const left = 'its volumes, folders and Secrets stay for the next Farm of this name';
  await reportDeleting(context, 'Farm', farm, object, left, signal);
  const released = await free(context, key, farm, signal);
  logFault(context, `Farm ${key}`, 'free', released, 'database not set free', { farm: key });
  // One that no status names may be led all the same: it is asked once, and nobody waits for it.
  return released.ok || farm.status?.database?.farmID === undefined ? settled : requeueAfter(RECONCILE_UNSETTLED_MS);
}

/** Where all Farms go, what runs for it is its own no more. */
export async function letGo(context: Context, object: KubeObject, signal: AbortSignal): Promise<Outcome> {
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
