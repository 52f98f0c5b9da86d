import { createHash } from 'node:crypto';
import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';

/** Where and as whom to send a request now. */
export interface Route {
  /** For calls: connections are kept and used again. */
  readonly calls: Dispatcher;
  /**
   * For watches: each dials anew. A watch that is left because its connection is dead must not land on an idle one that
   * died with it, and wait there for its time-out (seen through a proxy that swallowed everything).
   */
  readonly watches: Dispatcher;
  readonly origin: string;
  /** What a server address of the kubeconfig has after its host: some gateways serve many clusters below one. */
  readonly prefix: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The library looks after what its sources say (it reads a token file again after 60 s, an exec credential when it ended);
 * we ask it again this often, because each asking reads the CA file.
 */
const CREDENTIALS_AGE_MS = 10_000;

/** The API server drops idle connections after 90 s; ours go first, so that no request meets a closing one. */
const IDLE_MS = 60_000;

/** More calls at once wait for a free connection. Watches, a dozen, stay far below. */
const MAX_CONNECTIONS = 64;

type Credentials = Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized' | 'auth'> & {
  headers?: Record<string, string>;
};

/** The connections to the API server, as the kubeconfig's current context says. */
export class Connection {
  readonly #kubeConfig: KubeConfig;
  #known: { readonly route: Route; readonly fingerprint: string; readonly atMs: number } | undefined;
  #asking: Promise<Route> | undefined;
  #closed = false;

  constructor(kubeConfig: KubeConfig) {
    this.#kubeConfig = kubeConfig;
  }

  /** Throws when the kubeconfig can't be used: no cluster, an unreadable file, an exec plugin that fails. */
  route(): Promise<Route> {
    const known = this.#known;
    if (known && performance.now() - known.atMs < CREDENTIALS_AGE_MS) return Promise.resolve(known.route);
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<Route> {
    if (this.#closed) throw new Error('the connection to the Kubernetes API was closed');
    const cluster = this.#kubeConfig.getCurrentCluster();
    if (!cluster) throw new Error('the kubeconfig has no cluster for its current context');
    const credentials: Credentials = {};
    await this.#kubeConfig.applyToHTTPSOptions(credentials as RequestOptions);
    const fingerprint = fingerprintOf(credentials);
    const before = this.#known;
    const unchanged = before?.fingerprint === fingerprint;
    const url = new URL(cluster.server);
    const route: Route = {
      calls: unchanged ? before.route.calls : dispatcherFor(this.#kubeConfig, credentials, IDLE_MS),
      watches: unchanged ? before.route.watches : dispatcherFor(this.#kubeConfig, credentials, 1),
      origin: url.origin,
      prefix: url.pathname.replace(/\/+$/, ''),
      headers: { ...credentials.headers, ...basic(credentials.auth) },
    };
    this.#known = { route, fingerprint, atMs: performance.now() };
    // What is open on the old connections ends by itself: watches have a time limit.
    if (!unchanged) for (const old of dispatchersOf(before?.route)) old.close().catch(() => {});
    return route;
  }

  /** The API did not know us: ask for credentials again before the next request. */
  forget(): void {
    if (this.#known) this.#known = { ...this.#known, atMs: Number.NEGATIVE_INFINITY };
  }

  /** Ends every connection, open requests and watches included. */
  async close(): Promise<void> {
    this.#closed = true;
    const known = this.#known;
    this.#known = undefined;
    await Promise.all(dispatchersOf(known?.route).map((dispatcher) => dispatcher.destroy()));
  }
}

const dispatchersOf = (route: Route | undefined): Dispatcher[] => (route ? [route.calls, route.watches] : []);

function dispatcherFor(kubeConfig: KubeConfig, credentials: Credentials, keptMs: number): Dispatcher {
  const { ca, cert, key, servername, rejectUnauthorized } = credentials;
  const tls = { ca, cert, key, servername, rejectUnauthorized };
  const known = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
  const options = kubeConfig.createDispatcherOptions(kubeConfig.getCurrentCluster(), known);
  // HTTP/1.1: one dead connection holds one request, not all.
  const pool = { allowH2: false, connections: MAX_CONNECTIONS, keepAliveTimeout: keptMs, keepAliveMaxTimeout: keptMs };
  const connect = { timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 30_000 };
  switch (options.type) {
    case 'socks':
      throw new Error(`the kubeconfig names the SOCKS proxy ${options.uri}; only HTTP proxies are supported`);
    case 'proxy':
      return new ProxyAgent({ ...pool, uri: options.uri, requestTls: { ...known, ...connect } });
    case 'agent':
    case 'none':
      return new Agent({ ...pool, connect: { ...known, ...connect } });
  }
}

const basic = (auth: string | null | undefined): Record<string, string> =>
  auth ? { Authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {};

/** Changes when the TLS side does (a renewed client certificate, another CA): then connections must be new ones. */
function fingerprintOf({ ca, cert, key, servername, rejectUnauthorized }: Credentials): string {
  const hash = createHash('sha256');
  for (const part of [ca, cert, key, servername, rejectUnauthorized]) hash.update(`${String(part)}\n`);
  return hash.digest('hex');
}
