/** From a question to the route that answers it: who asks, whether they may, and whether what they say fits. */
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { type PeerCertificate, TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Compile, type Validator } from 'typebox/compile';
import { Value } from 'typebox/value';
import { ok, type Result } from '../kit/result.ts';
import { countAs } from '../net/server.ts';
import { DNS_LABEL } from '../resources/schema.ts';
import { send, sendProblem } from './answer.ts';
import { type Caller, type Callers, type ClientCertificate, impersonation } from './caller.ts';
import type { Farms, OpenFarm } from './farms.ts';
import { CALLERS, CSV_BODIES, MAX_CSV_BYTES } from './limits.ts';
import { PREFIX } from './openapi.ts';
import { type Complaint, invalid, type Problem, problem } from './problem.ts';
import { forbidden, type Reviews, type Scope, scopeOf, WHOLE } from './reviews.ts';
import { CSV, type Right, type Route } from './route.ts';

/** Who asks, and whether they may. */
export class Judge {
  readonly #callers: Callers;
  readonly reviews: Reviews;
  readonly farms: Farms;

  constructor(callers: Callers, reviews: Reviews, farms: Farms) {
    this.#callers = callers;
    this.reviews = reviews;
    this.farms = farms;
  }

  async caller({ headers, socket }: FastifyRequest): Promise<Result<Caller, Problem>> {
    const name = impersonation(headers);
    if (name === undefined)
      return this.#callers.of(headers.authorization, certificateOf(socket), socket.remoteAddress ?? '');
    return problem(
      'Invalid',
      `the header ${name} is not taken: the API answers whoever the credential is of, ask by it`,
    );
  }

  /** Somebody who is bound to a collection may go on: what they may touch is for the route to ask. */
  async scope(
    caller: Caller,
    right: Right,
    namespace: string,
    farm: OpenFarm | undefined,
    farmName: string,
    wanted: string | undefined,
  ): Promise<Result<Scope, Problem>> {
    const question = { ...right, namespace };
    const all = await this.reviews.may(caller, question, right.by === 'farm' ? farmName : '');
    if (!all.ok) return all;
    if (all.value) return ok(WHOLE);
    if (right.by !== 'collection' || !farm) return forbidden(caller, question);
    return ok(scopeOf(this.reviews, caller, question, farm.collections, wanted));
  }
}

function certificateOf(socket: Socket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  // Null where the client left.
  const peer: PeerCertificate | null = socket.getPeerCertificate();
  if (!peer?.subject) return undefined;
  const { authorized, authorizationError } = socket;
  const reason = String(authorizationError ?? 'it is not signed by it');
  return { authorized, reason, subject: peer.subject, notAfter: Date.parse(peer.valid_to) };
}

/** Files that are held, and what gives each place back: when its question was answered, or its body did not come. */
type Bodies = Map<FastifyRequest, () => void>;

export function addRoutes(app: FastifyInstance<HttpsServer>, routes: readonly Route[], judge: Judge): void {
  // Of paths that are none, too: nobody who is not known sends a body, nor hears what there is.
  app.addHook('onRequest', async (request, reply) => {
    const caller = await judge.caller(request);
    if (!caller.ok) return sendProblem(request, reply, caller.error);
    countAs(app.server, request.socket, { source: caller.value.username, place: CALLERS });
  });
  const bodies: Bodies = new Map();
  for (const route of routes) addRoute(app, route, judge, bodies);
}

function addRoute(app: FastifyInstance<HttpsServer>, route: Route, judge: Judge, bodies: Bodies): void {
  const url = `${PREFIX}${route.path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
  const query = Compile(route.query);
  const body = route.body === undefined || route.body === CSV ? undefined : Compile(route.body);
  const asked = new WeakMap<FastifyRequest, Omit<Parameters<Route['handle']>[0], 'query' | 'body'>>();
  app.route({
    method: route.method,
    url,
    ...(route.body === CSV ? { bodyLimit: MAX_CSV_BYTES } : {}),
    async onRequest(request: FastifyRequest, reply: FastifyReply) {
      const known = await askerOf(request, route, judge);
      if (!known.ok) return sendProblem(request, reply, known.error);
      asked.set(request, known.value);
      if (route.body !== CSV || reply.raw.closed) return;
      if (bodies.size >= CSV_BODIES)
        return sendProblem(request, reply, {
          code: 'TooMany',
          message: `${CSV_BODIES} files are taken already, which is the limit: send it again in a while`,
        });
      const free = (): void => void bodies.delete(request);
      bodies.set(request, free);
      reply.raw.once('close', free);
    },
    async handler(request: FastifyRequest, reply: FastifyReply) {
      const known = asked.get(request);
      if (!known) throw new Error(`${route.id} was not judged`);
      const free = bodies.get(request);
      if (free) reply.raw.off('close', free); // who left is still worked for
      try {
        const read = valuesOf(request, route, query, body);
        if (!read.ok) return sendProblem(request, reply, read.error);
        return send(request, reply, route, await route.handle({ ...known, ...read.value }));
      } finally {
        free?.();
      }
    },
  });
}

const LABEL = new RegExp(DNS_LABEL);

async function askerOf(request: FastifyRequest, route: Route, judge: Judge) {
  const caller = await judge.caller(request);
  if (!caller.ok) return caller;
  const params = request.params as Readonly<Record<string, string>>;
  const { namespace = '', farm: farmName = '' } = params;
  const { collection } = request.query as { readonly collection?: unknown };
  const wanted = typeof collection === 'string' ? collection : undefined;
  const { farms, reviews } = judge;
  const noFarm = problem(
    'NotFound',
    `there is no Farm ${farmName} in namespace ${namespace}, or this release cannot read it: GET ${PREFIX}/farms`,
  );
  // A slash in a name would make another key of the two: the right is asked for in one namespace, and the farm read from another.
  if (route.right !== 'Everybody' && ![namespace, farmName].every((name) => LABEL.test(name))) return noFarm;
  const farm = farms.get(namespace, farmName);
  const scope =
    route.right === 'Everybody'
      ? ok(WHOLE)
      : await judge.scope(caller.value, route.right, namespace, farm, farmName, wanted);
  if (!scope.ok) return scope;
  if (route.right !== 'Everybody' && !farm) return noFarm;
  // A file is much to hold: not of somebody who may do nothing with it.
  if (route.body === CSV && route.right !== 'Everybody' && !scope.value.isWhole) {
    const some = await scope.value.collections();
    if (!some.ok) return some;
    if (some.value.size === 0) return forbidden(caller.value, { ...route.right, namespace });
  }
  return ok({
    params,
    ifMatch: request.headers['if-match'],
    lastEventId: request.headers['last-event-id'],
    caller: caller.value,
    // A route for everybody asks no farm for anything, and no right.
    right: route.right === 'Everybody' ? ({ resource: 'farms', verb: 'list' } as const) : route.right,
    scope: scope.value,
    farm: farm as OpenFarm,
    farms,
    reviews,
    recheck: () => judge.caller(request),
  });
}

function valuesOf(request: FastifyRequest, route: Route, query: Validator, body: Validator | undefined) {
  const asked = Value.Convert(route.query, { ...(request.query as object) });
  const complaints = complaintsOf('query', query, asked);
  const { 'content-type': type = 'of no type' } = request.headers;
  // A text of JSON is a text, too.
  if (route.body === CSV && (typeof request.body !== 'string' || !/^text\/csv\s*(;|$)/i.test(type)))
    return problem('WrongType', `the body is to be ${CSV}, and it is ${type}`);
  if (body) complaints.push(...complaintsOf('', body, request.body));
  return complaints.length > 0 ? invalid(complaints) : ok({ query: asked, body: request.body });
}

/** Thing, value and limit of each value that does not fit. */
function complaintsOf(where: string, shape: Validator, value: unknown): Complaint[] {
  if (shape.Check(value)) return [];
  return shape.Errors(value).flatMap(({ keyword, instancePath, message, params }) => {
    if (keyword === 'boolean') return []; // said by additionalProperties, too
    const path = [where, ...instancePath.split('/').slice(1)].filter(Boolean).join('.') || 'body';
    const { additionalProperties, requiredProperties } = params as {
      additionalProperties?: readonly string[];
      requiredProperties?: readonly string[];
    };
    const reason = additionalProperties
      ? `has no ${additionalProperties.join(', ')}`
      : requiredProperties
        ? `must have ${requiredProperties.join(', ')}`
        : message;
    return [{ field: path, value: shown(at(value, instancePath)), reason }];
  });
}

const at = (value: unknown, pointer: string): unknown =>
  pointer
    .split('/')
    .slice(1)
    .reduce<unknown>((inner, part) => (inner as Readonly<Record<string, unknown>> | undefined)?.[part], value);
/** Bounded in depth and length, whatever it is: what is nested 100,000 times overflows JSON. */
const shown = (value: unknown): string =>
  (value === undefined || typeof value === 'string'
    ? (value ?? '')
    : inspect(value, { depth: 1, maxArrayLength: 10, maxStringLength: 100, breakLength: Number.POSITIVE_INFINITY })
  ).slice(0, 200);
