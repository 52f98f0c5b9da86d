import { expect, test } from '@jest/globals';
import { aDevice, aSnapshot, aVDisk, aVersion } from '../../test/builders/farm.ts';
import { decideBoot } from './boot.ts';
import { mayFetch } from './fetch.ts';
import type { FarmSnapshot } from './model.ts';

const decided = (more: Partial<FarmSnapshot> = {}, device = aDevice(), site = 'default') => {
  const decision = decideBoot(aSnapshot(more), site, device, 0);
  if (!decision) throw new Error('no such site');
  return decision;
};
const kernel = { vdisk: 'lab', version: '0', name: 'lab.vmlinuz' };

test('kernel and initrd of the version that the machine boots', () => {
  expect(mayFetch(decided(), kernel)).toBe(true);
  expect(mayFetch(decided(), { ...kernel, name: 'lab.initrd' })).toBe(true);
});

test.each([
  'lab.raw',
  'LAB.VMLINUZ',
  'lab.vmlinuz\0',
  '../lab.vmlinuz',
  '',
  'lab.1.vmlinuz',
  'lab.vmlinuz/',
  'lab.vhdx',
])('not the name %j', (name) => {
  expect(mayFetch(decided(), { ...kernel, name })).toBe(false);
});

test.each(['1', '00', '', '0x0', '-0', ' 0', '0.0', '1e0', 'NaN'])('not the version %j', (version) => {
  expect(mayFetch(decided(), { ...kernel, version })).toBe(false);
});

test.each([
  { what: 'another vDisk', decision: decided(), asked: { ...kernel, vdisk: 'other' } },
  { what: 'a disabled vDisk', decision: decided({ vdisks: [aVDisk({ enabled: false })] }), asked: kernel },
  { what: 'a disabled device', decision: decided({}, aDevice({ enabled: false })), asked: kernel },
  {
    what: 'a device of another site',
    decision: decided({
      collections: [{ name: 'room-101', site: 'lyon', vdisk: 'lab', class: 'Production', template: {} }],
    }),
    asked: kernel,
  },
  {
    what: 'a version of tests for a production device',
    decision: decided({ versions: [aVersion({ access: 'Test' })] }),
    asked: kernel,
  },
])('nothing of $what', ({ decision, asked }) => {
  expect(mayFetch(decision, asked)).toBe(false);
});
