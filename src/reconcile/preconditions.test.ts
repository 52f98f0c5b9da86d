/** What each kind refuses before anything is done for it: each rule by one case, and their order. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../../test/builders/resources.ts';
import type { KindName } from '../resources/kinds.ts';
import type { Settings } from './context.ts';
import { type FactsOf, forbiddenImages, forbiddenPaths, overlaps, preconditions } from './preconditions.ts';

const settings: Settings = {
  image: 'bootfarm:1',
  release: '1',
  allowedHostPaths: ['/srv', '/var/lib/bootfarm'],
  allowedImages: ['reg.example/team', 'reg.example:5000/', 'other.example/bootfarm:1'],
};

test.each([
  { image: 'bootfarm:1', allowed: true },
  { image: 'reg.example/team', allowed: true },
  { image: 'reg.example/team/bootfarm:2', allowed: true },
  { image: 'reg.example/team:2', allowed: true },
  { image: 'reg.example/team@sha256:00', allowed: true },
  { image: 'reg.example:5000/any', allowed: true },
  { image: 'reg.example/teamwork', allowed: false },
  { image: 'reg.example/team.evil.example/x', allowed: false },
  { image: 'other.example/bootfarm:10', allowed: false },
  { image: 'bootfarm:10', allowed: false },
  { image: '', allowed: false },
])('image $image: allowed $allowed', ({ image, allowed }) => {
  expect(forbiddenImages(settings, [image])).toEqual(allowed ? [] : [image]);
});

test.each([
  { path: '/srv', allowed: true },
  { path: '/srv/vdisks', allowed: true },
  { path: '/srvother', allowed: false },
  { path: '/var/lib', allowed: false },
])('host path $path: allowed $allowed', ({ path, allowed }) => {
  expect(forbiddenPaths(settings, [path])).toEqual(allowed ? [] : [path]);
});

/** What a server mounts, and where a database lies. */
test.each([
  { paths: ['/srv/vdisks'], folders: ['/var/lib/bootfarm/database'], shared: [] },
  {
    paths: ['/var/lib/bootfarm'],
    folders: ['/var/lib/bootfarm/database'],
    shared: [['/var/lib/bootfarm', '/var/lib/bootfarm/database']],
  },
  { paths: ['/data/db/disks'], folders: ['/data/db'], shared: [['/data/db/disks', '/data/db']] },
  { paths: ['/data/db'], folders: ['/data/db'], shared: [['/data/db', '/data/db']] },
  { paths: ['/data/db2'], folders: ['/data/db'], shared: [] },
])('$paths beside $folders', ({ paths, folders, shared }) => {
  expect(overlaps(paths, folders)).toEqual(shared);
});

const farm = aFarm();
const pool = (spec: Parameters<typeof aStreamingServer>[0] = {}) => ({ resource: aStreamingServer(spec) });
const HELD: { readonly [Kind in KindName]: FactsOf[Kind] } = {
  Farm: { resource: farm, settings },
  Store: { resource: aStore(), farm },
  VDisk: { resource: aVDisk(), store: aStore(), farm, runtime: {} },
  StreamingServer: {
    ...pool(),
    ...{ settings, databaseFolders: [], farm, site: 'default', runtime: {}, serverUri: 'postgresql://x' },
  },
};
const two = aFarm({ spec: { sites: [{ name: 'a' }, { name: 'b' }] } });
const embedded = (more: object) => ({ resource: aFarm({ spec: { database: { embedded: more } } }) });
const ETC = { storage: { hostPath: '/etc/pg' } };

interface Case<Kind extends KindName> {
  readonly given: Partial<FactsOf[Kind]>;
  readonly reason: string;
  readonly says: string;
  /** Done by others, sooner or later. */
  readonly waits?: boolean;
}

/** In the order of the rules. */
const CASES: { readonly [Kind in KindName]: readonly Case<Kind>[] } = {
  Farm: [
    {
      given: { resource: aFarm({ spec: { security: { stream: 'Encrypted' } } }) },
      reason: 'NotSupported',
      says: 'spec.security.stream Encrypted is not supported in this release: use Authenticated',
    },
    { given: embedded(ETC), reason: 'NotAllowed', says: "host path /etc/pg is not on the operator's list (/srv, /var" },
    { given: embedded({ image: 'evil' }), reason: 'NotAllowed', says: 'add it to allowedImages of the chart' },
  ],
  Store: [
    {
      given: { resource: aStore({ spec: { writeCache: { path: '/cache' } } }) },
      reason: 'NotSupported',
      says: 'spec.writeCache is not supported',
    },
    { given: { farm: undefined }, reason: 'FarmMissing', says: 'Farm farm, which spec.farmRef names', waits: true },
  ],
  VDisk: [
    {
      given: { resource: aVDisk({ spec: { deletionPolicy: 'Delete' } }) },
      reason: 'NotSupported',
      says: 'spec.deletionPolicy Delete is not supported',
    },
    { given: { store: undefined }, reason: 'StoreMissing', says: 'not in namespace lab: make it', waits: true },
    { given: { farm: undefined }, reason: 'FarmMissing', says: 'not in namespace lab: make it', waits: true },
    { given: { runtime: undefined }, reason: 'FarmNotReady', says: 'Farm farm is being made', waits: true },
  ],
  StreamingServer: [
    {
      given: pool({ spec: { autoscaling: { maxReplicas: 4 } } }),
      reason: 'NotSupported',
      says: 'spec.autoscaling is not supported in this release: set spec.replicas',
    },
    {
      given: pool({ spec: { storeRoots: ['/srv', '/home'], stateDirectory: '/etc' } }),
      reason: 'NotAllowed',
      says: "host path /home, /etc is not on the operator's list",
    },
    {
      given: { databaseFolders: ['/srv/pg'] },
      reason: 'NotAllowed',
      says: 'its servers would see /srv, and a Farm keeps its database in /srv/pg: name in spec.storeRoots',
    },
    {
      given: {
        ...pool({ spec: { storeRoots: ['/run'] } }),
        settings: { ...settings, allowedHostPaths: ['/run', '/var/lib'] },
      },
      reason: 'NotAllowed',
      says: '/run of spec.storeRoots and /run/bootfarm-stores, where shared stores are mounted in the pod, lie in one another',
    },
    {
      given: pool({ spec: { image: 'evil' } }),
      reason: 'NotAllowed',
      says: "image evil is not on the operator's list",
    },
    { given: { farm: undefined }, reason: 'FarmMissing', says: 'Farm farm, which spec.farmRef names', waits: true },
    { given: { farm: two, site: undefined }, reason: 'SiteUnknown', says: 'say in spec.site which of a, b' },
    { given: { runtime: undefined }, reason: 'FarmNotReady', says: 'Farm farm is being made', waits: true },
    { given: { serverUri: undefined }, reason: 'FarmNotReady', says: 'the database of Farm farm', waits: true },
  ],
};
const KINDS = Object.keys(CASES) as KindName[];

const observe = <Kind extends KindName>(kind: Kind, given: Partial<FactsOf[Kind]>) =>
  preconditions(kind, { ...HELD[kind], ...given });

test.each(KINDS.flatMap((kind) => CASES[kind].map((wrong) => ({ kind, ...wrong }))))(
  'a $kind: $reason, $says',
  ({ kind, given, reason, says, waits = false }) => {
    const message = expect.stringContaining(says);
    expect(observe(kind, given)).toEqual({
      ok: false,
      error: { kind: waits ? 'reconciling' : 'stalled', reason, message },
    });
  },
);

test('a site that the farm does not have is named with those that it has', () => {
  const given = { ...pool({ spec: { site: 'c' } }), farm: two, site: undefined };
  expect(observe('StreamingServer', given)).toMatchObject({
    error: { message: 'Farm farm has no site c: it has a, b' },
  });
});

test('an empty list is said to be empty', () => {
  const none = { ...settings, allowedHostPaths: [], allowedImages: [] };
  expect(observe('Farm', { ...embedded(ETC), settings: none })).toMatchObject({
    error: { message: expect.stringContaining("is not on the operator's list (it is empty)") },
  });
});

/** Facts of two resources cannot be laid over each other: only the absent ones are. */
const absentOf = (kind: KindName) =>
  CASES[kind].filter(({ given }) => Object.values(given as object).every((fact) => fact === undefined));

test.each(KINDS)('of a %s the first that is wrong is said, whatever else is', (kind) => {
  fc.assert(
    fc.property(fc.subarray([...absentOf(kind)]), (wrong) => {
      const done = observe(kind, Object.assign({}, ...wrong.map(({ given }) => given)));
      if (wrong[0] === undefined) expect(done).toEqual({ ok: true, value: HELD[kind] });
      else expect(done).toMatchObject({ error: { reason: wrong[0].reason } });
    }),
    { seed: 1 },
  );
});

test.each(KINDS)('a spec that a %s must not have is said before anything that lacks', (kind) => {
  const stalled = CASES[kind].filter(({ given }) => 'resource' in given);
  const lacks = Object.assign({}, ...absentOf(kind).map(({ given }) => given));
  for (const { given, reason } of stalled)
    expect(observe(kind, { ...lacks, ...given })).toMatchObject({ error: { reason } });
});

test.each(KINDS)('whatever a %s lacks, a rule says so', (kind) => {
  for (const name of Object.keys(HELD[kind]).filter(
    (fact) => !['resource', 'settings', 'databaseFolders'].includes(fact),
  ))
    expect(observe(kind, { [name]: undefined })).toMatchObject({ ok: false });
});
