/** What all routes of devices ask: which collections the caller may, who they are in the audit, and what a refusal of the database means. */
import type { Actor } from '../../database/devices.ts';
import { type Fault, ok, type Result } from '../../kit/result.ts';
import { type Problem, problem } from '../problem.ts';
import { forbidden } from '../reviews.ts';
import type { Asked } from '../route.ts';

export const of = (verb: 'get' | 'list' | 'create' | 'update' | 'delete') =>
  ({ resource: 'devices', verb, by: 'collection' }) as const;

export const actorOf = ({ caller }: Asked): Actor => ({ source: 'api', who: caller.username });
const refused = ({ caller, right }: Asked, farm: Asked['farm'], of = ''): Result<never, Problem> =>
  forbidden(caller, { ...right, namespace: farm.farm.metadata.namespace }, of);
export const noDevice = (name: string): Result<never, Problem> =>
  problem('NotFound', `the farm has no device ${name}: GET the list of devices to see all`);
export const problemOf = ({ code, message }: Fault): Result<never, Problem> =>
  problem(code === 'Invalid' ? 'Invalid' : 'Conflict', message);

/** The collections that the caller may; undefined: all. */
export async function within(asked: Asked): Promise<Result<readonly string[] | undefined, Problem>> {
  if (asked.scope.isWhole) return ok(undefined);
  const some = await asked.scope.collections();
  if (!some.ok) return some;
  return some.value.size === 0 ? refused(asked, asked.farm) : ok([...some.value]);
}

/** Whoever is bound to a collection learns nothing of what is elsewhere, not even that it is not there. */
export async function mayTouch(asked: Asked, collection: string | undefined): Promise<Result<void, Problem>> {
  const { scope } = asked;
  if (scope.isWhole) return ok(undefined);
  const may = collection === undefined ? ok(false) : await scope.includes(collection);
  if (!may.ok) return may;
  return may.value ? ok(undefined) : refused(asked, asked.farm, ' of that collection');
}

/** What an edit finds wrong with the device as it is now. */
export interface Stop {
  problem?: Problem | undefined;
}
