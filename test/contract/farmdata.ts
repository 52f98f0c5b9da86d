/** What every implementation of the port `FarmData` must do. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FarmAnswer, FarmData } from '../../src/farm/data.ts';
import type { Device, FarmSnapshot, Session } from '../../src/farm/model.ts';
import type { FarmContents } from '../fakes/farmdata.ts';

export interface FarmDataHarness {
  /** Over a source that holds no farm yet. */
  readonly data: FarmData;
  /** Makes the source hold exactly this; resolves when `data` may be asked for it. */
  load(contents: FarmContents): Promise<void>;
  close(): Promise<void>;
}

export const aDevice = (more: Partial<Device> = {}): Device => ({
  name: 'pc0001',
  macs: ['52:54:00:00:00:01'],
  collection: 'room-101',
  enabled: true,
  properties: {},
  ...more,
});

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
    autoAdd: { collection: 'room-101', namePrefix: 'pc', digits: 4 },
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
    { name: 'near', site: 'default', pools: ['main'], servers: ['node-a'], local: { path: '/srv/near', nodes: {} } },
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
      content: {
        manifest: 'a'.repeat(64),
        files: [{ name: 'lab.raw', sizeBytes: 3_000_000_000, sha256: 'b'.repeat(64) }],
      },
    },
    { vdisk: 'lab', number: 1, access: 'Test' },
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
    servers: by(snapshot.servers, name),
  };
};

async function answered<T>(answer: FarmAnswer<T>): Promise<T> {
  const result = await answer;
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

export function farmDataContract(implementation: string, create: () => Promise<FarmDataHarness>): void {
  describe(`FarmData over ${implementation}`, () => {
    let harness: FarmDataHarness;
    const devices = [
      aDevice({ uuid: '6d3c8a62-0000-4000-8000-000000000001', properties: { seat: 'é "1"' } }),
      aDevice({
        name: 'pc0002',
        macs: ['52:54:00:00:00:02', '52:54:00:00:00:12'],
        collection: 'room-102',
        class: 'Maintenance',
        enabled: false,
      }),
    ];
    const contents: FarmContents = { snapshot: aFarm(), devices, sessions: [aSession()] };

    beforeAll(async () => {
      harness = await create();
    }, 30_000);
    afterAll(() => harness.close());

    test('a source without a farm says NotLoaded to every question', async () => {
      const { data } = harness;
      for (const answer of [
        data.snapshot(),
        data.deviceByMac('52:54:00:00:00:01'),
        data.deviceByName('pc0001'),
        data.deviceByUuid('6d3c8a62-0000-4000-8000-000000000001'),
        data.deviceCount(),
        data.sessionOf('pc0001'),
      ])
        expect(await answer).toMatchObject({ ok: false, error: { code: 'NotLoaded' } });
    });

    test('gives back the small tables as they were written, and tells that they came', async () => {
      const told = new Promise<void>((resolve) => {
        const stop = harness.data.onChange(() => {
          stop();
          resolve();
        });
      });
      await harness.load(contents);
      await told;
      const read = await answered(harness.data.snapshot());
      expect(sorted(read)).toEqual(
        sorted({ ...contents.snapshot, farm: { ...contents.snapshot.farm, id: read.farm.id } }),
      );
    });

    test('finds a device by each of its MACs, by name and by UUID', async () => {
      const [first, second] = devices;
      expect(await answered(harness.data.deviceByMac('52:54:00:00:00:01'))).toEqual(first);
      expect(await answered(harness.data.deviceByUuid('6d3c8a62-0000-4000-8000-000000000001'))).toEqual(first);
      expect(await answered(harness.data.deviceByMac('52:54:00:00:00:02'))).toEqual(second);
      expect(await answered(harness.data.deviceByMac('52:54:00:00:00:12'))).toEqual(second);
      expect(await answered(harness.data.deviceByName('pc0002'))).toEqual(second);
    });

    test('a device, a MAC and a UUID that the farm lacks are undefined, no fault', async () => {
      expect(await answered(harness.data.deviceByMac('52:54:00:00:00:99'))).toBeUndefined();
      expect(await answered(harness.data.deviceByName('pc0099'))).toBeUndefined();
      expect(await answered(harness.data.deviceByUuid('6d3c8a62-0000-4000-8000-000000000099'))).toBeUndefined();
      expect(await answered(harness.data.sessionOf('pc0002'))).toBeUndefined();
    });

    test('counts devices and knows who streams', async () => {
      expect(await answered(harness.data.deviceCount())).toBe(2);
      expect(await answered(harness.data.sessionOf('pc0001'))).toEqual(aSession());
    });

    test('follows a change: a device moved to another MAC, a vDisk disabled, a session ended', async () => {
      const moved = aDevice({ macs: ['52:54:00:00:00:31'] });
      const vdisks = contents.snapshot.vdisks.map((vdisk) => ({ ...vdisk, enabled: !vdisk.enabled }));
      await harness.load({ snapshot: { ...contents.snapshot, vdisks }, devices: [moved], sessions: [] });
      expect(await answered(harness.data.deviceByMac('52:54:00:00:00:01'))).toBeUndefined();
      expect(await answered(harness.data.deviceByUuid('6d3c8a62-0000-4000-8000-000000000001'))).toBeUndefined();
      expect(await answered(harness.data.deviceByMac('52:54:00:00:00:31'))).toEqual(moved);
      expect(await answered(harness.data.deviceByMac('52:54:00:00:00:12'))).toBeUndefined();
      expect(await answered(harness.data.sessionOf('pc0001'))).toBeUndefined();
      expect(await answered(harness.data.deviceCount())).toBe(1);
      expect(sorted(await answered(harness.data.snapshot())).vdisks.map(({ enabled }) => enabled)).toEqual([
        false,
        true,
      ]);
    });
  });
}
