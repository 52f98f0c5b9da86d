import { describe, expect, test } from '@jest/globals';
import { aBoot, aDevice, aSnapshot, aVDisk, aVersion } from '../../test/builders/farm.ts';
import { decideBoot, type RefusalCode } from './boot.ts';
import type { Device, FarmSnapshot } from './model.ts';

const NOW = 1_000;

test('a known device boots the version of its collection', () => {
  expect(decideBoot(aSnapshot(), 'default', aDevice(), NOW)).toMatchObject({
    kind: 'boot',
    vdisk: { name: 'lab' },
    version: { number: 0 },
    manifest: aVersion().content?.manifest,
  });
});

test.each(['Ignore', 'Screen', 'AutoAdd', 'LocalDisk'] as const)(
  'an unknown machine gets the rule of its site: %s',
  (unknownDevices) => {
    const snapshot = aSnapshot({ sites: [{ name: 'default', boot: aBoot({ unknownDevices }) }] });
    expect(decideBoot(snapshot, 'default', undefined, NOW)).toMatchObject({ kind: 'unknown', action: unknownDevices });
  },
);

test('a site that the farm does not have decides nothing', () => {
  expect(decideBoot(aSnapshot(), 'lyon', aDevice(), NOW)).toBeUndefined();
});

describe('a refusal says what to do', () => {
  const [collection] = aSnapshot().collections;
  if (!collection) throw new Error('the builder lost its collection');
  test.each<{ code: RefusalCode; snapshot?: FarmSnapshot; device?: Device; says: string }>([
    { code: 'Suspended', snapshot: aSnapshot({ farm: { ...aSnapshot().farm, suspend: true } }), says: 'spec.suspend' },
    { code: 'OtherSite', snapshot: aSnapshot({ collections: [{ ...collection, site: 'lyon' }] }), says: 'lyon' },
    { code: 'Disabled', device: aDevice({ enabled: false }), says: 'pc0001' },
    { code: 'NoVDisk', device: aDevice({ collection: 'gone' }), says: 'gone' },
    { code: 'NoVDisk', snapshot: aSnapshot({ vdisks: [] }), says: 'lab' },
    { code: 'VDiskDisabled', snapshot: aSnapshot({ vdisks: [aVDisk({ enabled: false })] }), says: 'spec.enabled' },
    { code: 'NoVersion', snapshot: aSnapshot({ versions: [] }), says: 'has no version' },
    {
      code: 'NoContent',
      snapshot: aSnapshot({ versions: [{ vdisk: 'lab', number: 0, access: 'Production' }] }),
      says: 'status of the VDisk',
    },
  ])('$code: $says', ({ code, snapshot = aSnapshot(), device = aDevice(), says }) => {
    expect(decideBoot(snapshot, 'default', device, NOW)).toMatchObject({
      kind: 'refused',
      code,
      message: expect.stringContaining(says),
    });
  });
});
