/**
 * What a server's pod can do, read from the real objects. The table is the measure: a right that is not in it fails the test, and one that is
 * added to it wants a reason in the commit and a sentence in the threat model of the README.
 */
import { expect, test } from '@jest/globals';
import { aServerPlan } from '../../../test/builders/resources.ts';
import { SERVER_GRANTS } from '../../database/grants.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import { deployment, type ServerPlan } from './objects.ts';
import { wantedServer } from './wanted.ts';

const RIGHTS = `
pod host: hostNetwork
pod token: none
pod seccomp: RuntimeDefault
pod groups: none
server user: 0
server capability: DAC_OVERRIDE
server capability: NET_BIND_SERVICE
server root file system: read-only
server env: BOOTFARM_DATABASE_URI_FILE
server env: BOOTFARM_RELEASE
server env: BOOTFARM_REPLICA_SOCKET
server env: BOOTFARM_SERVER_OF
server env: BOOTFARM_STATE
server env: MALLOC_ARENA_MAX
server env: MALLOC_MMAP_THRESHOLD_
server env: MALLOC_TRIM_THRESHOLD_
server env: NODE_ADDRESS
server env: NODE_OPTIONS
server env: UV_THREADPOOL_SIZE
server reads: Secret bootfarm-server-main-node-a server.json redis.conf database-uri database-ca.crt tls.crt tls.key ca.crt at /etc/bootfarm/server
server reads: Secret farm-keys at /etc/bootfarm/keys
server reads: folder of the node /srv at /srv
server reads: folder of the node /var/lib/bootfarm/lab/main.00112233aabbccdd.stores/read at /run/bootfarm-stores
server reads: folder of the node /var/lib/bootfarm/lab/main.00112233aabbccdd/work at /var/lib/bootfarm/lab/main.00112233aabbccdd/work
server writes: folder of the node /var/lib/bootfarm/lab/main.00112233aabbccdd at /var/lib/bootfarm/lab/main.00112233aabbccdd
server writes: memory at /run/bootfarm
replica user: 0
replica root file system: read-only
replica reads: Secret bootfarm-server-main-node-a server.json redis.conf database-uri database-ca.crt tls.crt tls.key ca.crt at /etc/bootfarm/server
replica writes: folder of the node /var/lib/bootfarm/lab/main.00112233aabbccdd/replica at /data
replica writes: memory at /run/bootfarm
work user: 0
work capability: DAC_OVERRIDE
work root file system: read-only
work env: BOOTFARM_REPLICA_SOCKET
work env: BOOTFARM_WORK
work reads: Secret bootfarm-server-main-node-a orders.json peer.crt peer.key ca.crt at /etc/bootfarm/work
work reads: folder of the node /var/lib/bootfarm/lab/main.00112233aabbccdd.stores/write at /run/bootfarm-stores
work reads: folder of the node /var/lib/bootfarm/lab/main.00112233aabbccdd/chunks at /var/lib/bootfarm/lab/main.00112233aabbccdd/chunks
work reads: folder of the node /var/lib/bootfarm/lab/main.00112233aabbccdd/wants at /var/lib/bootfarm/lab/main.00112233aabbccdd/wants
work reads: memory at /run/bootfarm
work writes: folder of the node /srv at /srv
work writes: folder of the node /var/lib/bootfarm/lab/main.00112233aabbccdd/work at /var/lib/bootfarm/lab/main.00112233aabbccdd/work
secret: ca.crt
secret: database-ca.crt
secret: database-uri
secret: orders.json
secret: peer.crt
secret: peer.key
secret: redis.conf
secret: server.json
secret: tls.crt
secret: tls.key
database: audit INSERT
database: collection SELECT
database: copy SELECT
database: device SELECT INSERT
database: device_mac SELECT INSERT
database: farm SELECT
database: feed_cursor SELECT
database: journal_entry SELECT INSERT DELETE
database: leader SELECT
database: removed SELECT
database: server SELECT INSERT UPDATE
database: session SELECT INSERT UPDATE
database: shared_uuid SELECT INSERT
database: site SELECT
database: store SELECT
database: vdisk SELECT
database: vdisk_version SELECT
database: version_override SELECT
`;

interface Pod {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly automountServiceAccountToken?: boolean;
  readonly serviceAccountName?: string;
  readonly securityContext?: {
    readonly seccompProfile?: { readonly type: string };
    readonly supplementalGroups?: unknown;
  };
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
}
interface Container {
  readonly name: string;
  readonly env?: readonly { readonly name: string }[];
  readonly envFrom?: readonly unknown[];
  readonly securityContext: {
    readonly runAsUser: number;
    readonly privileged?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
  };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}
interface Volume {
  readonly name: string;
  readonly secret?: { readonly secretName: string; readonly items?: readonly { readonly key: string }[] };
  readonly hostPath?: { readonly path: string };
  readonly emptyDir?: object;
}

/** Anything that this does not know is a right, too. */
function sourceOf({ name, secret, hostPath, emptyDir, ...other }: Volume): string {
  if (secret) return `Secret ${[secret.secretName, ...(secret.items ?? []).map(({ key }) => key)].join(' ')}`;
  if (hostPath) return `folder of the node ${hostPath.path}`;
  return emptyDir ? 'memory' : `volume ${name} ${JSON.stringify(other)}`;
}

function rightsOfContainer(
  { name, env, envFrom, securityContext, volumeMounts }: Container,
  volumes: readonly Volume[],
) {
  const { runAsUser, privileged, allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = securityContext;
  const mounts = volumeMounts.map(({ name: volume, mountPath, readOnly }) => {
    const found = volumes.find((one) => one.name === volume);
    return `${name} ${readOnly ? 'reads' : 'writes'}: ${found ? sourceOf(found) : volume} at ${mountPath}`;
  });
  return [
    `${name} user: ${runAsUser}`,
    ...(privileged || allowPrivilegeEscalation !== false ? [`${name} may gain privileges`] : []),
    ...(capabilities.drop.includes('ALL') ? [] : [`${name} keeps the capabilities of its runtime`]),
    ...[...(capabilities.add ?? [])].sort().map((one) => `${name} capability: ${one}`),
    `${name} root file system: ${readOnlyRootFilesystem ? 'read-only' : 'written'}`,
    ...(env ?? []).map((one) => `${name} env: ${one.name}`).sort(),
    ...(envFrom ?? []).map((one) => `${name} env from ${JSON.stringify(one)}`),
    ...mounts.sort(),
  ];
}

function rightsOf(plan: ServerPlan): readonly string[] {
  const { spec } = deployment(plan, '') as { readonly spec: { readonly template: { readonly spec: Pod } } };
  const pod = spec.template.spec;
  const { files } = wantedServer(plan, 'postgresql://servers', { database: {}, authority: {} } as Infrastructure);
  // Certificates are added where the Secret is written.
  const certificates = ['tls.crt', 'tls.key', 'peer.crt', 'peer.key', 'ca.crt'];
  const secret = [...Object.keys(files), ...certificates].sort();
  const hosts = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((what) => pod[what]);
  return [
    ...hosts.map((what) => `pod host: ${what}`),
    `pod token: ${pod.automountServiceAccountToken === false ? 'none' : (pod.serviceAccountName ?? 'default')}`,
    `pod seccomp: ${pod.securityContext?.seccompProfile?.type}`,
    `pod groups: ${JSON.stringify(pod.securityContext?.supplementalGroups) ?? 'none'}`,
    ...[...(pod.initContainers ?? []), ...pod.containers].flatMap((one) => rightsOfContainer(one, pod.volumes)),
    ...secret.map((key) => `secret: ${key}`),
    ...Object.entries(SERVER_GRANTS)
      .filter(([, privileges]) => privileges.length > 0)
      .map(([table, privileges]) => `database: ${table} ${privileges.join(' ')}`)
      .sort(),
  ];
}

test('a server can do what the table says and nothing else', () => {
  expect(rightsOf(aServerPlan())).toEqual(RIGHTS.trim().split('\n'));
});
