import type { Fault } from '../kit/result.ts';

/**
 * Every way a request to the Kubernetes API can fail, and what to do about it.
 *
 * | code            | from                                  | what helps                                   |
 * | --------------- | ------------------------------------- | -------------------------------------------- |
 * | NotFound        | 404                                   | it is not there (or its CRD is not)          |
 * | AlreadyExists   | 409 reason AlreadyExists              | read it                                      |
 * | Conflict        | 409                                   | read again, decide again                     |
 * | Gone            | 410, 504 ResourceVersionTooLarge      | list again: that version can't be watched    |
 * | Unauthorized    | 401 (after one retry with new credentials) | wait for the credentials                |
 * | Forbidden       | 403                                   | a change of RBAC, quota or admission policy  |
 * | Invalid         | 400, 413, 422                         | a change of what was sent                    |
 * | Refused         | any other 4xx                         | a change of what was sent                    |
 * | TooManyRequests | 429                                   | wait `retryAfterMs`                          |
 * | ServerError     | 5xx                                   | wait                                         |
 * | TimedOut        | no answer in time, 504                | wait                                         |
 * | Unreachable     | no connection, or it broke            | wait                                         |
 * | Aborted         | the caller's signal                   | nothing: it was wanted                       |
 */
export type ApiFaultCode =
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Unauthorized'
  | 'Forbidden'
  | 'Invalid'
  | 'Refused'
  | 'TooManyRequests'
  | 'ServerError'
  | 'TimedOut'
  | 'Unreachable'
  | 'Aborted';

export interface ApiFault extends Fault<ApiFaultCode> {
  /** Set when the API asked for patience (Retry-After). */
  readonly retryAfterMs?: number;
}

/** The API's own error object (kind Status), as far as it is trusted to be one. */
interface Status {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly causes: readonly string[];
  readonly retryAfterSeconds: number;
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number => (typeof value === 'number' ? value : 0);

function parseStatus(body: unknown): Status {
  const status = record(body);
  const details = record(status['details']);
  const causes = Array.isArray(details['causes']) ? details['causes'] : [];
  return {
    code: number(status['code']),
    reason: text(status['reason']),
    message: text(status['message']),
    causes: causes.map((cause) => text(record(cause)['reason'])),
    retryAfterSeconds: number(details['retryAfterSeconds']),
  };
}

function codeOf(httpStatus: number, status: Status): ApiFaultCode {
  if (status.causes.includes('ResourceVersionTooLarge')) return 'Gone';
  switch (httpStatus) {
    case 400:
    case 413:
    case 422:
      return 'Invalid';
    case 401:
      return 'Unauthorized';
    case 403:
      return 'Forbidden';
    case 404:
      return 'NotFound';
    case 409:
      return status.reason === 'AlreadyExists' ? 'AlreadyExists' : 'Conflict';
    case 410:
      return 'Gone';
    case 429:
      return 'TooManyRequests';
    case 504:
      return 'TimedOut';
    default:
      return httpStatus >= 500 ? 'ServerError' : 'Refused';
  }
}

/**
 * The fault of an answer that is not 2xx, or of an ERROR event in a watch (pass its status object and 0).
 * `about` names the request, for answers that bring no message of their own (a proxy's HTML page).
 */
export function faultOfAnswer(httpStatus: number, body: unknown, about: string, retryAfterHeader = ''): ApiFault {
  const status = parseStatus(body);
  const effective = httpStatus || status.code;
  const seconds = Number(retryAfterHeader) || status.retryAfterSeconds;
  return {
    code: codeOf(effective, status),
    message: status.message || `${about} was answered with status ${effective}${hint(effective)}`,
    ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}),
  };
}

/** A 404 without a message speaks of the path, not of an object. */
const hint = (httpStatus: number): string =>
  httpStatus === 404
    ? ': the API server has no such kind; is its CustomResourceDefinition installed?'
    : ' and no message';

const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

/** The fault of a request that got no whole answer: what undici, TLS or the socket threw, or the caller's signal. */
export function faultOfThrown(thrown: unknown, about: string, signal?: AbortSignal): ApiFault {
  const { code, message } = record(thrown);
  const why = `${about}: ${text(message) || String(thrown)}`;
  if (signal?.aborted) return { code: 'Aborted', message: `${about} was aborted` };
  if (TIMEOUTS.has(text(code))) return { code: 'TimedOut', message: why };
  return { code: 'Unreachable', message: why };
}

/** What a thrown thing says. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
