import { expect, jest, test } from '@jest/globals';
import { aDevice, aSnapshot } from '../../test/builders/farm.ts';
import { createFakeFarmData, type FakeFarmData } from '../../test/fakes/farmdata.ts';
import type { FarmDataFault } from '../farm/data.ts';
import { firstWhole } from './sources.ts';

const farm = (name: string) => ({
  snapshot: aSnapshot({ farm: { ...aSnapshot().farm, name } }),
  devices: [aDevice({ properties: { from: name } })],
  sessions: [],
});
const away: FarmDataFault = { code: 'Unreachable', message: 'the database is away' };
const whole = (name: string) => (data: FakeFarmData) => data.load(farm(name));
const broken = (data: FakeFarmData) => data.breakWith(away);
const empty = () => undefined;

test.each([
  { what: 'the replica, when it is whole', replica: whole('replica'), database: whole('database'), gives: 'replica' },
  { what: 'the replica, with the database away', replica: whole('replica'), database: broken, gives: 'replica' },
  { what: 'the database, while the replica is empty', replica: empty, database: whole('database'), gives: 'database' },
  { what: 'the replica’s own fault, when both fail', replica: empty, database: broken, gives: 'NotLoaded' },
])('every question goes to $what', async ({ replica, database, gives }) => {
  const [own, other] = [createFakeFarmData(), createFakeFarmData()];
  replica(own);
  database(other);
  const data = firstWhole(own, other);
  const snapshot = await data.snapshot();
  expect(snapshot.ok ? snapshot.value.farm.name : snapshot.error.code).toBe(gives);
  const devices = await Promise.all([data.deviceByName('pc0001'), data.deviceByMac('52:54:00:00:00:01')]);
  for (const device of devices) expect(device.ok ? device.value?.properties['from'] : device.error.code).toBe(gives);
});

test('a device that the replica does not have is not looked for in the database: absent is an answer', async () => {
  const data = firstWhole(
    createFakeFarmData({ ...farm('replica'), devices: [] }),
    createFakeFarmData(farm('database')),
  );
  expect(await data.deviceByName('pc0001')).toEqual({ ok: true, value: undefined });
});

test('a change of either is told, until it is stopped', () => {
  const [own, other] = [createFakeFarmData(), createFakeFarmData()];
  const changed = jest.fn();
  const stop = firstWhole(own, other).onChange(changed);
  own.load(farm('replica'));
  other.load(farm('database'));
  stop();
  own.breakWith(away);
  other.breakWith(away);
  expect(changed).toHaveBeenCalledTimes(2);
});
