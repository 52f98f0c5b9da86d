import { expect, test } from '@jest/globals';
import { aDevice, aSnapshot, aVDisk } from '../../test/builders/farm.ts';
import type { FarmSnapshot } from './model.ts';
import { type KnownDevice, refusalOf } from './refusal.ts';

const uuid = '6d3c8a62-0000-4000-8000-000000000001';
const claimant = { device: 'pc0001', mac: '52:54:00:00:00:01', uuid, vdisk: 'lab' };
const suspended = aSnapshot({ farm: { ...aSnapshot().farm, suspend: true } });

test.each<{ what: string; known: KnownDevice; snapshot?: FarmSnapshot; says?: string }>([
  { what: 'that the farm has', known: { device: aDevice(), removed: false } },
  { what: 'that the replica does not show yet', known: { removed: false } },
  { what: 'that was removed', known: { removed: true }, says: 'was removed' },
  { what: 'that was removed and added again', known: { device: aDevice(), removed: true } },
  { what: 'that is disabled', known: { device: aDevice({ enabled: false }), removed: false }, says: 'is disabled' },
  {
    what: 'whose name another machine has',
    known: { device: aDevice({ macs: ['52:54:00:00:00:77'] }), removed: false },
    says: 'without MAC 52:54:00:00:00:01',
  },
  {
    what: 'that is known by its UUID, with another network card',
    known: { device: aDevice({ macs: ['52:54:00:00:00:77'], uuid }), removed: false },
  },
  {
    what: 'whose name a machine with another UUID has',
    known: {
      device: aDevice({ macs: ['52:54:00:00:00:77'], uuid: uuid.replace('6d', '7e') }),
      removed: true,
    },
    says: 'without MAC 52:54:00:00:00:01',
  },
  {
    what: 'whose vDisk is disabled',
    known: { device: aDevice(), removed: false },
    snapshot: aSnapshot({ vdisks: [aVDisk({ enabled: false })] }),
    says: 'vDisk lab is disabled',
  },
  { what: 'of a suspended farm, which runs on', known: { device: aDevice(), removed: false }, snapshot: suspended },
])('a device $what', ({ known, snapshot = aSnapshot(), says }) => {
  const refusal = refusalOf(claimant, known, snapshot);
  if (says === undefined) expect(refusal).toBeUndefined();
  else expect(refusal?.message).toContain(says);
});
