import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'safe-stable-stringify';
import { ok, type Result } from '../kit/result.ts';
import type { CallOptions, Client } from './client.ts';
import type { ApiFault } from './fault.ts';
import type { KubeObject, Target } from './object.ts';

/** On every object we apply: the digest of what we asked for, so that a field we stop asking for is noticed too. */
const APPLIED_ANNOTATION = 'bootfarm.io/applied';

export interface Applied<T extends KubeObject = KubeObject> {
  /** Whether a request was sent. */
  readonly changed: boolean;
  /** The object as it is now. */
  readonly object: T;
}

/**
 * Server-side apply of a child, unless it is as asked already: then there is no request at all.
 * `live` is the object as last seen, or undefined.
 * Write things as the API gives them back (1Gi, not 1024Mi; a Secret's data, not stringData; no nulls), or each reconcile
 * applies again.
 */
export async function applyChanged<T extends KubeObject = KubeObject>(
  client: Client,
  target: Target,
  desired: object,
  live: T | undefined,
  options?: CallOptions,
): Promise<Result<Applied<T>, ApiFault>> {
  const body = withDigest(desired);
  if (live && !live.metadata.deletionTimestamp && covers(live, body)) return ok({ changed: false, object: live });
  const answer = await client.apply<T>(target, body, options);
  return answer.ok ? ok({ changed: true, object: answer.value }) : answer;
}

/** Server-side apply of a whole status, unless it is that already. What follows from `live` is said of nothing that came after it. */
export async function applyStatusChanged(
  client: Client,
  target: Target,
  status: object,
  live: KubeObject,
  options?: CallOptions,
): Promise<Result<Applied, ApiFault>> {
  if (isDeepStrictEqual(asJson(status), live.status ?? {})) return ok({ changed: false, object: live });
  const answer = await client.applyStatus(target, status, {
    ...options,
    resourceVersion: live.metadata.resourceVersion,
  });
  return answer.ok ? ok({ changed: true, object: answer.value }) : answer;
}

/** What was asked for, as the wire would carry it, with its own digest as an annotation. */
function withDigest(desired: object): object {
  const body = asJson(desired) as { readonly metadata?: { readonly annotations?: object } };
  const digest = createHash('sha256').update(stringify(body)).digest('hex').slice(0, 32);
  const annotations = { ...body.metadata?.annotations, [APPLIED_ANNOTATION]: digest };
  return { ...body, metadata: { ...body.metadata, annotations } };
}

/** Whether `live` has everything that `desired` names, with what the API filled in beside it. Lists match item by item. */
export function covers(live: unknown, desired: unknown): boolean {
  if (Array.isArray(desired)) {
    return (
      Array.isArray(live) && live.length === desired.length && desired.every((item, index) => covers(live[index], item))
    );
  }
  if (typeof desired === 'object' && desired !== null) {
    const known = live as Readonly<Record<string, unknown>>;
    return (
      typeof live === 'object' &&
      live !== null &&
      Object.entries(desired).every(([field, value]) => covers(known[field], value))
    );
  }
  return Object.is(live, desired);
}

const asJson = (value: object): unknown => JSON.parse(JSON.stringify(value));
