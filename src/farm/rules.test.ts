import { describe, expect, test } from '@jest/globals';
import { aServer, aSnapshot, aVDisk } from '../../test/builders/farm.ts';
import { bootstrapHash, bootstrapOf } from './bootstrap.ts';
import { fileNames, isBootFile, manifestDigest, offersStore, storePath } from './files.ts';
import type { FarmSnapshot, Server, Store, Version } from './model.ts';
import { versionFor } from './version.ts';

const lab = aVDisk();
const version = (number: number, more: Partial<Version> = {}): Version => ({
  vdisk: 'lab',
  number,
  access: 'Production',
  ...more,
});

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
      what: 'Maintenance first',
      versions: [version(0), version(3, { access: 'Maintenance' })],
      device: 'Maintenance',
      boots: 3,
    },
  ] as const)('$what', ({ versions, device, boots }) => {
    expect(versionFor(lab, versions, device, 100)).toMatchObject({ kind: 'version', version: { number: boots } });
  });

  test('bootVersion pins Production devices', () => {
    expect(versionFor({ ...lab, bootVersion: 0 }, [version(0), version(1)], 'Production', 100)).toMatchObject({
      version: { number: 0 },
    });
  });

  test.each([
    { vdisk: { ...lab, bootVersion: 7 }, versions: [version(0)], says: 'no version 7' },
    { vdisk: lab, versions: [version(0, { access: 'Test' })], says: '0 is Test' },
    { vdisk: lab, versions: [version(0, { releaseAt: 101 })], says: '0 is Production later' },
    { vdisk: lab, versions: [], says: 'it has none' },
  ])('none: $says', ({ vdisk, versions, says }) => {
    const choice = versionFor(vdisk, versions, 'Production', 100);
    expect(choice.kind === 'none' && choice.message).toContain(says);
  });
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
