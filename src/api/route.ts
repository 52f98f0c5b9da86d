/** What a route is: a line of the table from which the server, the rights and the document are made. */
import type { ServerResponse } from 'node:http';
import type { Static, TObject, TSchema } from 'typebox';
import type { Result } from '../kit/result.ts';
import type { Caller } from './caller.ts';
import type { Farms, OpenFarm } from './farms.ts';
import type { Problem } from './problem.ts';
import type { Resource, Reviews, Scope, Verb } from './reviews.ts';

export const CSV = 'text/csv';
export const EVENTS = 'text/event-stream';

export interface Right {
  readonly resource: Resource;
  readonly verb: Verb;
  /** Whose name a RoleBinding may state: of the farm, or of a collection. Absent: it is all or nothing. */
  readonly by?: 'farm' | 'collection';
}

/** What a handler is given: all of it was judged. */
export interface Asked<Query = unknown, Body = unknown> {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  readonly ifMatch: string | undefined;
  readonly lastEventId: string | string[] | undefined;
  readonly caller: Caller;
  readonly right: Right;
  readonly scope: Scope;
  readonly farm: OpenFarm;
  readonly farms: Farms;
  readonly reviews: Reviews;
  /** Whether who asks is still known: for answers that last. */
  readonly recheck: () => Promise<Result<Caller, Problem>>;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text is sent as it is, anything else as JSON; absent: nothing. */
  readonly body?: object | string;
  /** Instead of a body: what writes the answer itself, until it ends. */
  readonly stream?: (response: ServerResponse) => void;
}

export type Handled = Promise<Result<Reply, Problem>>;

export interface Route {
  /** `operationId`. */
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/api/v1`: `/farms/{namespace}/{farm}`. */
  readonly path: string;
  readonly summary: string;
  /** `Everybody`: whoever is known; it asks for the rights itself. */
  readonly right: Right | 'Everybody';
  readonly query: TObject;
  /** JSON of this shape, or CSV. */
  readonly body?: TSchema | typeof CSV;
  /** Status and shape of what comes, by the type of its content where it is not JSON. */
  readonly answer: { readonly status: number; readonly shape?: TSchema; readonly type?: typeof CSV | typeof EVENTS };
  /** Statuses of problems beside those that every route may give. */
  readonly problems?: readonly number[];
  readonly handle: (asked: Asked) => Handled;
}

/** Types of a handler follow from the shapes. */
export const route = <Query extends TObject, Body extends TSchema>(
  made: Omit<Route, 'query' | 'body' | 'handle'> & {
    readonly query: Query;
    readonly body?: Body | typeof CSV;
    readonly handle: (asked: Asked<Static<Query>, Static<Body>>) => Handled;
  },
): Route => made as unknown as Route;

export const FARM = '/farms/{namespace}/{farm}';
