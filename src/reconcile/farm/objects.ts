/** The embedded database and the primary of the replica, as objects of the Kubernetes API. Pure. */
import type {
  V1Container,
  V1KeyToPath,
  V1PodSpec,
  V1ResourceRequirements,
  V1SecurityContext,
  V1Service,
  V1StatefulSet,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';
import { postgresArguments } from '../../database/config.ts';
import { serverRole } from '../../database/roles.ts';
import type { Wire } from '../../kube/wire.ts';
import type { FarmSpec } from '../../resources/kinds.ts';
import { requirementsOf } from '../../resources/units.ts';
import { databaseName, labelsOf, recoveryName, replicaName } from '../names.ts';
import { keptBeside } from './beside.ts';

export const DATABASE_PORT = 5432;
export const REPLICA_PORT = 6379;
/** The image's own user: initdb looks its name up. */
const USER = 65_532;
export const DATA = '/data';
/** Where the Secret of the component is mounted. */
export const SECRETS = '/secret';
/** Where the recovery copies are mounted, and where they are kept beside the data. */
const COPIES = '/recovery';
const KEPT_COPIES = `${DATA}/recovery`;

type Embedded = NonNullable<FarmSpec['database']['embedded'] | FarmSpec['replica']['embedded']>;

const SECURITY: Wire<V1SecurityContext> = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
};

/** What the scheduler keeps free where the Farm says nothing. Measured: PostgreSQL 100 MiB with 6 sessions, Redis 8 MiB with 2,000 devices. */
const DATABASE_RESOURCES: Wire<V1ResourceRequirements> = { requests: { cpu: '100m', memory: '192Mi' } };
const REPLICA_RESOURCES: Wire<V1ResourceRequirements> = { requests: { cpu: '50m', memory: '64Mi' } };

export function serviceOf(farm: string, component: 'database' | 'replica'): Wire<V1Service> {
  const port = component === 'database' ? DATABASE_PORT : REPLICA_PORT;
  return {
    metadata: { labels: labelsOf(farm, component) },
    spec: {
      selector: labelsOf(farm, component),
      ports: [{ name: component, port, targetPort: port, protocol: 'TCP' }],
    },
  };
}

/** Not the superuser: what the operator logs in as. It makes the role of the servers (database/roles.ts). */
export const DATABASE_OWNER = 'bootfarm';
export const DATABASE_NAME = 'bootfarm';

/**
 * Makes the data folder once. The superuser has no password and is let in by the socket alone, which is a folder of this pod; over the network
 * come the owner of the farm's database and its servers, to that database, by password and TLS alone. Only what is written last, a whole folder under its
 * final name, counts as made: a container that was killed midway starts anew.
 */
export const INIT_DATABASE = `set -eu
if [ ! -s ${DATA}/pg/PG_VERSION ]; then
  rm -rf ${DATA}/pg.new
  initdb --pgdata=${DATA}/pg.new --username=postgres --auth-local=trust --auth-host=reject --encoding=UTF8 --locale=C
  cat > ${DATA}/pg.new/pg_hba.conf <<-EOF
	local all postgres trust
	hostssl ${DATABASE_NAME} ${DATABASE_OWNER},${serverRole(DATABASE_NAME)},${serverRole(DATABASE_NAME, '2')} all scram-sha-256
	EOF
  postgres --single -D ${DATA}/pg.new postgres >/dev/null <<-EOF
	create role ${DATABASE_OWNER} login createrole password '$(cat ${SECRETS}/password)'
	create database ${DATABASE_NAME} owner ${DATABASE_OWNER}
	revoke all on database ${DATABASE_NAME} from public
	EOF
  mv ${DATA}/pg.new ${DATA}/pg
fi`;

/** The kubelet writes a Secret anew by turning this link. */
const stateOf = (secrets: string): string => `$(readlink ${secrets}/..data)`;
const LOOK_SECONDS = 5;

const inShell = (script: string, command: readonly string[]): readonly string[] => [
  '/bin/sh',
  '-c',
  script,
  'sh',
  ...command,
];

const LOCK_SECONDS = 10;

/**
 * Runs a program while nobody else does in this folder. Two PostgreSQL in one folder destroy it, and neither sees the other by its pid file: in its pod each
 * is process 1. The lock goes with the last process that has it, so a pod that was killed leaves none. A pod that ended is waited for.
 */
export const alone = (
  command: readonly string[],
  lock: string,
  { waitSeconds = LOCK_SECONDS, termination = '/dev/termination-log' } = {},
): readonly string[] =>
  inShell(
    `exec 9>>${lock}
if ! flock -w ${waitSeconds} 9; then
  echo "another pod works in this folder: a folder of a node is for one Farm, name another in storage.hostPath" | tee ${termination} >&2
  exit 75
fi
exec "$@"`,
    command,
  );

/**
 * Runs a program and tells it by HUP when its Secret was written anew: PostgreSQL reads certificate and pg_hba.conf again. Of two dollar signs in a command
 * the kubelet leaves one, so a shell reads its own number from /proc.
 */
export const toldOnChange = (command: readonly string[], secrets = SECRETS): readonly string[] =>
  inShell(
    `read -r self rest </proc/self/stat
seen=${stateOf(secrets)}
while sleep ${LOOK_SECONDS} && kill -0 "$self"; do
  now=${stateOf(secrets)}
  if [ "$now" != "$seen" ]; then seen=$now; kill -HUP "$self"; fi
done &
exec "$@"`,
    command,
  );

/**
 * Runs a program that cannot read its Secret again (Redis), and starts it anew when that was written: in the same container, because the kubelet would wait
 * longer each time, and a change of passwords or of the authority takes several.
 */
export const restartedOnChange = (
  command: readonly string[],
  secrets = SECRETS,
  lookSeconds = LOOK_SECONDS,
): readonly string[] =>
  inShell(
    `trap 'kill -TERM "$program"; wait "$program"; exit' TERM
while :; do
  seen=${stateOf(secrets)}
  "$@" &
  program=$!
  while sleep ${lookSeconds} && kill -0 "$program"; do
    if [ "${stateOf(secrets)}" != "$seen" ]; then kill -TERM "$program"; break; fi
  done &
  wait "$program"
  code=$?
  if [ "${stateOf(secrets)}" = "$seen" ]; then exit "$code"; fi
done`,
    command,
  );

const POSTGRES_BIN = '/usr/lib/postgresql/15/bin';

const itemsOf = (...keys: readonly string[]): readonly Wire<V1KeyToPath>[] => keys.map((key) => ({ key, path: key }));

interface Parts {
  readonly farm: string;
  readonly embedded: Embedded;
  readonly image: string;
  /** Where the Farm names none. */
  readonly priorityClassName?: string | undefined;
}

/** `replicas` is not said: a person may scale it to 0 for a while. */
export function databaseSet({ farm, embedded, image, priorityClassName }: Parts): Wire<V1StatefulSet> {
  const name = databaseName(farm);
  const container = { image: embedded.image ?? image, securityContext: SECURITY };
  const mounts: readonly Wire<V1VolumeMount>[] = [
    { name: 'data', mountPath: DATA },
    { name: 'secret', mountPath: SECRETS, readOnly: true },
    { name: 'tmp', mountPath: '/tmp' },
  ];
  return statefulSet(farm, 'database', embedded, {
    priorityClassName: embedded.priorityClassName ?? priorityClassName,
    initContainers: [
      ...folderOwner(embedded, container.image),
      {
        ...container,
        name: 'init',
        command: alone(['/bin/sh', '-c', INIT_DATABASE], `${DATA}/postgres.lock`),
        env: [{ name: 'PATH', value: `${POSTGRES_BIN}:/usr/bin:/bin` }],
        volumeMounts: mounts,
      },
    ],
    containers: [
      {
        ...container,
        name: 'postgres',
        command: alone(
          keptBeside(
            toldOnChange([
              `${POSTGRES_BIN}/postgres`,
              ...postgresArguments({ data: `${DATA}/pg`, secrets: SECRETS, sockets: '/tmp' }),
            ]),
            { from: COPIES, to: KEPT_COPIES },
          ),
          `${DATA}/postgres.lock`,
        ),
        ports: [{ name: 'database', containerPort: DATABASE_PORT, protocol: 'TCP' }],
        // For commands of people who are on its node, where the Kubernetes API is away.
        env: [{ name: 'BOOTFARM_DATABASE_URI', value: `postgresql://postgres@localhost/${DATABASE_NAME}?host=/tmp` }],
        // TERM alone waits for every client to leave: servers do not, and it was killed after 30 s and had to recover.
        lifecycle: { preStop: { exec: { command: ['/bin/sh', '-c', 'kill -INT 1'] } } },
        readinessProbe: {
          exec: { command: [`${POSTGRES_BIN}/pg_isready`, '-h', '/tmp'] },
          periodSeconds: 2,
          timeoutSeconds: 2,
        },
        resources: embedded.resources ? requirementsOf(embedded.resources) : DATABASE_RESOURCES,
        volumeMounts: [...mounts, { name: 'recovery', mountPath: COPIES, readOnly: true }],
      },
    ],
    volumes: [
      {
        name: 'secret',
        secret: { secretName: name, defaultMode: 0o440, items: itemsOf('password', 'tls.crt', 'tls.key') },
      },
      { name: 'recovery', secret: { secretName: recoveryName(farm), defaultMode: 0o440, optional: true } },
      { name: 'tmp', emptyDir: {} },
    ],
    terminationGracePeriodSeconds: 30,
  });
}

/** Its data may be lost: it is a projection, and is filled anew. */
export function replicaSet({ farm, embedded, image, priorityClassName }: Parts): Wire<V1StatefulSet> {
  const used = embedded.image ?? image;
  return statefulSet(farm, 'replica', embedded, {
    priorityClassName: embedded.priorityClassName ?? priorityClassName,
    initContainers: folderOwner(embedded, used),
    containers: [
      {
        image: used,
        securityContext: SECURITY,
        name: 'redis',
        command: alone(restartedOnChange(['/usr/bin/redis-server', `${SECRETS}/redis.conf`]), `${DATA}/redis.lock`),
        ports: [{ name: 'replica', containerPort: REPLICA_PORT, protocol: 'TCP' }],
        readinessProbe: { tcpSocket: { port: REPLICA_PORT }, periodSeconds: 2 },
        resources: embedded.resources ? requirementsOf(embedded.resources) : REPLICA_RESOURCES,
        volumeMounts: [
          { name: 'data', mountPath: DATA },
          { name: 'secret', mountPath: SECRETS, readOnly: true },
        ],
      },
    ],
    volumes: [
      {
        name: 'secret',
        secret: {
          secretName: replicaName(farm),
          defaultMode: 0o440,
          items: itemsOf('redis.conf', 'users.acl', 'tls.crt', 'tls.key', 'ca.crt'),
        },
      },
    ],
    terminationGracePeriodSeconds: 10,
  });
}

/** A folder of the node belongs to root until somebody gives it away; volumes of a claim get the group by fsGroup. */
function folderOwner({ storage }: Embedded, image: string): readonly Wire<V1Container>[] {
  if (!storage?.hostPath) return [];
  return [
    {
      name: 'owner',
      image,
      command: ['/bin/chown', `${USER}:${USER}`, DATA],
      securityContext: {
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'], add: ['CHOWN'] },
        readOnlyRootFilesystem: true,
        runAsUser: 0,
      },
      volumeMounts: [{ name: 'data', mountPath: DATA }],
    },
  ];
}

function statefulSet(
  farm: string,
  component: 'database' | 'replica',
  embedded: Embedded,
  pod: Wire<V1PodSpec> & { readonly volumes: readonly Wire<V1Volume>[] },
): Wire<V1StatefulSet> {
  const { storage } = embedded;
  const labels = labelsOf(farm, component);
  const name = component === 'database' ? databaseName(farm) : replicaName(farm);
  const folder: Omit<Wire<V1Volume>, 'name'> = storage?.hostPath
    ? { hostPath: { path: storage.hostPath, type: 'DirectoryOrCreate' } }
    : { emptyDir: {} };
  const claimed = storage?.hostPath === undefined ? storage : undefined;
  return {
    metadata: { labels },
    spec: {
      serviceName: name,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          ...pod,
          volumes: claimed ? pod.volumes : [...pod.volumes, { name: 'data', ...folder }],
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: { fsGroup: USER, seccompProfile: { type: 'RuntimeDefault' } },
          nodeSelector: embedded.nodeSelector,
          tolerations: embedded.tolerations,
        },
      },
      volumeClaimTemplates: claimed && [
        {
          metadata: { name: 'data' },
          spec: {
            accessModes: ['ReadWriteOnce'],
            storageClassName: claimed.storageClassName || undefined,
            resources: { requests: { storage: String(claimed.size) } },
          },
        },
      ],
    },
  };
}
