import { ok, type Result } from '../kit/result.ts';
import type { CallOptions, Client } from './client.ts';
import type { ApiFault } from './fault.ts';
import type { KubeObject, Target } from './object.ts';
import { type Outcome, outcomeOf, requeueAfter, settled } from './outcome.ts';

/**
 * What a look at an object with our finalizer is about:
 *
 *     |              | finalizer absent | present                            |
 *     | ------------ | ---------------- | ---------------------------------- |
 *     | lives        | Add              | Reconcile                          |
 *     | being deleted| Leave            | CleanUp, after `maxWaitMs` LastTry |
 */
export type FinalizerCase = 'Add' | 'Reconcile' | 'CleanUp' | 'LastTry' | 'Leave';

/** `epochMs` is the wall clock; a deletion that is older than `maxWaitMs` gets one last try. */
export function finalizerCase(
  { metadata }: KubeObject,
  finalizer: string,
  epochMs: number,
  maxWaitMs: number,
): FinalizerCase {
  const present = metadata.finalizers?.includes(finalizer) ?? false;
  if (!metadata.deletionTimestamp) return present ? 'Reconcile' : 'Add';
  if (!present) return 'Leave';
  return remainingMs(metadata.deletionTimestamp, epochMs, maxWaitMs) > 0 ? 'CleanUp' : 'LastTry';
}

const remainingMs = (deletionTimestamp: string, epochMs: number, maxWaitMs: number): number =>
  Date.parse(deletionTimestamp) + maxWaitMs - epochMs;

export interface Finalized<T extends KubeObject> {
  readonly client: Client;
  readonly target: Target;
  readonly object: T;
  readonly finalizer: string;
  /** A deletion waits no longer than this for its clean-up. */
  readonly maxWaitMs: number;
  readonly reconcile: (object: T) => Promise<Outcome>;
  /** Before the clean-up, and tried until it is settled, however long that takes: what must not be lost. */
  readonly letGo?: (object: T) => Promise<Outcome>;
  /** Settled = everything is cleaned up. */
  readonly cleanUp: (object: T) => Promise<Outcome>;
  /** The wait is over: the finalizer goes though the clean-up ended so. Say it where people look. */
  readonly onGiveUp: (object: T, outcome: Outcome) => void;
  readonly signal?: AbortSignal;
  readonly epochMs?: () => number;
}

/** Runs the case that the object is in. */
export async function withFinalizer<T extends KubeObject>(options: Finalized<T>): Promise<Outcome> {
  const { client, target, object, finalizer, maxWaitMs, signal, epochMs = Date.now } = options;
  const which = finalizerCase(object, finalizer, epochMs(), maxWaitMs);
  switch (which) {
    case 'Leave':
      return settled;
    case 'Reconcile':
      return options.reconcile(object);
    case 'Add': {
      const added = await setFinalizer<T>(client, target, object, finalizer, true, { signal });
      if (!added.ok) return outcomeOf(added.error);
      return added.value ? options.reconcile(added.value) : settled;
    }
    case 'CleanUp':
    case 'LastTry': {
      const letGo = await options.letGo?.(object);
      if (letGo && letGo.kind !== 'Settled') return letGo;
      const outcome = await options.cleanUp(object);
      const waitMs = remainingMs(object.metadata.deletionTimestamp ?? '', epochMs(), maxWaitMs);
      if (outcome.kind !== 'Settled' && waitMs > 0) return atLatest(outcome, waitMs);
      if (outcome.kind !== 'Settled') options.onGiveUp(object, outcome);
      const removed = await setFinalizer<T>(client, target, object, finalizer, false, { signal });
      return removed.ok ? settled : outcomeOf(removed.error);
    }
  }
}

/** No clean-up sleeps past the end of the wait; back-off looks again by itself. */
const atLatest = (outcome: Outcome, waitMs: number): Outcome => {
  if (outcome.kind === 'RequeueAfter') return requeueAfter(Math.min(outcome.afterMs, waitMs));
  return outcome.kind === 'WaitForChange' ? requeueAfter(waitMs) : outcome;
};

/**
 * Adds or removes the finalizer; a Conflict when somebody wrote meanwhile, as the list is written whole.
 * The object as it is now; undefined when it is gone.
 */
export async function setFinalizer<T extends KubeObject>(
  client: Client,
  target: Target,
  { metadata }: KubeObject,
  finalizer: string,
  present: boolean,
  options?: CallOptions,
): Promise<Result<T | undefined, ApiFault>> {
  const others = (metadata.finalizers ?? []).filter((other) => other !== finalizer);
  const finalizers = present ? [...others, finalizer] : others;
  const { uid, resourceVersion } = metadata;
  const answer = await client.patch<T>(target, { metadata: { uid, resourceVersion, finalizers } }, options);
  return !answer.ok && answer.error.code === 'NotFound' ? ok(undefined) : answer;
}
