/** Edits of a resource's spec: made by the operator, by the right of who asks, and not where a tool of GitOps would make them undone. */
import { audited } from '../database/audited.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import type { ApiFault } from '../kube/fault.ts';
import { kinds } from '../kube/kinds.ts';
import { at, type KubeObject } from '../kube/object.ts';
import { type Problem, problem } from './problem.ts';
import { forbidden } from './reviews.ts';
import type { Asked } from './route.ts';
import { actorOf } from './routes/touch.ts';

/** What is edited so: its kind, and its plural, of which the right to patch it is. */
const PATCHED = {
  farms: { kind: kinds.Farm, plural: 'farms' },
  vdisks: { kind: kinds.VDisk, plural: 'vdisks' },
  stores: { kind: kinds.Store, plural: 'stores' },
  pools: { kind: kinds.StreamingServer, plural: 'streamingservers' },
} as const;
export type Patched = keyof typeof PATCHED;
type Spec = Readonly<Record<string, unknown>>;

/** The API server answers within it, or nothing is known of the edit. */
const TIMEOUT_MS = 5_000;

/** By the caller's own right: the operator, which makes the edit, may more than they. What the API server says of it shows what stands there, too. */
export async function mayPatch(
  { caller, reviews, farm }: Asked,
  of: Patched,
  name: string,
): Promise<Result<undefined, Problem>> {
  const { namespace } = farm.farm.metadata;
  const question = { group: 'bootfarm.io', namespace, resource: PATCHED[of].plural, verb: 'patch' } as const;
  const may = await reviews.may(caller, question, name);
  if (!may.ok) return may;
  return may.value ? ok(undefined) : forbidden(caller, question, ` ${name}`);
}

/** `keeper` keeps it, as it stands in git. */
export const managed = (
  { kind, metadata: { name } }: KubeObject,
  keeper: string,
  spec: object,
): Result<never, Problem> => ({
  ok: false,
  error: {
    code: 'Managed',
    message: `${kind} ${name} is kept by ${keeper}, which would make the edit undone: commit the patch where that reads it`,
    patch: { spec },
  },
});

const targetOf = (of: Patched, { metadata }: KubeObject) => at(PATCHED[of].kind, metadata.namespace, metadata.name);

/** What the API server says of the edit, which it does not make. */
export async function judgePatch(
  { farm }: Asked,
  of: Patched,
  object: KubeObject,
  spec: Spec,
): Promise<Result<undefined, Problem>> {
  const done = await farm.client.patch(targetOf(of, object), { spec }, { timeoutMs: TIMEOUT_MS, dryRun: true });
  return done.ok ? ok(undefined) : refusedBy(object, done.error);
}

/** Of the object as it was read: what somebody wrote meanwhile is not written over. `before`, `after`: for the audit, without whose line nothing is edited. */
export async function makePatch(
  asked: Asked,
  of: Patched,
  object: KubeObject,
  { spec, before, after }: { readonly spec: Spec; readonly before: object; readonly after: object },
): Promise<Result<KubeObject, Problem>> {
  const { kind = '', metadata } = object;
  const { name, resourceVersion } = metadata;
  const line = { ...actorOf(asked), action: 'change', kind: kind.toLowerCase(), name, before, after };
  const patch = { spec, metadata: { resourceVersion } };
  const done = await asked.farm.edit((database) =>
    audited<KubeObject, ApiFault>(database, line, () =>
      asked.farm.client.patch(targetOf(of, object), patch, { timeoutMs: TIMEOUT_MS }),
    ),
  );
  if (!done.ok) return done;
  return done.value.ok ? done.value : refusedBy(object, done.value.error);
}

const refusedBy = ({ kind, metadata: { name } }: KubeObject, { code, message }: Fault): Result<never, Problem> => {
  const said = `${kind} ${name}: ${message}`;
  if (code === 'Conflict') return problem('Conflict', `${said}: it was changed meanwhile, ask again`);
  if (code === 'NotFound') return problem('NotFound', said);
  if (code === 'Invalid') return problem('Invalid', message);
  if (code === 'Forbidden') return problem('Conflict', `${said}: the Kubernetes API refused the edit`);
  return problem('KubernetesAway', `${said}. It is not known whether it was changed: read it, and ask again`);
};
