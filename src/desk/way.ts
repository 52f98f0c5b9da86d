/** The way to the API: through a port-forward to a copy of the operator, or to an address of its own; proved by its authority in either case. */
import { readFile } from 'node:fs/promises';
import { connect as tcpConnect } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, rootCertificates, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { Refusal } from '../terminal/refusal.ts';
import { EXIT, KubeRefusal } from './exit.ts';
import type { Kube } from './kube.ts';
import type { Place } from './place.ts';
import { type Copy, copiesOf, type PodSeen, type Release, releaseOf, SELECTOR, type ServiceSeen } from './release.ts';

export interface Way {
  /** Of the API, for messages. */
  readonly to: string;
  /** As the header Host says. */
  readonly host: string;
  /** Of the context of a kubeconfig. */
  readonly namespace?: string | undefined;
  connect(): Promise<TLSSocket>;
  /** Asked before each question: tokens end. */
  token(): Promise<string | undefined>;
}

const CONNECT_MS = 15_000;

export async function wayTo(place: Place): Promise<Way> {
  if (place.kind === 'server') return wayToServer(place);
  // The client of the Kubernetes API is loaded where it is needed alone.
  const { kubeOf } = await import('./kube.ts');
  return wayIntoCluster(kubeOf(place), place);
}

async function wayToServer({ url, tokenFile, caFile }: Extract<Place, { kind: 'server' }>): Promise<Way> {
  const own = caFile === undefined ? undefined : await file('--ca-file', caFile);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? 443 : Number(url.port);
  return {
    to: url.origin,
    host: url.host,
    token: async () => (await file('--token-file', tokenFile)).trim(),
    connect: () =>
      secure(tcpConnect({ host, port }), url.origin, {
        host,
        servername: host,
        ...(own === undefined ? {} : { ca: [...rootCertificates, own] }),
      }),
  };
}

async function file(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    throw new Refusal(`${option} ${path} cannot be read: ${errorMessage(thrown)}`);
  }
}

async function wayIntoCluster(kube: Kube, place: Extract<Place, { kind: 'cluster' }>): Promise<Way> {
  // Who has no credential is told so before anything is asked.
  await kube.identity();
  const release = await findRelease(kube, place);
  const { namespace, service } = release;
  const [ca, pods] = await Promise.all([authorityOf(kube, release), podsOf(kube, release)]);
  // Who serves is chosen by chance, so that copies share what is asked.
  let copies = shuffled(copiesOf(release, pods));
  const name = `${service}.${namespace}.svc`;
  return {
    to: `Service ${namespace}/${service} of context ${kube.context}`,
    host: name,
    namespace: kube.namespace,
    token: async () => (await kube.identity()).token,
    async connect() {
      const { cert, key } = await kube.identity();
      const options = { ca, servername: name, ...(cert && key ? { cert, key } : {}) };
      let last: unknown;
      for (const { pod, port } of copies)
        try {
          const way = `pod ${namespace}/${pod}`;
          return await secure(await kube.forward(namespace, pod, port), way, options);
        } catch (thrown) {
          if (!(thrown instanceof Refusal) || thrown.status === EXIT.notAllowed) throw thrown;
          last = thrown;
        }
      // None of those that were ready then: the next connection goes to those that are ready now.
      copies = shuffled(copiesOf(release, await podsOf(kube, release)));
      throw last;
    },
  };
}

const shuffled = (copies: readonly Copy[]): readonly Copy[] =>
  copies
    .map((copy) => ({ copy, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ copy }) => copy);

interface List<T> {
  readonly items: readonly T[];
}

/** Where a person may not look through the cluster, the namespace of the release, or the one that the README installs into, is looked through. */
async function findRelease(kube: Kube, { release }: Extract<Place, { kind: 'cluster' }>): Promise<Release> {
  const in_ = async (namespace: string): Promise<Release> => {
    const { items } = await kube.get<List<ServiceSeen>>(`/api/v1/namespaces/${namespace}/services`, {
      labelSelector: SELECTOR,
    });
    return releaseOf(items, `namespace ${namespace} of context ${kube.context} has`, release);
  };
  if (release?.namespace !== undefined) return in_(release.namespace);
  try {
    const { items } = await kube.get<List<ServiceSeen>>('/api/v1/services', { labelSelector: SELECTOR });
    return releaseOf(items, `context ${kube.context} has`, release);
  } catch (thrown) {
    if (!(thrown instanceof KubeRefusal) || thrown.httpStatus !== 403) throw thrown;
  }
  const name = release?.name ?? 'bootfarm';
  for (const namespace of new Set([name, kube.namespace ?? name]))
    try {
      return await in_(namespace);
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
    }
  throw new Refusal(
    `you may not list the Services of all namespaces of context ${kube.context}, and neither namespace ${name} nor that of the context shows you one of bootfarm: say where it is by --release NAMESPACE/NAME, have the Role of the chart bound to you there (docs/desk.md), or use --server https://HOST --token-file FILE`,
    EXIT.notAllowed,
  );
}

const podsOf = async (kube: Kube, { namespace, selector }: Release): Promise<readonly PodSeen[]> =>
  (await kube.get<List<PodSeen>>(`/api/v1/namespaces/${namespace}/pods`, { labelSelector: selector })).items;

/** Everybody whom the cluster knows may read it. */
async function authorityOf(kube: Kube, { namespace, service }: Release): Promise<string> {
  const name = `${service}-ca`;
  const { data } = await kube.get<{ readonly data?: Readonly<Record<string, string>> }>(
    `/api/v1/namespaces/${namespace}/configmaps/${name}`,
  );
  const ca = data?.['ca.crt'];
  if (ca) return ca;
  throw new Refusal(
    `ConfigMap ${namespace}/${name} has no ca.crt yet, so nothing proves the API: the operator writes it when it starts, \`kubectl logs -n ${namespace} -l ${SELECTOR}\` says why it did not`,
    EXIT.noAnswer,
  );
}

/** Nothing is said before the other end has proved who it is. */
function secure(under: Duplex, to: string, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ ...options, socket: under, minVersion: 'TLSv1.3', timeout: CONNECT_MS });
    const fail = (reason: string): void => {
      socket.destroy();
      under.destroy();
      reject(new Refusal(`${to}: ${reason}`, EXIT.noAnswer));
    };
    under.once('error', (error) => fail(errorMessage(error)));
    socket.once('timeout', () => fail(`no hand-shake within ${CONNECT_MS / 1_000} s`));
    socket.once('error', (error) => fail(unproved(error) ?? errorMessage(error)));
    socket.once('secureConnect', () => {
      socket.setTimeout(0);
      resolve(socket);
    });
  });
}

/** What a certificate lacks, in words. */
function unproved(error: Error): string | undefined {
  const code = errorCode(error);
  if (!/CERT|SIGNATURE|ALTNAME|ISSUER/.test(code)) return undefined;
  return `it does not prove to be the API (${code}: ${error.message}): with --server, its authority is --ca-file; in a cluster, the ConfigMap is of another release or was made anew, so ask again in a minute`;
}
