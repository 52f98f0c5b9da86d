/** What goes out: an answer of a route, or a problem. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorCode, errorMessage } from '../kit/errors.ts';
import type { Refusal } from '../net/server.ts';
import type { Logger } from '../telemetry/log.ts';
import { MAX_CSV_BYTES, MAX_JSON_BYTES } from './limits.ts';
import { PROBLEM_TYPE, type Problem, problemBody, statusOf } from './problem.ts';
import { CSV, type Handled, type Route } from './route.ts';

export function send(
  request: FastifyRequest,
  reply: FastifyReply,
  route: Route,
  handled: Awaited<Handled>,
): FastifyReply {
  if (!handled.ok) return sendProblem(request, reply, handled.error);
  const { status = route.answer.status, headers = {}, body, stream } = handled.value;
  if (stream) {
    reply.hijack();
    stream(reply.raw);
    return reply;
  }
  reply.code(status).headers({ 'cache-control': 'no-store', ...headers });
  if (body === undefined) return reply.send();
  if (typeof body === 'string') return reply.send(body);
  return reply.type('application/json').send(JSON.stringify(body));
}

export const pathOf = ({ url }: { readonly url: string }): string => url.split('?')[0] ?? url;

/** What the edge refuses before it is a question here. */
export const refusal: Refusal = (message, url) => ({
  type: PROBLEM_TYPE,
  body: JSON.stringify(problemBody({ code: 'TooMany', message }, pathOf({ url }))),
});

export function sendProblem(request: FastifyRequest, reply: FastifyReply, found: Problem): FastifyReply {
  const status = statusOf(found.code);
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="bootfarm"');
  if (status === 503 || status === 429) reply.header('retry-after', '1');
  return reply
    .code(status)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(problemBody(found, pathOf(request))));
}

/** What fastify found wrong with a body before a route saw it; anything else is a bug of ours. */
export function ofThrown(error: unknown, log: Logger): Problem {
  const message = errorMessage(error);
  switch (errorCode(error)) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return {
        code: 'TooLarge',
        message: `the body is too large: JSON has at most ${MAX_JSON_BYTES} bytes, CSV ${MAX_CSV_BYTES}: send it in parts`,
      };
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return { code: 'Invalid', message: `the path is none of this API: ${message}` };
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return { code: 'WrongType', message: `${message}: send application/json, or ${CSV} where a file is asked for` };
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return { code: 'Invalid', message: `the body is no JSON: ${message}` };
    default:
      if (error instanceof SyntaxError) return { code: 'Invalid', message: `the body is no JSON: ${message}` };
      log.error({ error: message, stack: (error as { stack?: string }).stack }, 'the API threw');
      return { code: 'Broken', message: 'the API met a fault of its own: the log of the operator has it' };
  }
}
