/** A spec as people edit it: judged by the API server, whose words are given back, and changed there where no tool of GitOps keeps the resource. */
import type { Static } from 'typebox';
import { ok } from '../../kit/result.ts';
import type { KubeObject } from '../../kube/object.ts';
import { keeperOf } from '../managed.ts';
import { judgePatch, makePatch, managed, mayPatch, type Patched } from '../patch.ts';
import { problem } from '../problem.ts';
import { type Asked, type Handled, type Right, type Route, route } from '../route.ts';
import { ApplyQuery, SpecEdit, SpecEditedShape } from '../schema.ts';

/** A kind of resource, and where its routes are. */
export interface ResourceLine {
  /** Of the route that reads it: `getVDiskResource`. */
  readonly id: string;
  readonly path: string;
  readonly of: Patched;
  /** The parameter with its name; undefined: the Farm itself. */
  readonly named: string | undefined;
  readonly right: Right;
  readonly summary: string;
}

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

async function judged(asked: Editing, of: Patched, object: KubeObject): Handled {
  const done = await judgePatch(asked, of, object, asked.body.spec);
  if (!done.ok) return done;
  const keeper = keeperOf(object);
  return ok({ body: { applied: false, ...(keeper === undefined ? {} : { managedBy: keeper }) } });
}

async function applied(asked: Editing, of: Patched, object: KubeObject): Handled {
  const { spec } = asked.body;
  const keeper = keeperOf(object);
  if (keeper !== undefined) return managed(object, keeper, spec);
  const was = (object['spec'] ?? {}) as Readonly<Record<string, unknown>>;
  const before = Object.fromEntries(Object.keys(spec).map((field) => [field, was[field] ?? null]));
  const done = await makePatch(asked, of, object, { spec, before, after: spec });
  if (!done.ok) return done;
  const { generation } = done.value.metadata;
  return ok({ body: { applied: true, ...(generation === undefined ? {} : { generation }) } });
}
