/** A command in the pod of a server, by the kubeconfig. */
import { Refusal } from '../terminal/refusal.ts';
import type { Streams } from './exec.ts';
import { EXIT } from './exit.ts';
import type { Kube } from './kube.ts';

export interface ServerAt {
  readonly namespace: string;
  readonly pool: string;
  /** Its node. */
  readonly server: string;
}

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status?: {
    readonly containerStatuses?: readonly { readonly name: string; readonly state?: { readonly running?: object } }[];
  };
}

/** It may write to the stores of its server. */
const CONTAINER = 'work';

export async function runInServer(
  kube: Kube,
  { namespace, pool, server }: ServerAt,
  command: readonly string[],
  streams: Streams,
): Promise<number> {
  const { items } = await kube.get<{ readonly items: readonly Pod[] }>(`/api/v1/namespaces/${namespace}/pods`, {
    labelSelector: `bootfarm.io/pool=${pool}`,
    fieldSelector: `spec.nodeName=${server}`,
  });
  const running = items.find(
    ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined &&
      status?.containerStatuses?.some(({ name, state }) => name === CONTAINER && state?.running),
  );
  if (!running)
    throw new Refusal(
      `server ${server} runs no container ${CONTAINER} now: look at \`kubectl get pods -n ${namespace} -l bootfarm.io/pool=${pool}\``,
      EXIT.noAnswer,
    );
  return kube.exec({ namespace, pod: running.metadata.name, container: CONTAINER }, command, streams);
}
