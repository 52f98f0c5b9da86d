/** Live changes of a farm. */
import { Type } from 'typebox';
import { ok, type Result } from '../../kit/result.ts';
import type { Hub } from '../events.ts';
import { invalid, type Problem } from '../problem.ts';
import { forbidden, type Resource } from '../reviews.ts';
import { type Asked, EVENTS, FARM, type Route, route } from '../route.ts';
import { queryOf } from '../schema.ts';
import type { View } from '../view.ts';
import { CHANGE_KINDS, type ChangeKind } from '../watch.ts';

const EventsQuery = queryOf({
  kinds: Type.Optional(
    Type.String({
      maxLength: 200,
      description: `Of ${CHANGE_KINDS.join(', ')}: those that are wanted. Absent: all that the caller may watch.`,
    }),
  ),
});

/** Which changes the caller may see; whether the database answers is told to everybody. */
async function viewOf(asked: Asked, wanted: readonly ChangeKind[]): Promise<Result<View, Problem>> {
  const { farm, reviews } = asked;
  const caller = await asked.recheck();
  if (!caller.ok) return caller;
  const { namespace } = farm.farm.metadata;
  const kinds = new Set<ChangeKind>(['database']);
  const within = new Map<ChangeKind, ReadonlySet<string>>();
  for (const kind of wanted) {
    if (kind === 'database') continue;
    const question = { namespace, resource: kind satisfies Resource, verb: 'watch' } as const;
    const all = await reviews.may(caller.value, question);
    if (!all.ok) return all;
    if (all.value) kinds.add(kind);
    if (all.value || (kind !== 'devices' && kind !== 'sessions')) continue;
    const some = await reviews.among(caller.value, question, farm.collections);
    if (!some.ok) return some;
    if (some.value.size === 0) continue;
    kinds.add(kind);
    within.set(kind, some.value);
  }
  // Whoever may watch nothing is told so, and not that nothing happens.
  if (kinds.size === 1) return forbidden(caller.value, { namespace, resource: 'devices', verb: 'watch' });
  return ok({ kinds, within });
}

const events = (hub: Hub): Route =>
  route({
    id: 'watchFarm',
    method: 'GET',
    path: `${FARM}/events`,
    summary:
      'Server-sent events: `changes` ({changes: [{kind, name, value}]}, a value that is absent is gone), `reset` ({reason, database}: read the lists now), `end` (a problem). Last-Event-ID resumes',
    right: { resource: 'devices', verb: 'watch', by: 'collection' },
    query: EventsQuery,
    answer: { status: 200, type: EVENTS },
    async handle(asked) {
      const named = asked.query.kinds?.split(',').map((kind) => kind.trim());
      const unknown = named?.find((kind) => !(CHANGE_KINDS as readonly string[]).includes(kind));
      if (unknown !== undefined)
        return invalid([{ field: 'query.kinds', value: unknown, reason: `must be of ${CHANGE_KINDS.join(', ')}` }]);
      const wanted = (named as readonly ChangeKind[] | undefined) ?? CHANGE_KINDS;
      const { lastEventId } = asked;
      const opened = await hub.open(asked.farm, {
        username: asked.caller.username,
        lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
        view: () => viewOf(asked, wanted),
      });
      return opened.ok ? ok({ stream: opened.value }) : opened;
    },
  });

export const eventRoutes = (hub: Hub): readonly Route[] => [events(hub)];
