/**
 * A farm with its API on a real API server (who may), a real PostgreSQL (what is edited), a real Redis (what is read meanwhile) and a server that heard
 * machines. One a file of tests.
 */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { parseAllDocuments } from 'yaml';
import { type Api, startApi } from '../../src/api/server.ts';
import { OPERATOR_NAME } from '../../src/control/caller.ts';
import { makeAuthority, makeCertificate } from '../../src/control/certificates.ts';
import type { ControlIdentity } from '../../src/control/client.ts';
import { type ControlServer, startControl } from '../../src/control/server.ts';
import { connect, type Database } from '../../src/database/connection.ts';
import { recordCopies } from '../../src/database/copies.ts';
import { listDevices } from '../../src/database/devices.ts';
import { KINDS, readPage } from '../../src/database/kinds.ts';
import { migrate } from '../../src/database/migrate.ts';
import { snapshot } from '../../src/database/project.ts';
import type { BootStep, MachineFacts } from '../../src/farm/bootrecord.ts';
import { BootRing } from '../../src/farm/bootring.ts';
import type { Device } from '../../src/farm/model.ts';
import { ok, type Result } from '../../src/kit/result.ts';
import { slices } from '../../src/kit/slices.ts';
import { type Client, createClient } from '../../src/kube/client.ts';
import { kinds } from '../../src/kube/kinds.ts';
import { at, type KubeObject } from '../../src/kube/object.ts';
import { KubeConfig } from '../../src/kube/upstream.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../builders/resources.ts';
import { aSession, aFarm as farmRows } from '../builders/rows.ts';
import { binary } from '../cluster/cluster.ts';
import { loadDatabase } from '../fakes/database.ts';
import { FakeInformer } from '../fakes/informer.ts';
import { type PostgresServer, type RedisServer, startPostgres, startRedis } from '../setup/services.ts';
import { until } from '../setup/time.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const directory = mkdtempSync(join(tmpdir(), 'bootfarm-api-'));
export const LAB = 'lab';
const NAMESPACES = [LAB, 'bootfarm'];
export const FARM = `/farms/${LAB}/farm`;

const ACCOUNTS = ['viewer', 'operator', 'administrator', 'bound', 'devices', 'none'];

/** As the VDisk lists them. */
export const VERSIONS = [0, 1].map((number) => ({ number, access: 'Production' as const }));
export const DEVICES: readonly Device[] = ['pc0001', 'pc0002', 'pc0003', 'pc0004'].map((name, index) => ({
  name,
  macs: [`52:54:00:00:00:0${index + 1}`],
  collection: index < 2 ? 'room-101' : 'room-102',
  enabled: index !== 3,
  properties: index === 0 ? { seat: 'A,1' } : {},
}));

export const value = <T>(answer: Result<T, { readonly message: string }>): T => {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
};

export interface Credentials {
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
}
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly body: Record<string, never> & { readonly [field: string]: unknown };
}

export let kube: ApiServer;
export let client: Client;
export let postgres: PostgresServer;
let redis: RedisServer;
export let database: Database;
export let api: Api;
export let ca = '';
export const who: Record<string, Credentials> = {};
const heard = new BootRing();
let hearing: ControlServer | undefined;
let operator: ControlIdentity;
export const informers = {
  farms: new FakeInformer(kinds.Farm),
  stores: new FakeInformer(kinds.Store),
  vdisks: new FakeInformer(kinds.VDisk),
  pools: new FakeInformer(kinds.StreamingServer),
};

/** One question on a connection of its own. `open`: its head alone, and the connection stays. */
export function ask(
  as: Credentials,
  method: string,
  path: string,
  { body, headers = {}, open }: { body?: object | string; headers?: object; open?: (text: string) => void } = {},
): Promise<Answer & { close(): void }> {
  const { token, cert, key } = as;
  const sent = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: api.port,
        servername: 'localhost',
        agent: false,
        method,
        path: `/api/v1${path}`,
        ca,
        ...(cert === undefined ? {} : { cert, key }),
        headers: {
          ...(sent === undefined ? {} : { 'content-type': typeof body === 'string' ? 'text/csv' : 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
      },
      (response) => {
        const { statusCode: status = 0 } = response;
        let text = '';
        const done = (): void => {
          const isJson = /json/.test(response.headers['content-type'] ?? '');
          resolve({
            status,
            headers: response.headers,
            text,
            body: isJson && text !== '' ? JSON.parse(text) : {},
            close: () => asked.destroy(),
          });
        };
        response.setEncoding('utf8').on('error', () => {});
        if (open && status === 200) {
          response.on('data', open);
          done();
        } else response.on('data', (chunk) => (text += chunk)).on('end', done);
      },
    );
    asked.on('error', reject).end(sent);
  });
}

export const admin = (method: string, path: string, more: Parameters<typeof ask>[3] = {}) =>
  ask(who['administrator'] ?? {}, method, `${FARM}${path}`, more);

export async function token(account: string, spec: object = {}): Promise<string> {
  const kubectl = execFileSync(
    binary('kubectl'),
    [
      '--kubeconfig',
      kube.kubeconfig,
      'create',
      '--raw',
      `/api/v1/namespaces/${LAB}/serviceaccounts/${account}/token`,
      '-f',
      '-',
    ],
    {
      encoding: 'utf8',
      input: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }),
    },
  );
  return (JSON.parse(kubectl) as { readonly status: { readonly token: string } }).status.token;
}

/** The same token, as the API server would have signed it an hour ago for ten minutes. */
function expired(good: string): string {
  const [head = '', payload = ''] = good.split('.');
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  const old = { ...claims, iat: nowSeconds - 3_600, nbf: nowSeconds - 3_600, exp: nowSeconds - 3_000 };
  const text = `${head}.${Buffer.from(JSON.stringify(old)).toString('base64url')}`;
  const key = createPrivateKey(readFileSync(join(directory, 'api', 'ca.key')));
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}

/** The ClusterRoles of the chart, and what binds people to them in the farm's namespace. */
function roles(): readonly object[] {
  const args = [
    'template',
    'bootfarm',
    'charts/bootfarm',
    '--set',
    'farmNamespaces={lab}',
    ...['--namespace', 'bootfarm'],
    ...['api-roles', 'api-authority'].flatMap((name) => ['--show-only', `templates/${name}.yaml`]),
  ];
  const made = parseAllDocuments(
    execFileSync(binary('helm'), args, { cwd: join(import.meta.dirname, '../..'), encoding: 'utf8' }),
  ).flatMap((document) => document.toJS() ?? []) as object[];
  const rbac = 'rbac.authorization.k8s.io';
  const account = (name: string) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: LAB } });
  const binding = (name: string, kind: string, role: string) => ({
    apiVersion: `${rbac}/v1`,
    kind: 'RoleBinding',
    metadata: { name, namespace: LAB },
    roleRef: { apiGroup: rbac, kind, name: role },
    subjects: [{ kind: 'ServiceAccount', name, namespace: LAB }],
  });
  const role = (name: string, rule: object) => ({
    apiVersion: `${rbac}/v1`,
    kind: 'Role',
    metadata: { name, namespace: LAB },
    rules: [{ apiGroups: ['api.bootfarm.io'], ...rule }],
  });
  const verbs = ['get', 'list', 'watch', 'create', 'update', 'delete'];
  return [
    ...NAMESPACES.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
    ...made,
    ...ACCOUNTS.map(account),
    binding('viewer', 'ClusterRole', 'bootfarm-viewer'),
    binding('operator', 'ClusterRole', 'bootfarm-device-operator'),
    binding('administrator', 'ClusterRole', 'bootfarm-farm-administrator'),
    role('bound', { resources: ['devices', 'sessions'], resourceNames: ['room-101'], verbs }),
    role('devices', { resources: ['devices'], verbs }),
    binding('devices', 'Role', 'devices'),
    binding('bound', 'Role', 'bound'),
  ];
}

/** So many a statement as a slow machine removes in a fraction of its 2 s. */
export async function removeAll(): Promise<void> {
  for (const some of slices(value(await listDevices(database)), 500)) {
    const names = some.map(({ name }) => name);
    value(await database.run((db) => db.deleteFrom('device').where('name', 'in', names).execute()));
  }
}

/** Server node-a, with what it heard; node-b does not answer. */
async function startHearing(): Promise<void> {
  const authority = await makeAuthority('farm', Date.now());
  const pair = await makeCertificate(authority, { names: [OPERATOR_NAME], use: 'client' }, Date.now());
  operator = { ca: authority.cert, ...pair };
  const own = await makeCertificate(authority, { names: ['node-a'], use: 'server' }, Date.now());
  const tlsDirectory = join(directory, 'control');
  mkdirSync(tlsDirectory);
  const files = { 'tls.crt': own.cert, 'tls.key': own.key, 'ca.crt': authority.cert };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(tlsDirectory, name), text);
  hearing = value(
    await startControl({
      address: '127.0.0.1',
      port: 0,
      tlsDirectory,
      status: () => {
        throw new Error('nobody asks how it is');
      },
      boots: {
        records: (macs) => ({ records: macs.flatMap((mac) => heard.record(mac) ?? []) }),
        unknown: () => heard.unknown(512),
      },
      holdings: { of: async () => undefined },
    }),
  );
}

export function hear(mac: string, known: boolean, step: Partial<BootStep>, facts: MachineFacts = {}): void {
  const at = Date.now();
  heard.hear({ mac, known, ...facts, step: { step: 'discover', server: 'node-a', at, lastAt: at, times: 1, ...step } });
}

/** As the projector would have left it. */
export async function fillReplica(): Promise<void> {
  const redisClient = new Redis(redis.socketPath);
  const farm = value(await snapshot(database))?.farm.id ?? '';
  for (const kind of KINDS) {
    const page = value(await database.run((db) => readPage(db, kind, '', 100_000)));
    if (page.length > 0)
      await redisClient.hset(`bootfarm:${kind}`, Object.fromEntries(page.map(({ key, json }) => [key, json])));
  }
  await redisClient.hset('bootfarm:meta', { farm, schema: '1', kinds: KINDS.join(' '), checkedAt: String(Date.now()) });
  redisClient.disconnect();
}

export async function startFarm(): Promise<void> {
  const [started, server, store] = await Promise.all([
    startPostgres(),
    startApiServer(join(directory, 'api')),
    startRedis(),
  ]);
  [postgres, kube, redis] = [started, server, store];
  const config = new KubeConfig();
  config.loadFromFile(kube.kubeconfig);
  client = createClient(config);
  execFileSync(binary('kubectl'), ['--kubeconfig', kube.kubeconfig, 'apply', '-f', '-'], {
    input: roles()
      .map((object) => JSON.stringify(object))
      .join('\n---\n'),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  value(await migrate(postgres.uri));
  database = value(connect({ uri: postgres.uri }));
  await loadDatabase(database, { snapshot: farmRows(), devices: DEVICES, sessions: [aSession()] });
  const manifest = farmRows().versions[0]?.content?.manifest ?? '';
  const copy = { server: 'node-a', version: 0, state: 'UpToDate', message: '', manifest } as const;
  value(await recordCopies(database, 'lab', { put: [copy], gone: [] }));
  const farmID = value(await snapshot(database))?.farm.id ?? '';

  const put = (informer: FakeInformer, object: unknown) => informer.put(object as KubeObject);
  put(
    informers.farms,
    aFarm({
      metadata: { namespace: LAB, resourceVersion: '1' },
      spec: {
        collections: [
          { name: 'room-101', vdisk: 'lab' },
          { name: 'room-102', class: 'Test' },
        ],
      },
      status: { observedGeneration: 1, database: { farmID, state: 'Reachable' } },
    }),
  );
  put(informers.stores, aStore({ metadata: { name: 'local' } }));
  put(informers.vdisks, aVDisk({ spec: { storeRef: { name: 'local' }, versions: VERSIONS } }));
  put(
    informers.pools,
    aStreamingServer({
      status: { observedGeneration: 1, servers: [{ name: 'node-a', state: 'Streaming', devices: 1 }] },
    }),
  );
  await until(
    'the client CA is told',
    () => client.get(at(kinds.ConfigMap, 'kube-system', 'extension-apiserver-authentication')).then(({ ok: is }) => is),
    30_000,
  );
  await startHearing();
  const access = { database: { uri: postgres.uri }, replica: { url: redis.socketPath } };
  api = value(
    await startApi({
      address: '127.0.0.1',
      port: 0,
      client,
      resources: informers,
      accessOf: async () => ok(access),
      serversOf: {
        list: () => [
          { name: 'node-a', address: '127.0.0.1', port: hearing?.port ?? 0 },
          { name: 'node-b', address: '127.0.0.1', port: 1 },
        ],
        identity: async () => ok(operator),
      },
      certificate: { namespace: 'bootfarm', service: 'bootfarm-api' },
      release: 'test',
      log: silentLogger,
      times: { eventsEveryMs: 250, heartbeatMs: 300, lookMs: 60_000 },
    }),
  );
  const secret = value(
    await client.get<KubeObject & { readonly data: Readonly<Record<string, string>> }>(
      at(kinds.Secret, 'bootfarm', 'bootfarm-api-tls'),
    ),
  );
  ca = Buffer.from(secret.data['ca.crt'] ?? '', 'base64').toString();

  for (const account of ACCOUNTS) who[account] = { token: await token(account) };
  who['expired token'] = { token: expired(who['administrator']?.token ?? '') };
  who['another audience'] = { token: await token('administrator', { audiences: ['somebody-else'] }) };
  const foreign = await makeCertificate(
    await makeAuthority('foreign', Date.now()),
    { names: ['admin'], use: 'client' },
    Date.now(),
  );
  who['foreign certificate'] = foreign;
  const file = (name: string) => readFileSync(join(directory, 'api', name), 'utf8');
  who['client certificate'] = { cert: file('admin.crt'), key: file('admin.key') };
  who['nobody'] = {};
}

export async function stopFarm(): Promise<void> {
  await api?.close();
  await client?.close();
  await database?.close();
  await hearing?.close();
  await Promise.all([kube?.stop(), postgres?.close(), redis?.close()]);
  rmSync(directory, { recursive: true, force: true });
}
