import { describe, expect, test } from '@jest/globals';
import { aServer, aSnapshot, aVDisk, aVersion } from '../../test/builders/farm.ts';
import { bootstrapHash, bootstrapOf } from './bootstrap.ts';
import { fileNames, isBootFile, manifestDigest, offersStore, storePath } from './files.ts';
import type { Access, FarmSnapshot, Server, Store, VDisk, Version, VersionOverride } from './model.ts';
import { type Choice, isKnown, versionFor, versionStates } from './version.ts';

const lab = aVDisk();
const version = (number: number, more: Partial<Version> = {}): Version => ({
  vdisk: 'lab',
  number,
  access: 'Production',
  ...more,
});

const choice = (versions: readonly Version[], more: Partial<Choice> = {}): Choice => ({
  vdisk: lab,
  versions,
  overrides: [],
  nowSeconds: 100,
  isKnown,
  ...more,
});
const settled = { settledAt: 1 };

describe('versionFor', () => {
  test.each([
    {
      what: 'the newest Production version',
      versions: [version(0), version(2), version(1)],
      device: 'Production',
      boots: 2,
    },
    {
      what: 'not before releaseAt',
      versions: [version(0), version(1, { releaseAt: 101 })],
      device: 'Production',
      boots: 0,
    },
    {
      what: 'from releaseAt on',
      versions: [version(0), version(1, { releaseAt: 100 })],
      device: 'Production',
      boots: 1,
    },
    {
      what: 'Test before Production',
      versions: [version(0), version(1, { access: 'Test' }), version(2)],
      device: 'Test',
      boots: 1,
    },
    { what: 'Production when there is no Test', versions: [version(0)], device: 'Test', boots: 0 },
    {
      what: 'no Test version for Production',
      versions: [version(0), version(1, { access: 'Test' })],
      device: 'Production',
      boots: 0,
    },
    {
      what: 'the newest that enough servers have',
      versions: [version(0, settled), version(1, settled), version(2)],
      device: 'Production',
      boots: 1,
    },
    {
      what: 'the newest of which anything is known where enough have none',
      versions: [aVersion(), aVersion({ number: 1 }), version(2)],
      device: 'Production',
      boots: 1,
    },
    {
      what: 'the newest where nothing is known of any',
      versions: [version(0), version(1)],
      device: 'Production',
      boots: 1,
    },
    {
      what: 'a Test version that few have',
      versions: [version(0, settled), version(1, { access: 'Test' })],
      device: 'Test',
      boots: 1,
    },
    {
      what: 'Maintenance first',
      versions: [version(0), version(3, { access: 'Maintenance' })],
      device: 'Maintenance',
      boots: 3,
    },
  ] as const)('$what', ({ versions, device, boots }) => {
    expect(versionFor(choice(versions), device)).toMatchObject({ kind: 'version', version: { number: boots } });
  });

  test('bootVersion pins Production devices', () => {
    expect(
      versionFor(choice([version(0), version(1)], { vdisk: { ...lab, bootVersion: 0 } }), 'Production'),
    ).toMatchObject({
      version: { number: 0 },
    });
  });

  test.each([
    { vdisk: { ...lab, bootVersion: 7 }, versions: [version(0)], says: 'no version 7' },
    { vdisk: lab, versions: [version(0, { access: 'Test' })], says: '0 is Test' },
    { vdisk: lab, versions: [version(0, { releaseAt: 101 })], says: '0 is Production later' },
    { vdisk: lab, versions: [], says: 'it has none' },
  ])('none: $says', ({ vdisk, versions, says }) => {
    const chosen = versionFor(choice(versions, { vdisk }), 'Production');
    expect(chosen.kind === 'none' && chosen.message).toContain(says);
  });
});

describe('an override', () => {
  const versions = [version(0, settled), version(1, settled), version(2, { access: 'Test' })];
  const override = (more: object) => ({ vdisk: 'lab', version: 0, ...more });
  test.each<{ what: string; overrides: VersionOverride[]; vdisk?: VDisk; device?: Access; boots: number }>([
    { what: 'goes before the newest', overrides: [override({})], boots: 0 },
    { what: 'goes before bootVersion', overrides: [override({})], vdisk: { ...lab, bootVersion: 1 }, boots: 0 },
    { what: 'ends', overrides: [override({ until: 100 })], boots: 1 },
    { what: 'holds until it ends', overrides: [override({ until: 101 })], boots: 0 },
    { what: 'is of its vDisk alone', overrides: [override({ vdisk: 'other' })], boots: 1 },
    { what: 'of a version that is gone is passed over', overrides: [override({ version: 7 })], boots: 1 },
    { what: 'is for Production devices alone', overrides: [override({})], device: 'Test', boots: 2 },
  ])('$what', ({ overrides, vdisk = lab, device = 'Production', boots }) => {
    expect(versionFor(choice(versions, { overrides, vdisk }), device)).toMatchObject({ version: { number: boots } });
  });
});

test.each<{ what: string; versions: readonly Version[]; more?: Partial<Choice>; states: string[] }>([
  {
    what: 'each by its access, and one default',
    versions: [version(0, settled), version(1, settled), version(2, { access: 'Test' })],
    states: ['Production', 'Default', 'Test'],
  },
  {
    what: 'what waits for copies, and for its time',
    versions: [version(0, settled), version(1), version(2, { ...settled, releaseAt: 200 })],
    states: ['Default', 'Pending copies', 'Pending 200'],
  },
  {
    what: 'what a rollback chose, and nothing that waits',
    versions: [version(0, settled), version(1, settled), version(2)],
    more: { overrides: [{ vdisk: 'lab', version: 0 }] },
    states: ['Override', 'Production', 'Production'],
  },
  {
    what: 'a pinned one, and nothing that waits',
    versions: [version(0), version(1)],
    more: { vdisk: { ...lab, bootVersion: 0 } },
    states: ['Default', 'Production'],
  },
  { what: 'none that may be booted', versions: [version(3, { access: 'Maintenance' })], states: ['Maintenance'] },
])('versionStates says $what', ({ versions, more, states }) => {
  const told = [...versionStates(choice(versions, more)).values()].map((one) =>
    one.state === 'Pending' ? `Pending ${one.waitsFor === 'copies' ? 'copies' : one.waitsFor.releaseAt}` : one.state,
  );
  expect(told).toEqual(states);
});

describe('files', () => {
  test('the base, a version and their kernel', () => {
    expect(fileNames('lab', 0)).toEqual({ stem: 'lab', kernel: 'lab.vmlinuz', initrd: 'lab.initrd' });
    expect(fileNames('lab', 3)).toEqual({ stem: 'lab.3', kernel: 'lab.3.vmlinuz', initrd: 'lab.3.initrd' });
  });

  test.each([
    ['lab.3.vmlinuz', true],
    ['lab.initrd', true],
    ['lab.raw', false],
    ['initrd', false],
  ])('%s is a boot file: %s', (name, boots) => {
    expect(isBootFile(name)).toBe(boots);
  });

  test('the manifest digest does not depend on order, but on names and digests', () => {
    const a = { name: 'lab.raw', sizeBytes: 512, sha256: 'a'.repeat(64) };
    const b = { name: 'lab.vmlinuz', sizeBytes: 512, sha256: 'b'.repeat(64) };
    expect(manifestDigest([a, b])).toBe(manifestDigest([b, a]));
    expect(manifestDigest([a, { ...b, name: 'lab.initrd' }])).not.toBe(manifestDigest([a, b]));
  });

  const store: Store = {
    name: 'images',
    pools: [],
    servers: [],
    local: { path: '/srv/vdisks', nodes: { 'node-b': '/data' } },
  };
  const server = { name: 'node-a', pool: 'main', site: 'paris' };
  test.each([
    { store, offers: true },
    { store: { ...store, site: 'paris' }, offers: true },
    { store: { ...store, site: 'lyon' }, offers: false },
    { store: { ...store, pools: ['main'] }, offers: true },
    { store: { ...store, pools: ['other'] }, offers: false },
    { store: { ...store, pools: ['other'], servers: ['node-a'] }, offers: true },
  ])('offersStore case %#', ({ store: given, offers }) => {
    expect(offersStore(given, server)).toBe(offers);
  });

  test('a node may have its own path', () => {
    expect(storePath(store, 'node-a')).toBe('/srv/vdisks');
    expect(storePath(store, 'node-b')).toBe('/data');
  });
});

describe('bootstrap', () => {
  const snapshot = (servers: Server[]) => aSnapshot({ servers });
  const hash = (given: FarmSnapshot): string | undefined => {
    const bootstrap = bootstrapOf(given, 'default');
    return bootstrap && bootstrapHash(bootstrap);
  };

  test('lists every server of the site, the same whatever order the rows come in', () => {
    const a = aServer({ name: 'node-a', address: '10.77.0.11' });
    const b = aServer({ name: 'node-b', address: '10.77.0.12' });
    expect(bootstrapOf(snapshot([b, a]), 'default')?.loginServers).toEqual([
      { host: '10.77.0.11', port: 6910 },
      { host: '10.77.0.12', port: 6910 },
    ]);
    expect(hash(snapshot([a, b]))).toBe(hash(snapshot([b, a])));
    expect(hash(snapshot([a]))).not.toBe(hash(snapshot([a, b])));
  });

  test('a site that is not there has none', () => {
    expect(bootstrapOf(snapshot([]), 'lyon')).toBeUndefined();
  });
});
