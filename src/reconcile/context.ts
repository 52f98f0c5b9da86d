/** What every reconciler works with. */

import type { V1Deployment, V1Node, V1Pod } from '@kubernetes/client-node';
import type { Fault, Result } from '../kit/result.ts';
import { applyStatusChanged } from '../kube/apply.ts';
import type { Client } from '../kube/client.ts';
import type { RecordEvent } from '../kube/events.ts';
import type { InformerView, JoinedInformers } from '../kube/informers.ts';
import type { KubeObject, Target } from '../kube/object.ts';
import { type Outcome, outcomeOf, settled } from '../kube/outcome.ts';
import type { Live } from '../kube/wire.ts';
import type { FarmRuntimes } from '../operator/runtimes.ts';
import { inUse, type Use } from '../operator/uses.ts';
import { conditionsOf } from '../resources/conditions.ts';
import { fitStatus } from '../resources/fit.ts';
import type { KindName, ResourceByName } from '../resources/kinds.ts';
import { type ParseFault, parse } from '../resources/parse.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Quiet } from './quiet.ts';

export interface Settings {
  /** Of this operator: servers, databases and replicas run it where nothing else is said. */
  readonly image: string;
  readonly release: string;
  /** Folders of a node that resources may name, and everything below them. */
  readonly allowedHostPaths: readonly string[];
  /** Beginnings of image names that resources may name, beside the operator's own. */
  readonly allowedImages: readonly string[];
  /** Of servers, databases and replicas whose resource names none. */
  readonly priorityClassName?: string;
}

export interface Informers {
  readonly farms: JoinedInformers;
  readonly stores: JoinedInformers;
  readonly vdisks: JoinedInformers;
  readonly pools: JoinedInformers;
  readonly nodes: InformerView<Live<V1Node>>;
  readonly deployments: JoinedInformers<Live<V1Deployment>>;
  readonly pods: JoinedInformers<Live<V1Pod>>;
}

export interface Context {
  readonly client: Client;
  readonly informers: Informers;
  readonly runtimes: FarmRuntimes;
  readonly settings: Settings;
  readonly quiet: Quiet;
  readonly record: RecordEvent;
  readonly log: Logger;
}

/** How often a resource is looked at again: what servers say comes by asking. */
export const RECONCILE_UNSETTLED_MS = 500;
export const RECONCILE_SETTLED_MS = 3_000;

const known = new WeakMap<KubeObject, Result<unknown, ParseFault>>();

/** Once an object: one of the caches never changes, and a Farm with 50 collections takes 0.2 ms of a look at each of its VDisks. */
export function parsedOf<K extends KindName>(kind: K, object: KubeObject): Result<ResourceByName<K>, ParseFault> {
  const found = known.get(object) ?? parse(kind, object);
  known.set(object, found);
  return found as Result<ResourceByName<K>, ParseFault>;
}

/** The resources of a kind in a namespace, or in all, that can be read; those that cannot have a status of their own that says so. */
export function resources<K extends KindName>(
  kind: K,
  informer: InformerView,
  namespace?: string,
): readonly ResourceByName<K>[] {
  return informer
    .list()
    .filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
    .flatMap((object) => {
      const parsed = parsedOf(kind, object);
      return parsed.ok ? [parsed.value] : [];
    });
}

export function resource<K extends KindName>(
  kind: K,
  informer: InformerView,
  key: string,
): { readonly object: KubeObject; readonly parsed: Result<ResourceByName<K>, ParseFault> } | undefined {
  const object = informer.get(key);
  return object && { object, parsed: parsedOf(kind, object) };
}

/** All of this namespace is known. Its Role may be gone while its resources are seen. */
export const isSeen = ({ informers }: Context, namespace: string): boolean => {
  const { nodes, ...joined } = informers;
  return nodes.isSynced && Object.values(joined).every((informer) => informer.isSyncedIn(namespace));
};

/** The servers of the farm were not asked yet: one that did not speak looks like one that is down. */
export const isAsking = ({ runtimes }: Context, farm: string): boolean => runtimes.get(farm)?.asked === false;

/** How many devices use a thing of a farm, after what was told last. Where no Farm is, nobody uses anything. */
export async function devicesUsing(
  { informers, runtimes }: Context,
  farm: string,
  told: number | undefined,
  isOf: (use: Use) => boolean,
): Promise<number> {
  if (!informers.farms.get(farm)) return 0;
  return inUse(await runtimes.get(farm)?.uses(), told ?? 0, isOf);
}

export const ofFarm =
  (farm: string) =>
  ({ spec }: { readonly spec: { readonly farmRef: { readonly name: string } } }): boolean =>
    spec.farmRef.name === farm;

/** Work on a resource that failed is said in the log when its fault is another one than the last time. `of`: kind and key of the resource. */
export function logFault(
  { quiet, log }: Context,
  of: string,
  what: string,
  answer: Result<unknown, Fault>,
  message: string,
  fields: object = { of },
): void {
  const fault = answer.ok ? undefined : answer.error;
  if (quiet.isNews(`${of} ${what}`, fault)) log.warn({ ...fields, ...fault }, message);
}

/** An object that the schema of this release refuses: its status says why, and only a change of it can help. */
export async function reportUnreadable(
  { client }: Context,
  target: Target,
  object: KubeObject,
  fault: ParseFault,
  signal: AbortSignal,
): Promise<Outcome> {
  const generation = object.metadata.generation ?? 0;
  const verdict = { kind: 'stalled', reason: 'SpecInvalid', message: fault.message } as const;
  // The head of a status is the same in all kinds. What was known stays: who deletes it reads how many devices use it.
  const head = { observedGeneration: generation, conditions: conditionsOf([], { verdict, generation }, new Date()) };
  const status = { ...(object.status as object | undefined), ...head };
  const written = await applyStatusChanged(client, target, fitStatus(target.kind as KindName, status), object, {
    signal,
  });
  return written.ok ? settled : outcomeOf(written.error);
}
