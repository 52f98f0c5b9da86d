/** Questions to the API, by what its document says. */
import { Agent, type IncomingMessage, request } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { errorMessage } from '../kit/errors.ts';
import { Refusal } from '../terminal/refusal.ts';
import type { Page, Problem, Stale } from './answers.ts';
import { EXIT, exitOf, ProblemRefusal } from './exit.ts';
import type { Way } from './way.ts';

const PREFIX = '/api/v1';
const TIMEOUT_MS = 60_000;
/** Items of a page: the most that the API gives. */
const PAGE = 500;
/** Of a browser's pages, each watches by one. */
const MAX_CONNECTIONS = 32;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

interface Sent {
  readonly query?: Query;
  readonly body?: object | string;
  readonly ifMatch?: string | undefined;
}

export interface Told<T> {
  readonly value: T;
  readonly etag: string | undefined;
  readonly headers: IncomingMessage['headers'];
}

/** Of a list: all of its pages, of the database or, while that is away, of the replica. */
export interface Listed<T> {
  readonly items: readonly T[];
  readonly stale?: Stale | undefined;
}

/** An agent whose sockets are the way's: proved and secret before HTTP begins. */
class WayAgent extends Agent {
  readonly #way: Way;

  constructor(way: Way) {
    super({ keepAlive: true, maxSockets: MAX_CONNECTIONS });
    this.#way = way;
  }

  override createConnection(_options: unknown, made?: (error: Error | null, socket: Duplex) => void): undefined {
    this.#way.connect().then(
      (socket) => made?.(null, socket),
      (thrown: Error) => made?.(thrown, undefined as never),
    );
  }
}

export class Api {
  readonly way: Way;
  readonly #agent: Agent;

  constructor(way: Way) {
    this.way = way;
    this.#agent = new WayAgent(way);
  }

  async get<T>(path: string, query: Query = {}): Promise<Told<T>> {
    return this.#json(await this.#ask('GET', path, { query }));
  }

  /** `most`: of items, where not all are wanted. */
  async list<T>(path: string, query: Query = {}, most = Number.POSITIVE_INFINITY): Promise<Listed<T>> {
    const items: T[] = [];
    let stale: Stale | undefined;
    let next: string | undefined;
    do {
      const limit = Math.min(PAGE, most - items.length);
      const { value }: Told<Page<T>> = await this.get(path, { ...query, limit, continue: next });
      items.push(...value.items);
      stale ??= value.stale;
      next = value.continue;
    } while (next !== undefined && items.length < most);
    return { items, stale };
  }

  /** PUT, POST, PATCH or DELETE. An object is sent as JSON, a text as CSV. */
  async send<T>(method: string, path: string, sent: Sent = {}): Promise<Told<T>> {
    return this.#json(await this.#ask(method, path, sent));
  }

  async text(path: string): Promise<Told<string>> {
    const response = await this.#ask('GET', path, {});
    return toldOf(response, await this.#read(response));
  }

  /** As it comes: for what is passed on. */
  async raw(method: string, path: string, headers: Readonly<Record<string, string>>, body?: Readable) {
    return this.#send(method, path, { ...headers, ...(await this.#who()) }, body);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #who(): Promise<Readonly<Record<string, string>>> {
    const token = await this.way.token();
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  async #json<T>(response: IncomingMessage): Promise<Told<T>> {
    const text = await this.#read(response);
    try {
      return toldOf(response, (text === '' ? undefined : JSON.parse(text)) as T);
    } catch {
      throw new Refusal(`${this.way.to} answered something that is no JSON: is it the API of bootfarm?`, EXIT.noAnswer);
    }
  }

  async #ask(method: string, path: string, { query = {}, body, ifMatch }: Sent): Promise<IncomingMessage> {
    const said = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]));
    const search = said.length > 0 ? `?${new URLSearchParams(said as [string, string][])}` : '';
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const type = typeof body === 'string' ? 'text/csv' : 'application/json';
    const headers = {
      accept: 'application/json',
      ...(text === undefined ? {} : { 'content-type': type, 'content-length': String(Buffer.byteLength(text)) }),
      ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
      ...(await this.#who()),
    };
    const response = await this.#send(method, `${PREFIX}${path}${search}`, headers, text, TIMEOUT_MS);
    if ((response.statusCode ?? 0) < 400) return response;
    throw this.#refusal(response.statusCode ?? 0, await this.#read(response));
  }

  #send(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: Readable | string,
    timeoutMs?: number,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const asked = request({
        ...{ method, path, agent: this.#agent, host: 'localhost', setHost: false },
        headers: { host: this.way.host, ...headers },
        ...(timeoutMs === undefined ? {} : { signal: AbortSignal.timeout(timeoutMs) }),
      });
      asked.on('response', resolve).on('error', (error) => reject(this.#away(error, method)));
      if (body instanceof Readable) pipeline(body, asked).catch((error: Error) => reject(this.#away(error, method)));
      else asked.end(body);
    });
  }

  async #read(response: IncomingMessage): Promise<string> {
    return textOf(response).catch((thrown: unknown) => {
      throw this.#away(thrown, 'GET');
    });
  }

  #away(thrown: unknown, method: string): Refusal {
    if (thrown instanceof Refusal) return thrown;
    const known = method === 'GET' ? '' : '. Whether it was done is not known: look before you ask again';
    return new Refusal(`${this.way.to} does not answer: ${errorMessage(thrown)}${known}`, EXIT.noAnswer);
  }

  #refusal(status: number, text: string): Refusal {
    try {
      const problem = JSON.parse(text) as Problem;
      if (typeof problem.detail === 'string') return new ProblemRefusal(problem);
    } catch {
      // It is none.
    }
    return new Refusal(`${this.way.to} answered ${status}, and not as the API of bootfarm does`, exitOf(status));
  }
}

const toldOf = <T>({ headers }: IncomingMessage, value: T): Told<T> => ({ value, etag: headers.etag, headers });
