/** For every CEL rule of the CRDs, by kind and place in the schema: an object that passes and one that is refused. */

export type Spec = Readonly<Record<string, unknown>>;

export interface RuleCase {
  /** Kind and place: `Farm spec.sites[].boot.http`. */
  readonly at: string;
  /** A part of the rule's message, unique at this place. */
  readonly says: string;
  /** Merged over the spec of the builder. `name` replaces the object's name. */
  readonly good: Spec;
  readonly bad: Spec;
  readonly goodName?: string;
  readonly badName?: string;
  /** For rules on change: what is there before; absent = good and bad are created. */
  readonly before?: Spec;
}

const external = { external: { secretRef: { name: 'farm-db' } } };
const names = (kind: string): RuleCase => ({
  at: `${kind} `,
  says: 'at most 63 lower-case letters',
  good: {},
  bad: {},
  goodName: 'lab-1',
  badName: 'lab.1',
});
const farmRef = (kind: string): RuleCase => ({
  at: `${kind} spec.farmRef`,
  says: 'farmRef is immutable',
  before: {},
  good: { farmRef: { name: 'farm' } },
  bad: { farmRef: { name: 'other' } },
});
const wwids = ['3600508b400105e21'];

export const RULE_CASES: readonly RuleCase[] = [
  ...['Farm', 'StreamingServer', 'Store', 'VDisk'].map(names),
  ...['StreamingServer', 'Store', 'VDisk'].map(farmRef),
  {
    at: 'Farm spec.database',
    says: 'exactly one farm database',
    good: { database: external },
    bad: { database: { ...external, embedded: {} } },
  },
  {
    at: 'Farm spec.database',
    says: 'kind of the farm database is immutable',
    before: { database: { embedded: {} } },
    good: { database: { embedded: { storage: { size: '9Gi' } } } },
    bad: { database: { ...external, embedded: null } },
  },
  {
    at: 'Farm spec.replica',
    says: 'exactly one replica',
    good: { replica: { embedded: {} } },
    bad: { replica: {} },
  },
  {
    at: 'Farm spec.boot.http',
    says: 'port 6911 is the control port',
    good: { boot: { http: { port: 8080 } } },
    bad: { boot: { http: { port: 6911 } } },
  },
  {
    at: 'Farm spec.sites[].boot.http',
    says: 'port 6911 is the control port',
    good: { sites: [{ name: 'default', boot: { http: { port: 8080 } } }] },
    bad: { sites: [{ name: 'default', boot: { http: { port: 6912 } } }] },
  },
  {
    at: 'Farm spec.boot.noServer.after',
    says: 'after is less than 10s',
    good: { boot: { noServer: { after: '10s' } } },
    bad: { boot: { noServer: { after: '0s' } } },
  },
  {
    at: 'Farm spec.sites[].boot.noServer.after',
    says: 'after is less than 10s',
    good: { sites: [{ name: 'default', boot: { noServer: { after: '1m' } } }] },
    bad: { sites: [{ name: 'default', boot: { noServer: { after: '9s' } } }] },
  },
  {
    at: 'Farm spec.offline.maxAge',
    says: 'maxAge is less than 1m',
    good: { offline: { maxAge: '1m' } },
    bad: { offline: { maxAge: '0h59s' } },
  },
  {
    at: 'Farm spec',
    says: 'say the site of each collection',
    good: { sites: [{ name: 'a' }, { name: 'b' }], collections: [{ name: 'c', site: 'b' }] },
    bad: { sites: [{ name: 'a' }, { name: 'b' }], collections: [{ name: 'c' }] },
  },
  {
    at: 'Farm spec',
    says: 'names a site that is not in sites',
    good: { collections: [{ name: 'c', site: 'default' }] },
    bad: { sites: [{ name: 'paris' }], collections: [{ name: 'c', site: 'default' }] },
  },
  {
    at: 'Farm spec',
    says: 'autoAdd.collection is not in collections',
    good: { collections: [{ name: 'c' }], autoAdd: { collection: 'c' } },
    bad: { collections: [{ name: 'c' }], autoAdd: { collection: 'd' } },
  },
  {
    at: 'Farm spec',
    says: 'boot.unknownDevices adds machines',
    good: { boot: { unknownDevices: 'AutoAdd' }, collections: [{ name: 'c' }], autoAdd: { collection: 'c' } },
    bad: { boot: { unknownDevices: 'AutoAdd' } },
  },
  {
    at: 'Farm spec',
    says: 'a site adds machines',
    good: { sites: [{ name: 'default', boot: { unknownDevices: 'Screen' } }] },
    bad: { sites: [{ name: 'default', boot: { unknownDevices: 'AutoAdd' } }] },
  },
  {
    at: 'StreamingServer spec.autoscaling',
    says: 'minReplicas (2 where it is absent) is more than maxReplicas',
    good: { autoscaling: { maxReplicas: 2 } },
    bad: { autoscaling: { maxReplicas: 1 } },
  },
  {
    at: 'StreamingServer spec.placement.replaceAfter',
    says: 'replaceAfter is less than 1m',
    good: { placement: { replaceAfter: '60s' } },
    bad: { placement: { replaceAfter: '59s' } },
  },
  {
    at: 'StreamingServer spec.network',
    says: 'either interface or cidrs',
    good: { network: { interface: 'eth0' } },
    bad: { network: { interface: 'eth0', cidrs: ['10.0.0.0/24'] } },
  },
  {
    at: 'StreamingServer spec.network',
    says: 'something that is not a network',
    good: { network: { cidrs: ['10.0.0.0/24'] } },
    bad: { network: { cidrs: ['10.0.0.0/33'] } },
  },
  {
    at: 'StreamingServer spec.ports',
    says: 'need different TCP ports',
    good: { ports: { control: 7000 } },
    bad: { ports: { control: 6912 } },
  },
  {
    at: 'StreamingServer spec.ports',
    says: 'those of DHCP, TFTP and PXE',
    good: { ports: { stream: 6910 } },
    bad: { ports: { stream: 4011 } },
  },
  {
    at: 'StreamingServer spec.limits',
    says: 'maxBooting is more than maxDevices',
    good: { limits: { maxDevices: 100 } },
    bad: { limits: { maxDevices: 100, maxBooting: 101 } },
  },
  {
    at: 'StreamingServer spec.powerRating',
    says: 'less than 0.1',
    good: { powerRating: 0.1 },
    bad: { powerRating: 0 },
  },
  {
    at: 'StreamingServer spec.nodes[].powerRating',
    says: 'less than 0.1',
    good: { nodes: [{ name: 'node-a', powerRating: 1 }] },
    bad: { nodes: [{ name: 'node-a', powerRating: 0 }] },
  },
  {
    at: 'StreamingServer spec.stateDirectory',
    says: 'stateDirectory is immutable',
    before: { stateDirectory: undefined },
    good: { stateDirectory: '/var/lib/bootfarm' },
    bad: { stateDirectory: '/var/lib/other' },
  },
  {
    at: 'StreamingServer spec',
    says: 'lie in one another',
    good: { storeRoots: ['/srv'], stateDirectory: '/srv2' },
    bad: { storeRoots: ['/srv'], stateDirectory: '/srv/state' },
  },
  {
    at: 'Store spec.fc',
    says: 'name the LUN in one way',
    good: { local: undefined, fc: { wwids, readOnly: true } },
    bad: { local: undefined, fc: { wwids, lun: 1, readOnly: true } },
  },
  {
    at: 'Store spec.fc',
    says: 'several nodes mount this LUN: set readOnly: true',
    good: { local: undefined, fc: { wwids, clusterFilesystem: true } },
    bad: { local: undefined, fc: { wwids, clusterFilesystem: false } },
  },
  {
    at: 'Store spec.iscsi',
    says: 'several nodes mount this LUN: set readOnly: true',
    good: { local: undefined, iscsi: { targetPortal: 'san:3260', iqn: 'iqn.2026-01.lab:a', lun: 0, readOnly: true } },
    bad: { local: undefined, iscsi: { targetPortal: 'san:3260', iqn: 'iqn.2026-01.lab:a', lun: 0 } },
  },
  {
    at: 'Store spec.replication.verifyEvery',
    says: 'verifyEvery is less than 1h',
    good: { replication: { verifyEvery: '60m' } },
    bad: { replication: { verifyEvery: '59m59s' } },
  },
  {
    at: 'Store spec.replication.keepStale',
    says: 'keepStale is less than 1h',
    good: { replication: { keepStale: '1h' } },
    bad: { replication: { keepStale: '30m' } },
  },
  {
    at: 'Store spec.replication.replaceAfter',
    says: 'replaceAfter is less than 1m',
    good: { replication: { replaceAfter: '1m' } },
    bad: { replication: { replaceAfter: '59s' } },
  },
  {
    at: 'Store spec',
    says: 'exactly one of local, nfs',
    good: { local: undefined, nfs: { server: 'nas', path: '/' } },
    bad: { nfs: { server: 'nas', path: '/vdisks' } },
  },
  {
    at: 'Store spec',
    says: 'replication is for local stores',
    good: { replication: { mode: 'Report' } },
    bad: { local: undefined, persistentVolumeClaim: { claimName: 'v' }, replication: { mode: 'Report' } },
  },
  {
    at: 'VDisk spec.fileName',
    says: 'fileName is immutable',
    before: {},
    good: { fileName: 'lab' },
    bad: { fileName: 'other' },
  },
  {
    at: 'VDisk spec.fileName',
    says: 'ends like the number of a version',
    good: { fileName: 'lab.v2' },
    bad: { fileName: 'lab.2' },
  },
  {
    at: 'VDisk spec.loadBalancing',
    says: 'say either algorithm or server',
    good: { loadBalancing: { algorithm: 'LeastBusy', subnetAffinity: 'Fixed' } },
    bad: { loadBalancing: { algorithm: 'LeastBusy', server: 'node-a' } },
  },
  {
    at: 'VDisk spec.loadBalancing',
    says: 'leave out subnetAffinity and rebalance',
    good: { loadBalancing: { server: 'node-a' } },
    bad: { loadBalancing: { server: 'node-a', rebalance: { enabled: true } } },
  },
  {
    at: 'VDisk spec.os',
    says: 'say either linux or firmware',
    good: { os: { linux: { commandLine: 'quiet' } } },
    bad: { os: { linux: {}, firmware: {} } },
  },
  {
    at: 'VDisk spec.os.linux.commandLine',
    says: 'commandLine has what iPXE reads itself',
    good: { os: { linux: { commandLine: 'quiet root=a;b a&&b $x c#d "e f"' } } },
    bad: { os: { linux: { commandLine: 'quiet && reboot' } } },
  },
  {
    at: 'VDisk spec',
    says: 'minCopies is more than copies',
    good: { copies: 2, minCopies: 2 },
    bad: { copies: 2, minCopies: 3 },
  },
  {
    at: 'VDisk spec',
    says: 'bootVersion must name an entry',
    good: { bootVersion: 1, versions: [{ number: 1, access: 'Production' }] },
    bad: { bootVersion: 1, versions: [{ number: 1, access: 'Test' }] },
  },
];
