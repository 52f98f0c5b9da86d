import { createHash } from 'node:crypto';
import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';

/** Where and as whom to send a request now. */
export interface Route {
  readonly dispatcher: Dispatcher;
  readonly origin: string;
  /** What a server address of the kubeconfig has after its host: some gateways serve many clusters below one. */
  readonly prefix: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The library looks after what its sources say (it reads a token file again after 60 s, an exec credential when it ended);
 * we ask it again this often, because each asking reads the CA file.
 */
const credentialsAgeMs = 10_000;

/** The API server drops idle connections after 90 s; ours go first, so that no request meets a closing one. */
const idleMs = 60_000;

/** Watches hold one connection each for ever (a dozen); the rest is for calls. */
const maxConnections = 128;

type Credentials = Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized' | 'auth'> & {
  headers?: Record<string, string>;
};

/** One pool of kept-alive connections to the API server, as the kubeconfig's current context says. */
export class Connection {
  readonly #kubeConfig: KubeConfig;
  #known: { readonly route: Route; readonly fingerprint: string; readonly atMs: number } | undefined;
  #asking: Promise<Route> | undefined;

  constructor(kubeConfig: KubeConfig) {
    this.#kubeConfig = kubeConfig;
  }

  /** Throws when the kubeconfig can't be used: no cluster, an unreadable file, an exec plugin that fails. */
  route(): Promise<Route> {
    const known = this.#known;
    if (known && performance.now() - known.atMs < credentialsAgeMs) return Promise.resolve(known.route);
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<Route> {
    const cluster = this.#kubeConfig.getCurrentCluster();
    if (!cluster) throw new Error('the kubeconfig has no cluster for its current context');
    const credentials: Credentials = {};
    await this.#kubeConfig.applyToHTTPSOptions(credentials as RequestOptions);
    const fingerprint = fingerprintOf(credentials);
    const before = this.#known;
    const unchanged = before?.fingerprint === fingerprint;
    const url = new URL(cluster.server);
    const route: Route = {
      dispatcher: unchanged ? before.route.dispatcher : dispatcherFor(this.#kubeConfig, credentials),
      origin: url.origin,
      prefix: url.pathname.replace(/\/+$/, ''),
      headers: { ...credentials.headers, ...basic(credentials.auth) },
    };
    this.#known = { route, fingerprint, atMs: performance.now() };
    if (!unchanged) before?.route.dispatcher.close().catch(() => {}); // its open watches end by their own time limit
    return route;
  }

  /** The API did not know us: ask for credentials again before the next request. */
  forget(): void {
    if (this.#known) this.#known = { ...this.#known, atMs: Number.NEGATIVE_INFINITY };
  }

  /** Ends every connection, open requests and watches included. */
  async close(): Promise<void> {
    const known = this.#known;
    this.#known = undefined;
    await known?.route.dispatcher.destroy();
  }
}

function dispatcherFor(
  kubeConfig: KubeConfig,
  { ca, cert, key, servername, rejectUnauthorized }: Credentials,
): Dispatcher {
  const tls = { ca, cert, key, servername, rejectUnauthorized };
  const known = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
  const options = kubeConfig.createDispatcherOptions(kubeConfig.getCurrentCluster(), known);
  // HTTP/1.1: a connection of its own for each watch, so that one dead connection can't silence them all.
  const pool = { allowH2: false, connections: maxConnections, keepAliveTimeout: idleMs, keepAliveMaxTimeout: idleMs };
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
