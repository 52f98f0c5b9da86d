/** StreamingServer: a pool of streaming servers of one site, each a pod on a node. */
import {
  farmRef,
  image,
  nodeSelector,
  priorityClassName,
  resourceRequirements,
  secretRef,
  statusHead,
  tolerations,
} from './common.ts';
import { DEFAULT_PORTS } from './defaults.ts';
import { defineKind } from './kind.ts';
import {
  count,
  defaulted,
  dnsName,
  duration,
  exactlyOne,
  group,
  immutable,
  integer,
  label,
  listBy,
  listOf,
  message,
  number,
  object,
  oneOf,
  optional,
  path,
  pattern,
  port,
  rule,
  rules,
  setOf,
  sha256,
  text,
  WRITTEN,
} from './schema.ts';

export const SERVER_STATES = ['Starting', 'Streaming', 'Draining', 'Unreachable', 'Refused'] as const;

/** The rule is there beside `minimum` because the API server cuts the minimum to 0 for a value without a fraction (seen in 1.34). */
const powerRating = (description: string) =>
  number(
    description,
    0.1,
    1000,
    rules(rule('self >= 0.1', 'powerRating is less than 0.1: to take no devices at a server, remove it from the pool')),
  );

const autoscaling = object(
  'Lets the operator choose the number of servers by the number of devices; replicas is not looked at then. Not supported in this release.',
  {
    minReplicas: optional(integer('Fewest servers. Default: 2.', 1, 256)),
    maxReplicas: integer('Most servers.', 1, 256),
    devicesPerServer: optional(
      integer('Devices that one server of power rating 1 should have. Default: 400.', 1, 100_000),
    ),
  },
  rule(
    '(has(self.minReplicas) ? self.minReplicas : 2) <= self.maxReplicas',
    'minReplicas (2 where it is absent) is more than maxReplicas: raise maxReplicas or lower minReplicas',
  ),
);

const placement = group('Which nodes servers run on.', {
  nodeSelector: optional(nodeSelector),
  tolerations: defaulted(tolerations, []),
  priorityClassName: optional(priorityClassName),
  replaceAfter: defaulted(
    duration('How long a node must be dead before its server is placed on another node.', {
      of: 'replaceAfter',
      is: '1m',
    }),
    '10m',
  ),
});

const network = object(
  'Which addresses of a node serve devices. Absent: the InternalIP of the node.',
  {
    interface: optional(pattern('Name of a network interface.', 15, '^[^/ ]+$')),
    cidrs: optional(
      setOf(
        'Networks, such as 10.0.0.0/24: the address of the node in the first that fits.',
        16,
        text('A network in CIDR notation.', 43),
      ),
    ),
  },
  rule(exactlyOne('interface', 'cidrs'), 'say either interface or cidrs: both choose the address that serves'),
  rule(
    '!has(self.cidrs) || self.cidrs.all(c, isCIDR(c))',
    'cidrs holds something that is not a network: write it as 10.0.0.0/24',
  ),
);

const ports = group(
  'Ports on the node, beside those that PXE prescribes (UDP 67, 69, 4011) and http of the Farm.',
  {
    stream: defaulted(port('UDP port of the stream.'), DEFAULT_PORTS.stream),
    control: defaulted(
      port('TCP port for the operator, and UDP port of the pings between servers.'),
      DEFAULT_PORTS.control,
    ),
    telemetry: defaulted(port('TCP port for metrics and probes.'), DEFAULT_PORTS.telemetry),
  },
  rule(
    `(has(self.control) ? self.control : ${DEFAULT_PORTS.control}) != (has(self.telemetry) ? self.telemetry : ${DEFAULT_PORTS.telemetry})`,
    `control (${DEFAULT_PORTS.control} where it is absent) and telemetry (${DEFAULT_PORTS.telemetry}) need different TCP ports: change one of them`,
  ),
  rule(
    '!has(self.stream) || !(self.stream in [67, 69, 4011])',
    'UDP ports 67, 69 and 4011 are those of DHCP, TFTP and PXE: choose another port for stream',
  ),
);

const MAX_DEVICES = 4_000;

const limits = group(
  'The most that one server takes. A login beyond it is answered with when to come back.',
  {
    maxDevices: defaulted(integer('Devices that stream at once.', 1, 100_000), MAX_DEVICES),
    maxBooting: defaulted(integer('Devices that boot at once.', 1, 100_000), 500),
  },
  rule(
    `!has(self.maxBooting) || self.maxBooting <= (has(self.maxDevices) ? self.maxDevices : ${MAX_DEVICES})`,
    `maxBooting is more than maxDevices (${MAX_DEVICES} where it is absent): lower maxBooting or raise maxDevices`,
  ),
);

const spec = object(
  'What you want.',
  {
    farmRef,
    site: optional(label('Site that the servers serve. May be left out while the farm has one site.')),
    replicas: defaulted(integer('Number of servers.', 0, 256, { [WRITTEN]: true }), 2),
    autoscaling: optional(autoscaling),
    placement,
    network: optional(network),
    ports,
    storeRoots: defaulted(
      setOf(
        'Folders of the node, mounted into each server once; local stores live below them. The operator allows only those on its list.',
        16,
        path('Absolute path.'),
      ),
      [],
    ),
    rollout: group('How a new image or setting reaches the servers: one by one, each drained before.', {
      policy: defaulted(
        oneOf('Automatic (default), or OnDemand: servers that live keep what they run until this is Automatic again.', [
          'Automatic',
          'OnDemand',
        ]),
        'Automatic',
      ),
    }),
    powerRating: defaulted(powerRating('How much a server can do compared with others.'), 1),
    nodes: defaulted(
      listBy(
        'Settings for single nodes.',
        ['name'],
        256,
        object('A node.', {
          name: dnsName('Name of the node.'),
          powerRating: optional(powerRating('Power rating of the server on this node.')),
        }),
      ),
      [],
    ),
    limits,
    drain: group('What a server does before it ends.', {
      timeout: defaulted(duration('How long it waits for its devices to move. 0s: it ends at once.'), '120s'),
    }),
    stateDirectory: defaulted(
      path(
        'Folder of the node for the replica, the journal and indexes, in a folder of each farm and pool. Immutable.',
        {
          [WRITTEN]: true,
          ...rules(
            immutable(
              'stateDirectory',
              'servers keep their journals there; make a second pool with the new folder and delete this one',
            ),
          ),
        },
      ),
      '/var/lib/bootfarm',
    ),
    resources: optional(resourceRequirements('What the container of a server asks for and may use.')),
    image: optional(
      image('Image of the servers; must match the allow-list of the operator. Absent: the image of the operator.'),
    ),
    imagePullPolicy: defaulted(oneOf('When the image is pulled.', ['Always', 'IfNotPresent', 'Never']), 'IfNotPresent'),
    imagePullSecrets: defaulted(
      listBy(
        'Secrets for the registry.',
        ['name'],
        16,
        secretRef('A Secret of the type kubernetes.io/dockerconfigjson.'),
      ),
      [],
    ),
    logLevel: defaulted(oneOf('What the servers log.', ['debug', 'info', 'warn', 'error']), 'info'),
  },
  rule(
    "!has(self.storeRoots) || !has(self.stateDirectory) || self.storeRoots.all(r, !(self.stateDirectory + '/').startsWith(r + '/') && !(r + '/').startsWith(self.stateDirectory + '/'))",
    'stateDirectory and storeRoots lie in one another: keep them apart',
  ),
);

const status = object('What is.', {
  ...statusHead,
  replicas: optional(count('Servers that are there.')),
  readyReplicas: optional(count('Servers that stream.')),
  updatedReplicas: optional(count('Servers that run the wanted image and settings.')),
  selector: optional(message('Label selector of the pods, for autoscalers.', 512)),
  devices: optional(count('Devices that stream from this pool: whose session has not ended, as far as it is known.')),
  servers: optional(
    listBy(
      'The servers.',
      ['name'],
      256,
      object('A server.', {
        name: dnsName('Name of the server: that of its node.'),
        addresses: optional(listOf('Addresses that serve devices.', 16, text('An address.', 45))),
        state: oneOf('Starting, Streaming, Draining, Unreachable or Refused.', SERVER_STATES),
        bootstrapHash: optional(sha256('SHA-256 of what it tells devices: the same on all servers of a site.')),
        devices: optional(count('Devices that stream from it.')),
        booting: optional(count('Devices that boot from it.')),
        powerRating: optional(number('Its power rating.', 0.1, 1000)),
        loadPercent: optional(integer('Its devices, in percent of the most that it takes.', 0, 10_000)),
        message: optional(message('What is wrong with it.')),
      }),
    ),
  ),
});

export const StreamingServerKind = defineKind({
  kind: 'StreamingServer',
  plural: 'streamingservers',
  shortName: 'bfs',
  description: 'A pool of streaming servers of one site: each is a pod on the network of its node.',
  spec,
  status,
  columns: [
    { name: 'Farm', type: 'string', path: '.spec.farmRef.name', description: 'Its farm', priority: 1 },
    { name: 'Site', type: 'string', path: '.spec.site', description: 'Its site', priority: 1 },
    { name: 'Servers', type: 'integer', path: '.status.replicas', description: 'Servers that are there' },
    { name: 'Streaming', type: 'integer', path: '.status.readyReplicas', description: 'Servers that stream' },
    { name: 'Devices', type: 'integer', path: '.status.devices', description: 'Devices that stream from this pool' },
    {
      name: 'Balanced',
      type: 'string',
      path: '.status.conditions[?(@.type=="Balanced")].status',
      description: 'Whether devices are spread fairly',
    },
  ],
  scale: { specPath: '.spec.replicas', statusPath: '.status.replicas', selectorPath: '.status.selector' },
});
