/** What all routes of devices ask: which collections the caller may, who they are in the audit, and what a refusal of the database means. */
import type { Actor, Misfit } from '../../database/devices.ts';
import { type Fault, ok, type Result } from '../../kit/result.ts';
import { type Problem, problem } from '../problem.ts';
import { forbidden } from '../reviews.ts';
import type { Asked, Right } from '../route.ts';

export const of = (verb: 'get' | 'list' | 'create' | 'update' | 'delete') =>
  ({ resource: 'devices', verb, by: 'collection' }) as const;

export const actorOf = ({ caller }: Asked): Actor => ({ source: 'api', who: caller.username });
const questionOf = ({ right, farm }: Asked) => ({ ...right, namespace: farm.farm.metadata.namespace });
const refused = (asked: Asked, of = ''): Result<never, Problem> => forbidden(asked.caller, questionOf(asked), of);
export const noDevice = (name: string): Result<never, Problem> =>
  problem('NotFound', `the farm has no device ${name}: GET the list of devices to see all`);

/** The collections that the caller may; undefined: all. */
export async function within(asked: Asked): Promise<Result<readonly string[] | undefined, Problem>> {
  if (asked.scope.isWhole) return ok(undefined);
  const some = await asked.scope.collections();
  if (!some.ok) return some;
  return some.value.size === 0 ? refused(asked) : ok([...some.value]);
}

/** Whoever is bound to a collection learns nothing of what is elsewhere, not even that it is not there. */
export async function mayTouch(asked: Asked, collection: string | undefined): Promise<Result<void, Problem>> {
  const { scope } = asked;
  if (scope.isWhole) return ok(undefined);
  const may = collection === undefined ? ok(false) : await scope.includes(collection);
  if (!may.ok) return may;
  return may.value ? ok(undefined) : refused(asked, ' of that collection');
}

/** For who may that as well: of all, or of this collection. */
export async function mayAlso(
  { caller, reviews, farm }: Asked,
  right: Pick<Right, 'resource' | 'verb'>,
  collection: string,
): Promise<Result<void, Problem>> {
  const question = { ...right, namespace: farm.farm.metadata.namespace };
  const all = await reviews.may(caller, question);
  if (!all.ok) return all;
  if (all.value) return ok(undefined);
  const some = farm.collections.includes(collection) ? await reviews.may(caller, question, collection) : ok(false);
  if (!some.ok) return some;
  return some.value ? ok(undefined) : forbidden(caller, question, ' of that collection');
}

/** Those of these collections of which the caller may see sessions, too; undefined: of all. */
export async function sessionsWithin(
  asked: Asked,
  collections: readonly string[],
): Promise<Result<readonly string[] | undefined, Problem>> {
  const { caller, reviews, farm } = asked;
  const question = { ...questionOf(asked), resource: 'sessions' } as const;
  const all = await reviews.may(caller, question);
  if (!all.ok) return all;
  if (all.value) return ok(undefined);
  const known = new Set(farm.collections);
  const some = await reviews.among(
    caller,
    question,
    [...new Set(collections)].filter((name) => known.has(name)),
  );
  return some.ok ? ok([...some.value]) : some;
}

export const noSessions = (asked: Asked): Result<never, Problem> =>
  forbidden(asked.caller, { ...questionOf(asked), resource: 'sessions' });

const TAKEN: Readonly<Record<string, string>> = { macs: 'one of its MACs', uuid: 'its UUID' };

/** What may be said of a device that does not fit, to who may see these collections: elsewhere something is taken, and no more. */
export function wordsFor(allowed: readonly string[] | undefined): (misfit: Misfit) => string {
  return ({ field, message, other }) => {
    if (!allowed || (other && allowed.includes(other.collection))) return message;
    if (other) return `${TAKEN[field] ?? 'its name'} is taken in this farm: take another one, or ask who runs the farm`;
    return 'the farm database does not hold that collection yet: ask again';
  };
}

/** What the database refused of an edit. */
export async function problemOf(asked: Asked, fault: Fault | Misfit): Promise<Result<never, Problem>> {
  if (!('field' in fault)) return problem(fault.code === 'Invalid' ? 'Invalid' : 'Conflict', fault.message);
  const allowed = await within(asked);
  return allowed.ok ? problem('Conflict', wordsFor(allowed.value)(fault)) : allowed;
}

/** What an edit finds wrong with the device as it is now. */
export interface Stop {
  problem?: Problem | undefined;
}
