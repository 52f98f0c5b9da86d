/** The mount pods of a store: what is made of them and said of them, and when nothing is decided. */
import { expect, test } from '@jest/globals';
import { aFarm, aStore, aStreamingServer } from '../../../test/builders/resources.ts';
import { FakeKube } from '../../../test/fakes/kube.ts';
import { FakeRuntimes } from '../../../test/fakes/runtime.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import type { Store, StreamingServer } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { mountName } from '../names.ts';
import { Quiet } from '../quiet.ts';
import { bringMountsAbout, orphanMounts } from './mounts.ts';

const CLAIM = { persistentVolumeClaim: { claimName: 'vdisks' } };
const nas = (spec: Parameters<typeof aStore>[0] = { spec: CLAIM }): Store =>
  aStore({ metadata: { name: 'nas' }, ...spec });
const aServerDeployment = (node: string, pool = 'main', more: object = {}) => ({
  kind: 'Deployment',
  metadata: {
    ...{ name: `${pool}-${node}`, namespace: 'lab', creationTimestamp: '2026-01-01T00:00:00Z', ...more },
    labels: { 'bootfarm.io/farm': 'farm', 'bootfarm.io/pool': pool },
    annotations: { 'bootfarm.io/node': node },
  },
});

class World {
  readonly kube = new FakeKube();
  readonly running = new FakeRuntimes();
  pools: StreamingServer[] = [aStreamingServer()];
  servers: object[] = [aServerDeployment('node-a'), aServerDeployment('node-b')];
  pods: object[] = [];
  #written = 0;

  constructor(claim: object = { spec: { accessModes: ['ReadWriteMany'] }, status: { phase: 'Bound' } }) {
    this.kube.objects.set('PersistentVolumeClaim lab/vdisks', claim as never);
  }

  get context(): Context {
    const list = (objects: readonly object[]) => ({ list: () => objects, get: () => objects[0] });
    const mounts = [...this.kube.objects.values()].filter(({ kind }) => kind === 'Deployment');
    return {
      client: this.kube.client,
      informers: {
        ...{ farms: list([aFarm()]), pools: list(this.pools), pods: list(this.pods) },
        deployments: list([...this.servers, ...mounts]),
      },
      runtimes: this.running.runtimes,
      settings: { image: 'bootfarm:1', release: '1', allowedHostPaths: ['/srv', '/var/lib'], allowedImages: [] },
      quiet: new Quiet(),
      log: { warn: () => undefined },
    } as unknown as Context;
  }

  async look(store = nas()) {
    this.#written = this.kube.writes.length;
    const inputs = {
      database: { uri: 'postgresql://x@db/farm' },
      lineage: '00112233aabbccdd',
      serverUri: 'postgresql://y',
    };
    await this.running.ensure('lab/farm', inputs as unknown as Infrastructure);
    const owner = { ...store, metadata: { ...store.metadata, uid: 'uid-nas' } };
    return bringMountsAbout(this.context, store, owner as never, new AbortController().signal);
  }

  get written(): readonly string[] {
    return this.kube.writes.slice(this.#written);
  }
}

const made = (verb: string, ...nodes: readonly string[]) =>
  nodes.map((node) => `${verb} Deployment ${mountName('nas', node)}`);

test('each node whose server offers it has one, it is left alone then, and goes with the server', async () => {
  const world = new World();
  expect(await world.look()).toEqual({
    waits: new Map(['node-a', 'node-b'].map((node) => [node, 'its mount pod is being made'])),
  });
  expect(world.written).toEqual(made('apply', 'node-a', 'node-b'));
  expect(await world.look()).toEqual({ waits: new Map() });
  expect(world.written).toEqual([]);
  world.servers = [aServerDeployment('node-a'), aServerDeployment('node-b', 'main', { deletionTimestamp: 'now' })];
  await world.look();
  expect(world.written).toEqual([]);
  world.servers.pop();
  await world.look();
  expect(world.written).toEqual(made('delete', 'node-b'));
});

test.each<{ what: string; store?: Store; prepare?: (world: World) => void; written: string[]; says?: string }>([
  {
    what: 'a store of one server',
    store: nas({ spec: { ...CLAIM, servers: { names: ['node-b'] } } }),
    written: made('apply', 'node-b'),
  },
  {
    what: 'a store of no pool that is there',
    store: nas({ spec: { ...CLAIM, servers: { pools: ['x'] } } }),
    written: [],
  },
  { what: 'a local store', store: nas({ spec: {} }), written: [] },
  {
    what: 'servers whose pool may not name its state directory',
    prepare: (world) => {
      world.pools = [aStreamingServer({ spec: { stateDirectory: '/etc' } })];
    },
    written: [],
  },
  {
    what: 'servers whose pool is not there',
    prepare: (world) => {
      world.pools = [];
    },
    written: [],
  },
  {
    what: 'a claim that waits for its first pod',
    prepare: ({ kube }) =>
      void kube.objects.set('PersistentVolumeClaim lab/vdisks', {
        spec: { accessModes: ['ReadWriteMany'] },
        status: {},
      } as never),
    written: made('apply', 'node-a', 'node-b'),
    says: 'claim vdisks is Pending',
  },
  {
    what: 'a claim that is not there',
    prepare: ({ kube }) => void kube.objects.delete('PersistentVolumeClaim lab/vdisks'),
    written: made('apply', 'node-a', 'node-b'),
    says: 'claim vdisks is not in namespace lab',
  },
])('of $what', async ({ store = nas(), prepare, written, says }) => {
  const world = new World();
  prepare?.(world);
  const found = await world.look(store);
  expect(world.written).toEqual(written);
  if (says !== undefined) expect([...found.waits.values()][0]).toContain(says);
});

test('a claim of one node stops all of it, and takes off nothing', async () => {
  const world = new World();
  await world.look();
  const claim = { spec: { accessModes: ['ReadWriteOnce'] }, status: { phase: 'Bound' } };
  world.kube.objects.set('PersistentVolumeClaim lab/other', claim as never);
  const found = await world.look(nas({ spec: { persistentVolumeClaim: { claimName: 'other' } } }));
  expect([found.fault?.reason, world.written]).toEqual(['ClaimNotShared', []]);
});

test('a store that became local has none any more', async () => {
  const world = new World();
  await world.look();
  await world.look(nas({ spec: {} }));
  expect(world.written).toEqual(made('delete', 'node-a', 'node-b'));
});

test('a pod that waits for its volume, or ends again and again, says so', async () => {
  const world = new World();
  await world.look();
  const pod = (node: string, state: object, more: object = {}) => ({
    metadata: {
      ...{ name: `pod-${node}`, namespace: 'lab' },
      labels: { 'bootfarm.io/farm': 'farm', 'app.kubernetes.io/instance': mountName('nas', node) },
    },
    status: { phase: 'Pending', containerStatuses: [{ name: 'mount', state, ...more }] },
  });
  world.pods = [
    pod('node-a', { waiting: { reason: 'ContainerCreating' } }),
    pod('node-b', { terminated: { exitCode: 1, message: 'EPERM' } }),
  ];
  expect((await world.look()).waits).toEqual(
    new Map([
      ['node-a', 'pod pod-node-a waits for its volume: kubectl describe pod pod-node-a tells why'],
      ['node-b', 'pod pod-node-b: container mount ends again and again: EPERM'],
    ]),
  );
});

test('where all Stores go with their kind, its pods run on and nobody owns them', async () => {
  const world = new World();
  await world.look();
  const store = nas({ metadata: { name: 'nas', uid: 'uid-nas' }, spec: CLAIM });
  expect(await orphanMounts(world.context, store, new AbortController().signal)).toMatchObject({ ok: true });
  const owners = [...world.kube.objects.values()].map(({ metadata }) => metadata?.ownerReferences);
  expect(owners).toEqual([undefined, undefined, undefined]);
});

test('one that Kubernetes refuses says so, and holds up no other', async () => {
  const world = new World();
  const [first = ''] = made('apply', 'node-a');
  world.kube.failWith('Invalid', first);
  expect((await world.look()).waits.get('node-a')).toBe(`its mount pod is not made as it should be: ${first}: Invalid`);
  expect(world.written).toEqual(made('apply', 'node-b'));
});
