/** From a question to the route that answers it: who asks, whether they may, and whether what they say fits. */
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Compile, type Validator } from 'typebox/compile';
import { Value } from 'typebox/value';
import { ok, type Result } from '../kit/result.ts';
import { send, sendProblem } from './answer.ts';
import type { Caller, Callers, ClientCertificate } from './caller.ts';
import type { Farms, OpenFarm } from './farms.ts';
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

  caller({ headers, socket }: FastifyRequest): Promise<Result<Caller, Problem>> {
    return this.#callers.of(headers.authorization, certificateOf(socket));
  }

  /** Somebody who is bound to a collection may go on: what they may touch is for the route to ask. */
  async scope(
    caller: Caller,
    right: Right,
    namespace: string,
    farm: OpenFarm | undefined,
    farmName: string,
  ): Promise<Result<Scope, Problem>> {
    const question = { ...right, namespace };
    const all = await this.reviews.may(caller, question, right.by === 'farm' ? farmName : '');
    if (!all.ok) return all;
    if (all.value) return ok(WHOLE);
    if (right.by !== 'collection' || !farm) return forbidden(caller, question);
    return ok(scopeOf(this.reviews, caller, question, farm.collections));
  }
}

function certificateOf(socket: Socket): ClientCertificate | undefined {
  const { authorized, authorizationError } = socket as TLSSocket;
  const { subject, valid_to: notAfter } = (socket as TLSSocket).getPeerCertificate();
  if (!subject) return undefined;
  const reason = String(authorizationError ?? 'it is not signed by it');
  return { authorized, reason, subject, notAfter: Date.parse(notAfter) };
}

export function addRoute(app: FastifyInstance<HttpsServer>, route: Route, judge: Judge): void {
  const url = `${PREFIX}${route.path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
  const query = Compile(route.query);
  const body = route.body === undefined || route.body === CSV ? undefined : Compile(route.body);
  const asked = new WeakMap<FastifyRequest, Omit<Parameters<Route['handle']>[0], 'query' | 'body'>>();
  app.route({
    method: route.method,
    url,
    async onRequest(request: FastifyRequest, reply: FastifyReply) {
      const known = await askerOf(request, route, judge);
      if (!known.ok) return sendProblem(request, reply, known.error);
      asked.set(request, known.value);
    },
    async handler(request: FastifyRequest, reply: FastifyReply) {
      const known = asked.get(request);
      if (!known) throw new Error(`${route.id} was not judged`);
      const read = valuesOf(request, route, query, body);
      if (!read.ok) return sendProblem(request, reply, read.error);
      return send(request, reply, route, await route.handle({ ...known, ...read.value }));
    },
  });
}

async function askerOf(request: FastifyRequest, route: Route, judge: Judge) {
  const caller = await judge.caller(request);
  if (!caller.ok) return caller;
  const params = request.params as Readonly<Record<string, string>>;
  const { namespace = '', farm: farmName = '' } = params;
  const { farms, reviews } = judge;
  const farm = farms.get(namespace, farmName);
  const scope =
    route.right === 'Everybody' ? ok(WHOLE) : await judge.scope(caller.value, route.right, namespace, farm, farmName);
  if (!scope.ok) return scope;
  if (route.right !== 'Everybody' && !farm)
    return problem(
      'NotFound',
      `there is no Farm ${farmName} in namespace ${namespace}, or this release cannot read it: GET ${PREFIX}/farms`,
    );
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
  if (route.body === CSV && typeof request.body !== 'string')
    return problem(
      'WrongType',
      `the body is to be ${CSV}, and it is ${request.headers['content-type'] ?? 'of no type'}`,
    );
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
const shown = (value: unknown): string =>
  (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).slice(0, 200);
