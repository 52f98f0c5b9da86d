import type { KubeConfig } from '@kubernetes/client-node';
import type { Dispatcher } from 'undici';
import { ok, type Result } from '../kit/result.ts';
import { Connection } from './connection.ts';
import { type ApiFault, faultOfAnswer, faultOfThrown } from './fault.ts';
import { lines } from './lines.ts';
import type { KubeObject, Target } from './object.ts';
import { type Query, requestPath } from './path.ts';
import { parseWatchLine, type WatchEvent } from './watch-event.ts';

/** Who we are in `managedFields`: one name for everything the operator writes. */
const fieldManager = 'bootfarm';

/** No answer, or no further byte of one, within this time is TimedOut. */
const DEFAULT_TIMEOUT_MS = 30_000;

export type Answer<T> = Promise<Result<T, ApiFault>>;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

export interface StatusOptions extends CallOptions {
  /** Of the object that it is about: one that changed meanwhile, or another one of that name, is a Conflict. A uid is not looked at here. */
  readonly resourceVersion?: string | undefined;
}

export interface Selection {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** Present when there is another page: pass it to the next call. It is Gone after about five minutes. */
  readonly continue?: string;
}

export interface ListOptions extends CallOptions, Selection {
  readonly limit?: number;
  readonly continue?: string;
}

export interface WatchOptions extends CallOptions, Selection {
  readonly resourceVersion: string;
  /** The API server ends the watch by itself after this time. */
  readonly timeoutSeconds: number;
}

export interface PatchOptions extends CallOptions {
  readonly subresource?: 'status';
  /** All that would be said of it is said, and nothing is changed. */
  readonly dryRun?: boolean;
}

export interface DeleteOptions extends CallOptions {
  /** Refused as Conflict when the object is another one by now. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  readonly gracePeriodSeconds?: number;
}

/**
 * The Kubernetes API, as the operator uses it. No call throws for what the API or the network does: faults are values.
 * `apply`, `applyStatus` and `create` fill in apiVersion, kind, name and namespace from the target.
 */
export interface Client {
  get<T extends KubeObject = KubeObject>(target: Target, options?: CallOptions): Answer<T>;
  /** One page; items carry apiVersion and kind. */
  list<T extends KubeObject = KubeObject>(target: Target, options?: ListOptions): Answer<Page<T>>;
  /** Every page of a list, read once: for what is looked at rarely and not cached. */
  listAll<T extends KubeObject = KubeObject>(target: Target, options?: CallOptions & Selection): Answer<readonly T[]>;
  /** Events until the server ends the watch, the signal aborts it, or it breaks (last event: ERROR with a fault). */
  watch<T extends KubeObject = KubeObject>(target: Target, options: WatchOptions): Answer<AsyncIterable<WatchEvent<T>>>;
  create<T extends KubeObject = KubeObject>(target: Target, body: object, options?: CallOptions): Answer<T>;
  /** Server-side apply as `bootfarm`, by force: what we name is ours, what we stop naming goes. */
  apply<T extends KubeObject = KubeObject>(target: Target, body: object, options?: CallOptions): Answer<T>;
  /** The same on the status subresource; NotFound when the object is gone. */
  applyStatus<T extends KubeObject = KubeObject>(target: Target, status: object, options?: StatusOptions): Answer<T>;
  /** JSON merge patch (RFC 7386). A `metadata.resourceVersion` in it makes it a Conflict when somebody wrote meanwhile. */
  patch<T extends KubeObject = KubeObject>(target: Target, body: object, options?: PatchOptions): Answer<T>;
  /** Asks for the deletion; the object stays while it has finalizers. */
  delete(target: Target, options?: DeleteOptions): Answer<void>;
  close(): Promise<void>;
}

export interface ClientOptions {
  /** Called for each answer and each failure (status 0), for a metric. */
  readonly onAnswer?: (method: string, status: number) => void;
}

export const createClient = (kubeConfig: KubeConfig, options: ClientOptions = {}): Client =>
  new HttpClient(new Connection(kubeConfig), options.onAnswer ?? (() => {}));

interface Request {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: object;
  readonly contentType?: string;
  readonly options?: CallOptions | undefined;
  readonly toWatch?: boolean;
}

class HttpClient implements Client {
  readonly #connection: Connection;
  readonly #onAnswer: (method: string, status: number) => void;

  constructor(connection: Connection, onAnswer: (method: string, status: number) => void) {
    this.#connection = connection;
    this.#onAnswer = onAnswer;
  }

  get<T extends KubeObject>(target: Target, options?: CallOptions): Answer<T> {
    return this.#call<T>({ method: 'GET', path: requestPath(target), options });
  }

  async list<T extends KubeObject>(target: Target, options: ListOptions = {}): Answer<Page<T>> {
    const { limit, continue: token, labelSelector, fieldSelector } = options;
    const path = requestPath(target, { limit, continue: token, labelSelector, fieldSelector });
    const answer = await this.#call<ListBody<T>>({ method: 'GET', path, options });
    if (!answer.ok) return answer;
    const { apiVersion, metadata, items } = answer.value;
    const kind = answer.value.kind.replace(/List$/, ''); // the items of a list come without theirs
    return ok({
      items: (items ?? []).map((item) => ({ ...item, apiVersion, kind })),
      resourceVersion: metadata.resourceVersion,
      ...(metadata.continue ? { continue: metadata.continue } : {}),
    });
  }

  async listAll<T extends KubeObject>(target: Target, options: CallOptions & Selection = {}): Answer<readonly T[]> {
    const items: T[] = [];
    for (let token: string | undefined = ''; token !== undefined; ) {
      const page: Result<Page<T>, ApiFault> = await this.list<T>(target, { ...options, limit: 500, continue: token });
      if (!page.ok) return page;
      items.push(...page.value.items);
      token = page.value.continue;
    }
    return ok(items);
  }

  async watch<T extends KubeObject>(target: Target, options: WatchOptions): Answer<AsyncIterable<WatchEvent<T>>> {
    const { resourceVersion, timeoutSeconds, labelSelector, fieldSelector } = options;
    const query = {
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion,
      timeoutSeconds,
      labelSelector,
      fieldSelector,
    };
    const path = requestPath(target, query);
    const about = `GET ${path}`;
    const answer = await this.#send({ method: 'GET', path, options, toWatch: true });
    return answer.ok ? ok(events<T>(answer.value.body, about, options.signal)) : answer;
  }

  create<T extends KubeObject>(target: Target, body: object, options?: CallOptions): Answer<T> {
    const { name: _, ...collection } = target;
    const path = requestPath(collection, { fieldManager });
    return this.#call<T>({ method: 'POST', path, body: identified(target, body), options });
  }

  apply<T extends KubeObject>(target: Target, body: object, options?: CallOptions): Answer<T> {
    return this.#apply<T>(requestPath(target, applyQuery), identified(target, body), options);
  }

  applyStatus<T extends KubeObject>(target: Target, status: object, options: StatusOptions = {}): Answer<T> {
    const { resourceVersion } = options;
    const body = { metadata: resourceVersion === undefined ? {} : { resourceVersion }, status };
    return this.#apply<T>(requestPath(target, applyQuery, 'status'), identified(target, body), options);
  }

  #apply<T>(path: string, body: object, options?: CallOptions): Answer<T> {
    return this.#call<T>({ method: 'PATCH', path, body, contentType: 'application/apply-patch+yaml', options });
  }

  patch<T extends KubeObject>(target: Target, body: object, options?: PatchOptions): Answer<T> {
    const dryRun = options?.dryRun ? 'All' : undefined;
    const path = requestPath(target, { fieldManager, dryRun }, options?.subresource);
    return this.#call<T>({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json', options });
  }

  async delete(target: Target, options: DeleteOptions = {}): Answer<void> {
    const { preconditions, propagationPolicy, gracePeriodSeconds } = options;
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions, propagationPolicy, gracePeriodSeconds };
    const answer = await this.#call<unknown>({ method: 'DELETE', path: requestPath(target), body, options });
    return answer.ok ? ok(undefined) : answer;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  async #call<T>(request: Request): Answer<T> {
    const answer = await this.#send(request);
    if (!answer.ok) return answer;
    try {
      return ok((await answer.value.body.json()) as T);
    } catch (thrown) {
      return { ok: false, error: faultOfThrown(thrown, `${request.method} ${request.path}`, request.options?.signal) };
    }
  }

  /** The answer's head, when it is a good one. Credentials that the API does not know are renewed once. */
  async #send(request: Request): Answer<Dispatcher.ResponseData> {
    const first = await this.#attempt(request);
    if (first.ok || first.error.code !== 'Unauthorized') return first;
    this.#connection.forget();
    return this.#attempt(request);
  }

  async #attempt(request: Request): Answer<Dispatcher.ResponseData> {
    const { method, path, body, contentType = 'application/json', options = {}, toWatch = false } = request;
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const about = `${method} ${path}`;
    try {
      const { calls, watches, origin, prefix, headers } = await this.#connection.route();
      const response = await (toWatch ? watches : calls).request({
        origin,
        path: prefix + path,
        method,
        headers: {
          ...headers,
          accept: 'application/json',
          'user-agent': fieldManager,
          ...(body ? { 'content-type': contentType } : {}),
        },
        body: body ? JSON.stringify(body) : null,
        signal: options.signal ?? null,
        headersTimeout: timeoutMs,
        bodyTimeout: toWatch ? 0 : timeoutMs, // the silence of a watch is judged by whoever reads it
      });
      this.#onAnswer(method, response.statusCode);
      if (response.statusCode >= 200 && response.statusCode < 300) return ok(response);
      const retryAfter = String(response.headers['retry-after'] ?? '');
      const status = parseJson(await response.body.text());
      return { ok: false, error: faultOfAnswer(response.statusCode, status, about, retryAfter) };
    } catch (thrown) {
      this.#onAnswer(method, 0);
      return { ok: false, error: faultOfThrown(thrown, about, options.signal) };
    }
  }
}

interface ListBody<T> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[] | null;
}

const applyQuery: Query = { fieldManager, force: true };

/** The body with the identity of its target, which wins over what the body says. */
function identified({ apiVersion, kind, namespace, name }: Target, body: object): object {
  const { metadata, ...rest } = body as { readonly metadata?: object };
  const identity = { ...(name ? { name } : {}), ...(namespace ? { namespace } : {}) };
  return { ...rest, apiVersion, kind, metadata: { ...metadata, ...identity } };
}

async function* events<T extends KubeObject>(
  body: AsyncIterable<Uint8Array>,
  about: string,
  signal?: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  try {
    for await (const line of lines(body)) yield parseWatchLine<T>(line, about);
  } catch (thrown) {
    yield { type: 'ERROR', fault: faultOfThrown(thrown, about, signal) };
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
