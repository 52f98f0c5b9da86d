/** The look of a pool: what comes out of it, and what is asked of the API and done with the farm's runtime. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { aFarm, aStreamingServer, type Written } from '../../../test/builders/resources.ts';
import { FakeKube } from '../../../test/fakes/kube.ts';
import { FakeRuntimes } from '../../../test/fakes/runtime.ts';
import { type Authority, makeAuthority } from '../../control/certificates.ts';
import { fail } from '../../kit/result.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import type { Farm, StreamingServer } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { Quiet } from '../quiet.ts';
import { bringAbout } from './reconcile.ts';
import type { PoolFindings } from './status.ts';

type Answers = FakeRuntimes['answers'];
let authority: Authority;
beforeAll(async () => {
  const signer = await makeAuthority('lab/farm', Date.now());
  authority = { signer, trust: signer.cert };
});

const pool = (spec: Written<StreamingServer['spec']> = {}, more: object = {}): StreamingServer => ({
  ...aStreamingServer({ spec: { farmRef: { name: 'farm' }, replicas: 2, storeRoots: ['/srv'], ...spec } }),
  ...more,
});
const told = (names: readonly string[]): object => ({
  status: { devices: 5, servers: names.map((name) => ({ name, state: 'Streaming' })) },
});
const aNode = (name: string, ready = true): KubeObject =>
  ({
    metadata: { name },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }) as unknown as KubeObject;
const streaming = (more: object = {}) =>
  ({ state: 'Streaming', faults: [], stores: [], copies: [], devices: 0, journalEntries: 0, ...more }) as never;
const rowsOf = (...servers: readonly string[]) => ({
  ...{ recorded: new Map(), overrides: [], places: new Map(), stores: [], atMs: 0, uses: [] },
  servers: servers.map((name) => ({ name, pool: name.startsWith('other') ? 'other' : 'main' })),
});
const secret = (node: string): string => `Secret bootfarm-server-main-${node}`;
const made = (...nodes: readonly string[]): readonly string[] =>
  nodes.flatMap((node) => [`apply ${secret(node)}`, `apply Deployment main-${node}`]);

/** A farm that runs, on two nodes, whose pool has no servers yet. */
class World {
  readonly kube = new FakeKube();
  readonly running: FakeRuntimes;
  readonly farms: Farm[] = [aFarm()];
  readonly pods: object[] = [];
  readonly strangers: object[] = [];
  readonly said: object[] = [];
  nodes = [aNode('node-a'), aNode('node-b')];
  #asked = 0;
  #written = 0;
  #done = 0;

  constructor(answers: Partial<Answers> = {}) {
    this.running = new FakeRuntimes({ rows: rowsOf(), ...answers });
  }

  async run(more: Partial<Infrastructure> = {}): Promise<this> {
    const database = { uri: 'postgresql://bootfarm@db/farm' };
    const inputs = { database, authority, lineage: '00112233aabbccdd', serverUri: 'postgresql://farm_server@db/farm' };
    await this.running.ensure('lab/farm', { ...inputs, ...more } as unknown as Infrastructure);
    return this;
  }

  get deployments(): readonly KubeObject[] {
    return [...this.kube.objects.values()].filter(({ kind }) => kind === 'Deployment');
  }

  /** All that was asked of Deployments is brought about, but for the pods of these nodes. */
  settle(...silent: readonly string[]): void {
    for (const found of this.deployments) {
      const readyReplicas = silent.some((node) => found.metadata.name === `main-${node}`) ? 0 : 1;
      const status = { replicas: 1, updatedReplicas: 1, readyReplicas };
      this.kube.objects.set(`Deployment lab/${found.metadata.name}`, { ...found, status });
    }
  }

  async observe(of = pool()): Promise<PoolFindings> {
    this.#asked = this.kube.requests.length;
    this.#written = this.kube.writes.length;
    this.#done = this.running.done.length;
    const list = (objects: readonly object[], name = '') => ({
      list: () => objects,
      get: (key: string) => objects.find(() => key === name),
    });
    const context = {
      client: this.kube.client,
      informers: {
        ...{ farms: list(this.farms, 'lab/farm'), pools: list([of]), pods: list(this.pods) },
        ...{ vdisks: list([]), stores: list([]) },
        nodes: { list: () => this.nodes, get: () => undefined },
        deployments: { list: () => [...this.deployments, ...this.strangers] },
      },
      runtimes: this.running.runtimes,
      settings: { image: 'bootfarm:1', release: '1', allowedHostPaths: ['/srv', '/var/lib'], allowedImages: [] },
      quiet: new Quiet(),
      log: { warn: (fields: object, message: string) => this.said.push({ ...fields, says: message }) },
    } as unknown as Context;
    return bringAbout(context, of, of as unknown as KubeObject, new AbortController().signal);
  }

  /** Two servers that stream, as two looks make them. */
  async settled(): Promise<this> {
    await this.run();
    await this.observe();
    this.settle();
    for (const node of ['node-a', 'node-b'])
      (this.running.answers.servers as Map<string, never>).set(node, streaming());
    await this.observe();
    return this;
  }

  /** Of the API, by the last look. */
  get asked(): readonly string[] {
    return this.kube.requests.slice(this.#asked);
  }
  get written(): readonly string[] {
    return this.kube.writes.slice(this.#written);
  }
  /** With the runtime, by the last look. */
  get done(): readonly string[] {
    return this.running.done.slice(this.#done);
  }
}

describe('nothing is done for a pool', () => {
  const site = (name: string) => ({ name, boot: {} });
  const several = aFarm({ spec: { database: { embedded: {} }, sites: [site('north'), site('south')] } });
  const inFolder = aFarm({
    metadata: { name: 'next', namespace: 'other' },
    spec: { database: { embedded: { storage: { hostPath: '/srv/db' } } } },
  });
  const running = (world: World): Promise<World> => world.run();

  test.each<{
    what: string;
    prepare?: (world: World) => unknown;
    spec?: Written<StreamingServer['spec']>;
    kind?: string;
    reason: string;
    message: string;
    devices?: number;
  }>([
    {
      what: 'with a folder that is not allowed, whatever its farm is',
      ...{ prepare: ({ farms }) => farms.pop(), spec: { storeRoots: ['/etc'] }, devices: 0 },
      ...{ kind: 'stalled', reason: 'NotAllowed', message: 'host path /etc is not on the operator' },
    },
    {
      what: 'that would see the database of a farm, of another namespace, too',
      prepare: ({ farms }) => farms.push(inFolder),
      ...{ kind: 'stalled', reason: 'NotAllowed', message: 'a Farm keeps its database in /srv/db' },
    },
    {
      what: 'without its Farm',
      ...{ prepare: ({ farms }) => farms.pop(), devices: 0 },
      ...{ reason: 'FarmMissing', message: 'Farm farm, which spec.farmRef names, is not in namespace lab' },
    },
    {
      what: 'whose Farm is in another namespace',
      prepare: ({ farms }) => farms.splice(0, 1, aFarm({ metadata: { namespace: 'other' } })),
      ...{ reason: 'FarmMissing', message: 'is not in namespace lab' },
    },
    {
      what: 'that says no site, where there are several',
      prepare: ({ farms }) => farms.splice(0, 1, several),
      ...{ kind: 'stalled', reason: 'SiteUnknown', message: 'north, south' },
    },
    { what: 'whose Farm does not run yet', reason: 'FarmNotReady', message: 'Farm farm is being made' },
    {
      what: 'whose Farm does not know yet what servers log in with',
      prepare: (world) => world.run({ serverUri: undefined as never }),
      ...{ reason: 'FarmNotReady', message: 'the database of Farm farm is being made' },
    },
    {
      what: 'that asks for what this release does not do',
      ...{ prepare: running, spec: { autoscaling: { maxReplicas: 3 } } },
      ...{ kind: 'stalled', reason: 'NotSupported', message: 'spec.autoscaling' },
    },
  ])('$what', async ({ prepare, spec, kind = 'reconciling', reason, message, devices = 5 }) => {
    const world = new World();
    await prepare?.(world);
    const before = world.running.done.length;
    expect(await world.observe(pool(spec, told([])))).toEqual({
      ...{ want: 2, lacking: 0, servers: [], devices, held: [], stuck: new Map() },
      progress: { outdated: [], updated: [], starting: [], leaving: [] },
      fault: { kind, reason, message: expect.stringContaining(message) },
    });
    expect([world.asked, world.running.done.slice(before)]).toEqual([[], []]);
  });
});

describe('servers', () => {
  test('are made, each Secret before its Deployment, and asked how they are from then on', async () => {
    const world = await new World().run();
    const found = await world.observe();
    expect(world.written).toEqual(made('node-a', 'node-b'));
    expect(world.done).toEqual(['main took up', 'want node-a node-b']);
    expect(found).toMatchObject({ lacking: 0, held: [], progress: { updated: [] } });
    expect(found.servers.map(({ name, reachable }) => [name, reachable])).toEqual([
      ['node-a', false],
      ['node-b', false],
    ]);
    expect((await world.observe()).progress).toMatchObject({ starting: ['node-a', 'node-b'] });
    expect(world.written).toEqual([]);
  });

  test('that stream ask for nothing, and run with what their farm stands on', async () => {
    const world = await new World().settled();
    const found = await world.observe();
    expect(world.asked).toEqual([]);
    expect(world.done).toEqual(['main took up node-a node-b', 'want node-a node-b']);
    expect(found.progress).toEqual({ outdated: [], updated: ['node-a', 'node-b'], starting: [], leaving: [] });
    expect(found.fault).toBeUndefined();
  });

  test('that find no node are lacking', async () => {
    const world = await new World().run();
    world.nodes = [aNode('node-a'), aNode('node-b', false)];
    expect(await world.observe()).toMatchObject({ want: 2, lacking: 1 });
    expect(world.written).toEqual(made('node-a'));
  });

  test('of other settings change one at a time: the first is brought to them, the next is held', async () => {
    const world = await new World().settled();
    const found = await world.observe(pool({ logLevel: 'debug' }));
    expect(world.written).toEqual(made('node-a'));
    expect(found.held).toEqual([
      { kind: 'Hold', node: 'node-b', why: 'Rollout', waitsFor: ['server node-a, which changes first'] },
    ]);
    expect(found.progress).toMatchObject({ outdated: ['node-a', 'node-b'] });
  });

  test('that are held for a person keep their settings', async () => {
    const world = await new World().settled();
    expect((await world.observe(pool({ logLevel: 'debug', rollout: { policy: 'OnDemand' } }))).held).toEqual([
      { kind: 'Hold', node: 'node-a', why: 'OnDemand', waitsFor: [] },
      { kind: 'Hold', node: 'node-b', why: 'OnDemand', waitsFor: [] },
    ]);
    expect(world.written).toEqual([]);
  });

  const NAME = 'Secret lab/bootfarm-server-main-node-b';
  type Held = KubeObject & { readonly data: Readonly<Record<string, string>> };
  const held = ({ kube }: World): Held => kube.objects.get(NAME) as Held;
  const goesNotYet = { replicas: 2, placement: { nodeSelector: { rack: '1' } } };

  test.each<{
    what: string;
    spec: Written<StreamingServer['spec']>;
    prepare?: (world: World) => void;
    renews: boolean;
  }>([
    {
      what: 'that is held keeps its settings, and its certificates are renewed in time',
      spec: { logLevel: 'debug', rollout: { policy: 'OnDemand' } },
      renews: true,
    },
    { what: 'that is to go and serves until others do has its certificates renewed', spec: goesNotYet, renews: true },
    {
      what: 'that goes when its node is back has nothing renewed',
      spec: goesNotYet,
      prepare(world) {
        world.nodes = [aNode('node-a'), aNode('node-b', false)];
        const found = world.kube.objects.get('Deployment lab/main-node-b') as KubeObject;
        const metadata = { ...found.metadata, deletionTimestamp: '2026-11-23T12:00:00Z' };
        world.kube.objects.set('Deployment lab/main-node-b', { ...found, metadata });
      },
      renews: false,
    },
  ])('one $what', async ({ spec, prepare, renews }) => {
    const world = await new World().settled();
    const before = held(world);
    const { 'tls.crt': _, 'peer.crt': __, ...data } = before.data;
    world.kube.objects.set(NAME, { ...before, data } as Held);
    prepare?.(world);
    expect((await world.observe(pool(spec))).held).toContainEqual(expect.objectContaining({ node: 'node-b' }));
    expect(world.written).toEqual(renews ? [`apply ${secret('node-b')}`] : []);
    expect(['tls.crt' in held(world).data, 'peer.crt' in held(world).data]).toEqual([renews, renews]);
    expect(held(world).data['server.json']).toBe(before.data['server.json']);
  });

  test('that nobody asks for go, one at a time', async () => {
    const world = await new World().settled();
    const found = await world.observe(pool({ replicas: 0 }));
    expect(world.written).toEqual(['delete Deployment main-node-a']);
    expect(found.held).toEqual([
      { kind: 'Hold', node: 'node-b', why: 'Replacement', waitsFor: ['server node-a, which changes first'] },
    ]);
    expect(found.progress).toMatchObject({ leaving: ['node-a', 'node-b'] });
  });

  test('that are to go and do not serve hold no other up', async () => {
    const world = await new World().settled();
    const found = world.kube.objects.get('Deployment lab/main-node-a') as KubeObject;
    const annotations = { ...found.metadata.annotations, 'bootfarm.io/settings': 'of an earlier release' };
    world.kube.objects.set('Deployment lab/main-node-a', { ...found, metadata: { ...found.metadata, annotations } });
    (world.running.answers.servers as Map<string, never>).delete('node-b');
    expect((await world.observe(pool({ replicas: 1 }))).held).toEqual([
      { kind: 'Hold', node: 'node-b', why: 'Replacement', waitsFor: ['server node-a, which changes first'] },
    ]);
    expect(world.written).toEqual(['apply Deployment main-node-a']);
  });

  test('of a node that is gone go', async () => {
    const world = await new World().settled();
    world.settle('node-b');
    (world.running.answers.servers as Map<string, never>).delete('node-b');
    world.nodes = [aNode('node-a'), aNode('node-c')];
    await world.observe();
    expect(world.written).toEqual([...made('node-c'), 'delete Deployment main-node-b']);
  });

  test.each<{ what: string; fails: readonly [string, 'ServerError' | 'NotFound']; says: object[]; written: object }>([
    {
      what: 'a Secret that cannot be read holds its own server up, and no other',
      fails: [`get ${secret('node-a')}`, 'ServerError'],
      says: [{ says: 'server secret not read', pool: 'lab/main', server: 'node-a', code: 'ServerError' }],
      written: made('node-b'),
    },
    {
      what: 'a Secret that is not taken holds its own server up, and no other',
      fails: [`apply ${secret('node-a')}`, 'ServerError'],
      says: [{ says: 'server secret not applied', server: 'node-a', code: 'ServerError' }],
      written: made('node-b'),
    },
    {
      what: 'a Deployment that is not taken is said, and the next server is made',
      fails: ['apply Deployment main-node-a', 'ServerError'],
      says: [{ says: 'server not applied', server: 'node-a', code: 'ServerError' }],
      written: [`apply ${secret('node-a')}`, ...made('node-b')],
    },
  ])('$what', async ({ fails: [request, code], says, written }) => {
    const world = await new World().run();
    world.kube.failWith(code, request);
    expect((await world.observe()).fault).toBeUndefined();
    expect(world.written).toEqual(written);
    expect(world.said).toMatchObject(says);
    expect(world.said).toHaveLength(says.length);
  });

  test.each([
    { what: 'cannot be removed is said', code: 'ServerError', says: [{ says: 'server not removed' }] },
    { what: 'is gone already is no fault', code: 'NotFound', says: [] },
  ] as const)('one that $what', async ({ code, says }) => {
    const world = await new World().settled();
    world.kube.failWith(code, 'delete Deployment main-node-a');
    await world.observe(pool({ replicas: 0 }));
    expect(world.said).toMatchObject(says);
    expect(world.said).toHaveLength(says.length);
  });
});

describe('servers that are gone are forgotten', () => {
  const GONE = ['get Secret bootfarm-server-main-node-z', 'delete Secret bootfarm-server-main-node-z'];
  const owned = ({ kube }: World): void => {
    const metadata = { name: 'bootfarm-server-main-node-z', ownerReferences: [{ uid: 'uid-main', controller: true }] };
    kube.objects.set('Secret lab/bootfarm-server-main-node-z', { kind: 'Secret', metadata } as unknown as KubeObject);
  };

  test.each<{
    what: string;
    answers: Partial<Answers>;
    prepare?: (world: World) => void;
    asks?: readonly string[];
    writes?: number;
    says?: string;
  }>([
    {
      what: 'with their Secret and their row',
      answers: { rows: rowsOf('node-z') },
      prepare: owned,
      asks: GONE,
      writes: 1,
    },
    { what: 'but not those that stay', answers: { rows: rowsOf('node-a', 'node-b') } },
    { what: 'but not those of another pool', answers: { rows: rowsOf('other-z') } },
    {
      what: 'later, while the database is away, and that is said',
      answers: { rows: undefined },
      says: 'the farm database does not forget its servers: it does not answer',
    },
    {
      what: 'later, where the database does not take it',
      answers: { rows: rowsOf('node-z'), written: fail('Fenced', 'leader 8') },
      ...{ asks: GONE.slice(0, 1), writes: 1 },
      says: 'the farm database does not forget its servers node-z: leader 8',
    },
    {
      what: 'later, while the API does not say whose the Secret is: the row shows the way until then',
      answers: { rows: rowsOf('node-z') },
      prepare: (world) => world.kube.failWith('ServerError', 'get Secret bootfarm-server-main-node-z'),
      asks: GONE.slice(0, 1),
      says: 'the Secret of server node-z is not removed: get Secret bootfarm-server-main-node-z: ServerError',
    },
  ])('$what', async ({ answers, prepare, asks = [], writes = 0, says }) => {
    const world = await new World().settled();
    Object.assign(world.running.answers, answers);
    prepare?.(world);
    expect((await world.observe()).fault).toBeUndefined();
    expect(world.asked).toEqual(asks);
    expect(world.done.filter((what) => what === 'write')).toHaveLength(writes);
    expect(world.said).toMatchObject(says ? [{ says: 'servers not forgotten', message: says }] : []);
  });

  test('but not one that is to go and is there', async () => {
    const world = await new World().settled();
    world.running.answers.rows = rowsOf('node-a', 'node-b');
    await world.observe(pool({ replicas: 1 }));
    expect(world.asked.filter((request) => request.startsWith('get Secret'))).toEqual([]);
    expect(world.done).not.toContain('write');
  });

  test('but not one that is made again', async () => {
    const world = await new World({ rows: rowsOf('node-a') }).run();
    await world.observe();
    expect(world.written).toEqual(made('node-a', 'node-b'));
    expect(world.done).not.toContain('write');
  });
});

describe('a server that does not start', () => {
  const labels = (instance: string) => ({ 'bootfarm.io/farm': 'farm', 'app.kubernetes.io/instance': instance });
  const pod = (instance: string, message: string) => ({
    metadata: { name: `${instance}-x`, namespace: 'lab', labels: labels(instance) },
    status: { conditions: [{ type: 'PodScheduled', status: 'False', message }] },
  });
  const PORTS = "0/2 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
  const stranger = {
    metadata: {
      ...{ name: 'main-node-b', namespace: 'other', labels: { 'bootfarm.io/farm': 'next' } },
      annotations: { 'bootfarm.io/node': 'node-b' },
    },
  };

  test.each<{ what: string; prepare: (world: World) => void; stuck: string | undefined }>([
    {
      what: 'is named with what its pod says',
      prepare: ({ pods }) => pods.push(pod('main-node-b', 'no memory')),
      stuck: 'pod main-node-b-x: no memory',
    },
    {
      what: 'is named with the farm that has its ports',
      prepare({ pods, strangers }) {
        pods.push(pod('main-node-b', PORTS));
        strangers.push(stranger);
      },
      stuck: 'the server of Farm other/next on node-b has them',
    },
    {
      what: 'is named with why its pod may not be made, before a pod of it that failed',
      prepare({ kube, pods }) {
        pods.push(pod('main-node-b', 'no memory'));
        const found = kube.objects.get('Deployment lab/main-node-b') as KubeObject & { readonly status: object };
        const conditions = [{ type: 'ReplicaFailure', status: 'True', message: 'exceeded quota' }];
        kube.objects.set('Deployment lab/main-node-b', {
          ...found,
          status: { ...found.status, conditions },
        } as KubeObject);
      },
      stuck: 'exceeded quota',
    },
    { what: 'and takes its time is not', prepare: () => {}, stuck: undefined },
    {
      what: 'is not the one beside it that is Ready, whatever an older pod of that says',
      prepare: ({ pods }) => pods.push(pod('main-node-a', 'evicted once')),
      stuck: undefined,
    },
  ])('$what', async ({ prepare, stuck }) => {
    const world = await new World().settled();
    world.settle('node-b');
    prepare(world);
    const found = await world.observe();
    expect([...found.stuck]).toEqual(stuck ? [['node-b', expect.stringContaining(stuck)]] : []);
  });
});

test('devices are those of its servers, of one that only the database remembers, too', async () => {
  const world = await new World().settled();
  const use = (server: string, devices: number) => ({ server, vdisk: 'lab', devices });
  Object.assign(world.running.answers, {
    rows: rowsOf('node-a', 'node-z', 'other-z'),
    uses: {
      ...{ atMs: 60_000, calmSinceMs: 0, instances: new Map() },
      readings: [{ atMs: 0, uses: [use('node-a', 3), use('node-b', 1), use('node-z', 10), use('other-z', 100)] }],
    },
  });
  expect((await world.observe(pool({}, told([])))).devices).toBe(14);
});
