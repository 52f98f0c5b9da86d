/** A real Kubernetes cluster on this machine: README.md. Everything here is idempotent, and its record is the state directory alone. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { removeNamespace, runsIn } from '../setup/namespaces.ts';
import { writePauseImage } from './archive.ts';
import { makeControlGroups, removeControlGroups } from './cgroups.ts';
import { connectNodes, makeLan, namespacesOf } from './network.ts';
import { makeAuthority, makeCertificate } from './pki.ts';
import {
  type ClusterOptions,
  cniConfig,
  containerdConfig,
  corefile,
  DEFAULTS,
  kubeconfig,
  kubeletConfig,
  lanOf,
  NODE_FOLDERS,
  type Node,
  nodesOf,
  PAUSE_IMAGE,
  proxyConfig,
  runnerOf,
  SERVICES,
  SERVICES_API,
} from './plan.ts';
import { endProcesses, recordedNames, runningPid, startProcess } from './processes.ts';
import { attempt, run, runAsync, until } from './run.ts';
import { restoreSysctls, saveSysctls } from './sysctls.ts';

export interface Cluster extends ClusterOptions {
  readonly stateDirectory: string;
  /** Of an administrator. The API server is reached from `namespace` only. */
  readonly kubeconfig: string;
  /** The network namespace of the bridge, the control plane and whoever looks on. */
  readonly namespace: string;
  readonly bridge: string;
}

const VERSION = 'v1.34.4';
export const binary = (name: string): string =>
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'bootfarm', 'bin', VERSION, name);

/** What `nas.sh` builds: `mount.nfs`, `csi`. */
export const nasProgram = (name: string): string => join(import.meta.dirname, '../../.build/nas', name);

const BRIDGE = 'br0';
const READY_MS = 120_000;

const clusterOf = (stateDirectory: string, options: ClusterOptions): Cluster => ({
  ...options,
  stateDirectory,
  kubeconfig: join(stateDirectory, 'admin.kubeconfig'),
  namespace: lanOf(options),
  bridge: BRIDGE,
});

/** The cluster that was started with this state directory; undefined when there is none. */
export function openCluster(stateDirectory: string): Cluster | undefined {
  const path = join(resolve(stateDirectory), 'cluster.json');
  return existsSync(path) ? clusterOf(resolve(stateDirectory), JSON.parse(readFileSync(path, 'utf8'))) : undefined;
}

/** Starts what is not there yet and waits until every node is Ready. A cluster that lost a process, or was another, is made anew. */
export async function startCluster(
  options: Partial<ClusterOptions> & { stateDirectory: string },
  say: (line: string) => void = () => {},
): Promise<Cluster> {
  const stateDirectory = resolve(options.stateDirectory);
  const { prefix, network, nodes } = { ...DEFAULTS, ...options };
  const cluster = clusterOf(stateDirectory, { prefix, network, nodes });
  const hidden = NODE_FOLDERS.find((folder) => stateDirectory.startsWith(`${folder}/`));
  if (hidden)
    throw new Error(`state directory ${stateDirectory} is below ${hidden}, of which each node has its own: move it`);
  const before = openCluster(stateDirectory);
  if (before && JSON.stringify(before) === JSON.stringify(cluster) && allRun(cluster)) {
    say('runs already');
    return cluster;
  }
  await stopCluster(stateDirectory);
  // Before anything is recorded: what is recorded here is removed by stopCluster, and this would be somebody else's.
  if (namespacesOf(cluster).some(runsIn))
    throw new Error(
      `in namespace ${cluster.namespace} processes run: another cluster has the prefix ${prefix}; end it, or choose another prefix`,
    );
  await removeTraces(cluster); // of a run that was killed with all that it had started

  for (const folder of ['pki', 'etcd']) mkdirSync(join(stateDirectory, folder), { recursive: true });
  writeFileSync(join(stateDirectory, 'cluster.json'), JSON.stringify({ prefix, network, nodes }));
  saveSysctls(stateDirectory);
  makeLan(cluster, BRIDGE);
  connectNodes(cluster, BRIDGE);
  makeCredentials(cluster);
  writePauseImage(join(stateDirectory, 'pause.tar'), PAUSE_IMAGE);
  await Promise.all([startControlPlane(cluster), ...nodesOf(cluster).map((node) => prepareNode(cluster, node))]);
  say('the API server answers');
  for (const node of nodesOf(cluster)) startNode(cluster, node);
  startProcess(stateDirectory, 'coredns', [...inLan(cluster), binary('coredns'), '-conf', writeCorefile(cluster)]);
  await until('every node Ready', READY_MS, async () => (await readyNodes(cluster)).length === nodes.length);
  say(`${nodes.length} nodes are Ready: ${nodes.join(', ')}`);
  return cluster;
}

/** Ends every process, namespace, mount and control group of that cluster and removes its state, pods and their data. */
export async function stopCluster(stateDirectory: string): Promise<void> {
  const folder = resolve(stateDirectory);
  const cluster = openCluster(folder);
  if (!cluster) return;
  // A node is a process namespace: with its first process everything in it ends, containers and mounts too.
  await endProcesses(folder, recordedNames(folder));
  await removeTraces(cluster);
  restoreSysctls(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** What bears the cluster's prefix, once nothing runs in it; what is not there is not missed. */
async function removeTraces(cluster: Cluster): Promise<void> {
  for (const namespace of namespacesOf(cluster)) removeNamespace(namespace);
  await removeControlGroups(nodesOf(cluster).map((node) => node.netns));
}

/** Imports a docker-archive or OCI archive on every node, one after the other: the disk is one. */
export async function loadImage(cluster: Cluster, archive: string): Promise<void> {
  for (const node of nodesOf(cluster))
    await runAsync(...inNode(cluster, node.name), ...ctr(cluster, node), 'images', 'import', resolve(archive));
}

/** The same image under another name on every node, as a release would bring it. */
export async function tagImage(cluster: Cluster, image: string, as: string): Promise<void> {
  for (const node of nodesOf(cluster))
    await runAsync(...inNode(cluster, node.name), ...ctr(cluster, node), 'images', 'tag', '--force', image, as);
}

/**
 * A signal to `kubelet`, `containerd` or `kube-proxy` of a node: a stopped kubelet starts no container again, and after SIGCONT it does.
 */
export function signalNodeProcess(cluster: Cluster, node: string, name: string, signal: NodeJS.Signals): void {
  const pid = runningPid(cluster.stateDirectory, `${node}.${name}`);
  if (pid === undefined) throw new Error(`${name} of ${node} does not run`);
  process.kill(firstOf(pid), signal);
}

/** The same to a part of the control plane, such as `kube-apiserver`. */
export function signalControlPlane(cluster: Cluster, name: string, signal: NodeJS.Signals): void {
  const pid = runningPid(cluster.stateDirectory, name);
  if (pid === undefined) throw new Error(`${name} does not run`);
  process.kill(pid, signal);
}

/** SIGKILL to the first process of a container, whose id is what the pod's status says. */
export async function killContainer(cluster: Cluster, node: string, containerId: string): Promise<void> {
  await runAsync(...ctr(cluster, nodeOf(cluster, node)), 'tasks', 'kill', '--signal', 'SIGKILL', taskOf(containerId));
}

/** What a command in a container says, as `crictl exec` on its node runs it: the Kubernetes API is not asked. */
export function execInContainer(
  cluster: Cluster,
  node: string,
  containerId: string,
  ...command: readonly string[]
): Promise<string> {
  const exec = ['tasks', 'exec', '--exec-id', `by-hand-${process.pid}`, taskOf(containerId)];
  return runAsync(...inNode(cluster, node), ...ctr(cluster, nodeOf(cluster, node)), ...exec, ...command);
}

function nodeOf(cluster: Cluster, name: string): Node {
  const found = nodesOf(cluster).find((node) => node.name === name);
  if (!found) throw new Error(`there is no node ${name}`);
  return found;
}

const taskOf = (containerId: string): string => containerId.replace('containerd://', '');

/** A node's cable. Taken off the bridge, not set down: one that is cut far away is not seen at either end. */
export const cutLink = (cluster: Cluster, node: string): string =>
  run('ip', '-n', cluster.namespace, 'link', 'set', `${cluster.prefix}-${node}`, 'nomaster');
export const mendLink = (cluster: Cluster, node: string): string =>
  run('ip', '-n', cluster.namespace, 'link', 'set', `${cluster.prefix}-${node}`, 'master', cluster.bridge);

/** Where a host path of a node lies on this machine: `/srv/vdisks` of node-a is a folder of its own. */
export function nodePath(cluster: Cluster, node: string, hostPath: string): string {
  const own = NODE_FOLDERS.some((folder) => hostPath === folder || hostPath.startsWith(`${folder}/`));
  return own ? join(nodeFolder(cluster, node), 'host', hostPath) : hostPath;
}

/** What kubectl says; throws with what it complains of. */
export const kubectl = (cluster: Cluster, ...args: string[]): Promise<string> =>
  runAsync(...inLan(cluster), binary('kubectl'), '--kubeconfig', cluster.kubeconfig, ...args);

/** Before a command: runs it where the API server is reached. */
export const inLan = (cluster: Cluster): [string, ...string[]] => ['nsenter', `--net=/run/netns/${cluster.namespace}`];

/** Before a command: runs it on a node, with its processes, mounts and network. */
export function inNode(cluster: Cluster, node: string): [string, ...string[]] {
  const pid = runningPid(cluster.stateDirectory, node);
  if (pid === undefined) throw new Error(`node ${node} does not run`);
  return ['nsenter', '--target', String(firstOf(pid)), '--mount', '--uts', '--net', '--pid'];
}

/** `unshare --fork` and `nsenter --pid` stay outside; their child is the process that was meant. */
const firstOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);

const nodeFolder = (cluster: Cluster, node: string): string => join(cluster.stateDirectory, 'nodes', node);
const pkiOf = (cluster: Cluster): string => join(cluster.stateDirectory, 'pki');
const socketOf = (cluster: Cluster, node: Node): string => join(nodeFolder(cluster, node.name), 'containerd.sock');
const ctr = (cluster: Cluster, node: Node): [string, ...string[]] => [
  'ctr',
  '-a',
  socketOf(cluster, node),
  '-n',
  'k8s.io',
];

const CONTROL_PLANE = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'coredns'];
const NODE_PROCESSES = ['containerd', 'kubelet', 'kube-proxy'];

const allRun = (cluster: Cluster): boolean =>
  [
    ...CONTROL_PLANE,
    ...cluster.nodes.flatMap((node) => [node, ...NODE_PROCESSES.map((name) => `${node}.${name}`)]),
  ].every((name) => runningPid(cluster.stateDirectory, name) !== undefined);

/** Ready, and free of the taints that a new node has: pods are scheduled on it. */
async function readyNodes(cluster: Cluster): Promise<string[]> {
  const path = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status} {.spec.taints}{"\\n"}{end}';
  const lines = (await kubectl(cluster, 'get', 'nodes', '-o', `jsonpath=${path}`)).split('\n');
  return lines.filter((line) => line === 'True ');
}

function makeCredentials(cluster: Cluster): void {
  const pki = pkiOf(cluster);
  const runner = runnerOf(cluster);
  makeAuthority(pki);
  const names = `DNS:localhost,DNS:kubernetes.default.svc,IP:${runner},IP:${SERVICES_API}`;
  makeCertificate(pki, 'apiserver', '/CN=kube-apiserver', names);
  makeCertificate(pki, 'kubelet-client', '/O=system:masters/CN=kubelet-client', 'DNS:kubelet-client');
  const users = [
    ['admin', '/O=system:masters/CN=admin'],
    ['controller-manager', '/CN=system:kube-controller-manager'],
    ['scheduler', '/CN=system:kube-scheduler'],
    ['proxy', '/CN=system:kube-proxy'],
  ] as const;
  const server = `https://${runner}:6443`;
  for (const [user, subject] of users) {
    makeCertificate(pki, user, subject, `DNS:${user}`);
    writeFileSync(join(cluster.stateDirectory, `${user}.kubeconfig`), kubeconfig(server, pki, user));
  }
  for (const { name, address } of nodesOf(cluster)) {
    makeCertificate(pki, name, `/O=system:nodes/CN=system:node:${name}`, `DNS:${name},IP:${address}`);
    writeFileSync(join(cluster.stateDirectory, `${name}.kubeconfig`), kubeconfig(server, pki, name));
  }
}

async function startControlPlane(cluster: Cluster): Promise<void> {
  const { stateDirectory } = cluster;
  const pki = pkiOf(cluster);
  const runner = runnerOf(cluster);
  const start = (name: string, ...args: string[]): unknown =>
    startProcess(stateDirectory, name, [...inLan(cluster), binary(name), ...args]);
  start('etcd', '--data-dir', join(stateDirectory, 'etcd'), '--unsafe-no-fsync');
  start(
    'kube-apiserver',
    '--etcd-servers=http://127.0.0.1:2379',
    '--secure-port=6443',
    `--bind-address=${runner}`,
    `--advertise-address=${runner}`,
    `--tls-cert-file=${pki}/apiserver.crt`,
    `--tls-private-key-file=${pki}/apiserver.key`,
    `--client-ca-file=${pki}/ca.crt`,
    // Names of nodes are in no DNS: logs and exec go to their addresses.
    '--kubelet-preferred-address-types=InternalIP',
    `--kubelet-client-certificate=${pki}/kubelet-client.crt`,
    `--kubelet-client-key=${pki}/kubelet-client.key`,
    `--kubelet-certificate-authority=${pki}/ca.crt`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${pki}/sa.pub`,
    `--service-account-signing-key-file=${pki}/sa.key`,
    `--service-cluster-ip-range=${SERVICES}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
  );
  // The controller manager gives up on an API server that is not ready, and a body with "ok" is not enough: failing checks print it too.
  await until('the API server ready', READY_MS, () => kubectl(cluster, 'get', '--raw', '/readyz'));
  const common = ['--bind-address=127.0.0.1', '--leader-elect=false'];
  start(
    'kube-controller-manager',
    ...common,
    '--kubeconfig=controller-manager.kubeconfig',
    '--use-service-account-credentials',
    `--service-account-private-key-file=${pki}/sa.key`,
    `--root-ca-file=${pki}/ca.crt`,
  );
  start('kube-scheduler', ...common, '--kubeconfig=scheduler.kubeconfig');
}

/** The node's first process, which keeps its namespaces, and its containerd with the sandbox image. */
async function prepareNode(cluster: Cluster, node: Node): Promise<void> {
  const { stateDirectory } = cluster;
  const folder = nodeFolder(cluster, node.name);
  for (const path of ['cni', ...NODE_FOLDERS.map((own) => join('host', own))])
    mkdirSync(join(folder, path), { recursive: true });
  writeFileSync(join(folder, 'containerd.toml'), containerdConfig(folder));
  writeFileSync(join(folder, 'cni', '10-bootfarm.conflist'), cniConfig(node, folder));
  makeControlGroups(node.netns);
  const binds = NODE_FOLDERS.map((own) => `mount --bind '${folder}/host${own}' ${own}`);
  // What mount(8) runs for a volume of NFS: the kernel has none.
  binds.push(`mount --bind '${nasProgram('mount.nfs')}' /sbin/mount.nfs`);
  // Shared again within: what a pod mounts with Bidirectional propagation reaches the node's other pods, and never this machine.
  // SIGCHLD is ignored, so that the kernel reaps the orphans that containerd leaves to the first process.
  const script = [...binds, 'mount --make-rshared /', `hostname ${node.name}`, "trap '' CHLD", 'exec sleep infinity'];
  const unshare = ['unshare', '--mount', '--propagation=private', '--uts', '--pid', '--fork', '--mount-proc'];
  startProcess(stateDirectory, node.name, [
    ...['nsenter', `--net=/run/netns/${node.netns}`, ...unshare, '--kill-child', 'sh', '-ec', script.join('\n')],
  ]);
  await until(`${node.name} set up`, READY_MS, () => attempt(...inNode(cluster, node.name), 'pgrep', '-x', 'sleep'));
  const containerd = ['containerd', '-c', join(folder, 'containerd.toml')];
  startProcess(stateDirectory, `${node.name}.containerd`, [...inNode(cluster, node.name), ...containerd]);
  await until(`containerd of ${node.name}`, READY_MS, () => attempt('ctr', '-a', socketOf(cluster, node), 'version'));
  const pause = join(stateDirectory, 'pause.tar');
  await runAsync(...inNode(cluster, node.name), ...ctr(cluster, node), 'images', 'import', pause);
}

function startNode(cluster: Cluster, node: Node): void {
  const { stateDirectory } = cluster;
  const folder = nodeFolder(cluster, node.name);
  const kubelet = join(folder, 'kubelet.json');
  const proxy = join(folder, 'kube-proxy.json');
  writeFileSync(kubelet, kubeletConfig(node, folder, pkiOf(cluster), runnerOf(cluster)));
  writeFileSync(proxy, proxyConfig(node, join(stateDirectory, 'proxy.kubeconfig')));
  const start = (name: string, ...args: string[]): unknown =>
    startProcess(stateDirectory, `${node.name}.${name}`, [...inNode(cluster, node.name), binary(name), ...args]);
  const credentials = `--kubeconfig=${join(stateDirectory, `${node.name}.kubeconfig`)}`;
  start('kubelet', `--config=${kubelet}`, credentials, `--hostname-override=${node.name}`, `--node-ip=${node.address}`);
  start('kube-proxy', `--config=${proxy}`);
}

function writeCorefile(cluster: Cluster): string {
  const path = join(cluster.stateDirectory, 'Corefile');
  writeFileSync(path, corefile(runnerOf(cluster), cluster.kubeconfig));
  return path;
}
