/** The look of a Farm: what comes out of it, and what is asked of the API and done with the database. */
import { describe, expect, test } from '@jest/globals';
import { aFarm, aStreamingServer, type Written } from '../../../test/builders/resources.ts';
import { FakeKube } from '../../../test/fakes/kube.ts';
import { FakeRuntimes } from '../../../test/fakes/runtime.ts';
import { makeRecoveryKey } from '../../farm/recovery.ts';
import { fail, ok } from '../../kit/result.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Farm } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { Quiet } from '../quiet.ts';
import { bringAbout } from './reconcile.ts';
import { RECOVERY_KEY_ANNOTATION } from './recovery.ts';
import { ROTATE_KEYS_ANNOTATION } from './rotation.ts';
import type { FarmFindings } from './status.ts';

type Answers = FakeRuntimes['answers'];
const LED = { adoptions: 0, revision: 0, replaces: [], hasDevices: false, led: true, keys: '' };
/** The database has the rows of farm `a`, which is this Farm's. */
const OURS = { ...LED, farm: 'a', owner: { uid: 'uid-farm', name: 'lab/farm' } };
const AWAY: Partial<Answers> = {
  found: fail('Unreachable', 'database farm: no answer'),
  state: { reachable: false, since: 5, fault: { code: 'Unreachable', message: 'database farm: no answer' } },
};
const seenBefore = (more: object = {}): Farm['status'] => ({
  ...{ observedGeneration: 1, devices: { known: 9, streaming: 4, booting: 1 } },
  database: { state: 'Reachable', kind: 'Embedded', farmID: 'a', adoptions: 0, ...more },
});
const external = { external: { secretRef: { name: 'db' } } };
const embedded = (storage: object) => ({ embedded: { storage } });
const withDatabase = (database: Written<Farm['spec']['database']>): Farm => aFarm({ spec: { database } });

/** A cluster with nothing but the Farm, of which a test says what it is about. */
class World {
  readonly kube = new FakeKube();
  readonly running: FakeRuntimes;
  readonly pods: object[] = [];
  readonly pools: object[] = [];
  readonly said: string[] = [];
  #seen = 0;
  #done = 0;

  constructor(answers: Partial<Answers> = {}) {
    this.running = new FakeRuntimes(answers);
  }

  secret(name: string, held: Record<string, string>): void {
    const data = Object.fromEntries(
      Object.entries(held).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    );
    const metadata = { name, namespace: 'lab', resourceVersion: '1' };
    this.kube.objects.set(`Secret lab/${name}`, { kind: 'Secret', metadata, data } as unknown as KubeObject);
  }

  observe(farm: Farm = aFarm()) {
    this.#seen = this.kube.requests.length;
    this.#done = this.running.done.length;
    const list = (objects: readonly object[]) => ({ list: () => objects });
    const context = {
      client: this.kube.client,
      informers: {
        ...{ farms: list([farm]), stores: list([]), vdisks: list([]), deployments: list([]), nodes: list([]) },
        ...{ pods: list(this.pods), pools: list(this.pools) },
      },
      runtimes: this.running.runtimes,
      settings: { image: 'bootfarm:1', release: '1', allowedHostPaths: ['/data'], allowedImages: [] },
      quiet: new Quiet(),
      log: { warn: (_: unknown, message: string) => this.said.push(message) },
    } as unknown as Context;
    return bringAbout(context, 'lab/farm', farm, farm as unknown as KubeObject, new AbortController().signal);
  }

  async findings(farm?: Farm): Promise<FarmFindings> {
    const found = await this.observe(farm);
    if ('kind' in found) throw new Error(`no findings, but ${JSON.stringify(found)}`);
    return found;
  }

  /** Of the API, by the last look. */
  get asked(): readonly string[] {
    return this.kube.requests.slice(this.#seen);
  }

  /** With the runtime, by the last look. */
  get done(): readonly string[] {
    return this.running.done.slice(this.#done);
  }
}

test('a new farm is brought about in its order, and found', async () => {
  const world = new World();
  world.pools.push(aStreamingServer({ spec: { replicas: 3 } }));
  expect(await world.findings()).toMatchObject({
    ...{ database: { reachable: true }, databaseSource: 'Secret farm-database', identity: { farm: 'a', adoptions: 0 } },
    ...{
      keys: { state: 'Settled', current: 1 },
      recovery: 'None',
      rolling: [],
      knownDevices: 0,
      wanted: 3,
      devices: 0,
    },
  });
  expect(world.done).toEqual(['made', 'want', 'lead above 0', 'migrate', 'write', 'project a as 7', 'count']);
  expect(world.kube.writes).toEqual([
    ...['create Secret farm-keys', 'create Secret farm-ca', 'create Secret farm-operator-tls'],
    ...['apply Service farm-database', 'create Secret farm-database', 'apply StatefulSet farm-database'],
    ...['apply Service farm-replica', 'create Secret farm-replica', 'apply StatefulSet farm-replica'],
  ]);
});

describe('nothing is made', () => {
  const KEYS = 'get Secret farm-keys';
  test.each<{ what: string; farm: Farm; prepare?: (world: World) => void; finds: object; asks?: string[] }>([
    {
      what: 'for a spec that is not allowed: the API is not even asked',
      farm: withDatabase(embedded({ hostPath: '/etc' })),
      finds: { fault: { kind: 'stalled', reason: 'NotAllowed', message: expect.stringContaining('/etc') } },
      asks: [],
    },
    {
      what: 'while the API does not answer: that is no finding',
      farm: aFarm(),
      prepare: ({ kube }) => kube.failWith('ServerError', KEYS),
      finds: { kind: 'Retry', code: 'Unanswered', message: `${KEYS}: ServerError` },
      asks: [KEYS],
    },
    {
      what: 'while somebody else writes: that is no finding',
      farm: aFarm(),
      prepare: ({ kube }) => kube.failWith('Conflict', 'create Secret farm-ca'),
      finds: { kind: 'Retry', code: 'Unanswered' },
    },
    {
      what: 'where the API refuses, which is said beside what the status knows',
      farm: aFarm({ status: seenBefore({ offlineSince: '1970-01-01T00:00:03Z' }) }),
      prepare: ({ kube }) => kube.failWith('Forbidden', KEYS),
      finds: {
        fault: { kind: 'reconciling', reason: 'ApplyRefused', message: `${KEYS}: Forbidden` },
        ...{ database: { reachable: false, since: 3_000 }, identity: { farm: 'a' }, servers: [], devices: 5 },
      },
      asks: [KEYS],
    },
    {
      what: 'without the Secret of an external database',
      farm: withDatabase(external),
      finds: {
        databaseSource: 'Secret db, key uri',
        fault: {
          kind: 'reconciling',
          reason: 'SecretMissing',
          message: expect.stringContaining('Secret db has no key'),
        },
      },
    },
    {
      what: 'where that Secret has another key',
      farm: withDatabase(external),
      prepare: (world) => world.secret('db', { url: 'postgresql://me@db/farm' }),
      finds: { fault: { reason: 'SecretMissing', message: expect.stringContaining('has no key uri') } },
    },
    {
      what: 'where it has no uri of a database',
      farm: withDatabase(external),
      prepare: (world) => world.secret('db', { uri: 'http://db/farm' }),
      finds: { fault: { reason: 'SecretMissing', message: expect.stringMatching(/^Secret db, key uri: /) } },
    },
  ])('$what', async ({ farm, prepare, finds, asks }) => {
    const world = new World();
    prepare?.(world);
    expect(await world.observe(farm)).toMatchObject(finds);
    expect(world.done).toEqual([]);
    if (asks) expect(world.asked).toEqual(asks);
  });
});

describe('the database', () => {
  const source = 'Secret farm-database';
  test.each<{ what: string; answers: Partial<Answers>; finds: object; done: readonly string[]; says?: string }>([
    {
      what: 'that knows this Farm is led above the replica, which may have outlived it',
      answers: {
        found: ok(OURS),
        meta: { ...OURS, schema: 4, shape: '', token: '', epoch: 40, snapshot: '' } as never,
      },
      finds: { identity: { farm: 'a' } },
      done: ['lead above 40', 'migrate', 'write', 'project a as 7', 'count'],
    },
    {
      what: 'without a table of leaders is migrated before it is led',
      answers: { found: ok({ ...LED, led: false }) },
      finds: { identity: { farm: 'a' } },
      done: ['begin', 'migrate', 'lead above 0', 'write', 'project a as 7', 'count'],
    },
    {
      what: 'of a Farm of this name and these keys, which is gone, is taken over',
      answers: { found: ok({ ...OURS, owner: { uid: 'gone', name: 'lab/farm' } }) },
      finds: { identity: { farm: 'a' } },
      done: ['lead above 0, taken over from gone', 'migrate', 'write', 'project a as 7', 'count'],
    },
    {
      what: 'that knows other keys learns these',
      answers: { found: ok({ ...OURS, keys: 'others' }) },
      finds: { identity: { farm: 'a' } },
      done: ['lead above 0', 'migrate', 'write', 'write', 'project a as 7', 'count'],
    },
    {
      what: 'of another Farm is refused, and nothing is written',
      answers: { found: ok({ ...OURS, owner: { uid: 'b', name: 'lab/b' } }) },
      finds: {
        fault: { kind: 'stalled', reason: 'DatabaseForeign', message: expect.stringMatching(/^Secret farm-da/) },
      },
      done: ['refuse DatabaseForeign', 'count'],
      says: 'database refused',
    },
    {
      what: 'that is empty waits until the replica was heard',
      answers: { meta: 'Unread' },
      finds: {
        fault: { kind: 'reconciling', reason: 'ReplicaUnreachable', message: expect.stringMatching(/^nothing is/) },
      },
      done: ['count'],
    },
    {
      what: 'that is empty waits until each server was asked',
      answers: { held: 'Asking' },
      finds: { fault: { kind: 'reconciling', reason: 'ReplicaUnreachable' } },
      done: ['count'],
    },
    {
      what: 'that cannot be migrated refuses',
      answers: { migrated: { code: 'Refused', message: 'no right' } },
      finds: { fault: { kind: 'reconciling', reason: 'DatabaseRefuses', message: `${source}: no right` } },
      done: ['lead above 0', 'migrate', 'count'],
      says: 'database not migrated, or not led',
    },
    {
      what: 'that lets no server in refuses',
      answers: { access: fail('Refused', 'no role') },
      finds: { fault: { kind: 'reconciling', reason: 'DatabaseRefuses', message: `${source}: no role` } },
      done: ['lead above 0', 'migrate', 'count'],
      says: 'servers have no access to the database',
    },
    {
      what: 'that takes no rows refuses',
      answers: { written: fail('Conflict', 'collection of no site') },
      finds: { fault: { kind: 'reconciling', reason: 'DatabaseRefuses', message: `${source}: collection of no site` } },
      done: ['lead above 0', 'migrate', 'write', 'count'],
      says: 'farm not projected',
    },
    {
      what: 'gives servers more than they need',
      answers: { excess: 'they may drop tables' },
      finds: { excess: 'they may drop tables' },
      done: ['lead above 0', 'migrate', 'write', 'project a as 7', 'count'],
    },
    {
      what: 'is found foreign by the projector a moment later',
      answers: {
        replica: { state: 'Stale', followers: 0, lastChange: 0, message: 'of farm b', refused: 'DatabaseForeign' },
      },
      finds: {
        replica: { state: 'Stale' },
        fault: { kind: 'stalled', reason: 'DatabaseForeign', message: `${source}: of farm b` },
      },
      done: ['lead above 0', 'migrate', 'write', 'project a as 7', 'count'],
    },
  ])('$what', async ({ answers, finds, done, says }) => {
    const world = new World(answers);
    expect(await world.findings()).toMatchObject(finds);
    expect(world.done.slice(2)).toEqual(done);
    expect(world.said).toEqual(says ? [says] : []);
  });

  test.each<{ what: string; answers: Partial<Answers>; done: readonly string[] }>([
    {
      what: 'which another one took a moment ago',
      answers: { led: fail('Conflict', 'it belongs to Farm b') },
      done: ['lead above 0'],
    },
    { what: 'whose leader is another one', answers: { led: fail('Fenced', 'leader 8') }, done: ['lead above 0'] },
    {
      what: 'which another one leads since this one began to write',
      answers: { written: fail('Fenced', 'leader 8') },
      done: ['lead above 0', 'migrate', 'write'],
    },
  ])('of a database $what nothing is found, and it is tried again', async ({ answers, done }) => {
    const world = new World(answers);
    expect(await world.observe()).toMatchObject({ kind: 'Retry', code: 'Fenced' });
    expect(world.done.slice(2)).toEqual(done);
  });
});

describe('a database that is away', () => {
  const CLAIM = 'get PersistentVolumeClaim data-farm-database-0';
  const claimed = (phase: string) => (world: World) =>
    void world.kube.objects.set('PersistentVolumeClaim lab/data-farm-database-0', {
      ...{ metadata: { name: 'data-farm-database-0' }, status: { phase } },
    } as unknown as KubeObject);
  const pending = { kind: 'reconciling', reason: 'VolumePending', message: expect.stringContaining('is Pending') };

  test.each<{ what: string; farm?: Farm; prepare?: (world: World) => void; fault?: object; asks: boolean }>([
    { what: 'has no volume yet', prepare: claimed('Pending'), fault: pending, asks: true },
    { what: 'has its volume', prepare: claimed('Bound'), asks: true },
    { what: 'has no claim', asks: true },
    { what: 'has a folder of a node', farm: withDatabase(embedded({ hostPath: '/data/db' })), asks: false },
    {
      what: 'has its volume, for it was there before',
      farm: aFarm({ status: seenBefore() }),
      prepare: claimed('Pending'),
      asks: false,
    },
    {
      what: 'is a person’s matter',
      farm: withDatabase(external),
      prepare: (world) => world.secret('db', { uri: 'postgresql://me@db/farm' }),
      asks: false,
    },
  ])('$what', async ({ farm, prepare, fault, asks }) => {
    const world = new World(AWAY);
    prepare?.(world);
    const found = await world.findings(farm);
    expect(found).toMatchObject({ database: AWAY.state });
    expect(found.fault).toEqual(fault);
    expect(world.asked.includes(CLAIM)).toBe(asks);
  });

  test.each([
    { what: 'does not answer: that is no finding', code: 'TimedOut', finds: { kind: 'Retry', code: 'TimedOut' } },
    { what: 'may not be asked that', code: 'Forbidden', finds: { database: AWAY.state, rolling: [] } },
  ] as const)('has a volume of which the API $what', async ({ code, finds }) => {
    const world = new World(AWAY);
    world.kube.failWith(code, CLAIM);
    const found = await world.observe();
    expect(found).toMatchObject(finds);
    expect(found).not.toHaveProperty('fault');
  });

  test('leaves what the status knows of it', async () => {
    const world = new World(AWAY);
    expect(await world.findings(aFarm({ status: seenBefore() }))).toMatchObject({
      identity: { farm: 'a' },
      devices: 5,
    });
  });
});

describe('what was found right lately', () => {
  const farm = aFarm();
  const annotated = (annotations: Record<string, string>) => aFarm({ metadata: { annotations } });
  const roll = ({ kube }: World): void => {
    const set = kube.objects.get('StatefulSet lab/farm-replica');
    if (set)
      kube.objects.set('StatefulSet lab/farm-replica', { ...set, status: { updateRevision: 'b' } } as KubeObject);
  };

  test.each<{ what: string; between?: (world: World) => void; farm?: Farm; asks: boolean }>([
    { what: 'is not asked for again', asks: false },
    { what: 'is when the spec changed', farm: aFarm({ metadata: { generation: 2 } }), asks: true },
    {
      what: 'is not when an empty recovery key is given, which is none',
      farm: annotated({ [RECOVERY_KEY_ANNOTATION]: '' }),
      asks: false,
    },
    { what: 'is when a recovery key is given', farm: annotated({ [RECOVERY_KEY_ANNOTATION]: 'k' }), asks: true },
    { what: 'is when new keys are asked for', farm: annotated({ [ROTATE_KEYS_ANNOTATION]: 'r1' }), asks: true },
    {
      what: 'is while the database is away',
      between: ({ running: { answers } }) => Object.assign(answers, AWAY),
      asks: true,
    },
    {
      what: 'is while the database is refused',
      between: ({ running }) => running.get('lab/farm')?.refuse({ code: 'DatabaseForeign', message: '' }),
      asks: true,
    },
    {
      what: 'is when the Farm is another one of its name',
      farm: aFarm({ metadata: { uid: 'uid-next' } }),
      asks: true,
    },
  ])('$what', async ({ between, farm: then = farm, asks }) => {
    const world = new World();
    await world.findings(farm);
    between?.(world);
    await world.observe(then);
    expect(world.asked.includes('get Secret farm-keys')).toBe(asks);
    if (!asks) expect(world.asked).toEqual([]);
  });

  test.each<{ what: string; before: (world: World) => void }>([
    {
      what: 'the database took no rows',
      before: ({ running: { answers } }) => Object.assign(answers, { written: fail('Conflict', 'no site') }),
    },
    { what: 'a StatefulSet takes up another template', before: roll },
  ])('is not known while $what', async ({ before }) => {
    const world = new World();
    const changed = aFarm({ metadata: { generation: 2 } });
    await world.findings(farm);
    before(world);
    await world.observe(changed);
    await world.observe(changed);
    expect(world.asked).toContain('get Secret farm-keys');
  });

  test('still has its keys, and nothing new is known of the copy', async () => {
    const world = new World();
    const first = await world.findings(farm);
    const second = await world.findings(farm);
    expect(second.keys).toEqual(first.keys);
    expect([first.recovery, second.recovery]).toEqual(['None', undefined]);
    expect(world.done).toEqual(['want', 'lead above 0', 'migrate', 'write', 'project a as 7']); // and devices were counted lately
    expect(second.knownDevices).toBe(0);
  });
});

test('StatefulSets that take up another template are named', async () => {
  const world = new World();
  await world.findings();
  const set = world.kube.objects.get('StatefulSet lab/farm-database');
  if (set)
    world.kube.objects.set('StatefulSet lab/farm-database', { ...set, status: { updateRevision: 'b' } } as KubeObject);
  expect((await world.findings(aFarm({ metadata: { generation: 2 } }))).rolling).toEqual(['farm-database']);
});

test('the runtime of a Farm that is gone ends before the next one of its name begins', async () => {
  const world = new World();
  await world.findings();
  await world.findings(aFarm({ metadata: { uid: 'uid-next' } }));
  expect(world.done.slice(0, 2)).toEqual(['ended', 'made']);
});

test('pods that do not start are named, of the database and the replica alone', async () => {
  const world = new World();
  const pod = (name: string, component: string, farm = 'farm') => ({
    metadata: {
      ...{ name, namespace: 'lab' },
      labels: { 'bootfarm.io/farm': farm, 'app.kubernetes.io/component': component },
    },
    status: { phase: 'Failed', reason: 'Evicted' },
  });
  world.pods.push(pod('farm-replica-0', 'replica'), pod('farm-database-0', 'database'));
  world.pods.push(pod('main-a', 'server'), pod('other-replica-0', 'replica', 'other'));
  expect((await world.findings()).stuck).toBe('pod farm-database-0: Evicted; pod farm-replica-0: Evicted');
});

test('servers are wanted by pools of this Farm that stay', async () => {
  const world = new World();
  const leaves = {
    ...aStreamingServer({ metadata: { name: 'leaves' } }).metadata,
    deletionTimestamp: '2026-11-23T12:00:00Z',
  };
  world.pools.push(
    aStreamingServer(),
    aStreamingServer({ metadata: { name: 'other' }, spec: { farmRef: { name: 'b' } } }),
  );
  world.pools.push({ ...aStreamingServer(), metadata: leaves });
  expect((await world.findings()).wanted).toBe(2);
});

test('devices that are known are told on while they cannot be counted', async () => {
  const world = new World({ devices: undefined });
  expect((await world.findings()).knownDevices).toBeUndefined();
  world.running.answers.devices = 12;
  expect((await world.findings()).knownDevices).toBe(12);
  world.running.answers.devices = undefined;
  expect((await world.findings()).knownDevices).toBe(12);
});

describe('the copy of its Secrets', () => {
  const { id, publicText } = makeRecoveryKey();
  const farm = aFarm({ metadata: { annotations: { [RECOVERY_KEY_ANNOTATION]: publicText } } });

  test.each<{
    what: string;
    answers?: Partial<Answers>;
    prepare?: (world: World) => void;
    found?: object;
    says?: string;
  }>([
    { what: 'is sealed when the database took them', found: { key: id } },
    { what: 'is not while the database is away', answers: AWAY },
    {
      what: 'is not new where the API does not take it, which is said',
      prepare: ({ kube }) => kube.failWith('ServerError', 'create Secret farm-recovery'),
      says: 'recovery copy not kept',
    },
    {
      what: 'is not new where somebody else wrote it meanwhile',
      prepare: ({ kube }) => kube.failWith('Conflict', 'create Secret farm-recovery'),
    },
  ])('$what', async ({ answers, prepare, found, says }) => {
    const world = new World(answers);
    prepare?.(world);
    expect((await world.findings(farm)).recovery).toEqual(found);
    expect(world.kube.writes.includes('create Secret farm-recovery')).toBe(found !== undefined);
    expect(world.said).toEqual(says ? [says] : []);
  });
});

test('a step of a turn is taken when nobody lacks the one before', async () => {
  const world = new World();
  await world.findings();
  const asked = aFarm({ metadata: { annotations: { 'bootfarm.io/rotate-ca': 'r1' } } });
  world.running.answers.lacking = ['server node-a'];
  await world.findings(asked);
  expect((await world.findings(asked)).keys?.ca.message).toContain('waiting for server node-a');
  world.running.answers.lacking = [];
  for (let turn = 0; turn < 3; turn++) await world.findings(asked);
  expect((await world.findings(asked)).keys?.ca).toEqual({ state: 'Settled', request: 'r1' });
});

describe('what servers of an external database are told', () => {
  const farm = withDatabase(external);
  const TELL = 'patch Secret farm-database';
  const begin = async (prepare?: (world: World) => void) => {
    const world = new World();
    world.secret('db', { uri: 'postgresql://me@db/farm' });
    prepare?.(world);
    const found = await world.findings(farm);
    return { world, found };
  };

  test('is kept, and the next reconcile makes the runtime anew with it: no pool waits for longer', async () => {
    const { world } = await begin();
    expect(world.asked).toContain(TELL);
    expect(world.running.get('lab/farm')?.inputs.serverUri).toBeUndefined();
    await world.findings(farm);
    expect(world.done[0]).toBe('made anew');
    expect(world.running.get('lab/farm')?.inputs.serverUri).toContain('farm_server');
  });

  test('is kept once: later looks ask for nothing', async () => {
    const { world } = await begin();
    await world.findings(farm);
    expect(world.asked).not.toContain(TELL);
    await world.findings(farm);
    expect(world.asked).toEqual([]);
  });

  test('is not known where the API does not take it', async () => {
    const { world, found } = await begin(({ kube }) => kube.failWith('ServerError', TELL));
    expect(found.fault).toMatchObject({ reason: 'DatabaseRefuses', message: expect.stringContaining(TELL) });
    await world.findings(farm);
    expect(world.asked).toContain(TELL);
  });
});
