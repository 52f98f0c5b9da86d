/** A spec as people edit it: judged by the API server, whose words are given back, and changed there where no tool of GitOps keeps the resource. */
import type { Static } from 'typebox';
import { audited } from '../../database/audited.ts';
import { type Fault, ok, type Result } from '../../kit/result.ts';
import type { ApiFault } from '../../kube/fault.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject } from '../../kube/object.ts';
import { keeperOf } from '../managed.ts';
import { type Problem, problem } from '../problem.ts';
import { forbidden } from '../reviews.ts';
import { type Asked, type Handled, type Right, type Route, route } from '../route.ts';
import { ApplyQuery, SpecEdit, SpecEditedShape } from '../schema.ts';
import { actorOf } from './touch.ts';

/** A kind of resource, and where its routes are. */
export interface ResourceLine {
  /** Of the route that reads it: `getVDiskResource`. */
  readonly id: string;
  readonly path: string;
  readonly of: keyof typeof KINDS;
  /** The parameter with its name; undefined: the Farm itself. */
  readonly named: string | undefined;
  readonly right: Right;
  readonly summary: string;
}

/** Kind, and its plural, of which the right to patch it is. */
const KINDS = {
  farms: { kind: kinds.Farm, plural: 'farms' },
  vdisks: { kind: kinds.VDisk, plural: 'vdisks' },
  stores: { kind: kinds.Store, plural: 'stores' },
  pools: { kind: kinds.StreamingServer, plural: 'streamingservers' },
} as const;

/** The API server answers within it, or nothing is known of the edit. */
const PATCH_TIMEOUT_MS = 5_000;

type Editing = Asked<Static<typeof ApplyQuery>, SpecEdit>;

export const editOf = ({ id, path, of, named, right }: ResourceLine): Route =>
  route({
    id: id.replace(/^get/, 'edit'),
    method: 'PATCH',
    path: `${path}/resource`,
    summary:
      'An edit of its spec, as the API server judges it; apply=true makes it. By the right to patch the resource itself',
    right,
    query: ApplyQuery,
    body: SpecEdit,
    answer: { status: 200, shape: SpecEditedShape },
    problems: [409, 412, 413, 415],
    async handle(asked: Editing): Handled {
      const name = named === undefined ? asked.farm.farm.metadata.name : (asked.params[named] ?? '');
      const object = asked.farm.object(of, name);
      if (!object || !asked.farm.has(of, name)) return problem('NotFound', `the farm has no ${named} ${name}`);
      if (Object.keys(asked.body.spec).length === 0) return ok({ body: { applied: false } });
      const may = await mayPatch(asked, of, name);
      if (!may.ok) return may;
      const { generation } = object.metadata;
      const asRead = asked.body.generation;
      if (asRead !== undefined && generation !== undefined && asRead !== generation)
        return problem(
          'Changed',
          `${object.kind} ${name} has the generation ${generation} now, not ${asRead}: read it again, and decide again`,
        );
      return asked.query.apply ? applied(asked, of, object) : judged(asked, of, object);
    },
  });

/** By the caller's own right: the operator, which makes the edit, may more than they. What the API server says of it shows what stands there, too. */
async function mayPatch({ caller, reviews, farm }: Editing, of: keyof typeof KINDS, name: string) {
  const { namespace } = farm.farm.metadata;
  const question = { group: 'bootfarm.io', namespace, resource: KINDS[of].plural, verb: 'patch' } as const;
  const may = await reviews.may(caller, question, name);
  if (!may.ok) return may;
  return may.value ? ok(undefined) : forbidden(caller, question, ` ${name}`);
}

const targetOf = (of: keyof typeof KINDS, { metadata }: KubeObject) =>
  at(KINDS[of].kind, metadata.namespace, metadata.name);

async function judged({ farm, body }: Editing, of: keyof typeof KINDS, object: KubeObject): Handled {
  const options = { timeoutMs: PATCH_TIMEOUT_MS, dryRun: true };
  const done = await farm.client.patch(targetOf(of, object), { spec: body.spec }, options);
  if (!done.ok) return refusedBy(object, done.error);
  const keeper = keeperOf(object);
  return ok({ body: { applied: false, ...(keeper === undefined ? {} : { managedBy: keeper }) } });
}

async function applied(asked: Editing, of: keyof typeof KINDS, object: KubeObject): Handled {
  const { farm, body } = asked;
  const { kind = '' } = object;
  const { name, resourceVersion } = object.metadata;
  const keeper = keeperOf(object);
  if (keeper !== undefined)
    return {
      ok: false,
      error: {
        code: 'Managed',
        message: `${kind} ${name} is kept by ${keeper}, which would make the edit undone: commit the patch where that reads it`,
        patch: { spec: body.spec },
      },
    };
  const spec = (object['spec'] ?? {}) as Readonly<Record<string, unknown>>;
  const before = Object.fromEntries(Object.keys(body.spec).map((field) => [field, spec[field] ?? null]));
  const line = { ...actorOf(asked), action: 'change', kind: kind.toLowerCase(), name, before, after: body.spec };
  const done = await farm.edit((database) =>
    audited<KubeObject, ApiFault>(database, line, () =>
      // What somebody wrote meanwhile is not written over.
      farm.client.patch(
        targetOf(of, object),
        { spec: body.spec, metadata: { resourceVersion } },
        { timeoutMs: PATCH_TIMEOUT_MS },
      ),
    ),
  );
  if (!done.ok) return done;
  if (!done.value.ok) return refusedBy(object, done.value.error);
  const { generation } = done.value.value.metadata;
  return ok({ body: { applied: true, ...(generation === undefined ? {} : { generation }) } });
}

const refusedBy = ({ kind, metadata: { name } }: KubeObject, { code, message }: Fault): Result<never, Problem> => {
  if (code === 'Conflict')
    return problem('Conflict', `${kind} ${name}: ${message}: it was changed meanwhile, ask again`);
  if (code === 'NotFound') return problem('NotFound', `${kind} ${name}: ${message}`);
  if (code === 'Invalid') return problem('Invalid', message);
  if (code === 'Forbidden')
    return problem('Conflict', `${kind} ${name}: ${message}: the Kubernetes API refused the edit`);
  return problem(
    'KubernetesAway',
    `${kind} ${name}: ${message}. It is not known whether it was changed: read it, and ask again`,
  );
};
