/** What every implementation of the port `FarmData` must do. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FarmAnswer, FarmData } from '../../src/farm/data.ts';
import { aDevice } from '../builders/farm.ts';
import { aFarm, aSession, sorted } from '../builders/rows.ts';
import type { FarmContents } from '../fakes/farmdata.ts';

export interface FarmDataHarness {
  /** Over a source that holds no farm yet. */
  readonly data: FarmData;
  /** Makes the source hold exactly this; resolves when `data` may be asked for it. */
  load(contents: FarmContents): Promise<void>;
  close(): Promise<void>;
}

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
    });
    afterAll(() => harness.close());

    test('a source without a farm says NotLoaded to every question', async () => {
      const { data } = harness;
      for (const answer of [
        data.snapshot(),
        data.deviceByMac('52:54:00:00:00:01'),
        data.deviceByName('pc0001'),
        data.devicesByName(['pc0001']),
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
      expect([...(await answered(harness.data.devicesByName(['pc0002', 'pc0099'])))]).toEqual([
        ['pc0002', { device: second, removed: false }],
        ['pc0099', { removed: false }],
      ]);
      expect((await answered(harness.data.devicesByName([]))).size).toBe(0);
    });

    test('a device whose UUID two machines have says so, also where it is found by it', async () => {
      const uuid = '6d3c8a62-0000-4000-8000-000000000001';
      const shared = aDevice({ uuid, uuidSharedWith: '52:54:00:00:00:99' });
      await harness.load({ ...contents, devices: [shared] });
      expect(await answered(harness.data.deviceByUuid(uuid))).toEqual(shared);
      expect(await answered(harness.data.deviceByMac('52:54:00:00:00:01'))).toEqual(shared);
      await harness.load(contents);
      expect(await answered(harness.data.deviceByUuid(uuid))).toEqual(devices[0]);
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
