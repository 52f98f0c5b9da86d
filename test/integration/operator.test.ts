/**
 * The operator's own process on a real API server, PostgreSQL and Redis: what it makes of the four resources, what it says of them, and that it
 * says nothing when there is nothing to say. `operator-nodes.ts` stands for the cluster's controllers and nodes.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { sql } from 'kysely';
import { connect, type Database } from '../../src/database/connection.ts';
import { allCopies } from '../../src/database/copies.ts';
import { addDevices } from '../../src/database/devices.ts';
import { snapshot } from '../../src/database/project.ts';
import { serverRole, withUser } from '../../src/database/roles.ts';
import { endSessionsExcept, registerServer, upsertSession } from '../../src/database/servers.ts';
import { type Client, createClient } from '../../src/kube/client.ts';
import { kinds } from '../../src/kube/kinds.ts';
import { all, at, type Kind, type KubeObject } from '../../src/kube/object.ts';
import { KubeConfig } from '../../src/kube/upstream.ts';
import { FOLLOWER_USER, PROJECTOR_USER } from '../../src/replica/config.ts';
import { kindKey } from '../../src/replica/layout.ts';
import { openOnce } from '../../src/replica/link.ts';
import type { Farm, StreamingServer } from '../../src/resources/kinds.ts';
import { aDevice } from '../builders/farm.ts';
import { binary } from '../cluster/cluster.ts';
import { NO_BOOTS } from '../fakes/boots.ts';
import { freePort } from '../setup/ports.ts';
import { type PostgresServer, startPostgres } from '../setup/services.ts';
import { quietClock, until } from '../setup/time.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { Nodes } from './operator-nodes.ts';

const NAMESPACE = 'lab';
const MANIFEST = 'c'.repeat(64);
const DEADLINE_MS = 60_000;
/** Three looks of a settled farm, and more. */
const SILENCE_MS = 12_000;
const crds = join(import.meta.dirname, '../../crds');
const directory = mkdtempSync(join(tmpdir(), 'bootfarm-operator-'));

let api: ApiServer;
let client: Client;
let postgres: PostgresServer;
let database: Database;
let nodes: Nodes;
let operator: ChildProcess;
let redis: ChildProcess | undefined;
let log = '';

const value = <T>(answer: { ok: true; value: T } | { ok: false; error: { message: string } }): T => {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
};
const of = (kind: Kind, name: string) => at(kind, NAMESPACE, name);
const get = async <T extends KubeObject>(kind: Kind, name: string): Promise<T> =>
  value(await client.get<T>(of(kind, name)));
const patch = async (kind: Kind, name: string, body: object): Promise<void> => {
  value(await client.patch(of(kind, name), body));
};
const make = async (kind: Kind, name: string, body: object): Promise<void> => {
  value(await client.create(of(kind, name), body));
};
const farm = async (): Promise<Farm> => (await get(kinds.Farm, 'farm')) as unknown as Farm;
const pool = async (): Promise<StreamingServer> =>
  (await get(kinds.StreamingServer, 'main')) as unknown as StreamingServer;

interface Conditioned {
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[];
  };
}
const condition = ({ status }: Conditioned, type: string) => status?.conditions?.find((found) => found.type === type);
const ready = (kind: Kind, name: string): Promise<unknown> =>
  until(
    `${kind.kind} ${name} is Ready`,
    async () => {
      const found = await get<KubeObject & Conditioned>(kind, name);
      const seen = found.status?.observedGeneration === found.metadata.generation;
      return seen && condition(found, 'Ready')?.status === 'True';
    },
    DEADLINE_MS,
  );

/** Every object that the operator could write, with its version. */
async function versions(): Promise<readonly string[]> {
  const watched = [
    kinds.Farm,
    kinds.Store,
    kinds.VDisk,
    kinds.StreamingServer,
    kinds.Secret,
    kinds.Service,
    kinds.Deployment,
    kinds.StatefulSet,
    kinds.Event,
  ];
  const lists = await Promise.all(watched.map((kind) => client.listAll(all(kind, NAMESPACE))));
  // A row that is written, or locked, is of another transaction.
  const copies = await database.run((db) =>
    sql<{ row: string }>`select concat_ws(' ', 'copy', vdisk, version, server, xmin, xmax) as row from copy`.execute(
      db,
    ),
  );
  return [
    ...lists.flatMap((list) =>
      value(list).map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.resourceVersion}`),
    ),
    ...(copies.ok ? copies.value.rows.map(({ row }) => row) : []),
  ].sort();
}

const kubectl = (...args: string[]): string =>
  execFileSync(binary('kubectl'), ['--kubeconfig', api.kubeconfig, '-n', NAMESPACE, ...args], { encoding: 'utf8' });

function startOperator(): ChildProcess {
  const args = [
    'operator',
    '--image',
    'bootfarm.local/bootfarm:dev',
    '--namespaces',
    `annex,${NAMESPACE}`,
    '--lease-namespace',
    NAMESPACE,
    '--metrics-port',
    '0',
  ];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, 'src/main.ts', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, KUBECONFIG: api.kubeconfig, POD_NAME: 'operator-0' },
  });
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      log += chunk;
    });
  return child;
}

async function nextLeads(): Promise<void> {
  const leaders = log.split('operator started').length;
  operator = startOperator();
  await until('another leads', () => log.split('operator started').length > leaders, DEADLINE_MS);
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

/** The primary of the replica, as its StatefulSet would run it: the Service's address is on the loopback interface here. */
async function startPrimary(): Promise<void> {
  const address = await until(
    'the Service of the replica',
    async () => {
      const service = await client.get<KubeObject & { spec: { clusterIP: string } }>(of(kinds.Service, 'farm-replica'));
      return service.ok ? service.value.spec.clusterIP : undefined;
    },
    DEADLINE_MS,
  );
  const secret = await until(
    'the Secret of the replica',
    async () => {
      const found = await client.get<KubeObject & { data: Record<string, string> }>(of(kinds.Secret, 'farm-replica'));
      return found.ok ? found.value : undefined;
    },
    DEADLINE_MS,
  );
  const data = join(directory, 'redis');
  mkdirSync(data, { recursive: true });
  const secrets = join(directory, 'redis-secrets');
  mkdirSync(secrets, { recursive: true });
  for (const [name, bytes] of Object.entries(secret.data)) writeFileSync(join(secrets, name), bytes, 'base64');
  const config = readFileSync(join(secrets, 'redis.conf'), 'utf8')
    .replaceAll('"/data"', `"${data}"`)
    .replaceAll('"/secret/', `"${secrets}/`);
  writeFileSync(join(directory, 'redis.conf'), `${config}bind ${address}\n`);
  redis = spawn('setpriv', ['--pdeathsig', 'KILL', 'redis-server', join(directory, 'redis.conf')], { stdio: 'ignore' });
}

let primaryClient: Redis | undefined;
async function primary(): Promise<Redis> {
  if (primaryClient) return primaryClient;
  const service = await get<KubeObject & { spec: { clusterIP: string } }>(kinds.Service, 'farm-replica');
  const secret = await get<KubeObject & { data: Record<string, string> }>(kinds.Secret, 'farm-replica');
  const [password = '', ca = ''] = ['projector', 'ca.crt'].map((key) =>
    Buffer.from(secret.data[key] ?? '', 'base64').toString(),
  );
  primaryClient = new Redis({ host: service.spec.clusterIP, username: PROJECTOR_USER, password, tls: { ca } });
  return primaryClient;
}

const CONTROL = await freePort();

beforeAll(async () => {
  postgres = await startPostgres();
  api = await startApiServer(join(directory, 'api'), '127.96.0.0/16');
  const config = new KubeConfig();
  config.loadFromFile(api.kubeconfig);
  client = createClient(config);
  for (const file of readdirSync(crds)) kubectl('apply', '-f', join(crds, file));
  kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
  value(await client.create(at(kinds.Namespace, undefined, NAMESPACE), {}));
  await Nodes.add(client, ['node-a', 'node-b', 'node-c']);
  database = value(connect({ uri: postgres.uri, applicationName: 'test' }));
  nodes = new Nodes(client, NAMESPACE, join(directory, 'nodes'), database);
  nodes.says = {
    stores: [
      {
        name: 'images',
        path: '/srv/vdisks',
        state: 'Accessible',
        freeBytes: 2 ** 34,
        totalBytes: 2 ** 35,
        files: 1,
        message: '',
      },
    ],
    copies: [
      {
        vdisk: 'lab',
        version: 0,
        state: 'Present',
        progressPercent: 100,
        files: [{ name: 'lab.raw', sizeBytes: 2 ** 20, sha256: 'd'.repeat(64) }],
        manifest: MANIFEST,
        diskBytes: 2 ** 20,
        message: '',
      },
    ],
  };
  operator = startOperator();
});

afterAll(async () => {
  await end(operator, 'SIGTERM');
  primaryClient?.disconnect();
  await nodes?.close();
  await end(redis, 'SIGKILL');
  await client?.close();
  await database?.close();
  await api?.stop();
  await postgres?.close();
  rmSync(directory, { recursive: true, force: true });
});

test('a wrong database secret, or a user without rights, is named, and correcting it is enough', async () => {
  const wrong = postgres.uri.replace('secret', 'planted-password');
  await make(kinds.Secret, 'farm-db', { data: { uri: Buffer.from(wrong).toString('base64') } });
  await make(kinds.Farm, 'farm', {
    spec: {
      database: { external: { secretRef: { name: 'farm-db' } } },
      collections: [{ name: 'room-101', vdisk: 'lab' }],
    },
  });
  await startPrimary();
  await until(
    'the Secret named',
    async () => condition(await farm(), 'DatabaseReachable')?.message.includes('correct Secret farm-db, key uri'),
    DEADLINE_MS,
  );
  value(await database.run((db) => sql`create role guest login password 'guest'`.execute(db)));
  const guest = Object.assign(new URL(postgres.uri), { username: 'guest', password: 'guest' });
  await patch(kinds.Secret, 'farm-db', { data: { uri: Buffer.from(guest.href).toString('base64') } });
  await until(
    'the right that lacks named',
    async () =>
      /Secret farm-db, key uri: .*permission denied .*CREATE/.test(condition(await farm(), 'Ready')?.message ?? ''),
    DEADLINE_MS,
  );
  await patch(kinds.Secret, 'farm-db', { data: { uri: Buffer.from(postgres.uri).toString('base64') } });
  await ready(kinds.Farm, 'farm');
});

test('a pool, a store and a vDisk become Ready, with one server', async () => {
  await make(kinds.Store, 'images', { spec: { farmRef: { name: 'farm' }, local: { path: '/srv/vdisks' } } });
  await make(kinds.VDisk, 'lab', {
    spec: { farmRef: { name: 'farm' }, storeRef: { name: 'images' }, fileName: 'lab' },
  });
  await make(kinds.StreamingServer, 'main', {
    spec: { farmRef: { name: 'farm' }, replicas: 1, storeRoots: ['/srv'], ports: { control: CONTROL } },
  });
  await Promise.all([
    ready(kinds.StreamingServer, 'main'),
    ready(kinds.Store, 'images'),
    ready(kinds.VDisk, 'lab'),
    ready(kinds.Farm, 'farm'),
  ]);
  await until(
    'the replica in step',
    async () => condition(await farm(), 'ReplicaInSync')?.status === 'True',
    DEADLINE_MS,
  );
  expect(nodes.running).toEqual(['node-a']);
  const rows = value(await snapshot(database));
  expect(rows?.versions).toMatchObject([{ vdisk: 'lab', number: 0, content: { manifest: MANIFEST } }]);
  expect(value(await allCopies(database))).toMatchObject([
    { vdisk: 'lab', version: 0, server: 'node-a', state: 'UpToDate', message: '', manifest: MANIFEST },
  ]);
  const told = await get<KubeObject & { data: Record<string, string> }>(kinds.Secret, 'bootfarm-server-main-node-a');
  const uri = Buffer.from(told.data['database-uri'] ?? '', 'base64').toString();
  expect(uri).toMatch(/^postgresql:\/\/postgres_server:/); // a login of their own, not the superuser of the Farm's Secret
  const asServer = value(connect({ uri, applicationName: 'test' }));
  expect(value(await asServer.run((db) => sql`select name from server`.execute(db))).rows).toEqual([
    { name: 'node-a' },
  ]);
  expect(await asServer.run((db) => sql`delete from device`.execute(db))).toMatchObject({
    error: { code: 'Refused' },
  });
  await asServer.close();
  const set = await get(kinds.StatefulSet, 'farm-replica');
  expect(set.metadata.ownerReferences).toMatchObject([{ kind: 'Farm', name: 'farm', controller: true }]);
});

test('a base that no server has is ordered of one, once; when it is there, of nobody', async () => {
  const http = { url: 'https://me:planted-password@images.example/new.vhdx', sha256: 'e'.repeat(64) };
  await make(kinds.VDisk, 'new', {
    spec: { farmRef: { name: 'farm' }, storeRef: { name: 'images' }, fileName: 'new', source: { http } },
  });
  const before = nodes.says;
  const [copy] = before.copies ?? [];
  if (!copy) throw new Error('no copy');
  const whole = { ...copy, vdisk: 'new', files: [{ name: 'new.vhdx', sizeBytes: 2 ** 20, sha256: http.sha256 }] };
  const { manifest: _, ...missing } = whole;
  const say = (copies: typeof before.copies, work: typeof before.work = []): void => {
    nodes.says = { ...before, copies: [copy, ...(copies ?? [])], work };
  };
  say([{ ...missing, state: 'Missing', files: [], message: 'new.raw is not in /srv/vdisks' }]);
  const vdisk = () => get<KubeObject & Conditioned>(kinds.VDisk, 'new');
  const ordered = async (): Promise<readonly { readonly id: string }[]> => {
    const secret = await get<KubeObject & { data: Record<string, string> }>(
      kinds.Secret,
      'bootfarm-server-main-node-a',
    );
    return JSON.parse(Buffer.from(secret.data['orders.json'] ?? '', 'base64').toString());
  };
  const orders = await until('it is ordered', async () => ((await ordered()).length > 0 ? ordered() : undefined));
  const place = { folder: '/srv/vdisks', fileName: 'new' };
  expect(orders).toEqual([{ kind: 'fetch', ...place, ...http, id: expect.stringMatching(/^[0-9a-f]{8}$/) }]);
  await until('it is told', async () => condition(await vdisk(), 'Ready')?.reason === 'Fetching');
  expect(condition(await vdisk(), 'Ready')?.message).toContain(
    'node-a fetches version 0 from https://images.example/new.vhdx',
  );
  const id = orders[0]?.id ?? '';
  const state = 'Failed' as const;
  say(
    [{ ...missing, state: 'Missing', files: [], message: 'new.raw is not in /srv/vdisks' }],
    [{ ...place, id, kind: 'fetch', state, message: 'the web server is away' }],
  );
  await until('its end is told', async () => condition(await vdisk(), 'Ready')?.reason === 'FetchFailed');
  expect(condition(await vdisk(), 'Ready')?.message).toContain('server node-a: the web server is away');
  await until('it is not ordered again', async () => (await ordered()).length === 0);
  say([{ ...whole, manifest: 'f'.repeat(64) }]);
  await ready(kinds.VDisk, 'new');
  expect(await ordered()).toEqual([]);
  expect(JSON.stringify((await vdisk()).status)).not.toContain('planted-password');
  value(await client.delete(of(kinds.VDisk, 'new')));
  await until('it is gone', async () => !(await client.get(of(kinds.VDisk, 'new'))).ok, DEADLINE_MS);
  nodes.says = before;
});

/** Nothing is written for so long. */
async function silent(ms: number): Promise<void> {
  let before = await versions();
  await until(
    `${ms} ms without a write`,
    async () => {
      const first = before;
      await delay(ms); // what it is about
      before = await versions();
      return before.join() === first.join();
    },
    5 * ms,
  );
}

test('a shared store has a mount pod on the node of each server, by a claim that many nodes can mount; what keeps it is told of it alone', async () => {
  const claim = (name: string, accessMode: string) =>
    make(kinds.PersistentVolumeClaim, name, {
      spec: { accessModes: [accessMode], resources: { requests: { storage: '1Gi' } } },
    });
  await claim('once', 'ReadWriteOnce');
  await claim('many', 'ReadWriteMany');
  const named = (claimName: string) => ({ spec: { persistentVolumeClaim: { claimName } } });
  await make(kinds.Store, 'nas', { spec: { farmRef: { name: 'farm' }, ...named('once').spec } });
  const says = (word: string) =>
    until(
      `it says ${word}`,
      async () => condition(await get<KubeObject & Conditioned>(kinds.Store, 'nas'), 'Ready')?.message.includes(word),
      DEADLINE_MS,
    );
  await says('claim once has accessModes ReadWriteOnce');
  await patch(kinds.Store, 'nas', named('many'));
  await says('server node-a: claim many is Pending: no volume is bound to it');
  const found = value(await client.listAll(all(kinds.Deployment, NAMESPACE))).filter(({ metadata }) =>
    metadata.ownerReferences?.some(({ kind, name }) => kind === 'Store' && name === 'nas'),
  );
  expect(found.map(({ metadata }) => metadata.annotations?.['bootfarm.io/mount-node'])).toEqual(['node-a']);
  expect(condition(await pool(), 'Ready')?.status).toBe('True');
  await silent(3_000);
  value(await client.delete(of(kinds.Store, 'nas')));
  await until('the Store is gone', async () => !(await client.get(of(kinds.Store, 'nas'))).ok, DEADLINE_MS);
  // There is no garbage collector here.
  for (const { metadata } of found) value(await client.delete(of(kinds.Deployment, metadata.name)));
});

test('settled, it writes nothing at all', () => silent(SILENCE_MS), 6 * SILENCE_MS);

test('who uses a thing counts while its session has not ended: through a restart, and while nobody can be asked', async () => {
  const [node = ''] = nodes.running;
  const epochs = { now: 0 };
  const session = (name: string) => {
    epochs.now++;
    return {
      ...{ device: name, server: node, vdisk: 'lab', version: 0, since: 1, protocol: 'stream' as const },
      epoch: epochs.now,
    };
  };
  const boot = async (name: string): Promise<void> => void value(await upsertSession(database, session(name)));
  const told = async (): Promise<readonly number[]> => {
    const [store, vdisk] = [await get<KubeObject>(kinds.Store, 'images'), await get<KubeObject>(kinds.VDisk, 'lab')];
    const { streaming = 0, booting = 0 } = (await farm()).status?.devices ?? {};
    const of = ({ status }: KubeObject) => (status as { devices: number }).devices;
    return [streaming + booting, (await pool()).status?.devices ?? 0, of(store), of(vdisk)];
  };
  const all = (devices: number) => `${[devices, devices, devices, devices]}`;
  await boot('pc1');
  await until('one is told of', async () => `${await told()}` === all(1), 5_000);
  await boot('pc2');
  await until('more are told at once', async () => `${await told()}` === all(2), 5_000);
  const [store] = nodes.says.stores ?? [];
  if (store) nodes.says = { ...nodes.says, stores: [{ ...store, freeBytes: store.freeBytes - 2 ** 29 }] };
  await silent(SILENCE_MS); // with machines, and a disk that fills
  const seen = new Set<string>();
  const watch = async (): Promise<void> => void seen.add(`${await told()}`);
  const start = await nodes.crash(node);
  await until('it does not answer', async () => {
    await watch();
    return condition(await farm(), 'Ready')?.status === 'False';
  });
  value(await endSessionsExcept(database, node, [])); // as a server does that starts again
  start();
  for (let looks = 0; looks < 5; looks++) {
    await delay(1_000); // the looks of the operator
    await watch();
  }
  await boot('pc1');
  expect([...seen]).toEqual([all(2)]);
  await until('it falls when the other is not back', async () => `${await told()}` === all(1), DEADLINE_MS);
  value(await endSessionsExcept(database, node, []));
  await until('and when all have ended', async () => `${await told()}` === all(0), DEADLINE_MS);
});

test('scale out and in: the new server joins, then one goes, and its Secret and row with it', async () => {
  await patch(kinds.StreamingServer, 'main', { spec: { replicas: 3 } });
  await until('three servers', async () => (await pool()).status?.readyReplicas === 3, DEADLINE_MS);
  expect(nodes.running).toEqual(['node-a', 'node-b', 'node-c']);
  await patch(kinds.StreamingServer, 'main', { spec: { replicas: 2 } });
  await until('two servers', () => nodes.running.length === 2, DEADLINE_MS);
  const [gone = ''] = ['node-a', 'node-b', 'node-c'].filter((node) => !nodes.running.includes(node));
  await until(
    'its Secret and row gone',
    async () => {
      const secret = await client.get(of(kinds.Secret, `bootfarm-server-main-${gone}`));
      const rows = value(await snapshot(database));
      return !secret.ok && rows?.servers.every(({ name }) => name !== gone);
    },
    DEADLINE_MS,
  );
  await ready(kinds.StreamingServer, 'main');
});

test('a new setting reaches one server after the other', async () => {
  const seen = nodes.happened.length;
  const ups = (): number => nodes.happened.slice(seen).filter((what) => what.startsWith('up')).length;
  nodes.held = true;
  await patch(kinds.StreamingServer, 'main', { spec: { powerRating: 2 } });
  const passed = quietClock();
  const waited = waitForReady('streamingserver/main').then(() => ({ atMs: passed(), ups: ups() }));
  await until('one is down', async () => (await pool()).status?.readyReplicas === 1, DEADLINE_MS);
  nodes.held = false;
  await until('both started again', () => ups() === 2, DEADLINE_MS);
  const upMs = passed();
  const { atMs, ups: then } = await waited;
  expect(then).toBe(2);
  expect(atMs - upMs).toBeLessThan(2_000);
  const [first, second] = nodes.running;
  expect(nodes.happened.slice(seen)).toEqual([`down ${first}`, `up ${first}`, `down ${second}`, `up ${second}`]);
  await ready(kinds.StreamingServer, 'main');
  expect((await pool()).status).toMatchObject({ updatedReplicas: 2, readyReplicas: 2 });
});

test('a setting with which the first server does not come back reaches no other; undone, all is as before', async () => {
  const seen = nodes.happened.length;
  nodes.held = true;
  await patch(kinds.StreamingServer, 'main', { spec: { powerRating: 3 } });
  await until('one server down', () => nodes.running.length === 1, DEADLINE_MS);
  await until(
    'the status says who waits',
    async () => condition(await pool(), 'Ready')?.message.includes('changes when the others serve'),
    DEADLINE_MS,
  );
  await patch(kinds.StreamingServer, 'main', { spec: { powerRating: 2 } });
  nodes.held = false;
  await ready(kinds.StreamingServer, 'main');
  expect(new Set(nodes.happened.slice(seen).filter((what) => what.startsWith('down'))).size).toBe(1);
});

/** Until `kubectl wait` is content. */
async function waitForReady(what: string): Promise<void> {
  const wait = ['wait', '--for=condition=Ready', what, '--timeout=60s'];
  const child = spawn(binary('kubectl'), ['--kubeconfig', api.kubeconfig, '-n', NAMESPACE, ...wait]);
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
}

test('what changes no template, is ready at once; a server that starts again by itself takes nothing back', async () => {
  const told: string[] = [];
  const note = async (): Promise<void> => {
    const { status, metadata } = await pool();
    const word =
      status?.observedGeneration === metadata.generation ? condition({ ...{ status } }, 'Ready')?.status : '';
    if (word && told.at(-1) !== word) told.push(word);
  };
  await patch(kinds.StreamingServer, 'main', { spec: { placement: { replaceAfter: '20m' } } });
  await waitForReady('streamingserver/main');
  const [first = ''] = nodes.running;
  const start = await nodes.crash(first);
  await until('it is told', async () => {
    await note();
    return condition(await pool(), 'Degraded')?.reason === 'ServerUnreachable';
  });
  start();
  await until('it serves again', async () => {
    await note();
    return condition(await pool(), 'Degraded') === undefined;
  });
  expect(told).toEqual(['True']);
});

/** `bootfarm keys rotate`, as in the operator's pod. */
const rotateKeys = (timeout: number, ...more: string[]) =>
  bootfarm('keys', 'rotate', '--farm', `${NAMESPACE}/farm`, '--timeout', `${timeout}`, '-o', 'json', ...more);

function bootfarm(...words: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['src/main.ts', ...words], {
    env: { ...process.env, KUBECONFIG: api.kubeconfig },
  });
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    said.out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said.err += chunk;
  });
  return once(child, 'close').then(([code]) => ({ code, ...said }));
}

test('a machine is explained by what all servers heard, each asked with the operator’s own certificate', async () => {
  const mac = '52:54:00:00:00:99';
  const step = { step: 'discover', at: 1, lastAt: 1, times: 1 } as const;
  const heard = { mac, known: false, firstAt: 1, lastAt: 1 };
  nodes.boots = (server) => ({
    records: () => ({ records: [{ ...heard, boots: [{ steps: [{ ...step, server }] }] }] }),
    unknown: () => ({ machines: [{ ...heard, step: 'discover', servers: [server] }], more: 0 }),
  });
  const [explained, unknown] = await Promise.all(
    [['explain', mac], ['unknown']].map((words) =>
      bootfarm('device', '--farm', `${NAMESPACE}/farm`, ...words, '-o', 'json'),
    ),
  );
  expect([explained?.code, explained?.err, unknown?.code, unknown?.err]).toEqual([0, '', 0, '']);
  const servers = [...nodes.running].sort();
  expect(JSON.parse(explained?.out ?? '')).toMatchObject({
    verdict: { code: 'UnknownMachine' },
    sentences: [{ step: 'discover', servers }, { step: 'farm' }],
    silent: [],
  });
  expect(JSON.parse(unknown?.out ?? '')).toMatchObject({ machines: [{ mac, servers }], answered: servers });
  nodes.boots = () => NO_BOOTS;
});

test('a new farm key: used when every server names it, by whichever operator leads, and the old one stays for its tickets', async () => {
  const keys = async (): Promise<string[]> => {
    const secret = await get<KubeObject & { data: Record<string, string> }>(kinds.Secret, 'farm-keys');
    const current = Buffer.from(secret.data['current'] ?? '', 'base64').toString();
    return [current, ...Object.keys(secret.data).filter((name) => /^(key|retired)-/.test(name))];
  };
  expect(await keys()).toEqual(['1', 'key-1']);
  nodes.says = { ...nodes.says, keys: [1] };
  await rotatesUntil('waiting for node-');
  expect((await keys()).sort()).toEqual(['1', 'key-1', 'key-2']);
  await end(operator, 'SIGKILL');
  operator = startOperator();
  nodes.says = { ...nodes.says, keys: [1, 2] };
  const done = await rotateKeys(60); // joins the one that is under way
  expect([done.code, done.err]).toEqual([0, expect.stringContaining('on the way already')]);
  expect(JSON.parse(done.out)).toMatchObject({ state: 'Overlapping', current: 2 });
  expect((await keys()).sort()).toEqual(['2', 'key-1', 'key-2', 'retired-1']);
  await ready(kinds.Farm, 'farm');
});

/** The command gives up after a while, and joins what is under way when it is given again. */
const rotatesUntil = (waits: string, ...args: readonly string[]): Promise<unknown> =>
  until(
    waits,
    async () => {
      const { code, err } = await rotateKeys(8, ...args);
      expect(code).toBe(1);
      return err.includes(waits);
    },
    DEADLINE_MS,
  );

const textsOf = async (secret: string): Promise<Record<string, string>> => {
  const { data } = await get<KubeObject & { data: Record<string, string> }>(kinds.Secret, secret);
  return Object.fromEntries(
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString().trim()]),
  );
};
const MOUNTED = ['redis.conf', 'users.acl', 'tls.crt', 'ca.crt'];

/** As the kubelet and `onChange` do: Redis is started again with what its Secret holds. Gives the way to stop, which waits for the last state. */
function keepPrimary(): () => Promise<void> {
  let mounted = '';
  let isLast = false;
  const look = async (): Promise<boolean> => {
    const held = await textsOf('farm-replica');
    const now = JSON.stringify(MOUNTED.map((key) => held[key]));
    if (now === mounted) return true;
    await end(redis, 'SIGTERM');
    await startPrimary();
    mounted = now;
    return false;
  };
  const loop = (async () => {
    while (!((await look()) && isLast)) await delay(300);
  })();
  return () => {
    isLast = true;
    return loop;
  };
}

/** What a server was told lets it in, at the database and at the primary, whenever it looks; the reasons why not, one a refusal. */
function watchServers(): () => Promise<readonly string[]> {
  const refused: string[] = [];
  let isLast = false;
  let looks = 0;
  // What starts again, or has no processor for a moment, does not answer, which says nothing.
  const isRefusal = ({ code, message }: { readonly code: string; readonly message: string }): boolean =>
    code === 'AuthenticationFailed' || /certificate|signed/i.test(message);
  const look = async (): Promise<void> => {
    const secrets = value(await client.listAll(all(kinds.Secret, NAMESPACE)));
    for (const { metadata } of secrets.filter(({ metadata }) => metadata.name.startsWith('bootfarm-server-'))) {
      const told = await textsOf(metadata.name);
      const own = value(connect({ uri: told['database-uri'] ?? '', maxConnections: 1 }));
      const asked = await own.run((db) => sql`select 1`.execute(db));
      await own.close();
      if (!asked.ok && isRefusal(asked.error)) refused.push(`${metadata.name}: ${asked.error.message}`);
      const [, host, port] = /^replicaof (\S+) (\d+)$/m.exec(told['redis.conf'] ?? '') ?? [];
      const [, password] = /^masterauth "(.*)"$/m.exec(told['redis.conf'] ?? '') ?? [];
      const url = `redis://${FOLLOWER_USER}:${password}@${host}:${port}`;
      const opened = await openOnce({ url, ca: told['ca.crt'] ?? '' });
      if (opened.ok) opened.value.disconnect();
      else if (isRefusal(opened.error)) refused.push(`${metadata.name}: ${opened.error.message}`);
    }
  };
  const loop = (async () => {
    while (!isLast) {
      await look().then(
        () => looks++,
        () => undefined,
      );
      await delay(200);
    }
  })();
  return async () => {
    isLast = true;
    await loop;
    expect(looks).toBeGreaterThan(0);
    return refused;
  };
}

test('new passwords: servers are let in all the time, by whichever operator leads, and the old ones let nobody in at the end', async () => {
  const [before, database] = [await textsOf('farm-replica'), await textsOf('farm-database')];
  const seen = nodes.happened.length;
  const refusals = watchServers();
  await rotatesUntil('waiting for the replica', '--passwords');
  await end(operator, 'SIGKILL');
  operator = startOperator();
  const stop = keepPrimary();
  const done = await rotateKeys(120, '--passwords');
  expect([done.code, done.err]).toEqual([0, expect.stringContaining('the old ones let nobody in')]);
  expect(JSON.parse(done.out)).toMatchObject({ state: 'Settled' });
  await stop();
  expect(await refusals()).toEqual([]);
  const [first, second] = nodes.running;
  expect(nodes.happened.slice(seen)).toEqual([`down ${first}`, `up ${first}`, `down ${second}`, `up ${second}`]);

  const after = await textsOf('farm-replica');
  const [, host, port] =
    /^replicaof (\S+) (\d+)$/m.exec((await textsOf(await aServerSecret()))['redis.conf'] ?? '') ?? [];
  const tried = async (password = ''): Promise<string> => {
    const access = { url: `redis://${PROJECTOR_USER}:${password}@${host}:${port}`, ca: after['ca.crt'] ?? '' };
    return until('the primary answers', async () => {
      const opened = await openOnce(access);
      if (opened.ok) opened.value.disconnect();
      return opened.ok ? 'in' : opened.error.code === 'Unreachable' ? undefined : opened.error.code;
    });
  };
  expect([await tried(before['projector']), await tried(after['projector'])]).toEqual(['AuthenticationFailed', 'in']);
  const now = await textsOf('farm-database');
  expect([database['role'], now['role'], now['role-former']]).toEqual(['1', '2', undefined]);
  const old = withUser(postgres.uri, serverRole('postgres'), database['server'] ?? '');
  await until('the old role is over', async () => {
    const login = value(connect({ uri: old, maxConnections: 1 }));
    const answer = await login.run((db) => sql`select 1`.execute(db));
    await login.close();
    return !answer.ok && answer.error.code === 'AuthenticationFailed';
  });
  await ready(kinds.Farm, 'farm');
});

const aServerSecret = async (): Promise<string> => {
  const secrets = value(await client.listAll(all(kinds.Secret, NAMESPACE)));
  return secrets.map(({ metadata }) => metadata.name).find((name) => name.startsWith('bootfarm-server-')) ?? '';
};

test('a new authority: whoever answers is believed all the time, and at the end nothing of the old one is left', async () => {
  const { 'tls.crt': old = '' } = await textsOf('farm-ca');
  const refusals = watchServers();
  const stop = keepPrimary();
  const away: string[] = [];
  const done = rotateKeys(180, '--ca');
  const ended = done.then(() => true);
  while (!(await Promise.race([ended, delay(300, false)]))) {
    const servers = (await pool()).status?.servers ?? [];
    away.push(...servers.flatMap(({ message }) => (/certificate|signed/i.test(message ?? '') ? [message ?? ''] : [])));
  }
  const { code, err } = await done;
  expect([code, err]).toEqual([0, expect.stringContaining('the old one is believed by nobody')]);
  await stop();
  expect([await refusals(), away]).toEqual([[], []]);
  await until(
    'no Secret holds the old one',
    async () => {
      const secrets = value(await client.listAll(all(kinds.Secret, NAMESPACE)));
      const texts = await Promise.all(secrets.map(({ metadata }) => textsOf(metadata.name)));
      return texts.every((held) => Object.values(held).every((text) => !text.includes(old)));
    },
    DEADLINE_MS,
  );
  const authority = new X509Certificate((await textsOf('farm-ca'))['tls.crt'] ?? '');
  for (const name of ['farm-replica', 'farm-operator-tls', await aServerSecret()]) {
    const given = new X509Certificate((await textsOf(name))['tls.crt'] ?? '');
    expect([name, given.verify(authority.publicKey)]).toEqual([name, true]);
  }
  await ready(kinds.Farm, 'farm');
  await ready(kinds.StreamingServer, 'main');
});

test('an API server that is killed and returns changes no status', async () => {
  const conditions = async () => [(await farm()).status?.conditions, (await pool()).status?.conditions];
  await silent(3_500);
  const before = await conditions();
  await api.crash();
  await delay(4_000); // a look of a settled farm, and the first retries
  await api.restart();
  await delay(4_000); // the first looks afterwards
  expect(await conditions()).toEqual(before);
});

test('another leader takes over and writes nothing, either', async () => {
  const counts = async () => [(await farm()).status?.devices?.streaming, (await pool()).status?.devices];
  await until('the counts are told', async () => (await counts()).every((count) => count === 0), DEADLINE_MS);
  const statuses = async () => [(await farm()).status, (await pool()).status]; // what a write says, where there was one
  const before = [await statuses(), await versions()];
  await end(operator, 'SIGTERM');
  await nextLeads();
  await silent(SILENCE_MS);
  expect([await statuses(), await versions()]).toEqual(before);
});

/** The same server, another database: its tables are put away, or taken out again. */
const schema = async (text: string): Promise<void> => {
  value(await database.run((db) => sql.raw(text).execute(db)));
};
const putAway = (name: string) => schema(`alter schema public rename to ${name}; create schema public`);
const takeOut = (name: string) => schema(`drop schema public cascade; alter schema ${name} rename to public`);
const stalled = (reason: string, word: string): Promise<unknown> =>
  until(
    `${reason}, which ${word} would decide`,
    async () => {
      const found = condition(await farm(), 'Stalled');
      return found?.reason === reason && found.message.includes(`set spec.adopt to ${word}`);
    },
    DEADLINE_MS,
  );

test('a database that is empty, or the one given up, is not touched and empties no replica; each way out is taken once', async () => {
  const devices = Array.from({ length: 12 }, (_, n) =>
    aDevice({ name: `many${n}`, macs: [`52:54:00:00:09:${String(n).padStart(2, '0')}`] }),
  );
  value(await addDevices(database, devices, { source: 'command', who: 'test' }));
  const held = async (): Promise<number> => Number(await (await primary()).hlen(kindKey('device')));
  const tables = async () =>
    value(await database.run((db) => sql`select from pg_tables where schemaname = 'public'`.execute(db))).rows.length;
  await until('the replica holds them', async () => (await held()) === 12);
  const id = (await farm()).status?.database?.farmID ?? '';

  await putAway('original');
  await stalled('DatabaseForeign', `${id}@1`);
  expect(condition(await farm(), 'DatabaseReachable')).toMatchObject({ status: 'False', reason: 'DatabaseForeign' });
  await end(operator, 'SIGKILL');
  await nextLeads();
  await delay(4_000); // its first looks
  await stalled('DatabaseForeign', `${id}@1`);
  expect([await tables(), await held(), (await farm()).status?.database?.farmID]).toEqual([0, 12, id]);
  await takeOut('original');
  await ready(kinds.Farm, 'farm');
  expect(await held()).toBe(12);

  await putAway('original');
  await stalled('DatabaseForeign', `${id}@1`);
  await patch(kinds.Farm, 'farm', { spec: { adopt: `${id}@1` } });
  await ready(kinds.Farm, 'farm');
  expect((await farm()).status?.database).toMatchObject({ farmID: id, adoptions: 1, state: 'Reachable' });
  await until('the replica is of it', async () => (await held()) === 0);
  const ports = { stream: 6910, http: 8069, control: CONTROL };
  for (const name of nodes.running) // as servers do by themselves
    value(
      await registerServer(database, {
        name,
        site: 'default',
        pool: 'main',
        address: '127.0.0.1',
        ports,
        powerRating: 1,
      }),
    );

  await putAway('adopted');
  await stalled('DatabaseForeign', `${id}@2`);
  await takeOut('original');
  await stalled('DatabaseBehind', `${id}@2`);
  await putAway('original');
  await takeOut('adopted');
  await ready(kinds.Farm, 'farm');
});

test('what is deleted leaves no row, no Secret of a server and no Deployment', async () => {
  const deleted = [of(kinds.Store, 'images'), of(kinds.VDisk, 'lab'), of(kinds.StreamingServer, 'main')];
  for (const target of deleted) value(await client.delete(target));
  for (const target of deleted)
    await until(`${target.kind} ${target.name} gone`, async () => !(await client.get(target)).ok, DEADLINE_MS);
  expect(nodes.running).toEqual([]);
  const rows = value(await snapshot(database));
  expect([rows?.vdisks, rows?.stores, rows?.servers]).toEqual([[], [], []]);
  const secrets = value(await client.listAll(all(kinds.Secret, NAMESPACE))).map(({ metadata }) => metadata.name);
  expect(secrets.filter((name) => name.startsWith('bootfarm-server-'))).toEqual([]);
});

test('a Farm that is deleted while no operator is there goes when one comes; the next of its name takes its database up, and nobody is asked', async () => {
  const { spec } = await farm();
  const id = (await farm()).status?.database?.farmID;
  await end(operator, 'SIGKILL');
  value(await client.delete(of(kinds.Farm, 'farm')));
  await nextLeads();
  await until('it is gone', async () => !(await client.get(of(kinds.Farm, 'farm'))).ok, DEADLINE_MS);
  await make(kinds.Farm, 'farm', { spec: { database: spec.database } });
  await until('its database is taken up', async () => (await farm()).status?.database?.farmID === id, DEADLINE_MS);
});

test('no password is in the log or in a status', async () => {
  const said = log + JSON.stringify(await farm());
  const replica = await get<KubeObject & { data: Record<string, string> }>(kinds.Secret, 'farm-replica');
  const planted = ['projector', 'follower'].map((key) => Buffer.from(replica.data[key] ?? '', 'base64').toString());
  const database = await get<KubeObject & { data: Record<string, string> }>(kinds.Secret, 'farm-database');
  planted.push(Buffer.from(database.data['server'] ?? '', 'base64').toString());
  for (const secret of ['planted-password', ...planted]) {
    expect(secret).not.toBe('');
    expect(said).not.toContain(secret);
  }
});
