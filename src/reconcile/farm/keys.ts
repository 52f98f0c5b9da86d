/** The farm's key, kept and changed: reads the Secret, asks `rotation.ts` what is next, and writes that. */
import { randomBytes } from 'node:crypto';
import { ok, type Result } from '../../kit/result.ts';
import type { ApiFault } from '../../kube/fault.ts';
import type { ServerView } from '../../operator/poller.ts';
import type { Farm } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { keysName, labelsOf } from '../names.ts';
import { keepSecret } from '../secrets.ts';
import {
  type KeyStep,
  type KeysStatus,
  keyChange,
  keyState,
  keysStatus,
  lineageChange,
  lineageOf,
  newKeys,
  planKeys,
  ROTATE_KEYS_ANNOTATION,
} from './rotation.ts';

const KEY_BYTES = 32;

export interface Keys extends KeysStatus {
  readonly isQuiet: boolean;
  readonly lineage: string;
  /** Of the Secret. */
  readonly uid: string;
}

/** One step. `servers` is undefined while they were not asked. A Secret that a new Farm of the same name adopts keeps its keys. */
export async function keepKeys(
  { client }: Context,
  farm: Farm,
  servers: readonly ServerView[] | undefined,
  signal: AbortSignal,
): Promise<Result<Keys, ApiFault>> {
  const { name, namespace, annotations = {} } = farm.metadata;
  const request = annotations[ROTATE_KEYS_ANNOTATION];
  let done: { readonly state: ReturnType<typeof keyState>; readonly step: KeyStep } | undefined;
  const kept = await keepSecret(
    client,
    namespace,
    keysName(name),
    labelsOf(name, 'secret'),
    (held) => {
      if (Object.keys(held).length === 0) return { ...newKeys(randomBytes(KEY_BYTES)), ...lineageChange(held) };
      const state = keyState(held);
      const now = Date.now();
      const step = planKeys({
        state,
        servers: servers?.map(({ name, status }) => ({ name, ...(status?.keys ? { keys: status.keys } : {}) })),
        now,
        ...(request === undefined ? {} : { request }),
      });
      done = { state, step };
      return { ...keyChange(state, step, randomBytes(KEY_BYTES), now), ...lineageChange(held) };
    },
    { signal },
  );
  if (!kept.ok) return kept;
  const { uid, data } = kept.value;
  const state = keyState(data);
  const step = done?.step ?? { kind: 'Rest' };
  const isQuiet = step.kind === 'Rest' || step.kind === 'Keep';
  return ok({ ...keysStatus(state, step), isQuiet, lineage: lineageOf(data) ?? '', uid });
}
