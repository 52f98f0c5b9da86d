/** What a farm stands on, as a reconcile needs it: asked for, and made where it lacks, unless it was found right lately. */
import { ok, type Result } from '../../kit/result.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import type { Farm } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { POOL_LABEL } from '../names.ts';
import { nodeOf, serverDeployments } from '../servers.ts';
import type { InfrastructureFault } from './fault.ts';
import { ensureInfrastructure, isRotating, type Secrets, type Seen } from './infrastructure.ts';
import { RECOVERY_KEY_ANNOTATION } from './recovery.ts';

export interface Ground {
  readonly inputs: Infrastructure;
  readonly keys?: Secrets;
  /** StatefulSets that take up another template. */
  readonly rolling: readonly string[];
  /** It was found right lately, and is not asked for again. */
  readonly isKnown: boolean;
}

const INFRASTRUCTURE = 'infrastructure';
/** What of a Farm it was made for. */
const madeFor = ({ metadata }: Farm, { metadata: { generation } }: KubeObject): string =>
  `${generation} ${metadata.annotations?.[RECOVERY_KEY_ANNOTATION] ?? ''}`;

/** As they were found last. */
const secretsOf = new WeakMap<FarmRuntime, Secrets>();

export async function groundOf(
  context: Context,
  farm: Farm,
  object: KubeObject,
  known: FarmRuntime | undefined,
  signal: AbortSignal,
): Promise<Result<Ground, InfrastructureFault>> {
  const keys = known && secretsOf.get(known);
  // The database takes what is written, too.
  const isRight = known?.database.state.reachable && !known.refused;
  if (isRight && known.checked.has(INFRASTRUCTURE, madeFor(farm, object)) && !isRotating(farm, keys))
    return ok({ inputs: known.inputs, ...(keys ? { keys } : {}), rolling: [], isKnown: true });
  const made = await ensureInfrastructure(context, farm, object, await see(context, farm, known), signal);
  return made.ok ? ok({ ...made.value, isKnown: false }) : made;
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

/** The ground that this runtime was made on. */
export function keepGround(runtime: FarmRuntime, { keys }: Ground): void {
  if (keys) secretsOf.set(runtime, keys);
}

/** It stays: the database took what was written with it, and nothing of it changes. */
export function noteGround(runtime: FarmRuntime, farm: Farm, object: KubeObject): void {
  runtime.checked.note(INFRASTRUCTURE, madeFor(farm, object));
}
