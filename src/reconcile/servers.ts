/** The servers that should be there: each Deployment of a pool is the record of one. */
import type { V1Deployment } from '@kubernetes/client-node';
import type { KubeObject } from '../kube/object.ts';
import type { Live } from '../kube/wire.ts';
import type { WantedServer } from '../operator/poller.ts';
import type { Farm, StreamingServer } from '../resources/kinds.ts';
import { type Context, ofFarm, resources } from './context.ts';
import { FARM_LABEL, NODE_ANNOTATION, POOL_LABEL } from './names.ts';
import { siteOf } from './projection.ts';

type Seeing = Pick<Context, 'informers'>;

export const nodeOf = ({ metadata }: KubeObject): string => metadata.annotations?.[NODE_ANNOTATION] ?? '';

/** Deployments of a farm's servers in its namespace; of one pool, when it is named. */
export const serverDeployments = (
  { informers }: Seeing,
  namespace: string,
  farm: string,
  pool?: string,
): readonly Live<V1Deployment>[] =>
  informers.deployments
    .list()
    .filter(({ metadata }) => metadata.namespace === namespace && metadata.labels?.[FARM_LABEL] === farm)
    .filter((deployment) => nodeOf(deployment) !== '')
    .filter(({ metadata }) => pool === undefined || metadata.labels?.[POOL_LABEL] === pool);

/** Servers of other farms, as far as this operator sees them: by node, whose. */
export const strangersOn = ({ informers }: Seeing, namespace: string, farm: string): ReadonlyMap<string, string> =>
  new Map(
    informers.deployments
      .list()
      .filter((deployment) => nodeOf(deployment) !== '')
      .filter(({ metadata }) => metadata.namespace !== namespace || metadata.labels?.[FARM_LABEL] !== farm)
      .map((deployment) => [
        nodeOf(deployment),
        `Farm ${deployment.metadata.namespace}/${deployment.metadata.labels?.[FARM_LABEL] ?? ''}`,
      ]),
  );

/**
 * Pools that choose a node at the same moment cannot know of each other, and a node has room for one server of a farm: who made its Deployment
 * first has it. By node.
 */
export function holders(deployments: readonly KubeObject[]): ReadonlyMap<string, KubeObject> {
  const age = ({ metadata }: KubeObject): string => `${metadata.creationTimestamp} ${metadata.name}`;
  const oldestLast = deployments
    .filter(({ metadata }) => !metadata.deletionTimestamp)
    .sort((a, b) => (age(a) < age(b) ? 1 : -1));
  return new Map(oldestLast.map((found) => [nodeOf(found), found]));
}

/** A node's own address in the cluster: there a server's control port is, whatever network it serves on. */
function addressOfNode({ informers }: Seeing, name: string): string {
  return informers.nodes.get(name)?.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
}

/** By name. */
export function serversOfFarm(context: Seeing, farm: Farm): readonly WantedServer[] {
  const { name, namespace } = farm.metadata;
  const pools = new Map<string, StreamingServer>(
    resources('StreamingServer', context.informers.pools, namespace)
      .filter(ofFarm(name))
      .map((pool) => [pool.metadata.name, pool]),
  );
  const there = [...holders(serverDeployments(context, namespace, name)).values()];
  there.sort((a, b) => (nodeOf(a) < nodeOf(b) ? -1 : 1));
  return there.flatMap((deployment) => {
    const pool = pools.get(deployment.metadata.labels?.[POOL_LABEL] ?? '');
    const site = pool && siteOf(farm.spec, pool.spec.site);
    if (!pool || site === undefined) return [];
    const node = nodeOf(deployment);
    return [
      {
        name: node,
        pool: pool.metadata.name,
        site,
        address: addressOfNode(context, node),
        controlPort: pool.spec.ports.control,
      },
    ];
  });
}
