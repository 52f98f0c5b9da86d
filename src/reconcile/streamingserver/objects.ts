/** One server as objects of the Kubernetes API: a Secret with all that it is told, and its Deployment. Pure. */
import { createHash } from 'node:crypto';
import type {
  V1Container,
  V1ContainerPort,
  V1Deployment,
  V1Probe,
  V1ResourceRequirements,
  V1SecurityContext,
  V1Toleration,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';
import { type ServerConfig, SHARED_FOLDERS } from '../../control/config.ts';
import { SHARED_STORES } from '../../farm/shared.ts';
import { secondsOf } from '../../kit/units.ts';
import type { Wire } from '../../kube/wire.ts';
import type { StreamingServer } from '../../resources/kinds.ts';
import { requirementsOf } from '../../resources/units.ts';
import {
  HASH_ANNOTATION,
  INSTANCE_LABEL,
  keysName,
  labelsOf,
  NODE_ANNOTATION,
  POOL_LABEL,
  serverName,
  serverSecretName,
} from '../names.ts';

/** Beyond the drain: BYE, the journal, the end of the process. */
const GRACE_BEYOND_DRAIN_SECONDS = 15;
/** What only the environment of a process can say to Node and to the C library. */
export const PROCESS_ENV: Readonly<Record<string, string>> = {
  /** Shared by folders (`kit/threads.ts`): Node's own four would all wait with one store that hangs, and with them the files of every other. A thread that waits is 20 KiB. */
  UV_THREADPOOL_SIZE: '64',
  /**
   * What was read for machines goes back to the kernel (glibc keeps it otherwise), and what Node reads packets into, 64 KiB each, is not asked of the kernel for
   * each: 5.9 us of the main thread a UDP packet at a threshold of 64 KiB, 4.9 above it, 3.8 where 16 MiB are kept. V8's young generation stays
   * small: it would grow to 50 MiB and more. RSS under `make attack`, MiB: 200 in peace, 390 under all attacks at once.
   */
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: String(68 << 10),
  MALLOC_TRIM_THRESHOLD_: String(16 << 20),
  NODE_OPTIONS: '--max-semi-space-size=8',
};
const CONFIG = '/etc/bootfarm';
/** Where the server's Secret is mounted. */
export const SERVER_SECRETS = `${CONFIG}/server`;
/** Where what the container `work` needs of it is. */
const WORK_SECRETS = `${CONFIG}/work`;
export const DATABASE_CA_FILE = `${SERVER_SECRETS}/database-ca.crt`;
const DATABASE_URI_FILE = `${SERVER_SECRETS}/database-uri`;
const RUN = '/run/bootfarm';

export interface ServerPlan {
  readonly pool: StreamingServer;
  readonly farm: string;
  /** Of the farm's keys. */
  readonly lineage: string;
  readonly site: string;
  readonly node: string;
  readonly image: string;
  readonly release: string;
  readonly httpPort: number;
  /** Where the pool names none. */
  readonly priorityClassName?: string;
}

export const drainSeconds = ({ spec }: StreamingServer): number => secondsOf(spec.drain.timeout);

export function serverConfig({ pool, farm, lineage, site, node, httpPort }: ServerPlan): ServerConfig {
  const { spec, metadata } = pool;
  return {
    name: node,
    farm,
    site,
    pool: metadata.name,
    ...networkOf(pool),
    powerRating: spec.nodes.find(({ name }) => name === node)?.powerRating ?? spec.powerRating,
    limits: spec.limits,
    drainTimeoutSeconds: drainSeconds(pool),
    storeRoots: spec.storeRoots,
    lineage,
    stateDirectory: stateFolder(pool, lineage),
    ports: portsOf(pool, httpPort),
    replicaSocket: `${RUN}/redis.sock`,
    databaseUriFile: DATABASE_URI_FILE,
    keysDirectory: `${CONFIG}/keys`,
    tlsDirectory: SERVER_SECRETS,
    logLevel: spec.logLevel,
  };
}

function networkOf({ spec: { network } }: StreamingServer): Pick<ServerConfig, 'interface' | 'cidrs'> {
  if (network?.interface !== undefined) return { interface: network.interface };
  return network?.cidrs === undefined ? {} : { cidrs: network.cidrs };
}

/**
 * Of this pool alone, and of the farm that has these keys: pools of other farms, and a database, may lie beside it on the node, and so does what a pool of
 * this name kept for a farm that is gone. Nobody reads that.
 */
const stateFolder = (pool: StreamingServer, lineage: string): string =>
  `${pool.spec.stateDirectory}/${pool.metadata.namespace}/${pool.metadata.name}.${lineage}`;

/** Where jobs are kept: what a server tells of (`server/work.ts`). */
const jobsFolder = (pool: StreamingServer, lineage: string): string =>
  `${stateFolder(pool, lineage)}/${SHARED_FOLDERS.jobs}`;

/** What the server writes and its container `work` reads, below the state folder: which files it wants, and the chunk manifests of those it has. */
const TOLD_FOLDERS = [SHARED_FOLDERS.wants, SHARED_FOLDERS.chunks] as const;

/**
 * Where mount pods show the volumes of shared stores on the node: beside the state, which is mounted into the server without propagation and would hold on to
 * each that was there when the server started.
 */
export const sharedFolder = (pool: StreamingServer, lineage: string): string => `${stateFolder(pool, lineage)}.stores`;

/** Read-only to both: a volume that is mounted below is as its mount pod mounted it, and what is mounted nowhere is not written either. */
const SHARED_MOUNT = { mountPath: SHARED_STORES, readOnly: true, mountPropagation: 'HostToContainer' } as const;

/** The folders of a node that its servers see, whatever the lineage. */
export const mountedFolders = (pool: StreamingServer): readonly string[] => [
  ...pool.spec.storeRoots,
  stateFolder(pool, ''),
];

const portsOf = ({ spec }: StreamingServer, http: number) => ({
  stream: spec.ports.stream,
  http,
  control: spec.ports.control,
  telemetry: spec.ports.telemetry,
  dhcp: 67,
  pxe: 4011,
  tftp: 69,
});

/**
 * What a new start of the server takes up. Its certificate is read again by it, so it is not in it; whom it believes is, whoever signs first,
 * because its follower reads that, and its own certificate, at its start alone.
 */
export const settingsHash = (parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);

const selector = (pool: string, farm: string, name: string): Record<string, string> => ({
  ...labelsOf(farm, 'server'),
  [POOL_LABEL]: pool,
  [INSTANCE_LABEL]: name,
});

const CONTAINER: Wire<V1SecurityContext> = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsUser: 0,
  runAsNonRoot: false,
};

/**
 * uid 0 without its powers: ports below 1024, and files of a store that belong to somebody else. Stores are mounted read-only, so it may read
 * them and not write. Not DAC_READ_SEARCH, which looks like less: it opens any file of the node's file system by its handle.
 */
const SERVER_SECURITY: Wire<V1SecurityContext> = {
  ...CONTAINER,
  capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE', 'DAC_OVERRIDE'] },
};
/** It may write to stores and keeps jobs: no port is open in it, and nobody on the network says a word to it. */
const WORK_SECURITY: Wire<V1SecurityContext> = { ...CONTAINER, capabilities: { drop: ['ALL'], add: ['DAC_OVERRIDE'] } };
const FOLLOWER_SECURITY: Wire<V1SecurityContext> = { ...CONTAINER, capabilities: { drop: ['ALL'] } };

/**
 * What the scheduler keeps free where the resource says nothing, so that a pod is not the first to go when its node is short of memory.
 * Measured: 133 MiB a server's process with all it loads, 8 MiB a Redis with 2,000 devices; thousands of sessions are for who runs them to say.
 */
const DEFAULT_RESOURCES: Wire<V1ResourceRequirements> = { requests: { cpu: '100m', memory: '192Mi' } };
const FOLLOWER_RESOURCES: Wire<V1ResourceRequirements> = { requests: { cpu: '20m', memory: '32Mi' } };
/**
 * The least share of the processor: streaming comes first. Measured: 43 MiB of its own a keeper of jobs (and 55 of files that it shares with the server); work on
 * images takes some 170 MiB a job, and what it read is given back first.
 */
const WORK_RESOURCES: Wire<V1ResourceRequirements> = {
  requests: { cpu: '5m', memory: '48Mi' },
  limits: { memory: '1Gi' },
};

const storeMount = (root: string, index: number): Wire<V1VolumeMount> => ({
  name: `root-${index}`,
  mountPath: root,
  readOnly: true,
  mountPropagation: 'HostToContainer',
});

/** A folder that is not there is made, empty: a missing path in the template would hold the whole server in ContainerCreating. */
const storeVolume = (root: string, index: number): Wire<V1Volume> => ({
  name: `root-${index}`,
  hostPath: { path: root, type: 'DirectoryOrCreate' },
});

const RUN_MOUNT: Wire<V1VolumeMount> = { name: 'run', mountPath: RUN };
const CONFIG_MOUNT: Wire<V1VolumeMount> = { name: 'config', mountPath: `${CONFIG}/server`, readOnly: true };

function serverContainer({ pool, farm, lineage, image, release, httpPort }: ServerPlan): Wire<V1Container> {
  const { spec, metadata } = pool;
  const ports = portsOf(pool, httpPort);
  const hostPort = (name: string, port: number, protocol: 'TCP' | 'UDP'): Wire<V1ContainerPort> => ({
    name,
    containerPort: port,
    hostPort: port,
    protocol,
  });
  const probe = (path: string): Wire<V1Probe> => ({ httpGet: { path, port: ports.telemetry } });
  return {
    name: 'server',
    image: spec.image ?? image,
    imagePullPolicy: spec.imagePullPolicy,
    args: ['server', '--config', `${CONFIG}/server/server.json`],
    env: [
      { name: 'NODE_ADDRESS', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
      { name: 'BOOTFARM_RELEASE', value: release },
      // For people who run `bootfarm device list` in here, and to say where they may do more.
      { name: 'BOOTFARM_DATABASE_URI_FILE', value: DATABASE_URI_FILE },
      { name: 'BOOTFARM_REPLICA_SOCKET', value: `${RUN}/redis.sock` },
      { name: 'BOOTFARM_STATE', value: stateFolder(pool, lineage) },
      { name: 'BOOTFARM_SERVER_OF', value: `${metadata.namespace}/${farm}` },
      ...Object.entries(PROCESS_ENV).map(([name, value]) => ({ name, value })),
    ],
    ports: [
      hostPort('dhcp', ports.dhcp, 'UDP'),
      hostPort('pxe', ports.pxe, 'UDP'),
      hostPort('tftp', ports.tftp, 'UDP'),
      hostPort('stream', ports.stream, 'UDP'),
      hostPort('http', ports.http, 'TCP'),
      hostPort('control', ports.control, 'TCP'),
      hostPort('peers', ports.control, 'UDP'),
      hostPort('telemetry', ports.telemetry, 'TCP'),
    ],
    livenessProbe: { ...probe('/healthz'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    readinessProbe: { ...probe('/readyz'), periodSeconds: 3, timeoutSeconds: 3 },
    securityContext: SERVER_SECURITY,
    resources: spec.resources ? requirementsOf(spec.resources) : DEFAULT_RESOURCES,
    volumeMounts: [
      CONFIG_MOUNT,
      { name: 'keys', mountPath: `${CONFIG}/keys`, readOnly: true },
      RUN_MOUNT,
      { name: 'state', mountPath: stateFolder(pool, lineage) },
      // It tells of jobs, and orders none: what reaches it from the network may not write to a store by another's hand.
      { name: 'work', mountPath: jobsFolder(pool, lineage), readOnly: true },
      ...spec.storeRoots.map(storeMount),
      { name: 'stores-read', ...SHARED_MOUNT },
    ],
  };
}

const followerContainer = ({ pool: { spec }, image }: ServerPlan): Wire<V1Container> => ({
  name: 'replica',
  image: spec.image ?? image,
  imagePullPolicy: spec.imagePullPolicy,
  command: ['/usr/bin/redis-server', `${CONFIG}/server/redis.conf`],
  securityContext: FOLLOWER_SECURITY,
  resources: FOLLOWER_RESOURCES,
  volumeMounts: [CONFIG_MOUNT, RUN_MOUNT, { name: 'replica', mountPath: '/data' }],
});

/** What the operator orders of a server: in its Secret. */
export const ORDERS_FILE = 'orders.json';

/** Of the Secret, what whom the network reaches needs: to answer, not to ask. */
const ANSWERING_FILES = [
  ...['server.json', 'redis.conf', 'database-uri', 'database-ca.crt'],
  ...['tls.crt', 'tls.key', 'ca.crt'],
];
/** What the container `work` needs: its orders, and with what it asks other servers for files. */
const ASKING_FILES = [ORDERS_FILE, 'peer.crt', 'peer.key', 'ca.crt'];
const filesOf = (keys: readonly string[]) => keys.map((key) => ({ key, path: key }));

/**
 * Keeps jobs: people's work on images (`bootfarm vdisk …`), which they order from within, and what the operator orders in the server's Secret. It alone asks other
 * servers for files: the server's own container may not write to a store.
 */
const workContainer = ({ pool, lineage, image }: ServerPlan): Wire<V1Container> => ({
  name: 'work',
  image: pool.spec.image ?? image,
  imagePullPolicy: pool.spec.imagePullPolicy,
  args: [
    ...['work', '--folder', jobsFolder(pool, lineage), '--orders', `${WORK_SECRETS}/${ORDERS_FILE}`],
    ...['--state', stateFolder(pool, lineage), '--tls', WORK_SECRETS],
  ],
  env: [
    { name: 'BOOTFARM_WORK', value: jobsFolder(pool, lineage) },
    // Who uses a version, for those that a person removes.
    { name: 'BOOTFARM_REPLICA_SOCKET', value: `${RUN}/redis.sock` },
  ],
  securityContext: WORK_SECURITY,
  resources: WORK_RESOURCES,
  volumeMounts: [
    { ...RUN_MOUNT, readOnly: true },
    { name: 'asking', mountPath: WORK_SECRETS, readOnly: true },
    { name: 'work', mountPath: jobsFolder(pool, lineage) },
    ...TOLD_FOLDERS.map((name) => ({ name, mountPath: `${stateFolder(pool, lineage)}/${name}`, readOnly: true })),
    ...pool.spec.storeRoots.map((root, index) => ({ ...storeMount(root, index), readOnly: false })),
    { name: 'stores-write', ...SHARED_MOUNT },
  ],
});

function volumesOf({ pool, farm, lineage, node }: ServerPlan): Wire<V1Volume>[] {
  const state = stateFolder(pool, lineage);
  const secretName = serverSecretName(serverName(pool.metadata.name, node));
  return [
    { name: 'config', secret: { secretName, defaultMode: 0o400, items: filesOf(ANSWERING_FILES) } },
    { name: 'asking', secret: { secretName, defaultMode: 0o400, items: filesOf(ASKING_FILES), optional: true } },
    { name: 'keys', secret: { secretName: keysName(farm), defaultMode: 0o400 } },
    { name: 'run', emptyDir: { medium: 'Memory' } },
    { name: 'state', hostPath: { path: state, type: 'DirectoryOrCreate' } },
    { name: 'replica', hostPath: { path: `${state}/replica`, type: 'DirectoryOrCreate' } },
    { name: 'work', hostPath: { path: jobsFolder(pool, lineage), type: 'DirectoryOrCreate' } },
    ...TOLD_FOLDERS.map((name) => ({ name, hostPath: { path: `${state}/${name}`, type: 'DirectoryOrCreate' } })),
    ...pool.spec.storeRoots.map(storeVolume),
    ...['read', 'write'].map((use) => ({
      name: `stores-${use}`,
      hostPath: { path: `${sharedFolder(pool, lineage)}/${use}`, type: 'DirectoryOrCreate' },
    })),
  ];
}

/** What stays on its node, whatever becomes of that. */
export const tolerationsOf = ({ spec }: StreamingServer): Wire<V1Toleration>[] => [
  ...spec.placement.tolerations,
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
];

export function deployment(plan: ServerPlan, settings: string): Wire<V1Deployment> {
  const { pool, farm, node } = plan;
  const { spec, metadata } = pool;
  const labels = selector(metadata.name, farm, serverName(metadata.name, node));
  return {
    metadata: { labels: { ...labels }, annotations: { [NODE_ANNOTATION]: node, [HASH_ANNOTATION]: settings } },
    spec: {
      replicas: 1,
      strategy: { type: 'Recreate' },
      selector: { matchLabels: labels },
      template: {
        metadata: {
          labels,
          annotations: { [HASH_ANNOTATION]: settings, 'kubectl.kubernetes.io/default-container': 'server' },
        },
        spec: {
          hostNetwork: true,
          dnsPolicy: 'ClusterFirstWithHostNet',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          nodeSelector: { 'kubernetes.io/hostname': node },
          tolerations: tolerationsOf(pool),
          priorityClassName: spec.placement.priorityClassName ?? plan.priorityClassName,
          imagePullSecrets: spec.imagePullSecrets,
          terminationGracePeriodSeconds: drainSeconds(pool) + GRACE_BEYOND_DRAIN_SECONDS,
          securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
          containers: [serverContainer(plan), followerContainer(plan), workContainer(plan)],
          volumes: volumesOf(plan),
        },
      },
    },
  };
}
