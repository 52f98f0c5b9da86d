/** A farm with something in every table, and what compares it with what came back from one. */
import type { FarmSnapshot, Session } from '../../src/farm/model.ts';

export const aSession = (more: Partial<Session> = {}): Session => ({
  device: 'pc0001',
  server: 'node-a',
  vdisk: 'lab',
  version: 0,
  since: 1_767_225_600_000,
  epoch: 1_767_225_600_000,
  protocol: 'stream',
  ...more,
});

/** Optional fields are set in one row and absent in the next, so that an implementation that loses or invents one is seen. */
export const aFarm = (): FarmSnapshot => ({
  farm: {
    id: '00000000-0000-4000-8000-000000000001',
    name: 'farm',
    mode: 'Authenticated',
    offline: { enabled: true, maxAgeSeconds: 2_592_000 },
    autoAdd: { collection: 'room-101', namePrefix: 'pc', digits: 4, maxDevices: 1_000, maxPerMinute: 10 },
    suspend: false,
  },
  sites: [
    {
      name: 'default',
      boot: {
        loginServers: [{ host: '10.77.0.11', port: 6910 }],
        unknownDevices: 'Ignore',
        noServer: { action: 'Wait', afterSeconds: 600 },
        verbose: false,
        proxyDHCP: true,
        tftp: true,
        tftpMaxBlockSize: 1_468,
        http: { enabled: true, port: 8069 },
        bootFiles: { bios: 'undionly.kpxe', efi64: 'snponly.efi' },
      },
    },
  ],
  collections: [
    { name: 'room-101', site: 'default', vdisk: 'lab', class: 'Production', template: { timezone: 'Europe/Paris' } },
    { name: 'room-102', site: 'default', class: 'Test', template: {} },
  ],
  stores: [
    { name: 'local', pools: [], servers: [], local: { path: '/srv/vdisks', nodes: { 'node-b': '/data/vdisks' } } },
    {
      name: 'near',
      site: 'default',
      pools: ['main'],
      servers: ['node-a'],
      local: { path: '/srv/near', nodes: {} },
      verifyEverySeconds: 43_200,
    },
  ],
  vdisks: [
    {
      name: 'lab',
      store: 'local',
      fileName: 'lab',
      enabled: true,
      loadBalancing: { algorithm: 'LeastBusy', subnetAffinity: 'None' },
      overlayMiB: 2048,
      bootVersion: 0,
      commandLine: 'quiet',
    },
    {
      name: 'pinned',
      store: 'near',
      fileName: 'pinned',
      enabled: false,
      loadBalancing: { server: 'node-a' },
      overlayMiB: 64,
      commandLine: '',
    },
  ],
  versions: [
    {
      vdisk: 'lab',
      number: 0,
      access: 'Production',
      releaseAt: 1_767_225_600,
      settledAt: 1_767_225_700,
      content: {
        manifest: 'a'.repeat(64),
        files: [{ name: 'lab.raw', sizeBytes: 3_000_000_000, sha256: 'b'.repeat(64) }],
      },
    },
    { vdisk: 'lab', number: 1, access: 'Test' },
  ],
  overrides: [
    { vdisk: 'lab', version: 0, until: 4_102_444_800 },
    { vdisk: 'pinned', version: 7 },
  ],
  servers: [
    {
      name: 'node-a',
      site: 'default',
      pool: 'main',
      address: '10.77.0.11',
      ports: { stream: 6910, http: 8069, control: 6911 },
      powerRating: 1.5,
    },
  ],
});

/** Rows in the order of their keys: the port promises none. */
export const sorted = (snapshot: FarmSnapshot): FarmSnapshot => {
  const by = <T>(rows: readonly T[], key: (row: T) => string): T[] =>
    [...rows].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const name = (row: { readonly name: string }): string => row.name;
  return {
    farm: snapshot.farm,
    sites: by(snapshot.sites, name),
    collections: by(snapshot.collections, name),
    stores: by(snapshot.stores, name),
    vdisks: by(snapshot.vdisks, name),
    versions: by(snapshot.versions, (version) => `${version.vdisk}/${version.number}`),
    overrides: by(snapshot.overrides, ({ vdisk }) => vdisk),
    servers: by(snapshot.servers, name),
  };
};
