import { expect, test } from '@jest/globals';
import { byName, machineOf, stateOf, streamed, wanted, withDevice, withSession } from './machine.ts';
import type { Device, Session } from './shapes.ts';

const NOW = 1_800_000_000_000;
const device = (name: string, more: Partial<Device> = {}): Device => ({
  name,
  macs: ['52:54:00:00:00:01'],
  collection: 'room-101',
  enabled: true,
  properties: {},
  ...more,
});
const session = (of: string, more: Partial<Session> = {}): Session => ({
  device: of,
  server: 'node-a',
  vdisk: 'lab',
  version: 1,
  since: NOW - 120_000,
  epoch: 1,
  protocol: 'stream',
  ...more,
});
const MACHINES = [
  machineOf({
    ...device('pc2', { collection: 'room-102', macs: ['52:54:00:00:ab:02', '52:54:00:00:ab:03'] }),
    session: session('pc2', { server: 'node-b' }),
  }),
  machineOf({ ...device('pc1'), session: session('pc1', { since: NOW - 5_000 }) }),
  machineOf(device('pc3', { enabled: false })),
  machineOf(device('pc4')),
];
const BY_NAME = new Map(MACHINES.map((machine) => [machine.device.name, machine]));
const NAMES = [...BY_NAME.keys()].sort(byName);
const ALL = { search: '', collection: '', state: '', server: '', vdisk: '' };

test.each([
  [{}, 'pc1 pc2 pc3 pc4'],
  [{ search: 'PC2' }, 'pc2'],
  [{ search: 'ab:03' }, 'pc2'],
  [{ search: 'AB-03' }, 'pc2'],
  [{ search: '5254.0000.ab03' }, 'pc2'],
  [{ search: 'nowhere' }, ''],
  [{ collection: 'room-102' }, 'pc2'],
  [{ state: 'Booting' }, 'pc1'],
  [{ state: 'Streaming' }, 'pc2'],
  [{ state: 'Disabled' }, 'pc3'],
  [{ state: 'Off' }, 'pc4'],
  [{ server: 'node-b' }, 'pc2'],
  [{ vdisk: 'lab' }, 'pc1 pc2'],
])('%j finds %s', (some, names) => {
  expect(wanted(BY_NAME, NAMES, { ...ALL, ...some }, NOW).join(' ')).toBe(names);
});

test('an event of one half leaves the other', () => {
  const [machine] = MACHINES;
  if (!machine) throw new Error('there is none');
  const other = withDevice(device('pc2', { enabled: false, macs: ['52:54:00:00:00:99'] }), machine);
  expect([stateOf(other, NOW), other.text]).toEqual(['Streaming', 'pc2\n52:54:00:00:00:99']);
  expect(stateOf(withSession(other, undefined), NOW)).toBe('Disabled');
});

test('who streams what is counted', () => {
  expect(streamed(BY_NAME)).toEqual([
    { vdisk: 'lab', version: 1, server: 'node-b', devices: 1 },
    { vdisk: 'lab', version: 1, server: 'node-a', devices: 1 },
  ]);
});
