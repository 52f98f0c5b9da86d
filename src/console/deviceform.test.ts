import { expect, test } from '@jest/globals';
import { blank, type DeviceFields, fieldsOf, newOf, patchOf } from './deviceform.ts';

const BEFORE: DeviceFields = fieldsOf({
  name: 'pc1',
  macs: ['52:54:00:00:00:01', '52:54:00:00:00:02'],
  collection: 'room-101',
  enabled: true,
  properties: { seat: 'A=1', lamp: 'on' },
});

test('a device is the same after its form', () => {
  expect(newOf(BEFORE)).toEqual({
    name: 'pc1',
    macs: ['52:54:00:00:00:01', '52:54:00:00:00:02'],
    collection: 'room-101',
    enabled: true,
    properties: { seat: 'A=1', lamp: 'on' },
  });
  expect(patchOf(BEFORE, { ...BEFORE, macs: ' 52:54:00:00:00:01, 52:54:00:00:00:02\n' })).toEqual({});
});

test.each<[Partial<DeviceFields>, object]>([
  [{ enabled: false }, { enabled: false }],
  [{ macs: '52:54:00:00:00:01' }, { macs: ['52:54:00:00:00:01'] }],
  [{ class: 'Test' }, { class: 'Test' }],
  [{ uuid: 'x' }, { uuid: 'x' }],
  [{ properties: 'seat = B\nnew=1' }, { properties: { seat: 'B', new: '1', lamp: null } }],
  [{ collection: 'room-102' }, { collection: 'room-102' }],
])('%j is sent as %j', (change, patch) => expect(patchOf(BEFORE, { ...BEFORE, ...change })).toEqual(patch));

test('what is taken away is null', () => {
  const before: DeviceFields = { ...BEFORE, class: 'Test', uuid: 'x' };
  expect(patchOf(before, BEFORE)).toEqual({ class: null, uuid: null });
});

test('a new one has what was filled in', () => {
  expect(newOf({ ...blank('room-101'), name: ' pc2 ', macs: '52-54-00-00-00-03', properties: 'bare' })).toEqual({
    name: 'pc2',
    macs: ['52-54-00-00-00-03'],
    collection: 'room-101',
    enabled: true,
    properties: { bare: '' },
  });
});
