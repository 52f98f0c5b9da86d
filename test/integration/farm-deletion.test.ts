/** How a Farm goes: with another leader, refused by then, never filled, with its definition, beside what is a person's. Real API server, garbage collector, PostgreSQL, Redis. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import pg from 'pg';
import { type Client, createClient } from '../../src/kube/client.ts';
import { kinds } from '../../src/kube/kinds.ts';
import { at, type Kind, type KubeObject } from '../../src/kube/object.ts';
import { KubeConfig } from '../../src/kube/upstream.ts';
import type { Farm, KindName } from '../../src/resources/kinds.ts';
import { binary } from '../cluster/cluster.ts';
import { type PostgresServer, startPostgres } from '../setup/services.ts';
import { until } from '../setup/time.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const NS = 'lab';
const DEADLINE_MS = 30_000;
const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-farm-deletion-'));
let api: ApiServer;
let client: Client;
let postgres: PostgresServer;
let operator: ChildProcess | undefined;
const running: ChildProcess[] = [];

const value = <T>(answer: { ok: true; value: T } | { ok: false; error: { message: string } }): T => {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
};
const of = (kind: Kind, name: string) => at(kind, NS, name);
const get = async <T extends KubeObject>(kind: Kind, name: string): Promise<T> =>
  value(await client.get<T>(of(kind, name)));
const farm = async (name: string): Promise<Farm> => (await get(kinds.Farm, name)) as unknown as Farm;
const isThere = async (kind: Kind, name: string): Promise<boolean> => (await client.get(of(kind, name))).ok;
const condition = ({ status }: Farm, type: string) => status?.conditions?.find((found) => found.type === type);
const kubectl = (...args: string[]): string =>
  execFileSync(binary('kubectl'), ['--kubeconfig', api.kubeconfig, '-n', NS, ...args], { encoding: 'utf8' });

function run(command: readonly string[], env: NodeJS.ProcessEnv = process.env, log = 'other.log'): ChildProcess {
  const [program = '', ...args] = command;
  const out = openSync(join(folder, log), 'a');
  const child = spawn(program, args, { stdio: ['ignore', out, out], env, cwd: root });
  running.push(child);
  return child;
}
async function end(child: ChildProcess | undefined, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
/** SIGTERM: its lease is given back. */
const startOperator = (pod = 'operator-0'): ChildProcess => {
  const names = ['--namespaces', NS, '--lease-namespace', 'default'];
  const args = ['operator', '--image', 'bootfarm:dev', ...names, '--metrics-port', '0'];
  const env = { ...process.env, KUBECONFIG: api.kubeconfig, POD_NAME: pod };
  return run(['setpriv', '--pdeathsig', 'KILL', process.execPath, 'src/main.ts', ...args], env, `${pod}.log`);
};

const primaries = new Map<string, ChildProcess>();
/** Of the Farm that is there now: its Service is that Farm's, and the certificate names its address. */
async function startPrimary(name: string): Promise<void> {
  await end(primaries.get(name));
  const found = await until(
    'Service and certificate of the replica',
    async (): Promise<{ clusterIP: string; data: Record<string, string> } | undefined> => {
      const service = await get<KubeObject & { spec: { clusterIP: string } }>(kinds.Service, `${name}-replica`);
      const secret = await get<KubeObject & { data: Record<string, string> }>(kinds.Secret, `${name}-replica`);
      const { uid } = (await farm(name)).metadata;
      const { clusterIP } = service.spec;
      const certificate = new X509Certificate(Buffer.from(secret.data['tls.crt'] ?? '', 'base64'));
      const isOwn = service.metadata.ownerReferences?.some((owner) => owner.uid === uid);
      const isNamed = certificate.subjectAltName?.split(', ').includes(`IP Address:${clusterIP}`);
      return isOwn && isNamed ? { clusterIP, data: secret.data } : undefined;
    },
    DEADLINE_MS,
  );
  const data = join(folder, `redis-${name}`); // as a hostPath keeps it
  const secrets = join(data, 'secrets');
  mkdirSync(secrets, { recursive: true });
  for (const [file, bytes] of Object.entries(found.data)) writeFileSync(join(secrets, file), bytes, 'base64');
  const config = readFileSync(join(secrets, 'redis.conf'), 'utf8')
    .replaceAll('"/data"', `"${data}"`)
    .replaceAll('"/secret/', `"${secrets}/`);
  writeFileSync(join(data, 'redis.conf'), `${config}bind ${found.clusterIP}\n`);
  primaries.set(name, run(['setpriv', '--pdeathsig', 'KILL', 'redis-server', join(data, 'redis.conf')]));
}
const uris = new Map<string, string>();
const external = (name: string) => ({ database: { external: { secretRef: { name: `${name}-db` } } } });
async function roll(name: string): Promise<void> {
  for (const set of [`${name}-database`, `${name}-replica`]) {
    const found = await client.get(of(kinds.StatefulSet, set));
    if (!found.ok) continue;
    const status = { observedGeneration: found.value.metadata.generation, replicas: 1, readyReplicas: 1 };
    await client.patch(of(kinds.StatefulSet, set), { status }, { subresource: 'status' });
  }
}
const makeFarm = async (name: string, spec: object = external(name), metadata: object = {}): Promise<void> => {
  value(await client.create(of(kinds.Farm, name), { metadata, spec }));
};
const ready = (name: string) =>
  until(
    `${name} Ready`,
    async () => {
      await roll(name);
      const found = await farm(name);
      if (condition(found, 'Ready')?.status !== 'True') throw new Error(condition(found, 'Ready')?.message);
      return found;
    },
    DEADLINE_MS,
  );
async function database(name: string): Promise<void> {
  const uri = await postgres.createDatabase(name);
  uris.set(name, uri);
  value(await client.create(of(kinds.Secret, `${name}-db`), { data: { uri: Buffer.from(uri).toString('base64') } }));
}
/** A Farm that is Ready, on an external database and its own replica. */
async function readyFarm(name: string): Promise<Farm> {
  await database(name);
  await makeFarm(name);
  await startPrimary(name);
  return ready(name);
}
async function owner(name: string): Promise<string | null> {
  const db = new pg.Client({ connectionString: uris.get(name) });
  await db.connect();
  try {
    return (await db.query('select farm_uid from leader')).rows[0]?.farm_uid ?? null;
  } finally {
    await db.end();
  }
}
const gone = (name: string, ms = 20_000) => until(`${name} gone`, async () => !(await isThere(kinds.Farm, name)), ms);
const reason = async (name: string) => {
  const found = condition(await farm(name), 'Ready');
  return `${found?.reason}: ${found?.message}`;
};

beforeAll(async () => {
  postgres = await startPostgres();
  api = await startApiServer(join(folder, 'api'), '127.99.0.0/16');
  const config = new KubeConfig();
  config.loadFromFile(api.kubeconfig);
  client = createClient(config);
  kubectl('apply', '--server-side', '-f', join(root, 'crds'));
  kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
  value(await client.create(at(kinds.Namespace, undefined, NS), {}));
  const more = ['--leader-elect=false', '--secure-port=0', '--controllers=namespace,garbage-collector-controller'];
  run(['setpriv', '--pdeathsig', 'KILL', binary('kube-controller-manager'), '--kubeconfig', api.kubeconfig, ...more]);
});
beforeEach(() => {
  if (!operator || operator.exitCode !== null || operator.signalCode !== null) operator = startOperator();
});
afterAll(async () => {
  for (const child of running.reverse()) await end(child);
  await client?.close();
  await api?.stop();
  await postgres?.close();
  if (process.env['KEEP']) console.log(folder);
  else rmSync(folder, { recursive: true, force: true });
});

test('refused host path and image are made by nobody, also of a Farm that is deleted while another leads', async () => {
  await readyFarm('path');
  value(
    await client.patch(of(kinds.Farm, 'path'), {
      metadata: { finalizers: ['bootfarm.io/database', 'example.com/hold'] },
      spec: { replica: { embedded: { image: 'evil.example/root', storage: { hostPath: '/etc/kubernetes' } } } },
    }),
  );
  await until('refused', async () => (await reason('path')).startsWith('NotAllowed'), DEADLINE_MS);
  await end(operator, 'SIGTERM');
  value(await client.delete(of(kinds.Farm, 'path')));
  operator = startOperator();
  await until(
    'let go',
    async () => !(await farm('path')).metadata.finalizers?.includes('bootfarm.io/database'),
    DEADLINE_MS,
  );
  const set = await client.get(of(kinds.StatefulSet, 'path-replica'));
  value(await client.patch(of(kinds.Farm, 'path'), { metadata: { finalizers: null } }));
  expect(JSON.stringify(set)).not.toMatch(/evil.example|etc.kubernetes/);
});

test('a Farm that led its database and never had rows frees it', async () => {
  await database('led');
  const other = await postgres.createDatabase('ledother');
  value(await client.create(of(kinds.Secret, 'led-server'), { data: { uri: Buffer.from(other).toString('base64') } }));
  const spec = { database: { external: { secretRef: { name: 'led-db' }, serverSecretRef: { name: 'led-server' } } } };
  await makeFarm('led', spec);
  await startPrimary('led');
  await until('refused', async () => (await reason('led')).includes('names database'), DEADLINE_MS);
  const first = await farm('led');
  expect([first.status?.database?.farmID, await owner('led')]).toEqual([undefined, first.metadata.uid]);
  value(await client.delete(of(kinds.Farm, 'led')));
  await gone('led');
  const left = await owner('led');
  await makeFarm('led');
  await startPrimary('led');
  await ready('led').catch((error) => {
    throw new Error(`owner left: ${left}; ${error.cause?.message}`);
  });
});

test('a leader that was paused takes nothing back of a database that was freed', async () => {
  await readyFarm('pause');
  operator?.kill('SIGSTOP');
  const second = startOperator('operator-1');
  value(await client.delete(of(kinds.Farm, 'pause')));
  await gone('pause', DEADLINE_MS);
  expect(await owner('pause')).toBe(null);
  operator?.kill('SIGCONT');
  await delay(5_000); // what it still has in hand
  expect(await owner('pause')).toBe(null);
  await makeFarm('pause');
  await startPrimary('pause');
  await ready('pause');
  await end(operator, 'SIGKILL');
  operator = second;
});

test("the CRD of farms goes while the operator is away: what runs stays, and what is a person's keeps its owner", async () => {
  const first = await readyFarm('kind');
  const person = value(
    await client.create<KubeObject>(
      of({ ...kinds.Secret, kind: 'ConfigMap', plural: 'configmaps' } as Kind, 'person'),
      {},
    ),
  );
  const ref = { apiVersion: 'v1', kind: 'ConfigMap', name: 'person', uid: person.metadata.uid };
  value(
    await client.create(of(kinds.Service, 'kind-database'), {
      metadata: { ownerReferences: [ref] },
      spec: { ports: [{ port: 1 }] },
    }),
  );
  const set = await get(kinds.StatefulSet, 'kind-replica');
  await end(operator, 'SIGTERM');
  kubectl('delete', 'crd', 'farms.bootfarm.io', '--wait=false');
  await delay(1_000);
  operator = startOperator();
  await until(
    'gone',
    () => {
      try {
        kubectl('get', 'crd', 'farms.bootfarm.io');
        return false;
      } catch {
        return true;
      }
    },
    DEADLINE_MS,
  );
  await delay(4_000); // the garbage collector looks
  const refs = async (kind: Kind, what: string) =>
    (await get(kind, what)).metadata.ownerReferences?.map((ref) => ref.kind);
  const left = {
    set: await refs(kinds.StatefulSet, 'kind-replica'),
    person: await refs(kinds.Service, 'kind-database'),
  };
  kubectl('apply', '--server-side', '-f', join(root, 'crds'));
  kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
  await delay(5_000); // and once more, with the definition there
  const now = await client.get(of(kinds.StatefulSet, 'kind-replica'));
  expect({ ...left, uid: now.ok && now.value.metadata.uid }).toEqual({
    set: undefined,
    person: ['ConfigMap'],
    uid: set.metadata.uid,
  });
  await makeFarm('kind');
  const second = await ready('kind');
  expect(second.status?.database?.farmID).toBe(first.status?.database?.farmID);
});

/** As somebody does it who has no operator any more: nobody sets its database free. */
async function removeByHand(name: string): Promise<void> {
  value(await client.patch(of(kinds.Farm, name), { metadata: { finalizers: null } }));
  value(await client.delete(of(kinds.Farm, name)));
  await gone(name);
}

test('whose database nobody set free is made again and goes on, by the Secret that stayed; a copy of that Secret proves nothing', async () => {
  const first = await readyFarm('hand');
  await end(operator, 'SIGTERM');
  await removeByHand('hand');
  await makeFarm('hand');
  await removeByHand('hand'); // this one led nothing
  await makeFarm('hand');
  operator = startOperator();
  await startPrimary('hand');
  const second = await ready('hand');
  expect([second.status?.database?.farmID, await owner('hand')]).toEqual([
    first.status?.database?.farmID,
    second.metadata.uid,
  ]);
  await end(operator, 'SIGTERM');
  await removeByHand('hand');
  const keys = await get<KubeObject & { data: Record<string, string> }>(kinds.Secret, 'hand-keys');
  value(await client.delete(of(kinds.Secret, 'hand-keys')));
  const { labels } = keys.metadata;
  value(await client.create(of(kinds.Secret, 'hand-keys'), { metadata: { labels }, data: keys.data }));
  await makeFarm('hand');
  operator = startOperator();
  await startPrimary('hand');
  const refused = await until(
    'refused',
    async () => (/^DatabaseForeign: .*/.exec(await reason('hand')) ?? [])[0],
    DEADLINE_MS,
  );
  expect(refused).toContain(`belongs to Farm ${NS}/hand (uid ${second.metadata.uid})`);
  const adopt = /set spec\.adopt to (\S+)/.exec(refused)?.[1];
  value(await client.patch(of(kinds.Farm, 'hand'), { spec: { adopt } }));
  expect((await ready('hand')).status?.database?.farmID).toBe(first.status?.database?.farmID);
});

test('what is known of a Farm that is gone is not told of, nor done with, the one that was made while the operator was held', async () => {
  const first = await readyFarm('held');
  operator?.kill('SIGSTOP');
  kubectl('delete', 'farms.bootfarm.io', 'held', '--cascade=orphan', '--wait=false');
  const isOrphaned = async () => !(await farm('held')).metadata.finalizers?.includes('orphan');
  await until('what runs for it is let go', isOrphaned, DEADLINE_MS);
  value(await client.patch(of(kinds.Farm, 'held'), { metadata: { finalizers: null } }));
  await gone('held');
  await makeFarm('held');
  operator?.kill('SIGCONT');
  const told = new Set<string>();
  const second = await until(
    'Ready',
    async () => {
      await roll('held');
      const found = await farm('held');
      told.add(condition(found, 'Ready')?.reason ?? '');
      return condition(found, 'Ready')?.status === 'True' ? found : undefined;
    },
    DEADLINE_MS,
  );
  expect([...told]).not.toContain('Deleting');
  expect(second.metadata.uid).not.toBe(first.metadata.uid);
  expect([second.status?.database?.farmID, await owner('held')]).toEqual([
    first.status?.database?.farmID,
    second.metadata.uid,
  ]);
});

/** Of one farm, by the name of all its parts. */
const PARTS: Readonly<Record<KindName, (name: string) => object>> = {
  Farm: (name) => ({ ...external(name), collections: [{ name: 'room', vdisk: name }] }),
  Store: (name) => ({ farmRef: { name }, local: { path: '/srv/vdisks' } }),
  VDisk: (name) => ({ farmRef: { name }, storeRef: { name }, fileName: 'lab' }),
  StreamingServer: (name) => ({
    ...{ farmRef: { name }, replicas: 1, placement: { nodeSelector: { of: name } }, drain: { timeout: '1s' } },
  }),
};
const permutations = <T>(all: readonly T[]): T[][] =>
  all.length === 0
    ? [[]]
    : all.flatMap((one) => permutations(all.filter((other) => other !== one)).map((rest) => [one, ...rest]));
const orders = permutations(Object.keys(PARTS) as KindName[]).map((order, number) => ({
  order,
  name: `order${number}`,
}));

/** What servers read of it, without its name. */
async function rowsOf(name: string): Promise<string> {
  const db = new pg.Client({ connectionString: uris.get(name) });
  await db.connect();
  try {
    const tables = ['farm', 'site', 'collection', 'store', 'server_pool', 'vdisk', 'vdisk_version'];
    const all = tables
      .map((table) => `(select '${table}' as kind, doc::text from ${table} order by 2)`)
      .join(' union all ');
    return JSON.stringify((await db.query(all)).rows).replaceAll(name, 'NAME');
  } finally {
    await db.end();
  }
}

/** `make life`: beside other suites a minute of two processors is not to be had. */
const long = process.env['QUIET_SECONDS'] === undefined ? test.skip : test;
long(
  'made in each of the 24 orders that there are, and deleted in each, farms come to the same, and nothing of them is left',
  async () => {
    expect(orders).toHaveLength(24);
    const seen = new Set<string>();
    // A PostgreSQL takes 100 connections, and the operator has some for each farm.
    for (let at = 0; at < orders.length; at += 6)
      for (const rows of await Promise.all(orders.slice(at, at + 6).map(madeAndDeleted))) seen.add(rows);
    expect(seen.size).toBe(1);
  },
);

async function madeAndDeleted({ name, order }: (typeof orders)[number]): Promise<string> {
  await database(name);
  const node = at(kinds.Node, undefined, `node-${name}`);
  value(await client.create(node, { metadata: { labels: { of: name } }, spec: {} }));
  const status = { conditions: [{ type: 'Ready', status: 'True' }] };
  value(await client.patch(node, { status }, { subresource: 'status' }));
  for (const kind of order) {
    value(await client.create(of(kinds[kind], name), { spec: PARTS[kind](name) }));
    const isSeen = async () =>
      (await get<KubeObject & { status?: { observedGeneration?: number } }>(kinds[kind], name)).status
        ?.observedGeneration === 1;
    await until(`${kind} ${name} was looked at`, isSeen, DEADLINE_MS);
  }
  await startPrimary(name);
  const whole = async () => {
    await roll(name);
    const rows = await rowsOf(name);
    const server = await isThere(kinds.Deployment, `${name}-node-${name}`);
    return server && rows.includes('"vdisk_version"') && rows.includes('"server_pool"') ? rows : undefined;
  };
  const made = await until(`${name} is whole`, whole, 2 * DEADLINE_MS);
  for (const kind of order) {
    value(await client.delete(of(kinds[kind], name)));
    await until(`${kind} ${name} is gone`, async () => !(await isThere(kinds[kind], name)), 2 * DEADLINE_MS);
  }
  const left = async () => [
    await isThere(kinds.Deployment, `${name}-node-${name}`),
    await isThere(kinds.StatefulSet, `${name}-replica`),
    await isThere(kinds.Service, `${name}-replica`),
  ];
  await until(`nothing of ${name} runs`, async () => !(await left()).includes(true), DEADLINE_MS);
  expect([name, await owner(name)]).toEqual([name, null]);
  return made;
}
