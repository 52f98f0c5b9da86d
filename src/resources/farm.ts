/** Farm: everything under one farm database. */
import type { TSchema } from 'typebox';
import { AUTO_ADD, type UnknownDevices } from '../farm/model.ts';
import { ACCESSES } from '../farm/version.ts';
import {
  image,
  nodeSelector,
  priorityClassName,
  resourceRequirements,
  secretKeyRef,
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
  flag,
  group,
  integer,
  label,
  listBy,
  listOf,
  mapOf,
  message,
  object,
  oneOf,
  optional,
  overriding,
  path,
  pattern,
  port,
  quantity,
  rule,
  sha256,
  text,
  time,
} from './schema.ts';

/** Characters: DHCP's field `file` has 128 bytes with its zero, without which firmware reads on into the options. */
const MAX_BOOT_FILE = 127;

const UNKNOWN_DEVICES = ['Ignore', 'Screen', 'AutoAdd', 'LocalDisk'] as const satisfies readonly UnknownDevices[];
const REPLICA_STATES = ['InSync', 'Lagging', 'Stale', 'Rebuilding', 'Offline'] as const;

const volume = (size: string) => ({
  size: defaulted(quantity('Size of the volume.'), size),
  storageClassName: optional(dnsName('Storage class of the volume. Absent: the default class of the cluster.')),
  hostPath: optional(
    path(
      'Folder of the node, for this Farm alone, instead of a volume, for clusters that make none: pin it to that node by nodeSelector. Must match the allow-list of the operator.',
    ),
  ),
});

/** A PostgreSQL or Redis that the operator makes. */
const embedded = <Storage extends TSchema>(what: string, storage: Storage) =>
  object(`${what} that the operator makes and keeps in this namespace.`, {
    storage,
    image: optional(
      image('Image of its container; must match the allow-list of the operator. Absent: the one of this release.'),
    ),
    resources: optional(resourceRequirements('What its container asks for and may use.')),
    nodeSelector: optional(nodeSelector),
    tolerations: optional(tolerations),
    priorityClassName: optional(priorityClassName),
  });

const database = object(
  'The farm database, PostgreSQL 14 or newer: exactly one of embedded and external. The choice is immutable.',
  {
    embedded: optional(embedded('A PostgreSQL', group('Its volume.', volume('8Gi')))),
    external: optional(
      object('A PostgreSQL that you run.', {
        secretRef: secretKeyRef(
          'Secret with the connection URI: postgresql://user:password@host:5432/database?sslmode=verify-full. A key ca.crt beside it is whom the database is believed by, and asks for verify-full.',
        ),
        serverSecretRef: optional(
          secretKeyRef(
            'Secret with the connection URI of servers: another user of the same database, without rights of its own; it gets what servers need. Absent: the operator makes one where the user of secretRef may create roles; where it may not, servers log in as that user.',
          ),
        ),
      }),
    ),
  },
  rule(exactlyOne('embedded', 'external'), 'name exactly one farm database: set either embedded or external'),
  rule(
    'has(self.embedded) == has(oldSelf.embedded)',
    'the kind of the farm database is immutable: to move, restore a dump of it into the other database and make a new Farm that names that one',
  ),
);

const replica = object(
  'The replica: the Redis copy of the farm database that servers read. Absent: embedded. It may change: a new one is filled from the database.',
  {
    embedded: optional(
      embedded('A Redis', optional(object('Its volume. Absent: none, it is filled from the database.', volume('1Gi')))),
    ),
    external: optional(
      object('A Redis that you run.', {
        secretRef: secretKeyRef(
          'Not supported in this release. Secret with the connection URI: redis://, rediss:// (TLS), or redis+sentinel://user:password@host1:26379,host2:26379/master-name.',
        ),
      }),
    ),
  },
  rule(
    exactlyOne('embedded', 'external'),
    'name exactly one replica: set either embedded or external, or leave replica out',
  ),
);

/** Each with what it is where the farm does not say. */
const bootFields = {
  loginServers: defaulted(
    listOf(
      'Where devices log in. Empty: every Ready server of the site.',
      32,
      object('A login server.', {
        host: text('IP address or host name.'),
        port: defaulted(port('UDP port of the stream.'), DEFAULT_PORTS.stream),
      }),
    ),
    [],
  ),
  unknownDevices: defaulted(
    oneOf(
      'What a machine gets that the farm does not know. Ignore (default): not one packet. Screen: its MAC address and how to add it. AutoAdd: it becomes a device of autoAdd.collection, once its firmware was heard by ProxyDHCP or TFTP. LocalDisk: it boots from its own disk.',
      UNKNOWN_DEVICES,
    ),
    'Ignore',
  ),
  noServer: group('What a device does when no server answers.', {
    action: defaulted(oneOf('Wait (default), Reboot or LocalDisk.', ['Wait', 'Reboot', 'LocalDisk']), 'Wait'),
    after: defaulted(duration('After how long without any server.', { of: 'after', is: '10s' }), '10m'),
  }),
  verbose: defaulted(
    flag('Show each step of the boot on the screen of the device. Not supported in this release.'),
    false,
  ),
  proxyDHCP: group('Answers beside the DHCP server of the site (UDP 67 and 4011); never an address.', {
    enabled: defaulted(flag(''), true),
  }),
  tftp: group('TFTP (UDP 69).', {
    enabled: defaulted(flag(''), true),
    maxBlockSize: defaulted(
      integer(
        'Bytes of data in a block, at most, whatever a machine asks for. The MTU of the server is obeyed without it: less is for a tunnel behind a router, whose MTU less 32 it is.',
        512,
        1_468,
      ),
      1_468,
    ),
  }),
  http: group(
    'HTTP boot (TCP).',
    {
      enabled: defaulted(flag(''), true),
      port: defaulted(port('TCP port.'), DEFAULT_PORTS.http),
    },
    rule(
      `!has(self.port) || !(self.port in [${DEFAULT_PORTS.control}, ${DEFAULT_PORTS.telemetry}])`,
      `port ${DEFAULT_PORTS.control} is the control port of a server and ${DEFAULT_PORTS.telemetry} its telemetry port: choose another port for http`,
    ),
  ),
  bootFiles: group('The first boot file, by the architecture of the device.', {
    bios: defaulted(text('For BIOS.', MAX_BOOT_FILE), 'undionly.kpxe'),
    efi64: defaulted(text('For 64-bit UEFI.', MAX_BOOT_FILE), 'snponly.efi'),
  }),
};

const sites = listBy(
  'Sites: servers that can stand in for each other. Empty: one site named default.',
  ['name'],
  64,
  object('A site.', {
    name: label('Name of the site: a DNS label, unique in the farm.'),
    boot: optional(object('What differs from the boot of the farm at this site.', overriding(bootFields))),
  }),
);

const collections = listBy(
  'Collections: devices of one site with the same vDisk, class and template.',
  ['name'],
  512,
  object('A collection.', {
    name: label('Name of the collection: a DNS label, unique in the farm.'),
    site: optional(label('Site of its devices. May be left out while the farm has one site.')),
    vdisk: optional(label('Name of the VDisk that its devices boot.')),
    class: defaulted(oneOf('Which versions its devices may boot.', ACCESSES), 'Production'),
    template: defaulted(
      mapOf(
        'Properties that each of its devices starts with. Not supported in this release.',
        64,
        message('Value of the property.', 1024),
      ),
      {},
    ),
  }),
);

/** CEL. */
const adds = (of: string): string =>
  `(has(${of}.boot) && has(${of}.boot.unknownDevices) && ${of}.boot.unknownDevices == 'AutoAdd')`;

const spec = object(
  'What you want.',
  {
    adopt: optional(
      pattern(
        'A decision of yours: the farm goes on with the database that is there now, though it is empty (FARM is status.database.farmID then), of another farm or Farm, or restored to the past. FARM@NUMBER, as the message of reason DatabaseForeign or DatabaseBehind says it. The number is one above all adoptions so far (status.database.adoptions), so it decides one case, as long as status or replica remember the adoption: take it out afterwards.',
        46,
        '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}@[1-9][0-9]{0,8}$',
      ),
    ),
    database,
    replica: defaulted(replica, { embedded: {} }),
    offline: group('Offline database support: what servers do while the farm database is away.', {
      enabled: defaulted(
        flag('Whether devices may log in while the database is away. Running devices go on in any case.'),
        true,
      ),
      maxAge: defaulted(
        duration('The oldest replica that may still boot devices.', { of: 'maxAge', is: '1m' }),
        '720h',
      ),
    }),
    sites: defaulted(sites, []),
    boot: group(
      'The bootstrap: what every device is told before it streams. One for all servers of a site.',
      bootFields,
    ),
    collections: defaulted(collections, []),
    autoAdd: optional(
      object('How a machine that the farm does not know becomes a device, where boot.unknownDevices is AutoAdd.', {
        collection: label('The collection that it joins.'),
        namePrefix: defaulted(pattern('Start of its name.', 48, '^[a-z0-9]([-a-z0-9]*)$'), 'pc'),
        digits: defaulted(integer('Digits of the number behind it: one more than the highest there is.', 1, 9), 4),
        maxDevices: defaulted(
          integer(
            'At most so many devices of the farm are added so: those with the property source=auto-add.',
            0,
            50_000,
          ),
          AUTO_ADD.maxDevices,
        ),
        maxPerMinute: defaulted(
          integer('At most so many are added by one server in a minute; others wait.', 1, 1_000),
          AUTO_ADD.maxPerMinute,
        ),
      }),
    ),
    versions: optional(
      object('Rules for chains of versions. Absent: none is merged by itself.', {
        maxChain: defaulted(
          integer(
            'Longest chain of differencing files. One server makes a new base of a longer one, once machines boot its newest version; nobody boots that base until spec.versions of the VDisk names it.',
            1,
            64,
          ),
          5,
        ),
        mergeAt: optional(
          pattern(
            'Time of the day, UTC, when merging may start, for an hour. Absent: at once.',
            5,
            '^([01][0-9]|2[0-3]):[0-5][0-9]$',
          ),
        ),
      }),
    ),
    security: group('Security of the farm.', {
      stream: defaulted(
        oneOf(
          'How answers of the stream are protected. Trusted: for an isolated boot network. Authenticated (default): each answer carries a tag. Encrypted: each answer is sealed; not supported in this release.',
          ['Trusted', 'Authenticated', 'Encrypted'],
        ),
        'Authenticated',
      ),
    }),
    suspend: defaulted(flag('Refuse new logins; running devices go on.'), false),
  },
  rule(
    '!has(self.collections) || (has(self.sites) && self.sites.size() > 1 ? self.collections.all(c, has(c.site)) : true)',
    'the farm has several sites: say the site of each collection',
  ),
  rule(
    "!has(self.collections) || self.collections.all(c, !has(c.site) || (has(self.sites) && self.sites.size() > 0 ? self.sites.exists(s, s.name == c.site) : c.site == 'default'))",
    'a collection names a site that is not in sites: add the site, or correct the name (an empty list of sites means one site named default)',
  ),
  rule(
    '!has(self.autoAdd) || (has(self.collections) && self.collections.exists(c, c.name == self.autoAdd.collection))',
    'autoAdd.collection is not in collections: add the collection, or correct the name',
  ),
  rule(
    `has(self.autoAdd) || !${adds('self')}`,
    'boot.unknownDevices adds machines, and nothing says to which collection: set autoAdd',
  ),
  rule(
    `has(self.autoAdd) || !has(self.sites) || !self.sites.exists(s, ${adds('s')})`,
    'a site adds machines, and nothing says to which collection: set autoAdd',
  ),
);

const turn = (what: string, annotation: string) =>
  object(`${what} bootfarm keys rotate changes them.`, {
    state: oneOf('Settled or Distributing (new ones are on their way, or old ones end).', ['Settled', 'Distributing']),
    request: optional(text(`The annotation bootfarm.io/${annotation} that was taken up last.`, 253)),
    message: optional(message('What it waits for.')),
  });

const status = object('What is.', {
  ...statusHead,
  database: optional(
    object('The farm database as the operator sees it.', {
      state: optional(oneOf('Whether it answers, and is the one of this farm.', ['Reachable', 'Unreachable'])),
      kind: optional(oneOf('Who runs it.', ['Embedded', 'External'])),
      farmID: optional(
        text(
          'Identity of the farm in the database. A database with another one, or none, is not used without spec.adopt.',
          64,
        ),
      ),
      adoptions: optional(count('How many decisions of spec.adopt the farm has gone by.')),
      schemaVersion: optional(count('Newest migration that was applied. Absent in this release.')),
      offlineSince: optional(
        time('Since when it does not answer or is not the one of this farm; absent while all is well.'),
      ),
      message: optional(message('Why it does not answer, or whose it is.')),
    }),
  ),
  replica: optional(
    object('The replica as the operator sees it.', {
      state: optional(oneOf('InSync, Lagging, Stale, Rebuilding or Offline.', REPLICA_STATES)),
      followers: optional(
        object('Servers whose own copy of the replica follows.', {
          ready: count('Those that are in sync.'),
          total: count('All.'),
        }),
      ),
      lastChange: optional(time('When state changed last.')),
      message: optional(message('Why it is in this state.')),
    }),
  ),
  keys: optional(
    object('The key of the farm, which seals what devices are given; bootfarm keys rotate changes it.', {
      state: oneOf(
        'Settled, Distributing (a new key is on its way to the servers) or Overlapping (the old one still opens what it sealed).',
        ['Settled', 'Distributing', 'Overlapping'],
      ),
      current: count('Number of the key that seals.'),
      request: optional(text('The annotation bootfarm.io/rotate-keys that was taken up last.', 253)),
      message: optional(message('What it waits for.')),
      passwords: optional(turn('Passwords of the farm database and of the replica;', 'rotate-passwords')),
      ca: optional(turn('The authority of the farm and the certificates that it signs;', 'rotate-ca')),
      recovery: optional(
        object('The copy that is sealed for the key of bootfarm keys recovery. Absent: no such key was made.', {
          key: optional(text('Id of the key that the newest copy is sealed for.', 64)),
          message: optional(message('Why there is no copy.')),
        }),
      ),
    }),
  ),
  sites: optional(
    listBy(
      'Sites as they serve.',
      ['name'],
      64,
      object('A site.', {
        name: label('Name of the site.'),
        servers: optional(count('Ready servers.')),
        bootstrapHash: optional(sha256('SHA-256 of what devices are told here; absent while its servers disagree.')),
        message: optional(message('What is wrong here.')),
      }),
    ),
  ),
  servers: optional(
    object('Servers of the farm.', { ready: count('Those that stream.'), total: count('All that are wanted.') }),
  ),
  devices: optional(
    object('Devices of the farm: each is counted once, while its session has not ended as far as it is known.', {
      known: count('Devices that the farm knows.'),
      streaming: count('Devices that stream, and have booted.'),
      booting: count('Devices that stream since less than a minute.'),
    }),
  ),
});

export const FarmKind = defineKind({
  kind: 'Farm',
  plural: 'farms',
  shortName: 'farm',
  description: 'A farm: everything under one farm database. Owns sites, stores, servers, vDisks and devices.',
  spec,
  status,
  columns: [
    { name: 'Servers', type: 'integer', path: '.status.servers.ready', description: 'Servers that stream' },
    { name: 'Streaming', type: 'integer', path: '.status.devices.streaming', description: 'Devices that stream' },
    {
      name: 'Booting',
      type: 'integer',
      path: '.status.devices.booting',
      description: 'Devices that stream since less than a minute',
    },
    {
      name: 'Database',
      type: 'string',
      path: '.status.database.state',
      description: 'Whether the farm database answers',
    },
    { name: 'Replica', type: 'string', path: '.status.replica.state', description: 'State of the replica' },
  ],
});
