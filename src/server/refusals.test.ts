import { expect, test } from '@jest/globals';
import { aDevice, aSnapshot, aVDisk } from '../../test/builders/farm.ts';
import { createFakeFarmData } from '../../test/fakes/farmdata.ts';
import { type Claimant, claimOf } from '../farm/refusal.ts';
import type { SessionSnapshot } from '../stream/server.ts';
import { silentLogger } from '../telemetry/log.ts';
import { Refusals } from './refusals.ts';

const session = { device: 'pc0001', mac: '52:54:00:00:00:01', vdisk: 'lab' } as SessionSnapshot;

const CLAIM = 'pc0001 52:54:00:00:00:01 lab';

/** A server with one session, and what its stream was told, call by call. */
function scene(snapshot = aSnapshot()) {
  const data = createFakeFarmData({ snapshot, devices: [aDevice()], sessions: [] });
  const told: string[] = [];
  const aStream = () => ({
    live: [session],
    sessions() {
      return this.live;
    },
    async setRefused(claimants: readonly Claimant[]) {
      told.push(claimants.map(claimOf).join(', '));
    },
  });
  const held = { stream: aStream() };
  const refusals = new Refusals({ data, view: { snapshot }, stream: () => held.stream, log: silentLogger });
  refusals.close();
  const remove = (): void => data.load({ snapshot, devices: [], sessions: [], removed: ['pc0001'] });
  const add = (): void => data.load({ snapshot, devices: [aDevice()], sessions: [] });
  return { data, told, held, refusals, remove, add, aStream };
}

test('a device that was removed is refused while it streams and when it is gone, and lifted when it is added again', async () => {
  const { told, held, refusals, remove, add } = scene();
  await refusals.sweep();
  remove();
  await refusals.sweep();
  await refusals.sweep();
  expect(told).toEqual(['', CLAIM]);
  held.stream.live = [];
  await refusals.sweep();
  add();
  await refusals.sweep();
  expect(told).toEqual(['', CLAIM, '']);
});

test('a session that begins is looked at at once', async () => {
  const { told, held, refusals, remove } = scene();
  held.stream.live = [];
  remove();
  await refusals.look(session);
  expect(told).toEqual([CLAIM]);
});

test('a stream that opened anew is told, and data that cannot be read lifts nothing', async () => {
  const { data, told, held, refusals, remove, aStream } = scene();
  remove();
  await refusals.sweep();
  held.stream = aStream();
  data.breakWith({ code: 'Unreachable', message: 'away' });
  await refusals.sweep();
  expect(told).toEqual([CLAIM]);
  remove();
  await refusals.sweep();
  expect(told).toEqual([CLAIM, CLAIM]);
});

test('a name that another machine has now is refused to the machine before it alone, whichever began first', async () => {
  const { data, told, held, refusals } = scene();
  const newer = { ...session, mac: '52:54:00:00:00:77' };
  data.load({ snapshot: aSnapshot(), devices: [aDevice({ macs: [newer.mac] })], sessions: [] });
  for (const live of [[session, newer], [newer, session], [newer]]) {
    held.stream.live = live;
    await refusals.sweep();
  }
  expect(told).toEqual([CLAIM]);
});

test('a device that was given another vDisk is refused the one that is disabled alone', async () => {
  const disabled = aSnapshot({ vdisks: [aVDisk({ enabled: false }), aVDisk({ name: 'office' })] });
  const { told, held, refusals } = scene(disabled);
  await refusals.sweep();
  held.stream.live = [{ ...session, vdisk: 'office' }];
  await refusals.sweep();
  expect(told).toEqual([CLAIM]);
});
