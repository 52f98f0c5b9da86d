import { describe, expect, test } from '@jest/globals';
import { aDevice } from '../../../test/builders/farm.ts';
import { judgeDevice } from '../../database/devices.ts';
import { canonicalUuid } from '../../farm/uuids.ts';
import { wordsFor } from './touch.ts';

const UUID = '6d3c8a62-0000-4000-8000-000000000001';
const own = aDevice({ name: 'own', collection: 'room-101', macs: ['52:54:00:00:00:01'] });
const other = aDevice({ name: 'other', collection: 'room-102', macs: ['52:54:00:00:00:02'], uuid: UUID });
const there = {
  collections: new Set(['room-101', 'room-102']),
  byName: new Map([own, other].map((device) => [device.name, device])),
  byMac: new Map([own, other].map((device) => [device.macs[0] ?? '', device])),
  byUuid: new Map([[canonicalUuid(UUID), other]]),
};
const NEW = { name: 'new', collection: 'room-101', macs: ['52:54:00:00:00:03'] };

describe('what does not fit, to who is bound to room-101 and to who may all', () => {
  test.each<[object, RegExp, RegExp]>([
    [{ name: 'other' }, /^its name is taken in this farm/, /differs: collection room-102, MAC 52:54:00:00:00:02/],
    [{ macs: other.macs }, /^one of its MACs is taken in this farm/, /belongs to device other/],
    [{ uuid: UUID }, /^its UUID is taken in this farm/, /belongs to device other/],
    [{ name: 'own' }, /differs: collection room-101/, /differs: collection room-101/],
    [{ collection: 'room-103' }, /^the farm database does not hold that collection yet/, /it has room-101, room-102/],
  ])('%j', (more, bound, whole) => {
    const verdict = judgeDevice(aDevice({ ...NEW, ...more }), there);
    if (verdict.ok) throw new Error('it fits');
    const said = wordsFor(['room-101'])(verdict.error);
    expect(said).toMatch(bound);
    expect(said).not.toMatch(/room-102|\bother:|device other/);
    expect(wordsFor(undefined)(verdict.error)).toMatch(whole);
  });
});
