/** Resources as the Kubernetes API has them: spec, conditions, who keeps them, and what was told of them lately. */
import { ok, type Result } from '../../kit/result.ts';
import type { ApiFault } from '../../kube/fault.ts';
import { kinds } from '../../kube/kinds.ts';
import { all, type KubeObject } from '../../kube/object.ts';
import { type Event, eventOf } from '../given.ts';
import { Kept } from '../kept.ts';
import { keeperOf } from '../managed.ts';
import { problem } from '../problem.ts';
import { type Asked, FARM, type Handled, type Route, route } from '../route.ts';
import { NoQuery, ResourceShape } from '../schema.ts';
import { editOf, type ResourceLine } from './edits.ts';

/** Events of one resource; the API server forgets them after an hour. */
const MAX_EVENTS = 100;
const EVENTS_TIMEOUT_MS = 2_000;
/** Whoever asks: the API server is asked of one resource once in so long. */
const EVENTS = { lifeMs: 5_000, most: 1_024 };

type Events = Result<readonly Event[], ApiFault>;

export function resourceRoutes(): readonly Route[] {
  const kept = new Kept<Events>(EVENTS, (answer) => answer.ok);
  const eventsOf = ({ farm }: Asked, { kind, metadata: { namespace = '', name, uid } }: KubeObject): Promise<Events> =>
    kept.of(`${uid} ${kind} ${namespace}/${name}`, async () => {
      const told = await farm.client.list(all(kinds.Event, namespace), {
        fieldSelector: `regarding.kind=${kind},regarding.name=${name}`,
        limit: MAX_EVENTS,
        timeoutMs: EVENTS_TIMEOUT_MS,
      });
      if (!told.ok) return told;
      return ok(told.value.items.map(eventOf).sort((a, b) => (a.lastAt < b.lastAt ? 1 : -1)));
    });
  const reads = TABLE.map(({ id, path, of, named, right, summary }) =>
    route({
      ...{ id, method: 'GET', path: `${path}/resource`, right, query: NoQuery, summary },
      answer: { status: 200, shape: ResourceShape },
      async handle(asked): Handled {
        const name = named === undefined ? asked.farm.farm.metadata.name : (asked.params[named] ?? '');
        const object = asked.farm.object(of, name);
        if (!object || !asked.farm.has(of, name)) return problem('NotFound', `the farm has no ${named} ${name}`);
        const told = await eventsOf(asked, object);
        const { apiVersion, kind, metadata, spec, status } = object;
        const { conditions = [] } = (status ?? {}) as { readonly conditions?: readonly object[] };
        const keeper = keeperOf(object);
        return ok({
          body: {
            ...{ apiVersion, kind, namespace: metadata.namespace ?? '', name, spec, conditions },
            ...(metadata.generation === undefined ? {} : { generation: metadata.generation }),
            ...(keeper === undefined ? {} : { managedBy: keeper }),
            ...(told.ok ? { events: told.value } : { events: [], eventsAway: told.error.message }),
          },
        });
      },
    }),
  );
  return [...reads, ...TABLE.map(editOf)];
}

const TABLE = [
  {
    id: 'getFarmResource',
    path: FARM,
    of: 'farms',
    named: undefined,
    right: { resource: 'farms', verb: 'get', by: 'farm' },
    summary: 'The Farm: spec, conditions, and Events of the last hour',
  },
  {
    id: 'getVDiskResource',
    path: `${FARM}/vdisks/{vdisk}`,
    of: 'vdisks',
    named: 'vdisk',
    right: { resource: 'vdisks', verb: 'get' },
    summary: 'A VDisk: spec, conditions, and Events of the last hour',
  },
  {
    id: 'getStoreResource',
    path: `${FARM}/stores/{store}`,
    of: 'stores',
    named: 'store',
    right: { resource: 'stores', verb: 'get' },
    summary: 'A Store: spec, conditions, and Events of the last hour',
  },
  {
    id: 'getPoolResource',
    path: `${FARM}/pools/{pool}`,
    of: 'pools',
    named: 'pool',
    right: { resource: 'servers', verb: 'get' },
    summary: 'A StreamingServer, the pool of servers: spec, conditions, and Events of the last hour',
  },
] as const satisfies readonly ResourceLine[];
