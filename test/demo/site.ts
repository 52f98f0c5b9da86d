/** Where the demo plays: a cluster of its own on this machine, or the one of the current kubeconfig. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { binary, type Cluster, inLan, killContainer, nodePath } from '../cluster/cluster.ts';
import { nodesOf } from '../cluster/plan.ts';
import { attempt, runAsync, until } from '../cluster/run.ts';

export interface Site {
  /** Of the machines and what is recorded of them. */
  readonly stateDirectory: string;
  readonly nodes: readonly { readonly name: string; readonly address: string }[];
  /** `repository:tag` that the nodes have or can pull. */
  readonly image: string;
  /** Begins a command line that a person can type. */
  readonly kubectl: readonly [string, ...string[]];
  readonly helm: readonly [string, ...string[]];
  /** So does `bootfarm` of a desk. */
  readonly desk: readonly [string, ...string[]];
  /** Where machines are plugged in, in this network namespace or the machine's own; undefined: nowhere from here. */
  readonly lan?: { readonly namespace?: string; readonly bridge: string };
  /** Puts files into a folder of these nodes. */
  placeFiles(folder: string, names: readonly string[], target: string, nodes: readonly string[]): Promise<void>;
  /** Where a host path of a node lies on this machine; undefined: the nodes are other machines. */
  readonly nodePath?: (node: string, path: string) => string;
  /** SIGKILL to the first process of a pod's container. */
  kill(node: string, containerId: string): Promise<void>;
}

export interface OwnSite extends Site {
  readonly cluster: Cluster;
}

export const OWN_IMAGE = 'bootfarm.local/bootfarm:dev';

const root = join(import.meta.dirname, '../..');

/** As people install it: made anew, in a second or two. What runs the sources takes as long at each start. */
function deskOf(): readonly [string, string] {
  execFileSync(process.execPath, [join(root, 'test/setup/desk.ts')], { stdio: ['ignore', 'ignore', 'inherit'] });
  return [process.execPath, join(root, '.build/desk/package/bootfarm.cjs')];
}

export function ownSite(cluster: Cluster): OwnSite {
  const enter = inLan(cluster);
  return {
    cluster,
    stateDirectory: cluster.stateDirectory,
    nodes: nodesOf(cluster).map(({ name, address }) => ({ name, address })),
    image: OWN_IMAGE,
    kubectl: [...enter, binary('kubectl'), '--kubeconfig', cluster.kubeconfig],
    helm: [...enter, binary('helm'), '--kubeconfig', cluster.kubeconfig],
    desk: [...enter, ...deskOf(), '--kubeconfig', cluster.kubeconfig],
    lan: { namespace: cluster.namespace, bridge: cluster.bridge },
    async placeFiles(folder, names, target, nodes) {
      for (const node of nodes) {
        const store = nodePath(cluster, node, target);
        mkdirSync(store, { recursive: true });
        for (const name of names) execFileSync('cp', ['--sparse=always', join(folder, name), join(store, name)]);
      }
    },
    nodePath: (node, path) => nodePath(cluster, node, path),
    kill: (node, containerId) => killContainer(cluster, node, containerId),
  };
}

interface NodeObject {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly taints?: readonly { readonly effect: string }[]; readonly unschedulable?: boolean };
  readonly status: {
    readonly addresses: readonly { readonly type: string; readonly address: string }[];
    readonly conditions: readonly { readonly type: string; readonly status: string }[];
  };
}

const HELPER_NAMESPACE = 'bootfarm-demo-helpers';
const POD_READY_MS = 120_000;

/**
 * The cluster of the current kubeconfig, with the kubectl and helm of the PATH. What is done to its nodes is done by privileged pods in a
 * namespace of their own, which `removeHelpers` ends. `bridge`: one of this machine that the nodes are connected to.
 */
export async function existingSite(stateDirectory: string, image: string, bridge: string | undefined): Promise<Site> {
  for (const program of ['kubectl', 'helm'])
    if (attempt(program, 'version', '--client') === undefined && attempt(program, 'version') === undefined)
      throw new Error(`CLUSTER=existing needs ${program} in the PATH`);
  const list: { readonly items: readonly NodeObject[] } = JSON.parse(
    await runAsync('kubectl', 'get', 'nodes', '-o', 'json'),
  );
  const nodes = list.items
    .filter(({ spec }) => !spec.unschedulable && !spec.taints?.some(({ effect }) => effect !== 'PreferNoSchedule'))
    .filter(({ status }) => status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True'))
    .map(({ metadata, status }) => ({
      name: metadata.name,
      address: status.addresses.find(({ type }) => type === 'InternalIP')?.address ?? '',
    }));
  if (nodes.length < 2)
    throw new Error(`the demo needs two Ready nodes without taints, the cluster has ${nodes.length}`);
  await prepareHelpers(
    image,
    nodes.map(({ name }) => name),
  );
  return {
    stateDirectory,
    nodes,
    image,
    kubectl: ['kubectl'],
    helm: ['helm'],
    desk: deskOf(),
    ...(bridge === undefined ? {} : { lan: { bridge } }),
    async placeFiles(folder, names, target, places) {
      for (const name of places) {
        const unpack = `mkdir -p /host${target} && tar -xf - -C /host${target}`;
        const tar = spawn('tar', ['--sparse', '-C', folder, '-cf', '-', ...names], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const exec = spawn('kubectl', ['-n', HELPER_NAMESPACE, 'exec', '-i', name, '--', 'sh', '-c', unpack], {
          stdio: [tar.stdout, 'inherit', 'inherit'],
        });
        const [code] = await once(exec, 'exit');
        if (code !== 0) throw new Error(`the files could not be put on ${name}: kubectl exec ended with ${code}`);
      }
    },
    async kill(node, containerId) {
      const id = containerId.replace(/^\w+:\/\//, '');
      const first = `for p in $(ls /proc | grep '^[0-9]*$' | sort -n); do grep -qs ${id} /proc/$p/cgroup && { kill -9 $p; exit; }; done; exit 1`;
      await runAsync('kubectl', '-n', HELPER_NAMESPACE, 'exec', node, '--', 'sh', '-c', first);
    },
  };
}

/** One pod a node, with the node's processes and its root folder below /host. */
async function prepareHelpers(image: string, nodes: readonly string[]): Promise<void> {
  const namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: HELPER_NAMESPACE, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
  };
  const pods = nodes.map((name) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: HELPER_NAMESPACE },
    spec: {
      nodeName: name,
      hostPID: true,
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'helper',
          image,
          imagePullPolicy: 'IfNotPresent',
          command: ['sleep', 'infinity'],
          securityContext: { privileged: true, runAsUser: 0, runAsNonRoot: false },
          volumeMounts: [{ name: 'host', mountPath: '/host' }],
        },
      ],
      volumes: [{ name: 'host', hostPath: { path: '/' } }],
    },
  }));
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [namespace, ...pods] });
  execFileSync('kubectl', ['apply', '-f', '-'], { input: text, stdio: ['pipe', 'ignore', 'inherit'] });
  await until(`a pod of image ${image} on ${nodes.join(', ')} (IMAGE names another)`, POD_READY_MS, () =>
    runAsync('kubectl', '-n', HELPER_NAMESPACE, 'wait', 'pod', '--all', '--for=condition=Ready', '--timeout=5s'),
  );
}

/** Files that were placed go first, from every node where a helper still is. */
export async function removeHelpers(files: readonly string[]): Promise<void> {
  const names =
    attempt('kubectl', '-n', HELPER_NAMESPACE, 'get', 'pods', '-o', 'name')?.split('\n').filter(Boolean) ?? [];
  for (const name of names)
    await runAsync(
      'kubectl',
      '-n',
      HELPER_NAMESPACE,
      'exec',
      name,
      '--',
      'rm',
      '-rf',
      ...files.map((path) => `/host${path}`),
    );
  await runAsync('kubectl', 'delete', 'namespace', HELPER_NAMESPACE, '--ignore-not-found');
}
