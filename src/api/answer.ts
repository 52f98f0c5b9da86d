/** What goes out: an answer of a route, or a problem. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorCode, errorMessage } from '../kit/errors.ts';
import type { Refusal } from '../net/server.ts';
import type { Logger } from '../telemetry/log.ts';
import { MAX_CSV_BYTES, MAX_JSON_BYTES } from './limits.ts';
import { PREFIX } from './openapi.ts';
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
  // Who is not known holds no connection.
  if (status === 401) reply.headers({ 'www-authenticate': 'Bearer realm="bootfarm"', connection: 'close' });
  if (status === 503 || status === 429) reply.header('retry-after', '1');
  return reply
    .code(status)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(problemBody(found, pathOf(request))));
}

/** What Node's parser refuses before there is a question: an answer of one piece, and the connection ends. */
export function refuseHead(error: Error, socket: Socket): void {
  if (errorCode(error) === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const found = ofHead(errorCode(error), errorMessage(error));
  const body = JSON.stringify(problemBody(found, ''));
  const status = statusOf(found.code);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${PROBLEM_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function ofHead(code: string | undefined, message: string): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return {
        code: 'HeadTooLarge',
        message: 'path, query and headers are together more than 8192 bytes: ask for less in one question',
      };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { code: 'TooLate', message: 'the question did not come whole within 10 s: send it again' };
    default:
      return { code: 'Invalid', message: `this is no question of HTTP/1.1: ${message}` };
  }
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
    // QUERY, of which it asks for a body first: no route of ours has that method.
    case 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE':
    case 'FST_ERR_NOT_FOUND':
      return { code: 'NotFound', message: `this is no question of this API: ${PREFIX}/openapi.json has all` };
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
