/** The way of a look at a resource that belongs to a farm and has rows in its database: held by a finalizer, looked at, told. */
import { type ProjectedKind, remove } from '../database/project.ts';
import { ok, type Result } from '../kit/result.ts';
import { applyStatusChanged } from '../kube/apply.ts';
import type { ApiFault } from '../kube/fault.ts';
import { setFinalizer, withFinalizer } from '../kube/finalizer.ts';
import type { InformerView } from '../kube/informers.ts';
import { kinds } from '../kube/kinds.ts';
import { at, type KubeObject, key as keyFor, partsOf } from '../kube/object.ts';
import { type Outcome, outcomeOf, requeueAfter, settled } from '../kube/outcome.ts';
import { fitStatus } from '../resources/fit.ts';
import type { ResourceByName } from '../resources/kinds.ts';
import {
  type Context,
  type Informers,
  isAsking,
  isSeen,
  RECONCILE_SETTLED_MS,
  RECONCILE_UNSETTLED_MS,
  reportUnreadable,
  resource,
} from './context.ts';
import { goesWithKind, reportDeleting } from './deletion.ts';
import type { KeepCounts } from './quiet.ts';

export type MemberKind = 'Store' | 'VDisk' | 'StreamingServer';
type Status<K extends MemberKind> = NonNullable<ResourceByName<K>['status']>;

/** What was found, as a status; and what is worth an Event once it is decided what of it is written. */
export interface Found<S> {
  readonly status: S;
  report(written: S): void;
}

export interface Member<K extends MemberKind> {
  readonly kind: K;
  readonly table: ProjectedKind;
  informer(informers: Informers): InformerView;
  /** A deletion waits no longer than this for its rows to go, ms: or a namespace could not be removed without its database. */
  deletionWaitsMs(member: ResourceByName<K>, context: Context): number;
  observe(
    context: Context,
    member: ResourceByName<K>,
    object: KubeObject,
    signal: AbortSignal,
  ): Promise<Found<Status<K>>>;
  readonly keep: KeepCounts<Status<K>>;
  /** What goes before its row does: what is left of it, in words; nothing is: undefined. */
  takeDown?(context: Context, member: ResourceByName<K>, signal: AbortSignal): Promise<string | undefined>;
  /** Lets go of what runs for it, so that it runs on without it. */
  orphan?(context: Context, member: ResourceByName<K>, signal: AbortSignal): Promise<Result<void, ApiFault>>;
}

type GoesWhole = () => ReturnType<typeof goesWithKind>;

/** On resources whose rows must go with them. */
const FINALIZER = 'bootfarm.io/rows';

export async function reconcileMember<K extends MemberKind>(
  context: Context,
  member: Member<K>,
  key: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const { client, quiet, log } = context;
  const { kind } = member;
  const found = resource(kind, member.informer(context.informers), key);
  if (!found) {
    quiet.forget(`${kind} ${key}`);
    return settled;
  }
  const { namespace, name } = partsOf(key);
  const target = at(kinds[kind], namespace, name);
  const { object, parsed } = found;
  if (!parsed.ok) {
    if (object.metadata.deletionTimestamp) {
      const left = await setFinalizer(client, target, object, FINALIZER, false, { signal });
      return left.ok ? settled : outcomeOf(left.error);
    }
    return reportUnreadable(context, target, object, parsed.error, signal);
  }
  let whole: ReturnType<typeof goesWithKind> | undefined;
  /** Asked once a reconcile. */
  const goesWhole: GoesWhole = () => {
    whole ??= goesWithKind(client, kind, signal);
    return whole;
  };
  return withFinalizer({
    client,
    target,
    object,
    finalizer: FINALIZER,
    maxWaitMs: member.deletionWaitsMs(parsed.value, context),
    signal,
    reconcile: (live) => reconcileLive(context, member, parsed.value, live, signal),
    letGo: () => letGo(context, member, parsed.value, goesWhole, signal),
    cleanUp: (live) => removeRow(context, member, parsed.value, live, goesWhole, signal),
    onGiveUp: (_, outcome) => log.warn({ kind, name, outcome }, 'deleted, and its row stays'),
  });
}

async function reconcileLive<K extends MemberKind>(
  context: Context,
  member: Member<K>,
  resource: ResourceByName<K>,
  object: KubeObject,
  signal: AbortSignal,
): Promise<Outcome> {
  const { namespace, name } = resource.metadata;
  if (!isSeen(context, namespace)) return requeueAfter(RECONCILE_SETTLED_MS);
  if (isAsking(context, keyFor(namespace, resource.spec.farmRef.name))) return requeueAfter(RECONCILE_UNSETTLED_MS);
  const found = await member.observe(context, resource, object, signal);
  const status = context.quiet.status<Status<K>>(
    `${member.kind} ${keyFor(namespace, name)}`,
    resource.status,
    found.status,
    member.keep,
  );
  found.report(status);
  const target = at(kinds[member.kind], namespace, name);
  const written = await applyStatusChanged(context.client, target, fitStatus(member.kind, status), object, { signal });
  if (!written.ok) return outcomeOf(written.error);
  const is = (type: string): boolean => status.conditions?.find((found) => found.type === type)?.status === 'True';
  return requeueAfter(is('Ready') && !is('Reconciling') ? RECONCILE_SETTLED_MS : RECONCILE_UNSETTLED_MS);
}

/** Where all of its kind go, what runs for it is its own no more. */
async function letGo<K extends MemberKind>(
  context: Context,
  member: Member<K>,
  resource: ResourceByName<K>,
  goesWhole: GoesWhole,
  signal: AbortSignal,
): Promise<Outcome> {
  const whole = member.orphan ? await goesWhole() : ok(false);
  if (!whole.ok) return outcomeOf(whole.error);
  const done = whole.value ? await member.orphan?.(context, resource, signal) : undefined;
  return !done || done.ok ? settled : outcomeOf(done.error);
}

/** Where no Farm is, nothing has to be taken down in order: Kubernetes ends the servers with their pool, and no row is left. */
async function removeRow<K extends MemberKind>(
  context: Context,
  member: Member<K>,
  resource: ResourceByName<K>,
  object: KubeObject,
  goesWhole: GoesWhole,
  signal: AbortSignal,
): Promise<Outcome> {
  const whole = await goesWhole();
  if (!whole.ok) return outcomeOf(whole.error);
  if (whole.value) return settled;
  const farm = keyFor(resource.metadata.namespace, resource.spec.farmRef.name);
  const namespace = resource.metadata.namespace;
  if (!context.informers.farms.isSyncedIn(namespace)) return requeueAfter(RECONCILE_UNSETTLED_MS);
  if (!context.informers.farms.get(farm)) return settled;
  if (!isSeen(context, namespace)) return requeueAfter(RECONCILE_UNSETTLED_MS);
  const left = (await member.takeDown?.(context, resource, signal)) ?? (await forget(context, member, resource, farm));
  if (left === undefined) return settled;
  await reportDeleting(context, member.kind, resource, object, left, signal);
  return requeueAfter(RECONCILE_UNSETTLED_MS);
}

/** What is in the way of its row's going. */
async function forget<K extends MemberKind>(
  { runtimes }: Context,
  { table }: Member<K>,
  { metadata }: ResourceByName<K>,
  farm: string,
): Promise<string | undefined> {
  const runtime = runtimes.get(farm);
  if (!runtime) return 'its Farm does not run yet: see its conditions';
  const removed = await remove(runtime.writes, table, metadata.name);
  return removed.ok ? undefined : `the farm database does not forget it: ${removed.error.message}`;
}
