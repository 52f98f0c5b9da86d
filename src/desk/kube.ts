/** The cluster as a kubeconfig gives it: who asks, what is read of it, and a way into a pod. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { type Duplex, PassThrough } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
// Not by its index, which has all kinds of Kubernetes with it; its PortForward needs them, too, and holds nobody back.
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { WebSocketHandler } from '@kubernetes/client-node/dist/web-socket-handler.js';
import { errorMessage } from '../kit/errors.ts';
import { Refusal } from '../terminal/refusal.ts';
import { executed, type Streams } from './exec.ts';
import { EXIT, KubeRefusal } from './exit.ts';
import { forwarded, type Socket } from './forward.ts';

/** Who asks, as the API of bootfarm is told: a token, or a certificate in the hand-shake. */
export interface Identity {
  readonly token?: string;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
}

export interface Kube {
  /** Of the context. */
  readonly namespace: string | undefined;
  /** For messages. */
  readonly context: string;
  identity(): Promise<Identity>;
  /** `KubeRefusal` where the Kubernetes API refuses it. */
  get<T>(path: string, query?: Readonly<Record<string, string>>): Promise<T>;
  /** A connection to a port of a pod, as `kubectl port-forward` makes one. */
  forward(namespace: string, pod: string, port: number): Promise<Duplex>;
  /** Runs a command as `kubectl exec` does, and gives its status. */
  exec(at: Container, command: readonly string[], streams: Streams): Promise<number>;
}

export interface Container {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

const TIMEOUT_MS = 15_000;
/** The library ends the streams of the process itself where the other side ends one. */
const NOWHERE_TO = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
/** What the library takes where it finds no kubeconfig. */
const NOWHERE = 'http://localhost:8080';

export function kubeOf({ kubeconfig, context }: { readonly kubeconfig?: string; readonly context?: string }): Kube {
  const config = load(kubeconfig);
  if (context !== undefined) {
    if (!config.getContextObject(context))
      throw new Refusal(`the kubeconfig has no context ${context}; it has ${contextsOf(config)}`);
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  // Of a kubeconfig that is not there the library makes a context that nobody named.
  if (!cluster || cluster.server === NOWHERE)
    throw new Refusal(
      config.getCurrentContext() && cluster?.server !== NOWHERE
        ? `context ${config.getCurrentContext()} of the kubeconfig has no cluster: take another one by --context, of ${contextsOf(config)}`
        : 'no kubeconfig says where the cluster is: give --kubeconfig FILE, set KUBECONFIG, or use --server https://HOST --token-file FILE',
    );
  const server = cluster.server.replace(/\/+$/, '');
  const name = config.getCurrentContext() ?? cluster.name;
  return {
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    context: name,
    identity: () => identityOf(config),
    get: (path, query = {}) => get(config, server, `${path}?${new URLSearchParams(query)}`),
    forward: (namespace, pod, port) => forward(config, namespace, pod, port),
    exec: (at, command, streams) => exec(config, at, command, streams),
  };
}

const contextsOf = (config: KubeConfig): string =>
  config
    .getContexts()
    .map(({ name }) => name)
    .join(', ') || 'none';

function load(file: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (file === undefined) config.loadFromDefault();
    else config.loadFromFile(file);
  } catch (thrown) {
    const named = file ?? process.env['KUBECONFIG'] ?? 'of your home';
    throw new Refusal(`the kubeconfig ${named} cannot be read: ${errorMessage(thrown).split('\n')[0]}`);
  }
  return config;
}

/** By the library: files, exec plugins, OIDC. */
async function optionsOf(config: KubeConfig): Promise<RequestOptions> {
  const options: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (thrown) {
    const user = config.getCurrentUser()?.name ?? '';
    if (/^(ENOENT|EACCES|EISDIR)\b.*, (open|read)\b/.test(errorMessage(thrown)))
      throw new Refusal(`a file that the kubeconfig names cannot be read: ${errorMessage(thrown)}`);
    throw new Refusal(`user ${user} of the kubeconfig gave no credential: ${errorMessage(thrown)}`, EXIT.notAllowed);
  }
  return options;
}

async function identityOf(config: KubeConfig): Promise<Identity> {
  const user = config.getCurrentUser();
  if (user?.impersonateUser)
    throw new Refusal(
      `user ${user.name} of the kubeconfig asks as ${user.impersonateUser}, and the API answers whoever the credential is of: use a context with a credential of their own`,
      EXIT.notAllowed,
    );
  const { headers = {}, cert, key, auth } = await optionsOf(config);
  const said = (headers as Readonly<Record<string, unknown>>)['Authorization'];
  const token = typeof said === 'string' ? /^Bearer +(\S+)$/i.exec(said)?.[1] : undefined;
  if (token !== undefined) return { token };
  if (isPem(cert) && isPem(key)) return { cert, key };
  throw new Refusal(
    `user ${user?.name ?? ''} of the kubeconfig has ${auth ? 'a name and a password' : 'no credential'}: the API takes a token, or a client certificate`,
    EXIT.notAllowed,
  );
}

const isPem = (value: unknown): value is string | Buffer => typeof value === 'string' || Buffer.isBuffer(value);

async function get<T>(config: KubeConfig, server: string, path: string): Promise<T> {
  const options = await optionsOf(config);
  const url = `${server}${path}`;
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new Refusal(`the cluster of the kubeconfig has the server ${server}: it must look like https://HOST[:PORT]`);
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const headers = { ...options.headers, accept: 'application/json' };
    request(url, { ...options, headers, signal } as RequestOptions, resolve)
      .on('error', (error) => reject(away(server, errorMessage(error))))
      .end();
  });
  const text = await textOf(response).catch((thrown: unknown) => {
    throw away(server, errorMessage(thrown));
  });
  const { statusCode = 0 } = response;
  if (statusCode !== 200)
    throw new KubeRefusal(`the Kubernetes API: ${messageOf(text) || `status ${statusCode}`}`, statusCode);
  try {
    return JSON.parse(text) as T;
  } catch {
    throw away(server, 'what came is no JSON: is it a Kubernetes API?');
  }
}

const away = (server: string, reason: string): Refusal =>
  new Refusal(`the Kubernetes API at ${server} does not answer: ${reason}`, EXIT.noAnswer);

/** Of a Status. */
function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    return typeof message === 'string' ? message : '';
  } catch {
    return text.trim().split('\n')[0] ?? '';
  }
}

async function forward(config: KubeConfig, namespace: string, pod: string, port: number): Promise<Duplex> {
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/portforward?ports=${port}`;
  const { duplex, attach, take } = forwarded(`pod ${namespace}/${pod}, port ${port}`);
  const refused = `you may not reach pods of namespace ${namespace} by a port-forward (get and create of pods/portforward): have the Role of the chart bound to you there (docs/desk.md), or use --server https://HOST --token-file FILE`;
  attach(await open(config, `pod ${namespace}/${pod}`, path, take, refused));
  return duplex;
}

async function exec(
  config: KubeConfig,
  { namespace, pod, container }: Container,
  command: readonly string[],
  streams: Streams,
): Promise<number> {
  const asked = new URLSearchParams({ container, stdin: 'true', stdout: 'true', stderr: 'true' });
  for (const word of command) asked.append('command', word);
  const to = `pod ${namespace}/${pod}`;
  const { ended, attach, take } = executed(to, streams);
  const refused = `you may not run commands in pods of namespace ${namespace} (get and create of pods/exec), which what works on the files of a store needs (docs/desk.md)`;
  attach(await open(config, to, `/api/v1/namespaces/${namespace}/pods/${pod}/exec?${asked}`, take, refused));
  return ended;
}

/** The library opens the WebSocket, by what the kubeconfig says of identity and proxies; what is sent in it is ours. */
async function open(
  config: KubeConfig,
  to: string,
  path: string,
  take: (channel: number, data: Buffer) => void,
  refused: string,
): Promise<Socket> {
  try {
    const socket = await new WebSocketHandler(config, undefined, NOWHERE_TO).connect(path, null, (channel, data) => {
      take(channel, data);
      return true;
    });
    return socket as unknown as Socket;
  } catch (thrown) {
    const message = errorMessage(thrown);
    const status = Number(/server response: (\d{3})/.exec(message)?.[1] ?? 0);
    if (status === 401 || status === 403) throw new KubeRefusal(refused, status);
    throw new Refusal(`no way to ${to}: ${message}`, EXIT.noAnswer);
  }
}
