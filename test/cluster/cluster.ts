/**
 * A real Kubernetes cluster on one machine, without Docker: each node is a network namespace and a mount namespace of its own, on one bridge.
 *
 *   lan namespace: bridge br0 .1, etcd, API server, controller manager, scheduler, CoreDNS, and whoever runs in it (kubectl, the tests)
 *      ├── node-a .11: containerd, kubelet, kube-proxy; its own /srv and /var/lib/bootfarm
 *      ├── node-b .12 …
 *      └── dhcp .2: a plain DHCP server for machines on the bridge (startDhcp)
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePauseImage } from './archive.ts';
import { makeAuthority, makeCertificate } from './pki.ts';
import {
  BRIDGE,
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
} from './plan.ts';
import { endProcesses, logPath, recordedNames, runningPid, startProcess } from './processes.ts';
import { attempt, run, runAsync, until } from './run.ts';

export interface Cluster {
  readonly folder: string;
  readonly options: ClusterOptions;
  readonly kubeconfig: string;
}

const KUBERNETES = 'v1.34.4';
export const binaries = (): string =>
  join(process.env['XDG_CACHE_HOME'] ?? join(process.env['HOME'] ?? '/root', '.cache'), 'bootfarm/bin', KUBERNETES);
const bin = (name: string): string => join(binaries(), name);

const CGROUPS = '/sys/fs/cgroup';
const CONTROLLERS = ['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio', 'pids', 'systemd'];

export const inNamespace = (netns: string): string[] => ['nsenter', `--net=/run/netns/${netns}`];
/** A command in the lan namespace, where the API server is reached. */
export const inLan = (cluster: Cluster): string[] => inNamespace(lanOf(cluster.options));

export const kubectl = (cluster: Cluster, ...args: string[]): Promise<string> => {
  const [program = '', ...rest] = [...inLan(cluster), bin('kubectl'), '--kubeconfig', cluster.kubeconfig, ...args];
  return runAsync(program, ...rest);
};

/** Where the runner sees a folder of a node: nodes share this machine's disk, but not these folders. */
export const nodePath = (cluster: Cluster, node: string, path: string): string =>
  join(cluster.folder, node, 'root', path);

const clusterOf = (folder: string, options: ClusterOptions): Cluster => ({
  folder,
  options,
  kubeconfig: join(folder, 'admin.kubeconfig'),
});

/** What a folder holds; undefined when no cluster was started in it. */
export function findCluster(folder: string): Cluster | undefined {
  const path = join(folder, 'cluster.json');
  return existsSync(path) ? clusterOf(folder, JSON.parse(readFileSync(path, 'utf8'))) : undefined;
}

/** Idempotent: what runs is left alone. Resolves when every node is Ready. */
export async function startCluster(
  folder: string,
  options: ClusterOptions = DEFAULTS,
  say: (line: string) => void = () => {},
): Promise<Cluster> {
  const cluster = clusterOf(folder, options);
  if (findCluster(folder) && runningPid(folder, 'kube-apiserver') !== undefined) {
    say('the cluster runs already');
    return cluster;
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cluster.json'), JSON.stringify(options));
  makeLan(cluster);
  makeKeys(cluster);
  await startControlPlane(cluster);
  say('the API server answers');
  for (const node of nodesOf(options)) await startNode(cluster, node);
  await until('every node is Ready', 90_000, async () => {
    const ready = await kubectl(
      cluster,
      'get',
      'nodes',
      '-o',
      'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}',
    );
    return ready.split(' ').filter((status) => status === 'True').length === options.nodes.length;
  });
  say(`${options.nodes.length} nodes are Ready`);
  return cluster;
}

function makeLan({ options }: Cluster): void {
  const lan = lanOf(options);
  run('ip', 'netns', 'add', lan);
  run('ip', '-n', lan, 'link', 'set', 'lo', 'up');
  run('ip', '-n', lan, 'link', 'add', BRIDGE, 'type', 'bridge');
  run('ip', '-n', lan, 'addr', 'add', `${runnerOf(options)}/24`, 'dev', BRIDGE);
  run('ip', '-n', lan, 'link', 'set', BRIDGE, 'up');
  run('nsenter', `--net=/run/netns/${lan}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
}

function makeKeys({ folder, options, kubeconfig: admin }: Cluster): void {
  const pki = join(folder, 'pki');
  const server = `https://${runnerOf(options)}:6443`;
  mkdirSync(pki, { recursive: true });
  makeAuthority(pki);
  makeCertificate(
    pki,
    'apiserver',
    '/CN=kube-apiserver',
    `DNS:localhost,DNS:kubernetes.default.svc,IP:${runnerOf(options)},IP:10.96.0.1`,
  );
  makeCertificate(pki, 'kubelet-client', '/O=system:masters/CN=kubelet-client', 'DNS:kubelet-client');
  const users = {
    admin: '/O=system:masters/CN=admin',
    'controller-manager': '/CN=system:kube-controller-manager',
    scheduler: '/CN=system:kube-scheduler',
    proxy: '/CN=system:kube-proxy',
  };
  for (const [user, subject] of Object.entries(users)) {
    makeCertificate(pki, user, subject, `DNS:${user}`);
    writeFileSync(user === 'admin' ? admin : join(folder, `${user}.kubeconfig`), kubeconfig(server, pki, user));
  }
  for (const node of nodesOf(options)) {
    makeCertificate(
      pki,
      node.name,
      `/O=system:nodes/CN=system:node:${node.name}`,
      `DNS:${node.name},IP:${node.address}`,
    );
    writeFileSync(join(folder, `${node.name}.kubeconfig`), kubeconfig(server, pki, node.name));
  }
}

async function startControlPlane(cluster: Cluster): Promise<void> {
  const { folder, options } = cluster;
  const address = runnerOf(options);
  const pki = (name: string): string => join(folder, 'pki', name);
  const start = (name: string, ...args: string[]): void => {
    startProcess(folder, name, [...inLan(cluster), bin(name), ...args]);
  };
  start('etcd', '--data-dir', join(folder, 'etcd'), '--unsafe-no-fsync');
  start(
    'kube-apiserver',
    '--etcd-servers=http://127.0.0.1:2379',
    '--secure-port=6443',
    `--bind-address=${address}`,
    `--advertise-address=${address}`,
    `--tls-cert-file=${pki('apiserver.crt')}`,
    `--tls-private-key-file=${pki('apiserver.key')}`,
    `--client-ca-file=${pki('ca.crt')}`,
    '--kubelet-preferred-address-types=InternalIP', // or logs and exec look the node's name up in DNS
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${pki('sa.pub')}`,
    `--service-account-signing-key-file=${pki('sa.key')}`,
    `--service-cluster-ip-range=${SERVICES}`,
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    '--enable-admission-plugins=NodeRestriction',
    `--kubelet-client-certificate=${pki('kubelet-client.crt')}`,
    `--kubelet-client-key=${pki('kubelet-client.key')}`,
    `--kubelet-certificate-authority=${pki('ca.crt')}`,
  );
  // The controller manager ends when it comes before /readyz says ok.
  await until(
    'the API server is ready',
    60_000,
    async () => (await kubectl(cluster, 'get', '--raw', '/readyz')) === 'ok',
  );
  start(
    'kube-controller-manager',
    `--kubeconfig=${join(folder, 'controller-manager.kubeconfig')}`,
    '--use-service-account-credentials',
    `--service-account-private-key-file=${pki('sa.key')}`,
    `--root-ca-file=${pki('ca.crt')}`,
    '--bind-address=127.0.0.1',
    '--leader-elect=false',
  );
  start(
    'kube-scheduler',
    `--kubeconfig=${join(folder, 'scheduler.kubeconfig')}`,
    '--bind-address=127.0.0.1',
    '--leader-elect=false',
  );
  writeFileSync(join(folder, 'Corefile'), corefile(address, cluster.kubeconfig));
  start('coredns', '-conf', join(folder, 'Corefile'));
  writePauseImage(join(folder, 'pause.tar'), PAUSE_IMAGE);
}

async function startNode(cluster: Cluster, node: Node): Promise<void> {
  const { folder, options } = cluster;
  const own = join(folder, node.name);
  const lan = lanOf(options);
  for (const name of ['cni', 'kubelet', 'containerd']) mkdirSync(join(own, name), { recursive: true });
  connectNode(node, lan, runnerOf(options));

  // The holder keeps the mount namespace; everything of the node runs inside it.
  const holder = startProcess(folder, `${node.name}.holder`, [
    ...inNamespace(node.netns),
    ...['unshare', '--mount', '--propagation', 'slave', 'sleep', 'infinity'],
  ]);
  const inside = ['nsenter', `--mount=/proc/${holder}/ns/mnt`, `--net=/run/netns/${node.netns}`];
  const [enter = '', ...entering] = inside;
  await until(
    `${node.name} has a mount namespace`,
    5_000,
    () => mountNamespace(holder) !== mountNamespace(process.pid),
  );
  for (const path of NODE_FOLDERS) {
    mkdirSync(join(own, 'root', path), { recursive: true });
    if (!existsSync(path)) makePlaceholder(folder, path);
    run(enter, ...entering, 'mount', '--bind', join(own, 'root', path), path);
  }
  run(enter, ...entering, 'mount', '--bind', own, own);
  run(enter, ...entering, 'mount', '--make-rshared', own); // Bidirectional propagation needs it

  writeFileSync(join(own, 'containerd.toml'), containerdConfig(own));
  writeFileSync(join(own, 'cni/10-bootfarm.conflist'), cniConfig(node, own));
  writeFileSync(join(own, 'kubelet.json'), kubeletConfig(node, own, join(folder, 'pki'), runnerOf(options)));
  writeFileSync(join(own, 'proxy.json'), proxyConfig(node, join(folder, 'proxy.kubeconfig')));
  makeCgroups(node);
  startProcess(folder, `${node.name}.containerd`, [...inside, 'containerd', '-c', join(own, 'containerd.toml')]);
  await until(`containerd of ${node.name} answers`, 20_000, () =>
    runAsync('ctr', '-a', join(own, 'containerd.sock'), 'version'),
  );
  await importImage(cluster, node, join(folder, 'pause.tar'));
  startProcess(folder, `${node.name}.kubelet`, [
    ...inside,
    bin('kubelet'),
    `--config=${join(own, 'kubelet.json')}`,
    `--kubeconfig=${join(folder, `${node.name}.kubeconfig`)}`,
    `--hostname-override=${node.name}`,
    `--root-dir=${join(own, 'kubelet')}`,
    `--node-ip=${node.address}`,
  ]);
  startProcess(folder, `${node.name}.kube-proxy`, [
    ...inside,
    bin('kube-proxy'),
    `--config=${join(own, 'proxy.json')}`,
  ]);
}

const mountNamespace = (pid: number): string => run('readlink', `/proc/${pid}/ns/mnt`);

function connectNode(node: Node, lan: string, gateway: string): void {
  run('ip', 'netns', 'add', node.netns);
  run('ip', '-n', node.netns, 'link', 'set', 'lo', 'up');
  run('ip', '-n', lan, 'link', 'add', node.port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', node.netns);
  run('ip', '-n', lan, 'link', 'set', node.port, 'master', BRIDGE, 'up');
  run('ip', '-n', node.netns, 'addr', 'add', `${node.address}/24`, 'dev', 'eth0');
  run('ip', '-n', node.netns, 'link', 'set', 'eth0', 'up');
  run('ip', '-n', node.netns, 'route', 'add', 'default', 'via', gateway);
  run('ip', '-n', lan, 'route', 'add', `${node.pods}.0/24`, 'via', node.address); // pods of one node to those of another: by way of the lan
  run('nsenter', `--net=/run/netns/${node.netns}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
}

/** A mount needs a folder below it; what was not there before is noted, and goes with the cluster. */
function makePlaceholder(folder: string, path: string): void {
  mkdirSync(path);
  const note = join(folder, 'placeholders.json');
  const made: string[] = existsSync(note) ? JSON.parse(readFileSync(note, 'utf8')) : [];
  writeFileSync(note, JSON.stringify([...made, path]));
}

/** cgroup v1: the kubelet wants its root in every hierarchy, and a cpuset is filled in by hand. */
function makeCgroups(node: Node): void {
  for (const controller of CONTROLLERS)
    if (existsSync(join(CGROUPS, controller))) mkdirSync(join(CGROUPS, controller, node.netns), { recursive: true });
  for (const file of ['cpuset.cpus', 'cpuset.mems'])
    writeFileSync(join(CGROUPS, 'cpuset', node.netns, file), readFileSync(join(CGROUPS, 'cpuset', file)));
}

async function importImage(cluster: Cluster, node: Node, archive: string): Promise<void> {
  await runAsync(
    'ctr',
    '-a',
    join(cluster.folder, node.name, 'containerd.sock'),
    '-n',
    'k8s.io',
    'images',
    'import',
    archive,
  );
}

/** Imports a docker-archive into every node. */
export async function loadImage(cluster: Cluster, archive: string): Promise<void> {
  for (const node of nodesOf(cluster.options)) await importImage(cluster, node, archive);
}

/**
 * A DHCP server that knows nothing of boot, in a namespace of its own on the bridge, as a site has one. It sends IPv6 router
 * advertisements, too: without them iPXE waits 16 s at each stage.
 */
export async function startDhcp(cluster: Cluster): Promise<void> {
  const { folder, options } = cluster;
  const netns = `${options.prefix}-dhcp`;
  if (runningPid(folder, 'dnsmasq') !== undefined) return;
  const lan = lanOf(options);
  const port = `${options.prefix}vdhcp`;
  run('ip', 'netns', 'add', netns);
  run('ip', '-n', lan, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns);
  run('ip', '-n', lan, 'link', 'set', port, 'master', BRIDGE, 'up');
  run('ip', '-n', netns, 'addr', 'add', `${options.network}.2/24`, 'dev', 'eth0');
  run('ip', '-n', netns, 'addr', 'add', 'fd00:77::2/64', 'dev', 'eth0', 'nodad');
  run('ip', '-n', netns, 'link', 'set', 'eth0', 'up');
  const lines = [
    'interface=eth0',
    'bind-dynamic',
    'port=0',
    `dhcp-range=${options.network}.100,${options.network}.199,1h`,
    `dhcp-option=option:router,${runnerOf(options)}`,
    'enable-ra',
    'dhcp-range=fd00:77::100,fd00:77::1ff,slaac,64,1h',
    `dhcp-leasefile=${join(folder, 'dnsmasq.leases')}`,
    'log-dhcp',
  ];
  writeFileSync(join(folder, 'dnsmasq.conf'), `${lines.join('\n')}\n`);
  startProcess(folder, 'dnsmasq', [
    ...inNamespace(netns),
    'dnsmasq',
    '--keep-in-foreground',
    '--log-facility=-',
    `--conf-file=${join(folder, 'dnsmasq.conf')}`,
  ]);
  await until('the DHCP server is ready', 5_000, () =>
    /DHCP, IP range/.test(readFileSync(logPath(folder, 'dnsmasq'), 'utf8')),
  );
}

/** Ends everything that was started in the folder and removes every trace, the folder included. Nothing there is fine. */
export async function stopCluster(folder: string): Promise<void> {
  const cluster = findCluster(folder);
  if (!cluster) return;
  const nodes = nodesOf(cluster.options);
  await endProcesses(
    folder,
    nodes.map(({ name }) => `${name}.kubelet`),
  );
  for (const node of nodes) await endContainers(join(folder, node.name, 'containerd.sock'));
  const holders = nodes.map(({ name }) => `${name}.holder`);
  await endProcesses(
    folder,
    recordedNames(folder).filter((name) => !holders.includes(name)),
  );
  await endShims(folder);
  await endProcesses(folder, holders); // the mount namespaces go with them, and every mount inside
  for (const netns of [...nodes.map((node) => node.netns), `${cluster.options.prefix}-dhcp`, lanOf(cluster.options)])
    attempt('ip', 'netns', 'del', netns);
  for (const node of nodes) await removeCgroups(node);
  const note = join(folder, 'placeholders.json');
  if (existsSync(note))
    for (const path of (JSON.parse(readFileSync(note, 'utf8')) as string[]).reverse()) rmdirSync(path);
  rmSync(folder, { recursive: true, force: true });
}

async function endContainers(socket: string): Promise<void> {
  const ctr = (...args: string[]): string[] =>
    (attempt('ctr', '-a', socket, '-n', 'k8s.io', ...args) ?? '').split('\n').filter(Boolean);
  for (const task of ctr('tasks', 'ls', '-q')) ctr('tasks', 'kill', '-s', 'KILL', task);
  await until('containers have ended', 10_000, () => {
    for (const task of ctr('tasks', 'ls', '-q')) ctr('tasks', 'rm', '-f', task);
    return ctr('tasks', 'ls', '-q').length === 0;
  }).catch(() => {}); // their shims are ended below
}

/** containerd's shims outlive it; they are known by the socket of our containerd on their command line. */
async function endShims(folder: string): Promise<void> {
  const shims = (): number[] =>
    (attempt('ps', '-eo', 'pid=,args=') ?? '')
      .split('\n')
      .filter((line) => line.includes('containerd-shim') && line.includes(folder))
      .map((line) => Number.parseInt(line, 10));
  for (const pid of shims()) process.kill(pid, 'SIGKILL');
  await until('shims have ended', 5_000, () => shims().length === 0);
}

async function removeCgroups(node: Node): Promise<void> {
  const roots = [...CONTROLLERS, 'unified']
    .map((controller) => join(CGROUPS, controller, node.netns))
    .filter(existsSync);
  if (roots.length === 0) return;
  await until(`cgroups of ${node.name} are empty`, 5_000, () => {
    attempt('find', ...roots, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';');
    return !roots.some(existsSync);
  });
}
