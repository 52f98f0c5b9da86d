/** What people read: the status of each kind, from what was found. Tables over the four pure functions. */
import { describe, expect, test } from '@jest/globals';
import { aFarm, aStore, aStreamingServer, aVDisk, type Written } from '../../test/builders/resources.ts';
import type { CopyReport, ServerStatus } from '../control/status.ts';
import { orderId } from '../farm/orders.ts';
import type { ServerView } from '../operator/poller.ts';
import type { Recorded } from '../operator/rows.ts';
import type { VDisk } from '../resources/kinds.ts';
import { type FarmFindings, farmStatus } from './farm/status.ts';
import { storeStatus } from './store/status.ts';
import { type PoolFindings, poolStatus } from './streamingserver/status.ts';
import { type CopyHolder, judge, nowSettled, nowUnsettled, type VDiskFindings } from './vdisk/judge.ts';
import { vdiskStatus } from './vdisk/status.ts';

const NOW = new Date('2026-11-23T12:00:00Z');
const GIB = 2 ** 30;
const A = 'a'.repeat(64);
const B = 'b'.repeat(64);

const says = (status: {
  readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[];
}) => (status.conditions ?? []).map(({ type, status: is, reason }) => `${type}=${is} ${reason}`);
const message = (
  status: { readonly conditions?: readonly { type: string; message: string }[] },
  wanted: string,
): string => status.conditions?.find(({ type }) => type === wanted)?.message ?? '';

const report = (more: Partial<ServerStatus> = {}): ServerStatus => ({
  name: 'node-a',
  instance: '1',
  release: 'dev',
  site: 'default',
  pool: 'main',
  address: '10.77.0.11',
  state: 'Streaming',
  bootstrapHash: A,
  devices: 0,
  booting: 0,
  powerRating: 1,
  loadPercent: 0,
  journalEntries: 0,
  faults: [],
  stores: [],
  copies: [],
  ...more,
});
const view = (name: string, more: Partial<ServerView> = {}): ServerView => ({
  name,
  pool: 'main',
  site: 'default',
  address: '10.77.0.11',
  controlPort: 6911,
  reachable: true,
  message: '',
  status: report({ name }),
  ...more,
});

describe('a Farm', () => {
  const found = (more: Partial<FarmFindings> = {}): FarmFindings => ({
    database: { reachable: true, since: 0 },
    databaseSource: 'Secret farm-db, key uri',
    replica: { state: 'InSync', followers: 1, lastChange: 0, message: '' },
    servers: [view('node-a')],
    wanted: 1,
    identity: { farm: 'a', adoptions: 0, revision: 0 },
    devices: 0,
    ...more,
  });
  const away = (code: 'Unreachable' | 'AuthenticationFailed'): FarmFindings['database'] => ({
    reachable: false,
    since: 0,
    fault: { code, message: 'the database said no' },
  });

  test.each<{ what: string; given: FarmFindings; is: string[] }>([
    {
      what: 'that serves is Ready',
      given: found(),
      is: ['Ready=True Settled', 'DatabaseReachable=True DatabaseAnswers', 'ReplicaInSync=True ReplicaCurrent'],
    },
    {
      what: 'whose database is away is Ready and Degraded while servers stream',
      given: found({ database: away('Unreachable') }),
      is: [
        'Ready=True Settled',
        'Degraded=True DatabaseUnreachable',
        'DatabaseReachable=False DatabaseUnreachable',
        'ReplicaInSync=True ReplicaCurrent',
      ],
    },
    {
      what: 'whose database never was there is not Ready',
      given: found({
        database: away('Unreachable'),
        servers: [],
        replica: { state: 'Offline', followers: 0, lastChange: 0, message: 'no' },
      }),
      is: [
        'Ready=False DatabaseUnreachable',
        'Reconciling=True DatabaseUnreachable',
        'DatabaseReachable=False DatabaseUnreachable',
        'ReplicaInSync=False DatabaseUnreachable',
      ],
    },
    {
      what: 'whose database was never reached is not Ready, whoever streams',
      given: { ...found({ database: away('Unreachable') }), identity: undefined as never },
      is: [
        'Ready=False DatabaseUnreachable',
        'Reconciling=True DatabaseUnreachable',
        'DatabaseReachable=False DatabaseUnreachable',
        'ReplicaInSync=True ReplicaCurrent',
      ],
    },
    {
      what: 'of which no server streams is not Ready',
      given: found({ servers: [view('node-a', { reachable: false })] }),
      is: [
        'Ready=False ServersStarting',
        'Reconciling=True ServersStarting',
        'DatabaseReachable=True DatabaseAnswers',
        'ReplicaInSync=True ReplicaCurrent',
      ],
    },
    {
      what: 'whose pool has made no server yet is not Ready',
      given: found({ servers: [], wanted: 2 }),
      is: [
        'Ready=False ServersStarting',
        'Reconciling=True ServersStarting',
        'DatabaseReachable=True DatabaseAnswers',
        'ReplicaInSync=True ReplicaCurrent',
      ],
    },
    {
      what: 'that is asked for no server is Ready: a pool of a later wave waits for it',
      given: found({ servers: [], wanted: 0 }),
      is: ['Ready=True Settled', 'DatabaseReachable=True DatabaseAnswers', 'ReplicaInSync=True ReplicaCurrent'],
    },
    {
      what: 'whose database cannot be started says why',
      given: found({ database: away('Unreachable'), servers: [], stuck: 'pod farm-database-0: no node takes it' }),
      is: [
        'Ready=False PodFaulty',
        'Reconciling=True PodFaulty',
        'DatabaseReachable=False DatabaseUnreachable',
        'ReplicaInSync=True ReplicaCurrent',
      ],
    },
    {
      what: 'whose replica cannot be started is Ready and Degraded',
      given: found({ stuck: 'pod farm-replica-0: no node takes it' }),
      is: [
        'Ready=True Settled',
        'Degraded=True PodFaulty',
        'DatabaseReachable=True DatabaseAnswers',
        'ReplicaInSync=True ReplicaCurrent',
      ],
    },
    {
      what: 'whose database takes up other settings is not Ready until it has',
      given: found({ rolling: ['farm-database'] }),
      is: [
        'Ready=False RollingOut',
        'Reconciling=True RollingOut',
        'DatabaseReachable=True DatabaseAnswers',
        'ReplicaInSync=True ReplicaCurrent',
      ],
    },
    {
      what: 'whose database is another farm’s is Stalled, and the database is not its own',
      given: found({
        fault: { kind: 'stalled', reason: 'DatabaseForeign', message: 'set spec.adopt to b@1' },
        replica: { state: 'Stale', followers: 1, lastChange: 0, message: 'set spec.adopt to b@1' },
      }),
      is: [
        'Ready=False DatabaseForeign',
        'Stalled=True DatabaseForeign',
        'DatabaseReachable=False DatabaseForeign',
        'ReplicaInSync=False DatabaseForeign',
      ],
    },
    {
      what: 'that waits for a replica which cannot be started says why',
      given: found({
        fault: { kind: 'reconciling', reason: 'ReplicaUnreachable', message: 'nothing is written before' },
        stuck: 'pod farm-replica-0: no node takes it',
      }),
      is: [
        'Ready=False PodFaulty',
        'Reconciling=True PodFaulty',
        'DatabaseReachable=True DatabaseAnswers',
        'ReplicaInSync=True ReplicaCurrent',
      ],
    },
    {
      what: 'that only a change of spec can help is Stalled',
      given: found({ fault: { kind: 'stalled', reason: 'NotSupported', message: 'use Authenticated' } }),
      is: [
        'Ready=False NotSupported',
        'Stalled=True NotSupported',
        'DatabaseReachable=True DatabaseAnswers',
        'ReplicaInSync=True ReplicaCurrent',
      ],
    },
  ])('$what', ({ given, is }) => {
    expect(says(farmStatus(aFarm(), given, NOW)).sort()).toEqual(is.sort());
  });

  test('whose database is not its own keeps its identity, and says since when', () => {
    const identity = { farm: 'a', adoptions: 2, revision: 0 };
    const fault = { kind: 'stalled', reason: 'DatabaseBehind', message: 'restored to the past' } as const;
    const first = farmStatus(aFarm(), found({ identity, fault }), NOW);
    const wanted = {
      farmID: 'a',
      adoptions: 2,
      state: 'Unreachable',
      offlineSince: '2026-11-23T12:00:00Z',
      message: 'restored to the past',
    };
    expect(first.database).toMatchObject(wanted);
    const later = farmStatus(
      { ...aFarm(), status: first },
      found({ identity, fault }),
      new Date(NOW.getTime() + 60_000),
    );
    expect(later.database).toMatchObject(wanted);
  });

  test('with a refused password names the Secret and its key', () => {
    const farm = aFarm({ spec: { database: { external: { secretRef: { name: 'farm-db' } } } } });
    const status = farmStatus(farm, found({ database: away('AuthenticationFailed') }), NOW);
    expect(message(status, 'DatabaseReachable')).toBe('the database said no: correct Secret farm-db, key uri');
    expect(status.database).toMatchObject({ state: 'Unreachable', offlineSince: '1970-01-01T00:00:00Z' });
  });

  test('whose external database does not answer names the Secret that says where it is', () => {
    const farm = aFarm({ spec: { database: { external: { secretRef: { name: 'farm-db' } } } } });
    const status = farmStatus(farm, found({ database: away('Unreachable') }), NOW);
    expect(message(status, 'DatabaseReachable')).toBe(
      'the database said no: make it answer there, or correct Secret farm-db, key uri',
    );
  });

  test('servers that log in as the owner of the database are told of where it answers', () => {
    const status = farmStatus(aFarm(), found({ excess: 'servers log in as lab, who owns the farm database' }), NOW);
    expect(message(status, 'DatabaseReachable')).toBe(
      'the farm database answers; servers log in as lab, who owns the farm database',
    );
    expect(message(farmStatus(aFarm(), found(), NOW), 'DatabaseReachable')).toBe('the farm database answers');
  });

  test('a device that boots is counted once', () => {
    const servers = [view('node-a', { status: report({ devices: 3, booting: 1 }) })];
    expect(farmStatus(aFarm(), found({ servers, devices: 3 }), NOW).devices).toMatchObject({
      streaming: 2,
      booting: 1,
    });
    expect(farmStatus(aFarm(), found({ servers, devices: 0 }), NOW).devices).toMatchObject({
      streaming: 0,
      booting: 0,
    });
  });

  test('whose servers disagree shows no hash of that site', () => {
    const status = farmStatus(
      aFarm(),
      found({ servers: [view('node-a'), view('node-b', { status: report({ bootstrapHash: B }) })] }),
      NOW,
    );
    expect(status.sites?.[0]).toMatchObject({ servers: 2, message: expect.stringContaining('different') });
    expect(status.sites?.[0]).not.toHaveProperty('bootstrapHash');
  });

  test('its replica changed when its state did, whoever leads', () => {
    const at = (state: 'InSync' | 'Stale', lastChange: number) =>
      found({ replica: { state, followers: 1, lastChange, message: '' } });
    const known = aFarm({ status: farmStatus(aFarm(), at('InSync', 1_000), NOW) });
    expect(farmStatus(known, at('InSync', 9_000), NOW).replica?.lastChange).toBe('1970-01-01T00:00:01Z');
    expect(farmStatus(known, at('Stale', 9_000), NOW).replica?.lastChange).toBe('1970-01-01T00:00:09Z');
  });

  test('looked at again, the same, gives the same status', () => {
    const first = farmStatus(aFarm(), found(), NOW);
    expect(farmStatus(aFarm({ status: first }), found(), new Date(NOW.getTime() + 60_000))).toEqual(first);
  });
});

describe('a pool', () => {
  const progress = (updated: readonly string[], more: Partial<PoolFindings['progress']> = {}) => ({
    ...{ outdated: [], updated, starting: [], leaving: [], ...more },
  });
  const pool = aStreamingServer({ spec: { replicas: 2 } });
  const found = (more: Partial<PoolFindings> = {}): PoolFindings => ({
    want: 2,
    lacking: 0,
    servers: [view('node-a'), view('node-b', { status: report({ name: 'node-b', address: '10.77.0.12' }) })],
    devices: 0,
    progress: progress(['node-a', 'node-b']),
    held: [],
    stuck: new Map(),
    ...more,
  });
  const refused = view('node-b', {
    status: report({ faults: [{ code: 'PortTaken', message: 'UDP port 69 is taken' }] }),
  });

  test.each<{ what: string; given: PoolFindings; ready: string; state: string[]; says?: string }>([
    { what: 'is Ready with all its servers', given: found(), ready: 'True Settled', state: ['Streaming', 'Streaming'] },
    {
      what: 'names the server that is refused and why',
      given: found({ servers: [view('node-a'), refused] }),
      ready: 'False ServerFaulty',
      state: ['Streaming', 'Refused'],
      says: '1 of 2 servers stream; node-b: UDP port 69 is taken',
    },
    {
      what: 'does not take a server for faulty whose data is not there yet',
      given: found({
        servers: [
          view('node-a'),
          view('node-b', {
            status: report({
              state: 'Starting',
              faults: [{ code: 'NotLoaded', message: 'the replica holds no farm yet' }],
            }),
          }),
        ],
      }),
      ready: 'False ServersStarting',
      state: ['Streaming', 'Starting'],
      says: '1 of 2 servers stream; node-b: the replica holds no farm yet',
    },
    {
      what: 'keeps a server that has only something to tell',
      given: found({
        servers: [
          view('node-a'),
          view('node-b', {
            status: report({ faults: [{ code: 'HttpPortDiffers', message: 'boot.http.port is 80', advisory: true }] }),
          }),
        ],
      }),
      ready: 'True Settled',
      state: ['Streaming', 'Streaming'],
    },
    {
      what: 'says that nodes lack',
      given: found({ servers: [view('node-a')], lacking: 1, progress: progress(['node-a']) }),
      ready: 'False TooFewNodes',
      state: ['Streaming'],
    },
    {
      what: 'waits for a server that starts',
      given: found({
        servers: [view('node-a'), view('node-b', { reachable: false, status: undefined as never })],
        progress: progress(['node-a', 'node-b'], { starting: ['node-b'] }),
      }),
      ready: 'False ServersStarting',
      state: ['Streaming', 'Starting'],
    },
    {
      what: 'says why the pod of a server does not start, over what the server last said',
      given: found({
        servers: [view('node-a'), view('node-b', { reachable: false, message: 'no answer' })],
        stuck: new Map([['node-b', 'pod main-node-b-x: image nothing:1 cannot be pulled']]),
      }),
      ready: 'False PodFaulty',
      state: ['Streaming', 'Unreachable'],
      says: '1 of 2 servers stream; node-b: pod main-node-b-x: image nothing:1 cannot be pulled',
    },
    {
      what: 'tells a server that went',
      given: found({ servers: [view('node-a'), view('node-b', { reachable: false, message: 'no answer' })] }),
      ready: 'False ServersStarting',
      state: ['Streaming', 'Unreachable'],
    },
    {
      what: 'says what a server waits for',
      given: found({
        progress: progress([], { outdated: ['node-a', 'node-b'] }),
        held: [{ node: 'node-b', why: 'Rollout', waitsFor: ['server node-a'] }],
      }),
      ready: 'False RollingOut',
      state: ['Streaming', 'Streaming'],
      says: '2 of 2 servers stream; node-a takes up other settings; node-b changes when the others serve what it serves: it waits for server node-a',
    },
    {
      what: 'is Ready with settings that wait by its own wish',
      given: found({ progress: progress(['node-a']), held: [{ node: 'node-b', why: 'OnDemand', waitsFor: [] }] }),
      ready: 'True Settled',
      state: ['Streaming', 'Streaming'],
    },
    {
      what: 'says that a server goes, and when',
      given: found({
        want: 1,
        progress: progress(['node-a'], { leaving: ['node-b'] }),
        servers: [view('node-a'), view('node-b')],
        held: [{ node: 'node-b', why: 'Journal', waitsFor: [] }],
      }),
      ready: 'False ServersDraining',
      state: ['Streaming', 'Streaming'],
      says: 'node-b goes when the database has what its journal holds',
    },
  ])('$what', ({ given, ready, state, says: text = '' }) => {
    const status = poolStatus(pool, given, NOW);
    expect(says(status)[0]).toBe(`Ready=${ready}`);
    expect(status.servers?.map((server) => server.state)).toEqual(state);
    expect(message(status, 'Ready')).toContain(text);
  });

  test.each([
    { devices: [10, 10], balanced: 'True' },
    { devices: [20, 2], balanced: 'False' },
    { devices: [3, 0], balanced: 'True' },
  ])('with $devices devices, Balanced is $balanced', ({ devices, balanced }) => {
    const servers = devices.map((count, index) =>
      view(`node-${index}`, { status: report({ name: `node-${index}`, devices: count }) }),
    );
    expect(says(poolStatus(pool, found({ servers }), NOW)).join()).toContain(`Balanced=${balanced}`);
  });

  test('a rollout on demand is told', () => {
    const held = [{ node: 'node-b', why: 'OnDemand', waitsFor: [] }] as const;
    const status = poolStatus(pool, found({ progress: progress(['node-a']), held }), NOW);
    expect(says(status)).toContain('RolloutPending=True RolloutOnDemand');
    expect(message(status, 'RolloutPending')).toContain('node-b: another image or setting waits');
  });

  test('one server alone has nothing that stands in', () => {
    expect(says(poolStatus(pool, found({ servers: [view('node-a')] }), NOW)).join()).toContain(
      'FailoverCapacity=False',
    );
  });
});

describe('a Store', () => {
  const at = (state: 'Accessible' | 'Missing' | 'Unreachable') => ({
    name: 'node-a',
    reachable: true,
    message: '',
    report: {
      name: 'images',
      path: '/srv',
      state,
      freeBytes: 3.7 * 2 ** 30,
      totalBytes: 2 ** 40,
      files: 1,
      message: state === 'Missing' ? '/srv is not there' : '',
    },
  });

  test.each([
    { what: 'reached by all', servers: [at('Accessible')], ready: 'True Settled', accessible: 'True AllServersAccess' },
    {
      what: 'reached by some',
      servers: [at('Accessible'), { ...at('Missing'), name: 'node-b' }],
      ready: 'True Settled',
      accessible: 'False SomeServersLackAccess',
    },
    {
      what: 'reached by none',
      servers: [at('Missing')],
      ready: 'False NoServerAccess',
      accessible: 'False NoServerAccess',
    },
    { what: 'that no server offers', servers: [], ready: 'False NoServers', accessible: 'False NoServers' },
  ])('$what', ({ servers, ready, accessible }) => {
    const status = storeStatus(aStore(), { servers, devices: 0 }, NOW);
    expect(says(status)).toEqual(expect.arrayContaining([`Ready=${ready}`, `Accessible=${accessible}`]));
  });

  const silent = { ...at('Missing'), name: 'node-b', reachable: false };
  test.each([
    { what: 'is on no server', servers: [at('Missing'), { ...at('Missing'), name: 'node-b' }], gives: 'Stalled' },
    { what: 'is not on one server, and the other is silent', servers: [at('Missing'), silent], gives: 'Reconciling' },
    { what: 'does not answer', servers: [at('Unreachable')], gives: 'Reconciling' },
  ])('whose folder $what is $gives', ({ servers, gives }) => {
    expect(says(storeStatus(aStore(), { servers, devices: 0 }, NOW))).toContain(`${gives}=True NoServerAccess`);
  });

  test.each([
    { state: 'Unreachable', says: 'server node-a: claim vdisks is Pending' },
    { state: 'Accessible', says: undefined },
  ] as const)('of which its node says why it mounts nothing, and the server that it is $state: $says', (given) => {
    const servers = [{ ...at(given.state), mount: 'claim vdisks is Pending' }];
    expect(storeStatus(aStore(), { servers, devices: 0 }, NOW).servers?.[0]?.message).toBe(given.says);
  });

  test('that is slow is Ready, and says so', () => {
    const { report, ...server } = at('Accessible');
    const servers = [{ ...server, report: { ...report, message: '/srv is slow' } }];
    const status = storeStatus(aStore(), { servers, devices: 0 }, NOW);
    expect(says(status)).toEqual(expect.arrayContaining(['Ready=True Settled', 'Accessible=True AllServersAccess']));
    expect(message(status, 'Ready')).toBe('1 of 1 servers reach it; server node-a: /srv is slow');
    expect(status.servers?.[0]?.message).toBe('server node-a: /srv is slow');
  });

  test('whose volume may not be written by what it says is read-only, and reached', () => {
    const store = aStore({ spec: { nfs: { server: 'nas', path: '/vdisks', readOnly: true } } });
    const status = storeStatus(store, { servers: [at('Accessible')], devices: 0 }, NOW);
    expect([status.servers?.[0]?.state, status.accessible]).toEqual(['ReadOnly', '1/1']);
  });

  test('free space moves in steps, so that a settled store is silent', () => {
    const free = (bytes: number, told?: number, total = 64) => {
      const { report, ...server } = at('Accessible');
      const store = aStore(
        told === undefined ? {} : { status: { servers: [{ name: 'node-a', state: 'Accessible', freeBytes: told }] } },
      );
      const servers = [{ ...server, report: { ...report, freeBytes: bytes * GIB, totalBytes: total * GIB } }];
      return (storeStatus(store, { servers, devices: 0 }, NOW).servers?.[0]?.freeBytes ?? 0) / GIB;
    };
    expect(free(3.7)).toBe(3);
    expect([free(4.0, 3 * GIB), free(2.9, 3 * GIB), free(4.1, 3 * GIB), free(1.9, 3 * GIB)]).toEqual([3, 3, 4, 1]);
    const large = (bytes: number, told?: number) => free(bytes, told, 500);
    expect([large(123.7), large(119, 120 * GIB), large(114.9, 120 * GIB), large(125.1, 120 * GIB)]).toEqual([
      120, 120, 110, 125,
    ]);
  });
});

describe('a VDisk', () => {
  const vdisk = aVDisk({ metadata: { name: 'lab' }, spec: { versions: [] } });
  const copy = (more: Partial<CopyReport> = {}): CopyReport => ({
    vdisk: 'lab',
    version: 0,
    state: 'Present',
    progressPercent: 100,
    files: [{ name: 'lab.raw', sizeBytes: 512, sha256: A }],
    manifest: A,
    diskBytes: 512,
    message: '',
    ...more,
  });
  const on = (server: string, more: Partial<CopyReport> = {}): CopyHolder => ({
    server,
    folder: '/srv',
    reachable: true,
    silentMs: 0,
    work: [],
    reports: [copy(more)],
    unmanaged: [],
  });
  const found = (holders: CopyHolder[], recorded: [number, string][] = [[0, A]]): VDiskFindings => ({
    holders,
    recorded: new Map(recorded.map(([number, manifest]) => [number, { manifest }])),
    overrides: [],
    devices: 0,
    nowSeconds: 0,
  });
  const observe = (findings: VDiskFindings) => vdiskStatus(vdisk, findings, judge(vdisk, findings), NOW);

  test.each<{ what: string; more: Partial<CopyReport>; before?: 'Merged'; type: string | undefined }>([
    { what: 'that is a disk of its own is a base, whatever its number', more: {}, type: 'Base' },
    { what: 'that is a difference is told as one', more: { differenceOf: 'lab.raw' }, type: 'Differencing' },
    { what: 'that nobody shows now is what was told', more: { state: 'Missing' }, before: 'Merged', type: 'Merged' },
    { what: 'that nobody showed is of no known type', more: { state: 'Missing' }, type: undefined },
  ])('an image $what', ({ more, before, type }) => {
    const versions = [{ number: 1, access: 'Production' as const }];
    const status = before ? { versions: [{ number: 1, type: before }] } : {};
    const later = aVDisk({ metadata: { name: 'lab' }, spec: { versions }, status });
    const findings = found([on('node-a', { version: 1, ...more })], [[1, A]]);
    expect(vdiskStatus(later, findings, judge(later, findings), NOW).versions?.[0]?.type).toBe(type);
  });

  test('a copy that waits says for whom', () => {
    const findings = found([on('node-a'), on('node-b', { state: 'Hashing', progressPercent: 40 })], []);
    expect(observe(findings).copies?.[0]).toMatchObject({
      state: 'Copying',
      message: expect.stringMatching(/waits for node-b$/),
    });
  });

  test.each<{ what: string; given: VDiskFindings; ready: string; replicated: string; states: string[] }>([
    {
      what: 'right everywhere',
      given: found([on('node-a'), on('node-b')]),
      ready: 'True Settled',
      replicated: 'True CopiesCurrent',
      states: ['UpToDate', 'UpToDate'],
    },
    {
      what: 'cut on one server',
      given: found([on('node-a'), on('node-b', { state: 'Faulty', message: 'it was cut' })]),
      ready: 'True Settled',
      replicated: 'False FilesFaulty',
      states: ['UpToDate', 'Corrupt'],
    },
    {
      what: 'missing everywhere',
      given: found([on('node-a', { state: 'Missing', message: 'lab.raw is not in /srv' })]),
      ready: 'False FilesMissing',
      replicated: 'False FilesMissing',
      states: ['Missing'],
    },
    {
      what: 'other than recorded',
      given: found([on('node-a', { manifest: B })]),
      ready: 'False CopiesBehind',
      replicated: 'False CopiesBehind',
      states: ['OutOfDate'],
    },
    {
      what: 'different on two servers, with no record',
      given: found([on('node-a'), on('node-b', { manifest: B })], []),
      ready: 'False CopiesConflict',
      replicated: 'False CopiesConflict',
      states: ['Conflict', 'Conflict'],
    },
    {
      what: 'right everywhere, with other properties',
      given: found([
        on('node-a', { properties: { name: 'lab.pvp', sha256: A, changes: 2 } }),
        on('node-b', { properties: { name: 'lab.pvp', sha256: B, changes: 1 } }),
        on('node-c', { properties: null }),
        on('node-d'),
        { ...on('node-e', { properties: { name: 'lab.pvp', sha256: B, changes: 3 } }), reachable: false },
      ]),
      ready: 'True Settled',
      replicated: 'False ServerUnreachable',
      states: ['UpToDate', 'PropertiesOutOfDate', 'PropertiesMissing', 'UpToDate', 'ServerUnreachable'],
    },
    {
      what: 'right everywhere, and without properties',
      given: found([on('node-a', { properties: { name: 'lab.pvp', sha256: A } }), on('node-b', { properties: null })]),
      ready: 'True Settled',
      replicated: 'False PropertiesBehind',
      states: ['UpToDate', 'PropertiesMissing'],
    },
    {
      what: 'on a server that is silent',
      given: found([on('node-a'), { ...on('node-b'), reachable: false }]),
      ready: 'True Settled',
      replicated: 'False ServerUnreachable',
      states: ['UpToDate', 'ServerUnreachable'],
    },
    {
      what: 'on no server',
      given: found([]),
      ready: 'False TooFewCopies',
      replicated: 'False TooFewCopies',
      states: [],
    },
  ])('$what', ({ given, ready, replicated, states }) => {
    const status = observe(given);
    expect(says(status)).toEqual(expect.arrayContaining([`Ready=${ready}`, `Replicated=${replicated}`]));
    expect(status.copies?.map(({ state }) => state)).toEqual(states);
  });

  test('images that no version needs are named, of all servers, each once', () => {
    const holders = [
      { ...on('node-b'), unmanaged: ['lab.2.avhdx', 'lab.1.avhdx'] },
      { ...on('node-a'), unmanaged: ['lab.2.avhdx'] },
    ];
    expect(observe(found(holders)).unmanaged).toEqual(['lab.1.avhdx', 'lab.2.avhdx']);
    expect(observe(found([on('node-a')]))).not.toHaveProperty('unmanaged');
    const many = Array.from({ length: 97 }, (_, number) => `lab.${number + 1}.avhdx`);
    const told = observe(found([{ ...on('node-a'), unmanaged: many.toReversed() }])).unmanaged ?? [];
    expect([told.length, told.includes('lab.97.avhdx'), told.includes('lab.33.avhdx')]).toEqual([64, true, false]);
  });

  test('a copy that lacks properties counts as right', () => {
    const properties = { name: 'lab.pvp', sha256: A };
    const holders = [on('node-a', { properties }), on('node-b', { properties: null })];
    expect(observe(found(holders))).toMatchObject({ upToDate: '2/2', versions: [{ upToDate: 2, copies: 2 }] });
  });

  const MISSING = { state: 'Missing', message: 'lab.raw is not in /srv' } as const;
  const HASHING = { state: 'Hashing', progressPercent: 40 } as const;
  const away = { ...on('node-b'), reachable: false };
  const source = { http: { url: 'https://images.example/lab.vhdx', sha256: A } };
  const storeServers = [{ name: 'node-a', state: 'ReadOnly' as const }];
  test.each<{
    what: string;
    holders: CopyHolder[];
    minCopies?: number;
    recorded?: [];
    source?: Written<VDisk['spec']['source']>;
    gives: string;
  }>([
    {
      what: 'missing, and fetched',
      holders: [on('node-a', MISSING)],
      source,
      recorded: [],
      gives: 'Reconciling Fetching',
    },
    { what: 'missing, and were right once', holders: [on('node-a', MISSING)], source, gives: 'Stalled FilesMissing' },
    {
      what: 'missing where nobody reaches the store',
      holders: [on('node-b', MISSING)],
      ...{ source, recorded: [], gives: 'Stalled FilesMissing' },
    },
    {
      what: 'to be fetched, by a server that is away',
      holders: [away],
      ...{ source, recorded: [], gives: 'Reconciling ServerUnreachable' },
    },
    {
      what: 'to be fetched where nobody reaches the store but one that is away',
      holders: [on('node-c', MISSING), away],
      ...{ source, recorded: [], gives: 'Reconciling ServerUnreachable' },
    },
    {
      what: 'there but for its kernel',
      holders: [on('node-a', { ...MISSING, lacksBootFiles: '5f0c11d2' })],
      ...{ recorded: [], gives: 'Reconciling TakingBootFiles' },
    },
    {
      what: 'there but for its kernel, by a word that is none',
      holders: [on('node-a', { ...MISSING, lacksBootFiles: '../../etc' })],
      ...{ recorded: [], gives: 'Stalled FilesMissing' },
    },
    {
      what: 'other than recorded, and written a moment ago',
      holders: [on('node-a', { manifest: B, fresh: true })],
      gives: 'Reconciling Verifying',
    },
    { what: 'cut, so far', holders: [on('node-a', { state: 'Faulty', fresh: true })], gives: 'Reconciling Verifying' },
    {
      what: 'in conflict, while a third server is away',
      holders: [on('node-a'), on('node-b', { manifest: B }), { ...on('node-c'), reachable: false }],
      recorded: [],
      gives: 'Stalled CopiesConflict',
    },
    { what: 'missing', holders: [on('node-a', MISSING)], gives: 'Stalled FilesMissing' },
    { what: 'no image', holders: [on('node-a', { state: 'Faulty' })], gives: 'Stalled FilesFaulty' },
    { what: 'other than recorded', holders: [on('node-a', { manifest: B })], gives: 'Stalled CopiesBehind' },
    { what: 'being read', holders: [on('node-a', HASHING)], gives: 'Reconciling Verifying' },
    { what: 'of a server that is away', holders: [away], gives: 'Reconciling ServerUnreachable' },
    {
      what: 'missing on one server, and being read on the other',
      holders: [on('node-a', MISSING), on('node-b', HASHING)],
      gives: 'Reconciling Verifying',
    },
    {
      what: 'missing on one server, while the other is away',
      holders: [on('node-a', MISSING), away],
      gives: 'Reconciling ServerUnreachable',
    },
    {
      what: 'missing on one server, while two are wanted and the other is read',
      holders: [on('node-a', MISSING), on('node-b', HASHING)],
      minCopies: 2,
      gives: 'Stalled FilesMissing',
    },
    {
      what: 'missing on one server and right on the other, of three that are wanted',
      holders: [on('node-a', MISSING), on('node-b')],
      minCopies: 3,
      gives: 'Stalled FilesMissing',
    },
    {
      what: 'right, on fewer servers than are wanted',
      holders: [on('node-a')],
      minCopies: 2,
      gives: 'Reconciling TooFewCopies',
    },
    { what: 'on no server', holders: [], gives: 'Reconciling TooFewCopies' },
  ])('a VDisk whose files are $what is $gives', ({ holders, minCopies = 1, recorded, source, gives }) => {
    const asked = aVDisk({ metadata: { name: 'lab' }, spec: { minCopies, ...(source ? { source } : {}) } });
    const findings = { ...found(holders, recorded), storeServers };
    const status = vdiskStatus(asked, findings, judge(asked, findings), NOW);
    const [kind, reason] = gives.split(' ');
    expect(says(status)).toEqual([
      `Ready=False ${reason}`,
      `${kind}=True ${reason}`,
      expect.stringMatching(/^Replicated=/),
    ]);
  });

  test('the server that brings the files says so, and one that could not, why', () => {
    const asked = aVDisk({ metadata: { name: 'lab' }, spec: { source } });
    const holders = [on('node-a', MISSING), on('node-b', MISSING)];
    const told = (work: CopyHolder['work'] = []) => {
      const findings = {
        ...found(
          holders.map((one) => ({ ...one, ...(one.server === 'node-a' && { work }) })),
          [],
        ),
        storeServers,
      };
      return vdiskStatus(asked, findings, judge(asked, findings), NOW).copies?.map(({ message }) => message);
    };
    const { message } = MISSING;
    expect(told()).toEqual([
      `${message}; server node-a fetches version 0 from ${source.http.url}: status.work says how far it is`,
      message,
    ]);
    const id = orderId(`uid-lab fetch ${A} ${source.http.url} node-a`, 0);
    const place = { folder: '/srv', fileName: 'lab' };
    const job = { ...place, id, kind: 'fetch', state: 'Failed', message: 'it is full' } as const;
    expect(told([job])).toEqual([
      expect.stringMatching(/; nobody could fetch .*: server node-a: it is full$/),
      message,
    ]);
  });

  test('what all agree on is to be recorded, once', () => {
    expect(judge(vdisk, found([on('node-a')], []))[0]?.content).toMatchObject({ manifest: A });
    expect(judge(vdisk, found([on('node-a')]))[0]).not.toHaveProperty('content');
    expect(judge(vdisk, found([on('node-a'), on('node-b', { manifest: B })], []))[0]).not.toHaveProperty('content');
  });

  test.each([
    {
      what: 'while another computes its digest',
      other: on('node-b', { state: 'Hashing', manifest: undefined as never }),
    },
    { what: 'while another has not looked', other: { ...on('node-b'), reports: [] } },
    { what: 'while files of another were written a moment ago', other: on('node-b', { fresh: true }) },
    { what: 'while others of it were', other: on('node-b', { fresh: true, manifest: B }) },
    { what: 'while another lacks some, and has others that were', other: on('node-b', { ...MISSING, fresh: true }) },
    {
      what: 'while another is cut, so far',
      other: on('node-b', { state: 'Faulty', message: 'it was cut', fresh: true }),
    },
  ])('is not recorded $what', ({ other }) => {
    const [judged] = judge(vdisk, found([on('node-a'), other], []));
    expect(judged).not.toHaveProperty('content');
    expect(judged?.copies.map(({ state }) => state)).toEqual(['Copying', 'Copying']);
    const [away] = judge(vdisk, found([on('node-a'), { ...other, reachable: false }], []));
    expect(away?.content).toMatchObject({ manifest: A });
  });

  describe('of servers that disagree', () => {
    const TORN = [on('node-a'), on('node-b', { manifest: B }), on('node-c', MISSING)];
    const nobodyToAsk: VDiskFindings = {
      ...found([], []),
      fault: { kind: 'reconciling', reason: 'FarmNotReady', message: 'it is being made' },
    };
    const without = (away: readonly string[]): VDiskFindings =>
      found(
        TORN.map((holder) => ({ ...holder, reachable: !away.includes(holder.server) })),
        [],
      );
    const second = (holder: CopyHolder): VDiskFindings => found([on('node-a'), holder, on('node-c', MISSING)], []);
    const look = (before: VDisk, findings: VDiskFindings) => {
      const judged = judge(before, findings);
      return { judged, vdisk: { ...before, status: vdiskStatus(before, findings, judged, NOW) } };
    };

    test.each<{ what: string; looks: readonly VDiskFindings[] }>([
      { what: 'one is away', looks: [without(['node-b'])] },
      { what: 'the other is', looks: [without(['node-a'])] },
      { what: 'one who has nothing of it is', looks: [without(['node-c'])] },
      { what: 'they are away one after the other', looks: [without(['node-a']), without(['node-b'])] },
      { what: 'all are away, and one returns', looks: [without(['node-a', 'node-b', 'node-c']), without(['node-b'])] },
      { what: 'a new leader has nobody to ask, and then all but one', looks: [nobodyToAsk, without(['node-b'])] },
      { what: 'the folder of one is away', looks: [second({ ...on('node-b', MISSING), isBlind: true })] },
      { what: 'a file of one cannot be read', looks: [second(on('node-b', { state: 'Faulty', message: 'EIO' }))] },
      {
        what: 'one reads its own again, and is away before it has',
        looks: [second(on('node-b', { state: 'Hashing', manifest: undefined as never })), without(['node-b'])],
      },
      { what: 'one has not looked yet', looks: [second({ ...on('node-b'), reports: [] }), without(['node-b'])] },
      { what: 'one of them is being written', looks: [second(on('node-b', { fresh: true })), without(['node-b'])] },
    ])('nobody is right while $what, nor afterwards', ({ looks }) => {
      let { vdisk: last } = look(vdisk, without([]));
      for (const findings of [...looks, ...looks, without([])]) {
        const { judged, vdisk: now } = look(last, findings);
        expect(judged[0]).not.toHaveProperty('right');
        expect(judged[0]).not.toHaveProperty('content');
        last = now;
      }
      expect(last.status?.copies?.map(({ state }) => state)).toEqual(['Conflict', 'Conflict', 'Missing']);
    });

    test.each<{ what: string; findings: VDiskFindings }>([
      { what: 'is no server of the store any more', findings: found([on('node-a'), on('node-c', MISSING)], []) },
      { what: 'holds the same by now', findings: found([on('node-a'), on('node-b'), on('node-c', MISSING)], []) },
      { what: 'holds nothing by now', findings: found([on('node-a'), on('node-b', MISSING)], []) },
    ])('the other is right once one $what', ({ findings }) => {
      const { vdisk: before } = look(vdisk, without([]));
      const { judged, vdisk: after } = look(before, findings);
      expect(judged[0]?.content).toMatchObject({ manifest: A });
      expect(after.status?.versions?.[0]).not.toHaveProperty('conflict');
    });
  });

  test.each([
    { what: 'when it was verified', verifiedAt: 1_700_000_000_999, says: '2023-11-14T22:13:20Z' },
    { what: 'nothing where its server does not', verifiedAt: undefined, says: undefined },
    { what: 'nothing that is no time', verifiedAt: 1e300, says: undefined },
  ])('of a copy the status says $what', ({ verifiedAt, says: text }) => {
    const { copies } = observe(found([on('node-a', verifiedAt === undefined ? {} : { verifiedAt })]));
    expect(copies?.[0]?.lastVerified).toBe(text);
  });

  test('files that were written a moment ago are right where that was said', () => {
    expect(observe(found([on('node-a', { fresh: true })])).copies).toMatchObject([{ state: 'UpToDate' }]);
  });

  const later = '1970-01-01T00:00:01Z';
  const version = (number: number, more: { releaseAt?: string } = {}) => ({
    ...{ number, access: 'Production' as const },
    ...more,
  });
  test.each<{ what: string; spec: Written<VDisk['spec']>; boots?: number; says: string }>([
    {
      what: 'the newest that is released',
      spec: { versions: [version(0), version(1), version(2, { releaseAt: later })] },
      boots: 1,
      says: '0 of 0 copies of version 1 are right',
    },
    {
      what: 'the one that bootVersion names',
      spec: { bootVersion: 0, versions: [version(0), version(1)] },
      boots: 0,
      says: '0 of 0 copies of version 0 are right',
    },
    {
      what: 'none before its time',
      spec: { versions: [version(0, { releaseAt: later })] },
      says: 'no version that a Production device may boot: 0 is Production later: promote one in spec.versions',
    },
    {
      what: 'none that bootVersion names and is not there',
      spec: { bootVersion: 7, versions: [version(0)] },
      says: 'has no version 7, which its bootVersion names: promote one in spec.versions',
    },
  ])('boots $what', ({ spec, boots, says: text }) => {
    const given = aVDisk({ spec });
    const known = [0, 1, 2].map((number): [number, string] => [number, A]);
    const findings = found([], known);
    const status = vdiskStatus(given, findings, judge(given, findings), NOW);
    expect(status.bootVersion).toBe(boots);
    expect(message(status, 'Ready')).toContain(text);
  });

  describe('a version that is newer', () => {
    const two = aVDisk({ metadata: { name: 'lab' }, spec: { versions: [version(0), version(1)] } });
    const settled = { manifest: A, settledAt: 1 };
    const both = (server: string, more: Partial<CopyReport> = {}): CopyHolder => ({
      ...on(server),
      reports: [copy(), copy({ version: 1, ...more })],
    });
    const gone = (server: string): CopyHolder => ({ ...both(server), reachable: false, silentMs: 3_600_000 });
    const given = (holders: CopyHolder[], more: Partial<VDiskFindings> = {}): VDiskFindings => ({
      ...found(holders),
      recorded: new Map<number, Recorded>([
        [0, settled],
        [1, { manifest: A }],
      ]),
      ...more,
    });

    test.each([
      { what: 'every server has that answered in the last minutes', holders: [both('a'), both('b'), gone('c')] },
      {
        what: 'one missed an answer that has not',
        holders: [both('a'), { ...gone('b'), silentMs: 5_000 }],
        numbers: [],
      },
      { what: 'minCopies of them have', holders: [both('a'), both('b', MISSING)], minCopies: 1 },
      { what: 'some have', holders: [both('a'), both('b', MISSING)], numbers: [] },
      { what: 'fewer than minCopies have', holders: [both('a')], minCopies: 2, numbers: [] },
      { what: 'nobody answers for', holders: [gone('a')], numbers: [] },
      { what: 'there is no server for', holders: [], numbers: [] },
    ])('may be the default from now on: $numbers, when $what', ({ holders, minCopies, numbers = [1] }) => {
      const asked = minCopies === undefined ? two : aVDisk({ ...two, spec: { ...two.spec, minCopies } });
      expect(nowSettled(asked, judge(asked, given(holders)))).toEqual(numbers);
    });

    test('waits, and says for whom', () => {
      const findings = given([both('a'), both('b', MISSING)]);
      const status = vdiskStatus(two, findings, judge(two, findings), NOW);
      const { bootVersion, versions } = status;
      expect(says(status)).toEqual(
        expect.arrayContaining(['Ready=True Settled', 'Reconciling=True CopiesBehind', 'Degraded=True FilesMissing']),
      );
      expect({ bootVersion, versions }).toMatchObject({
        bootVersion: 0,
        versions: [
          { state: 'Default', settledAt: '1970-01-01T00:00:01Z' },
          {
            state: 'Pending',
            message: 'becomes the default when 2 servers have it right: 1 have; server b: lab.raw is not in /srv',
          },
        ],
      });
    });

    test('that was Test is judged when it is released, and what another content is stated of is judged anew', () => {
      const test_ = aVDisk({ ...two, spec: { ...two.spec, versions: [version(0), { number: 1, access: 'Test' }] } });
      expect(nowSettled(test_, judge(test_, given([both('a')])))).toEqual([]);
      const stated = aVDisk({ ...two, spec: { ...two.spec, versions: [version(0), { ...version(1), sha256: B }] } });
      const findings = given([both('a')], { recorded: new Map([0, 1].map((one) => [one, settled] as const)) });
      const judged = judge(stated, findings);
      expect([nowUnsettled(findings, judged), nowSettled(stated, judged)]).toEqual([[1], []]);
      expect(vdiskStatus(stated, findings, judged, NOW).bootVersion).toBe(0);
    });

    test.each([
      { what: 'until it ends', until: 60, says: /version 0, whatever the spec says, until 1970-01-01T00:01:00Z: / },
      { what: 'until it is cleared', says: /until it is cleared: `bootfarm rollback --clear --vdisk lab` ends it$/ },
      { what: 'of a version that is gone', number: 7, says: /version 7 of a rollback is not in spec.versions/ },
    ])('is overridden $what', ({ until, number = 0, says: text }) => {
      const override = { vdisk: 'lab', version: number, ...(until === undefined ? {} : { until }) };
      const recorded = new Map([0, 1].map((one) => [one, settled] as const));
      const findings = given([both('a')], { recorded, overrides: [override] });
      const status = vdiskStatus(two, findings, judge(two, findings), NOW);
      expect(status.bootVersion).toBe(number === 7 ? 1 : 0);
      expect(message(status, 'Overridden')).toMatch(text);
      expect(status.override).toEqual(number === 7 ? undefined : expect.objectContaining({ version: 0 }));
    });
  });
});
