/** What the API says when it does not do what it was asked (RFC 9457): pure. */
import { type Fault, fail, type Result } from '../kit/result.ts';

/** Code, status of HTTP, title. */
const PROBLEMS = {
  Invalid: [400, 'The request is not as the document of the API says'],
  Unauthenticated: [401, 'Who asks is not known'],
  Forbidden: [403, 'Who asks may not do this'],
  NotFound: [404, 'There is no such thing'],
  Managed: [409, 'It is kept elsewhere'],
  Conflict: [409, 'It does not fit to what is there'],
  Changed: [412, 'It was changed meanwhile'],
  TooLarge: [413, 'The request is too large'],
  WrongType: [415, 'The body is of another type'],
  BadLines: [422, 'Lines of the file are bad'],
  TooLate: [408, 'The request did not come in time'],
  HeadTooLarge: [431, 'The head of the request is too large'],
  TooMany: [429, 'Too much at once'],
  Broken: [500, 'The API met a fault of its own'],
  KubernetesAway: [503, 'The Kubernetes API does not answer'],
  ReviewsAway: [503, 'The Kubernetes API does not say who may do what'],
  DatabaseAway: [503, 'The farm database does not answer'],
  ServersAway: [503, 'No server of the farm answers'],
  ReplicaAway: [503, 'Neither the farm database nor its replica answers'],
} as const satisfies Readonly<Record<string, readonly [number, string]>>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One value that is wrong. */
export interface Complaint {
  /** Of a file, from 1. */
  readonly line?: number;
  /** As the document names it: `query.limit`, `macs`. */
  readonly field: string;
  readonly value: string;
  readonly reason: string;
}

export interface Problem extends Fault<ProblemCode> {
  readonly complaints?: readonly Complaint[];
  /** What to commit where the resource is kept. */
  readonly patch?: object;
}

export const PROBLEM_TYPE = 'application/problem+json';

/** At most so many complaints are named; how many there are is always said. */
const MAX_COMPLAINTS = 1_000;

export const problem = (code: ProblemCode, message: string): Result<never, Problem> => fail(code, message);

export function invalid(complaints: readonly Complaint[], code: 'Invalid' | 'BadLines' = 'Invalid') {
  const message = complaints
    .slice(0, 3)
    .map(
      ({ line, field, value, reason }) =>
        `${line === undefined ? '' : `line ${line}, `}${field} ${JSON.stringify(value.slice(0, 100))}: ${reason}`,
    )
    .join('; ');
  const more = complaints.length > 3 ? `; and ${complaints.length - 3} more` : '';
  const error: Problem = { code, message: `${message}${more}`, complaints: complaints.slice(0, MAX_COMPLAINTS) };
  return { ok: false, error } as const;
}

export const statusOf = (code: ProblemCode): number => PROBLEMS[code][0];

/** The body. `instance`: the path that was asked for. */
export function problemBody({ code, message, complaints, patch }: Problem, instance: string): object {
  const [status, title] = PROBLEMS[code];
  const type = `urn:bootfarm:problem:${code}`;
  return {
    type,
    title,
    status,
    detail: message,
    instance,
    code,
    ...(complaints ? { complaints } : {}),
    ...(patch ? { patch } : {}),
  };
}
