/**
 * Questions to the API of the page's own origin. The token of whoever asks lies in this module alone: in no storage, no URL and no page, so that neither
 * another tab nor what is left on the disk has it, and a reload asks for it again.
 */
import type { Page, ProblemBody } from './shapes.ts';

/** Below whatever path an ingress has the page. */
const apiUrl = (path: string): string => new URL(`api/v1${path}`, document.baseURI).href;

let token: string | undefined;
export const believe = (given: string | undefined): void => {
  token = given;
};
export const hasToken = (): boolean => token !== undefined;

/** What the API did not do, and why. Status 0: it was not reached. */
export class Refused extends Error {
  readonly status: number;
  readonly problem: ProblemBody | undefined;
  constructor(status: number, message: string, problem?: ProblemBody) {
    super(message);
    this.status = status;
    this.problem = problem;
  }
}

export interface Question {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** A text is CSV, anything else JSON. */
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 15_000;

/** The response, whose status is good. */
export async function ask(path: string, question: Question = {}): Promise<Response> {
  const { method = 'GET', query = {}, body, headers = {}, signal = AbortSignal.timeout(TIMEOUT_MS) } = question;
  const url = new URL(apiUrl(path));
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  const type = typeof body === 'string' ? 'text/csv' : 'application/json';
  const response = await fetch(url, {
    method,
    signal,
    cache: 'no-store',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
    headers: {
      ...(body === undefined ? {} : { 'content-type': type }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  }).catch((thrown: unknown) => {
    if (thrown instanceof DOMException && thrown.name === 'AbortError') throw thrown;
    const isLate = thrown instanceof DOMException && thrown.name === 'TimeoutError';
    throw new Refused(
      0,
      isLate ? `the operator did not answer within ${TIMEOUT_MS / 1_000} s` : 'the operator is not reached',
    );
  });
  if (response.ok) return response;
  const text = await response.text().catch(() => '');
  const problem = problemOf(response, text);
  throw new Refused(
    response.status,
    problem?.detail ?? `the answer was ${response.status} ${response.statusText}: ${text.slice(0, 200)}`,
    problem,
  );
}

function problemOf(response: Response, text: string): ProblemBody | undefined {
  if (!/^application\/problem\+json/.test(response.headers.get('content-type') ?? '')) return undefined;
  try {
    return JSON.parse(text) as ProblemBody;
  } catch {
    return undefined;
  }
}

export const askJson = async <T>(path: string, question?: Question): Promise<T> =>
  (await ask(path, question)).json() as Promise<T>;

/** Of the API: the most that it gives at once. */
const PAGE = 500;

/** All pages of a list, each as it comes. */
export async function* pages<T>(
  path: string,
  query: Question['query'] = {},
  signal?: AbortSignal,
): AsyncGenerator<Page<T>> {
  let next: string | undefined;
  do {
    const page: Page<T> = await askJson(path, {
      query: { limit: PAGE, ...query, continue: next },
      ...(signal ? { signal } : {}),
    });
    yield page;
    next = page.continue;
  } while (next !== undefined);
}

export async function all<T>(
  path: string,
  signal?: AbortSignal,
): Promise<{ items: readonly T[]; stale?: Page<T>['stale'] }> {
  const items: T[] = [];
  let stale: Page<T>['stale'];
  for await (const page of pages<T>(path, {}, signal)) {
    items.push(...page.items);
    stale = page.stale ?? stale;
  }
  return stale ? { items, stale } : { items };
}
