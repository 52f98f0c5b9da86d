/** Builders of farm data: a small farm that boots, of which a test changes what it is about. */
import type { PeerLoad } from '../../src/control/peer.ts';
import type { BootDecision } from '../../src/farm/boot.ts';
import { manifestDigest } from '../../src/farm/files.ts';
import type { Boot, Device, FarmSnapshot, Server, VDisk, Version } from '../../src/farm/model.ts';

export const aBoot = (more: Partial<Boot> = {}): Boot => ({
  loginServers: [],
  unknownDevices: 'Ignore',
  noServer: { action: 'Wait', afterSeconds: 600 },
  verbose: false,
  proxyDHCP: true,
  tftp: true,
  tftpMaxBlockSize: 1_468,
  http: { enabled: true, port: 8069 },
  bootFiles: { bios: 'undionly.kpxe', efi64: 'snponly.efi' },
  ...more,
});

export const aVDisk = (more: Partial<VDisk> = {}): VDisk => ({
  name: 'lab',
  store: 'images',
  fileName: 'lab',
  enabled: true,
  loadBalancing: { algorithm: 'LeastBusy', subnetAffinity: 'None' },
  overlayMiB: 512,
  commandLine: 'console=ttyS0',
  ...more,
});

const files = ['lab.raw', 'lab.vmlinuz', 'lab.initrd'].map((name, index) => ({
  name,
  sizeBytes: 512 * (index + 1),
  sha256: String(index).repeat(64),
}));

export const aVersion = (more: Partial<Version> = {}): Version => ({
  vdisk: 'lab',
  number: 0,
  access: 'Production',
  content: { manifest: manifestDigest(files), files },
  ...more,
});

export const aDevice = (more: Partial<Device> = {}): Device => ({
  name: 'pc0001',
  macs: ['52:54:00:00:00:01'],
  collection: 'room-101',
  enabled: true,
  properties: {},
  ...more,
});

export const aServer = (more: Partial<Server> = {}): Server => ({
  name: 'node-a',
  site: 'default',
  pool: 'main',
  address: '10.77.0.11',
  ports: { stream: 6910, http: 8069, control: 6911 },
  powerRating: 1,
  ...more,
});

/** A peer's ping: half idle, with a copy whose manifest is all `a`. */
export const aLoad = (more: Partial<PeerLoad> = {}): PeerLoad => ({
  name: 'node-a',
  draining: false,
  loadPercent: 0,
  prefixLength: 24,
  devices: 2,
  booting: 0,
  powerRating: 1,
  maxDevices: 10,
  maxBooting: 5,
  manifests: ['a'.repeat(16)],
  ...more,
});

export const aSnapshot = (more: Partial<FarmSnapshot> = {}): FarmSnapshot => ({
  farm: {
    id: '00000000-0000-4000-8000-000000000001',
    name: 'farm',
    mode: 'Authenticated',
    offline: { enabled: true, maxAgeSeconds: 2_592_000 },
    suspend: false,
  },
  sites: [{ name: 'default', boot: aBoot() }],
  collections: [{ name: 'room-101', site: 'default', vdisk: 'lab', class: 'Production', template: {} }],
  stores: [{ name: 'images', pools: [], servers: [], local: { path: '/srv/vdisks', nodes: {} } }],
  vdisks: [aVDisk()],
  versions: [aVersion()],
  overrides: [],
  servers: [aServer(), aServer({ name: 'node-b', address: '10.77.0.12' })],
  ...more,
});

export const aBootDecision = (decision: BootDecision | undefined): Extract<BootDecision, { kind: 'boot' }> => {
  if (decision?.kind !== 'boot') throw new Error(`does not boot: ${JSON.stringify(decision)}`);
  return decision;
};
