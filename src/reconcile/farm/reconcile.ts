/** One look at a Farm: what it stands on, its rows in the database, its replica, its servers; then its status. */
import { ok } from '../../kit/result.ts';
import { applyStatusChanged } from '../../kube/apply.ts';
import { withFinalizer } from '../../kube/finalizer.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, partsOf } from '../../kube/object.ts';
import { type Outcome, outcomeOf, requeueAfter, retry, settled } from '../../kube/outcome.ts';
import { fitStatus } from '../../resources/fit.ts';
import type { Farm } from '../../resources/kinds.ts';
import {
  type Context,
  isAsking,
  isSeen,
  RECONCILE_SETTLED_MS,
  RECONCILE_UNSETTLED_MS,
  reportUnreadable,
  resource,
} from '../context.ts';
import { preconditions } from '../preconditions.ts';
import { keepDevices } from '../quiet.ts';
import { serversOfFarm } from '../servers.ts';
import { bringUp, sealedCopy } from './apply.ts';
import { groundOf, keepGround, noteGround } from './ground.ts';
import { letGo, takeLeave } from './leave.ts';
import { knownDevices, observe, refusedReplica, stuckPods, unprojected } from './observe.ts';
import { type FarmFindings, farmStatus } from './status.ts';

/** Until what runs for it is let go, or its database is free for the next Farm of its name. */
const FINALIZER = 'bootfarm.io/database';
/** A database that answers is free within this, ms; one that does not keeps nobody waiting, not its namespace, either. */
const DELETION_WAITS_MS = 10_000;

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
    if (!object.metadata.deletionTimestamp) return reportUnreadable(context, target, object, error, signal);
    // Which database was its own is not known.
    const nothing = async () => settled;
    return withFinalizer({ ...held, reconcile: nothing, cleanUp: nothing, onGiveUp });
  }
  return withFinalizer({
    ...held,
    reconcile: (live) => reconcileLive(context, key, parsed.value, live, signal),
    cleanUp: (live) => takeLeave(context, key, parsed.value, live, signal),
    onGiveUp,
  });
}

async function reconcileLive(
  context: Context,
  key: string,
  farm: Farm,
  object: KubeObject,
  signal: AbortSignal,
): Promise<Outcome> {
  if (!isSeen(context, partsOf(key).namespace ?? 'default')) return requeueAfter(RECONCILE_SETTLED_MS);
  const target = at(kinds.Farm, partsOf(key).namespace, partsOf(key).name);
  const findings = await bringAbout(context, key, farm, object, signal);
  if ('kind' in findings) return findings;
  if (farm.status && isAsking(context, key)) return requeueAfter(RECONCILE_UNSETTLED_MS);
  const status = context.quiet.status(`Farm ${key}`, farm.status, farmStatus(farm, findings, new Date()), keepDevices);
  report(context, object, farm, status);
  const written = await applyStatusChanged(context.client, target, fitStatus('Farm', status), object, { signal });
  if (!written.ok) return outcomeOf(written.error);
  const ready = status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  return requeueAfter(ready ? RECONCILE_SETTLED_MS : RECONCILE_UNSETTLED_MS);
}

/**
 * What is known, what is brought about, and what was found then. An API that did not answer is no finding: what is known stays as it is written.
 */
export async function bringAbout(
  context: Context,
  key: string,
  farm: Farm,
  object: KubeObject,
  signal: AbortSignal,
): Promise<FarmFindings | Outcome> {
  const known = await context.runtimes.of(key, farm.metadata.uid);
  const before = await observe(context, farm, known);
  const { databaseSource } = before;
  const asked = preconditions('Farm', { resource: farm, settings: context.settings });
  if (!asked.ok) return { ...before, fault: asked.error };

  const ground = await groundOf(context, farm, object, known, signal);
  if (!ground.ok) {
    const { code, message } = ground.error;
    if (code === 'Unanswered') return retry(code, message);
    return { ...before, fault: { kind: 'reconciling', reason: code, message } };
  }
  const runtime = await context.runtimes.ensure(key, ground.value.inputs);
  if ('code' in runtime) {
    const message = `${databaseSource}: ${runtime.message}`;
    return { ...before, fault: { kind: 'reconciling', reason: 'SecretMissing', message } };
  }
  keepGround(runtime, ground.value);
  runtime.want(serversOfFarm(context, farm));

  const { keys, rolling, isKnown } = ground.value;
  const up = await bringUp(context, farm, runtime);
  if (up.ok && !isKnown && !up.value.isOutdated && rolling.length === 0) noteGround(runtime, farm, object);
  if (!up.ok && up.error.code === 'Fenced') return retry('Fenced', up.error.message);
  const hindrance = up.ok
    ? ok(refusedReplica(runtime, databaseSource))
    : await unprojected(context, farm, runtime, databaseSource, up.error, signal);
  if (!hindrance.ok) return outcomeOf(hindrance.error);
  const { value: fault } = hindrance;
  const recovery = up.ok && !isKnown ? await sealedCopy(context, farm, up.value.identity.farm, signal) : undefined;
  return {
    ...(await observe(context, farm, runtime)),
    ...(up.ok ? { identity: up.value.identity } : {}),
    ...(keys ? { keys } : {}),
    ...(recovery ? { recovery } : {}),
    ...(runtime.excess === undefined ? {} : { excess: runtime.excess }),
    ...(fault ? { fault } : {}),
    ...stuckPods(context, farm),
    rolling,
    ...(await knownDevices(runtime)),
  };
}

/** An Event when the database goes and when it returns. */
function report(
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
