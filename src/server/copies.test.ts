/** What may be served of what lies in the stores, on real folders. */
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { aSnapshot, aVDisk, aVersion } from '../../test/builders/farm.ts';
import { aPvp } from '../../test/builders/pvs.ts';
import { aHasher } from '../../test/fakes/hasher.ts';
import { until } from '../../test/setup/time.ts';
import type { Offer } from '../export/exports.ts';
import { manifestDigest } from '../farm/files.ts';
import type { FarmSnapshot, Store, Version } from '../farm/model.ts';
import { lookInto } from '../store/inventory.ts';
import { MARK, OWNER_FILE } from '../store/mark.ts';
import { PROPERTIES_FILE, parseStoreProperties, type StoreProperties } from '../store/propertycopies.ts';
import { silentLogger } from '../telemetry/log.ts';
import { Copies, type ServedCopy } from './copies.ts';

let root: string;
let snapshot: FarmSnapshot | undefined;
let told: string[][];
let offered: readonly Offer[];
let copies: Copies;

const names = (served: readonly ServedCopy[]): string[] => served.map(({ vdisk, version }) => `${vdisk}/${version}`);
const image = (fill: number): Buffer => Buffer.alloc(1_024, fill);
const put = (path: string, data: Buffer): void => writeFileSync(join(root, path), data);

const boots = (stem: string) => ({
  [`${stem}.vmlinuz`]: Buffer.from('kernel'),
  [`${stem}.initrd`]: Buffer.from('initrd'),
});
const putAll = (contents: Readonly<Record<string, Buffer>>): void => {
  for (const [name, data] of Object.entries(contents)) put(`srv/${name}`, data);
};

/** A version of these files, as the farm says that it must be. */
function version(number: number, contents: Readonly<Record<string, Buffer>>): Version {
  const files = Object.entries(contents).map(([name, data]) => ({
    name,
    sizeBytes: data.length,
    sha256: createHash('sha256').update(data).digest('hex'),
  }));
  return aVersion({ number, content: { manifest: manifestDigest(files), files } });
}
const aStore = (more: Partial<Store> = {}): Store => ({
  name: 'images',
  pools: [],
  servers: [],
  local: { path: join(root, 'srv'), nodes: {} },
  ...more,
});
const aFarm = (...versions: Version[]): FarmSnapshot => aSnapshot({ stores: [aStore()], versions });

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bootfarm-copies-'));
  for (const name of ['srv', 'data', 'state']) mkdirSync(join(root, name));
  told = [];
  copies = new Copies({
    server: { name: 'node-a', site: 'default', pool: 'main' },
    storeRoots: [join(root, 'srv'), join(root, 'data')],
    stateDirectory: join(root, 'state'),
    snapshot: () => snapshot,
    onLooked: (served, offers) => {
      if (names(served).join() !== (told.at(-1) ?? []).join()) told.push(names(served));
      offered = offers;
    },
    log: silentLogger,
    hasher: aHasher(),
  });
});
afterEach(async () => {
  await copies.close();
  rmSync(root, { recursive: true });
});

/** Looks until no digest is being computed. */
const looked = (): Promise<unknown> =>
  until('all is hashed', async () => {
    await copies.look();
    return copies.reports.every(({ state }) => state !== 'Hashing');
  });

test('a version is served when every file of it is what the farm says', async () => {
  const contents = { 'lab.raw': image(1), ...boots('lab') };
  putAll(contents);
  snapshot = aFarm(version(0, contents));
  await copies.start();
  await looked();
  const copy = copies.find('lab', 0);
  expect([copy?.imagePath, copy?.sizeBytes]).toEqual([join(root, 'srv/lab.raw'), 1_024]);
  expect(copy?.files.get('lab.vmlinuz')).toBe(join(root, 'srv/lab.vmlinuz'));
  await copies.look();
  expect(told).toEqual([['lab/0']]);
});

test.each<{ what: string; there: Readonly<Record<string, Buffer>>; wanted: () => Version; reported: string }>([
  {
    what: 'another image',
    there: { 'lab.raw': image(2), ...boots('lab') },
    wanted: () => version(0, { 'lab.raw': image(1), ...boots('lab') }),
    reported: 'Present',
  },
  {
    what: 'another kernel',
    there: { 'lab.raw': image(1), ...boots('lab'), 'lab.vmlinuz': image(3) },
    wanted: () => version(0, { 'lab.raw': image(1), ...boots('lab') }),
    reported: 'Present',
  },
  { what: 'nothing', there: {}, wanted: () => version(0, { 'lab.raw': image(1) }), reported: 'Missing' },
  {
    what: 'a cut image',
    there: { 'lab.raw': image(1).subarray(1) },
    wanted: () => version(0, { 'lab.raw': image(1) }),
    reported: 'Faulty',
  },
  {
    what: 'an image of which nobody has said what is right',
    there: { 'lab.raw': image(1), ...boots('lab') },
    wanted: () => ({ vdisk: 'lab', number: 0, access: 'Production' }),
    reported: 'Present',
  },
])('$what is reported and not served', async ({ there, wanted, reported }) => {
  putAll(there);
  snapshot = aFarm(wanted());
  await copies.start();
  await looked();
  expect([copies.reports.map(({ state }) => state), copies.served, told]).toEqual([[reported], [], []]);
});

test.each<{ what: string; happens: () => void; content: string }>([
  { what: 'its initrd was removed', happens: () => rmSync(join(root, 'srv/lab.initrd')), content: 'Right' },
  { what: 'its kernel is another', happens: () => put('srv/lab.vmlinuz', image(3)), content: 'Right' },
  { what: 'its image was removed', happens: () => rmSync(join(root, 'srv/lab.raw')), content: 'Elsewhere' },
  {
    what: 'its image was renamed over',
    happens: () => {
      put('srv/new', image(1));
      renameSync(join(root, 'srv/new'), join(root, 'srv/lab.raw'));
    },
    content: 'Elsewhere',
  },
  {
    what: 'its store left the storeRoots',
    happens: () => {
      snapshot = aSnapshot({
        stores: [aStore({ local: { path: '/etc', nodes: {} } })],
        versions: snapshot?.versions ?? [],
      });
    },
    content: 'Elsewhere',
  },
])('of a version of which $what an open disk may be kept, and what is known of it is $content', async (row) => {
  const contents = { 'lab.raw': image(1), ...boots('lab') };
  putAll(contents);
  snapshot = aFarm(version(0, contents));
  await copies.start();
  await looked();
  const open = copies.served[0]?.imageFiles ?? [];
  expect(open).toMatchObject([{ name: 'lab.raw' }]);
  row.happens();
  await looked();
  expect(offered.map(({ contentOf }) => contentOf(open))).toEqual([row.content]);
});

test('a link that leads out of the storeRoots is a fault of its version, with the reason', async () => {
  const contents = { 'lab.raw': image(1), ...boots('lab') };
  putAll(contents);
  renameSync(join(root, 'srv/lab.raw'), join(root, 'lab.raw'));
  symlinkSync(join(root, 'lab.raw'), join(root, 'srv/lab.raw'));
  snapshot = aFarm(version(0, contents));
  await copies.start();
  expect(copies.reports).toMatchObject([
    {
      state: 'Faulty',
      message: expect.stringMatching(/lab\.raw leads to .*\/lab\.raw, which is outside of storeRoots/),
    },
  ]);
});

test('an image that machines read, and that was touched, is verified while another is being read for hours', async () => {
  const contents = { 'lab.raw': image(1), ...boots('lab') };
  putAll(contents);
  snapshot = aFarm(version(0, contents));
  await copies.start();
  await looked();
  putAll({ 'lab.1.raw': Buffer.alloc(0), ...boots('lab.1') });
  truncateSync(join(root, 'srv/lab.1.raw'), 2 ** 40);
  snapshot = aFarm(version(1, {}), version(0, contents));
  await copies.look();
  utimesSync(join(root, 'srv/lab.raw'), 1, 1);
  const now = (await lookInto(join(root, 'srv'))).files.filter(({ name }) => name === 'lab.raw');
  await until('it is right again', async () => {
    await copies.look();
    return offered.find((offer) => offer.version === 0)?.contentOf(now) === 'Right';
  });
  expect(copies.reports[0]).toMatchObject({ version: 1, state: 'Hashing' });
});

test('what may be served follows the farm: a version that is right is served, one that goes is not', async () => {
  const base = { 'lab.raw': image(1), ...boots('lab') };
  const first = { 'lab.1.raw': image(2), ...boots('lab.1') };
  putAll({ ...base, ...first });
  snapshot = undefined;
  await copies.start();
  expect([copies.stores, copies.reports]).toEqual([[], []]);
  snapshot = aFarm(version(0, base));
  await looked();
  snapshot = aFarm(version(0, base), version(1, first));
  await looked();
  snapshot = aFarm(version(1, first));
  await looked();
  expect(told).toEqual([['lab/0'], ['lab/0', 'lab/1'], ['lab/1']]);
});

test.each<{ what: string; store: () => Partial<Store>; state: string | undefined; path?: string }>([
  {
    what: 'its own path where the store says so',
    store: () => ({ local: { path: '/srv', nodes: { 'node-a': join(root, 'data') } } }),
    state: 'Accessible',
    path: 'data',
  },
  {
    what: 'no folder outside the roots',
    store: () => ({ local: { path: '/etc', nodes: {} } }),
    state: 'Missing',
    path: '/etc',
  },
  {
    what: 'no folder that only begins like a root',
    store: () => ({ local: { path: `${root}/srv-other`, nodes: {} } }),
    state: 'Missing',
    path: 'srv-other',
  },
  { what: 'no store of another site', store: () => ({ site: 'lyon' }), state: undefined },
  { what: 'no store of another pool', store: () => ({ pools: ['other'] }), state: undefined },
])('a server looks into $what', async ({ store, state, path }) => {
  snapshot = aSnapshot({ stores: [aStore(store())], vdisks: [aVDisk()] });
  await copies.start();
  expect(copies.stores.map(({ state: found }) => found)).toEqual(state === undefined ? [] : [state]);
  if (state === 'Missing') expect(copies.stores[0]?.message).toContain('none of spec.storeRoots');
  if (path) expect(copies.stores[0]?.path).toBe(resolve(root, path));
});

test('a shared store is seen while its mount is there; without it, it is Unreachable and no empty store, and served again when it is back', async () => {
  let mounted: string | undefined = '41';
  const folder = join(root, 'srv');
  const files = { 'lab.raw': image(1), ...boots('lab') };
  putAll(files);
  snapshot = aSnapshot({ stores: [aStore({ shared: true })], versions: [version(0, files)] });
  await copies.close();
  copies = new Copies({
    ...{ server: { name: 'node-a', site: 'default', pool: 'main' }, storeRoots: [folder], log: silentLogger },
    ...{ stateDirectory: join(root, 'state'), snapshot: () => snapshot, onLooked: () => undefined },
    mounts: () =>
      mounted === undefined
        ? []
        : [
            {
              id: mounted,
              parent: '22',
              device: '0:51',
              root: '/',
              point: folder,
              readOnly: true,
              readOnlyItself: false,
              source: 'nfs4 nas:/vdisks',
            },
          ],
  });
  await copies.start();
  await until('it is served', async () => {
    await copies.look();
    return names(copies.served).length === 1;
  });
  mounted = undefined;
  await copies.look();
  expect([names(copies.served), copies.stores]).toMatchObject([
    [],
    [{ state: 'Unreachable', files: 0, message: expect.stringContaining(`${folder} is not mounted on this node`) }],
  ]);
  mounted = '97';
  await until('it is served again', async () => {
    await copies.look();
    return names(copies.served).length === 1;
  });
});

test('a folder that another farm keeps is served from, and says so; its properties are not shown, and it takes none', async () => {
  const contents = { 'lab.raw': image(1), ...boots('lab') };
  putAll({ ...contents, 'lab.pvp': aPvp({ version: 3 }) });
  utimesSync(join(root, 'srv/lab.pvp'), 1, 1);
  snapshot = aSnapshot({
    stores: [aStore({ replication: { parallel: 2, keepStaleSeconds: 0 } })],
    versions: [version(0, contents)],
  });
  const owner = { farm: 'lab', lineage: '0123456789abcdef' };
  await copies.close();
  let shown: readonly StoreProperties[] = [];
  copies = new Copies({
    ...{
      server: { name: 'node-a', site: 'default', pool: 'main' },
      storeRoots: [join(root, 'srv')],
      log: silentLogger,
    },
    ...{ stateDirectory: join(root, 'state'), snapshot: () => snapshot, hasher: aHasher(), owner },
    onLooked: (_served, _offers, _right, properties) => {
      shown = properties;
    },
  });
  await copies.start();
  await looked();
  expect(JSON.parse(readFileSync(join(root, 'state', OWNER_FILE), 'utf8'))).toEqual(owner);
  expect(shown).toMatchObject([{ store: 'images', files: [{ name: 'lab.pvp', here: { changes: 3 } }] }]);
  expect(parseStoreProperties(readFileSync(join(root, 'state', PROPERTIES_FILE), 'utf8'))).toEqual(shown);
  const office = { farm: 'office', lineage: 'fedcba9876543210', token: '0'.repeat(36) };
  put(`srv/${MARK}`, Buffer.from(JSON.stringify(office)));
  await until('it is seen', async () => {
    await copies.look();
    return shown.length === 0;
  });
  expect([names(copies.served), copies.stores]).toMatchObject([
    ['lab/0'],
    [
      {
        state: 'Accessible',
        foreign: true,
        volume: expect.any(String),
        message: expect.stringContaining('is kept by farm office'),
      },
    ],
  ]);
});
