/** Names and labels of what the operator makes. */
import { createHash } from 'node:crypto';
import type { KubeObject } from '../kube/object.ts';

export const FARM_LABEL = 'bootfarm.io/farm';
export const POOL_LABEL = 'bootfarm.io/pool';
/** A node's name may be longer than a label: it is an annotation. */
export const NODE_ANNOTATION = 'bootfarm.io/node';
/** Of the mount pod of a store: a server is told by the other one. */
export const MOUNT_NODE_ANNOTATION = 'bootfarm.io/mount-node';
export const HASH_ANNOTATION = 'bootfarm.io/settings';

/** Of a server's pod: the name of its Deployment. */
export const INSTANCE_LABEL = 'app.kubernetes.io/instance';
export const COMPONENT_LABEL = 'app.kubernetes.io/component';

const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'bootfarm' };

/** Ours, and not a person's object of the same name. */
export const isManaged = ({ metadata }: KubeObject): boolean =>
  Object.entries(MANAGED_BY).every(([label, value]) => metadata.labels?.[label] === value);

export const labelsOf = (farm: string, component: string): Record<string, string> => ({
  ...MANAGED_BY,
  [COMPONENT_LABEL]: component,
  [FARM_LABEL]: farm,
});

export const databaseName = (farm: string): string => `${farm}-database`;
export const replicaName = (farm: string): string => `${farm}-replica`;
export const keysName = (farm: string): string => `${farm}-keys`;
export const authorityName = (farm: string): string => `${farm}-ca`;
export const recoveryName = (farm: string): string => `${farm}-recovery`;
export const operatorTlsName = (farm: string): string => `${farm}-operator-tls`;

const MAX_NAME = 52;

/** Of the Secret of a server: no pool and node together make the name of another Secret, of a farm or of a person. */
export const serverSecretName = (server: string): string => `bootfarm-server-${server}`;

/**
 * Of the Deployment of one server: readable where it fits, and always different for different pools and nodes. Only a pool whose own name has no dash
 * is told from the node by the first one.
 */
export function serverName(pool: string, node: string): string {
  const name = `${pool}-${node}`.replaceAll('.', '-');
  if (name.length <= MAX_NAME && !/[-.]/.test(pool) && !node.includes('.')) return name;
  return `${name.slice(0, MAX_NAME - 9).replace(/-+$/, '')}-${createHash('sha256').update(`${pool}/${node}`).digest('hex').slice(0, 8)}`;
}

/** Of the Deployment of a store's mount pod on a node: with a digest always, so that it is the name of no server. */
export function mountName(store: string, node: string): string {
  const digest = createHash('sha256').update(`${store}/${node}`).digest('hex').slice(0, 8);
  const name = `mount-${store}-${node}`.replaceAll('.', '-').slice(0, MAX_NAME - 9);
  return `${name.replace(/-+$/, '')}-${digest}`;
}
