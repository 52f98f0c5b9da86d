/** Which bootfarm of the cluster, and which of its copies. Pure. */
import { Refusal } from '../terminal/refusal.ts';
import { EXIT } from './exit.ts';

/** As the chart labels what it makes. */
export const SELECTOR = 'app.kubernetes.io/name=bootfarm,app.kubernetes.io/component=operator';
const INSTANCE = 'app.kubernetes.io/instance';
/** The chart's name of the container's port. */
const API_PORT = 'api';

interface Meta {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly deletionTimestamp?: string;
}

/** What of a Service and of a Pod is read. */
export interface ServiceSeen {
  readonly metadata: Meta;
  readonly spec?: {
    readonly selector?: Readonly<Record<string, string>>;
    readonly ports?: readonly { readonly targetPort?: number | string }[];
  };
}
export interface PodSeen {
  readonly metadata: Meta;
  readonly spec?: {
    readonly containers?: readonly {
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** The Service of the API of one release. */
export interface Release {
  readonly namespace: string;
  /** Of the Service: RELEASE-api. Its ConfigMap is NAME-ca. */
  readonly service: string;
  readonly selector: string;
}

const isApi = ({ spec }: ServiceSeen): boolean => (spec?.ports ?? []).some(({ targetPort }) => targetPort === API_PORT);
const named = ({ metadata }: ServiceSeen): string =>
  `${metadata.namespace}/${metadata.labels?.[INSTANCE] ?? metadata.name}`;

/** `where`: what was looked through, for the message. */
export function releaseOf(
  services: readonly ServiceSeen[],
  where: string,
  wanted?: { readonly namespace?: string; readonly name: string },
): Release {
  const all = services.filter(isApi);
  const fit = all.filter(
    ({ metadata }) =>
      wanted === undefined ||
      (metadata.labels?.[INSTANCE] === wanted.name && (wanted.namespace ?? metadata.namespace) === metadata.namespace),
  );
  const [only, ...others] = fit;
  if (only && others.length === 0) {
    const { selector = {} } = only.spec ?? {};
    return {
      namespace: only.metadata.namespace,
      service: only.metadata.name,
      selector: Object.entries(selector)
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
    };
  }
  const names = (some: readonly ServiceSeen[]): string => some.map(named).sort().join(', ');
  if (only) throw new Refusal(`bootfarm is there more than once: say which by --release: ${names(fit)}`);
  if (wanted && all.length > 0)
    throw new Refusal(
      `${where} no release ${[wanted.namespace, wanted.name].filter(Boolean).join('/')}: it has ${names(all)}`,
    );
  throw new Refusal(
    `${where} no Service of an API of bootfarm (labels ${SELECTOR}): is it another cluster (--context), or api.enabled=false in the values of the chart? Where the API has an address of its own: --server https://HOST --token-file FILE`,
  );
}

/** A pod that takes questions, and the port for them. */
export interface Copy {
  readonly pod: string;
  readonly port: number;
}

/** Those that are ready, in the order given. */
export function copiesOf({ namespace, service }: Release, pods: readonly PodSeen[]): readonly Copy[] {
  const copies = pods
    .filter(({ metadata, status }) => {
      const isReady = (status?.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True');
      return isReady && metadata.deletionTimestamp === undefined;
    })
    .flatMap(({ metadata, spec }) => {
      const ports = (spec?.containers ?? []).flatMap((container) => container.ports ?? []);
      const port = ports.find(({ name }) => name === API_PORT)?.containerPort;
      return port === undefined ? [] : [{ pod: metadata.name, port }];
    });
  if (copies.length > 0) return copies;
  const there = pods.map(({ metadata }) => metadata.name).join(', ') || 'there is none';
  throw new Refusal(
    `no copy of the operator is ready behind Service ${namespace}/${service} (${there}): \`kubectl get pods -n ${namespace}\` shows why`,
    EXIT.noAnswer,
  );
}
