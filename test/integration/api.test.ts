/**
 * The API of the farms on a real API server (who may), a real PostgreSQL (what is edited) and a real Redis (what is read meanwhile). The list of its
 * endpoints is the document that it serves, so that none is forgotten.
 */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { KubeConfig } from '@kubernetes/client-node';
import { Redis } from 'ioredis';
import { sql } from 'kysely';
import { Compile } from 'typebox/compile';
import { parseAllDocuments } from 'yaml';
import { publishAuthority } from '../../src/api/authority.ts';
import { CLIENTS } from '../../src/api/limits.ts';
import type { Route } from '../../src/api/route.ts';
import { routesOf } from '../../src/api/routes.ts';
import { type Api, startApi } from '../../src/api/server.ts';
import { makeAuthority, makeCertificate } from '../../src/control/certificates.ts';
import { connect, type Database } from '../../src/database/connection.ts';
import { listDevices } from '../../src/database/devices.ts';
import { KINDS, readPage } from '../../src/database/kinds.ts';
import { migrate } from '../../src/database/migrate.ts';
import { snapshot } from '../../src/database/project.ts';
import { upsertSession } from '../../src/database/servers.ts';
import type { Device } from '../../src/farm/model.ts';
import { ok, type Result } from '../../src/kit/result.ts';
import { slices } from '../../src/kit/slices.ts';
import { type Client, createClient } from '../../src/kube/client.ts';
import { kinds } from '../../src/kube/kinds.ts';
import { at, type KubeObject } from '../../src/kube/object.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../builders/resources.ts';
import { aSession, aFarm as farmRows } from '../builders/rows.ts';
import { binary } from '../cluster/cluster.ts';
import { loadDatabase } from '../fakes/database.ts';
import { FakeInformer } from '../fakes/informer.ts';
import { type PostgresServer, type RedisServer, startPostgres, startRedis } from '../setup/services.ts';
import { quietClock, until } from '../setup/time.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const directory = mkdtempSync(join(tmpdir(), 'bootfarm-api-'));
const LAB = 'lab';
const NAMESPACES = [LAB, 'bootfarm'];
const FARM = `/farms/${LAB}/farm`;

const ACCOUNTS = ['viewer', 'operator', 'administrator', 'bound', 'devices', 'none'];

const PROBLEM = /^application\/problem\+json(;|$)/;

const DEVICES: readonly Device[] = ['pc0001', 'pc0002', 'pc0003', 'pc0004'].map((name, index) => ({
  name,
  macs: [`52:54:00:00:00:0${index + 1}`],
  collection: index < 2 ? 'room-101' : 'room-102',
  enabled: index !== 3,
  properties: index === 0 ? { seat: 'A,1' } : {},
}));

const value = <T>(answer: Result<T, { readonly message: string }>): T => {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
};

interface Credentials {
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
}
interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly body: Record<string, never> & { readonly [field: string]: unknown };
}

let kube: ApiServer;
let client: Client;
let postgres: PostgresServer;
let redis: RedisServer;
let database: Database;
let api: Api;
let ca = '';
const who: Record<string, Credentials> = {};
const informers = {
  farms: new FakeInformer(kinds.Farm),
  stores: new FakeInformer(kinds.Store),
  vdisks: new FakeInformer(kinds.VDisk),
  pools: new FakeInformer(kinds.StreamingServer),
};

/** One question on a connection of its own. `open`: its head alone, and the connection stays. */
function ask(
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

const admin = (method: string, path: string, more: Parameters<typeof ask>[3] = {}) =>
  ask(who['administrator'] ?? {}, method, `${FARM}${path}`, more);

async function token(account: string, spec: object = {}): Promise<string> {
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
async function removeAll(): Promise<void> {
  for (const some of slices(value(await listDevices(database)), 500)) {
    const names = some.map(({ name }) => name);
    value(await database.run((db) => db.deleteFrom('device').where('name', 'in', names).execute()));
  }
}

/** As the projector would have left it. */
async function fillReplica(): Promise<void> {
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

beforeAll(async () => {
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
  put(informers.vdisks, aVDisk({ spec: { storeRef: { name: 'local' } } }));
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
  const access = { database: { uri: postgres.uri }, replica: { url: redis.socketPath } };
  api = value(
    await startApi({
      address: '127.0.0.1',
      port: 0,
      client,
      resources: informers,
      accessOf: async () => ok(access),
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
});

afterAll(async () => {
  await api?.close();
  await client?.close();
  await database?.close();
  await Promise.all([kube?.stop(), postgres?.close(), redis?.close()]);
  rmSync(directory, { recursive: true, force: true });
});

interface Operation {
  readonly operationId: string;
  readonly 'x-right'?: { readonly resource: string; readonly verb: string; readonly resourceName?: string };
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, object>>;
}

/** Of each operation that takes one. */
const BODIES: Readonly<Record<string, object | string>> = {
  addDevice: { name: 'pc0009', macs: ['52:54:00:00:00:99'], collection: 'room-101' },
  replaceDevice: { macs: ['52:54:00:00:00:01'], collection: 'room-101', properties: { seat: 'B' } },
  changeDevice: { enabled: false },
  replaceNic: { mac: '52:54:00:00:00:77' },
  changeCollection: { enabled: true },
  importDevices: 'name,mac,collection\npc0010,52:54:00:00:00:98,room-101\n',
};
const SEES = ['farms', 'servers', 'vdisks', 'stores', 'devices', 'sessions'];
const mayOf: Readonly<Record<string, (resource: string, verb: string, by: string | undefined) => boolean>> = {
  viewer: (resource, verb) => SEES.includes(resource) && ['get', 'list', 'watch'].includes(verb),
  operator: (resource, verb) =>
    SEES.includes(resource) && (resource === 'devices' || ['get', 'list', 'watch'].includes(verb)),
  administrator: () => true,
  'client certificate': () => true,
  bound: (resource, _verb, by) => by === 'collection' && ['devices', 'sessions'].includes(resource),
  devices: (resource) => resource === 'devices',
  none: () => false,
};
const UNKNOWN = ['expired token', 'another audience', 'foreign certificate', 'nobody'];

describe('who may what', () => {
  test('every endpoint of the document answers each identity as the roles say, in the shape that it states', async () => {
    const document = (await ask(who['none'] ?? {}, 'GET', '/openapi.json')).body as unknown as {
      readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
    };
    const shapes = new Map(routesOf(undefined as never).map((route: Route) => [route.id, route.answer]));
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
    );
    expect(operations.length).toBe(shapes.size);
    const found: string[] = [];
    const wanted: string[] = [];
    for (const identity of [...Object.keys(mayOf), ...UNKNOWN]) {
      for (const { path, method, operation } of operations) {
        const { operationId, requestBody } = operation;
        const { resource, verb, resourceName: by } = operation['x-right'] ?? { resource: 'farms', verb: 'list' };
        const filled = path
          .replace('/api/v1', '')
          .replace('{namespace}', LAB)
          .replace('{farm}', 'farm')
          .replace('{device}', 'pc0001')
          .replace('{collection}', 'room-101')
          .replace('{vdisk}', 'lab')
          .replace('{store}', 'local')
          .replace('{server}', 'node-a');
        const body = BODIES[operationId];
        expect([operationId, body !== undefined]).toEqual([operationId, requestBody !== undefined]);
        const { status: good = 0, shape, type } = shapes.get(operationId) ?? {};
        const answer = await ask(who[identity] ?? {}, method, filled, {
          ...(body === undefined ? {} : { body }),
          open: type === 'text/event-stream' ? () => {} : undefined,
        } as never);
        answer.close();
        const expected = UNKNOWN.includes(identity) ? 401 : mayOf[identity]?.(resource, verb, by) ? good : 403;
        wanted.push(`${identity} ${operationId} ${expected}`);
        found.push(`${identity} ${operationId} ${answer.status}`);
        if (answer.status !== good) expect(answer.headers['content-type']).toMatch(PROBLEM);
        else if (shape && type === undefined) {
          const checked = Compile(shape);
          expect([
            operationId,
            checked.Check(answer.body),
            ...checked.Errors(answer.body).map(({ instancePath, message }) => `${instancePath} ${message}`),
          ]).toEqual([operationId, true]);
        }
        if (answer.status === good && method !== 'GET') await reload();
      }
    }
    expect(found).toEqual(wanted);
  });

  const reload = () => loadDatabase(database, { snapshot: farmRows(), devices: DEVICES, sessions: [aSession()] });

  test('who is bound to a collection sees, adds, moves and learns nothing beyond it', async () => {
    const bound = who['bound'] ?? {};
    const names = async (path: string) =>
      ((await ask(bound, 'GET', `${FARM}${path}`)).body['items'] as unknown as { name: string }[]).map(
        ({ name }) => name,
      );
    expect(await names('/devices')).toEqual(['pc0001', 'pc0002']);
    expect(await names('/devices?collection=room-102')).toEqual([]);
    expect((await ask(bound, 'GET', `${FARM}/devices.csv`)).text.split('\n').slice(1).join()).not.toContain('room-102');
    const status = async (method: string, path: string, body?: object | string) =>
      (await ask(bound, method, `${FARM}${path}`, body === undefined ? {} : { body })).status;
    expect(await status('GET', '/devices/pc0003')).toBe(403);
    expect(await status('GET', '/devices/nowhere')).toBe(403);
    expect(await status('DELETE', '/devices/pc0003')).toBe(403);
    expect(await status('PATCH', '/devices/pc0001', { collection: 'room-102' })).toBe(403);
    expect(await status('PATCH', '/collections/room-101/devices', { collection: 'room-102' })).toBe(403);
    expect(
      await status(
        'POST',
        '/devices.csv',
        'name,mac,collection\nx1,52:54:00:00:01:01,room-101\nx2,52:54:00:00:01:02,room-102\n',
      ),
    ).toBe(403);
    for (const [name, mac, says] of [
      ['pc0003', '52:54:00:00:01:01', /^its name is taken in this farm/],
      ['x1', '52:54:00:00:00:03', /^one of its MACs is taken in this farm/],
    ] as const) {
      const body = { name, macs: [mac], collection: 'room-101' };
      expect((await ask(bound, 'POST', `${FARM}/devices`, { body })).body['detail']).toMatch(says);
      const file = `name,mac,collection\n${name},${mac},room-101\n`;
      const judged = await ask(bound, 'POST', `${FARM}/devices.csv?dryRun=true`, { body: file });
      expect(judged.status).toBe(422);
      expect(judged.text).not.toMatch(/room-102|pc0003 /);
    }
    expect(
      (await ask(bound, 'PATCH', `${FARM}/devices/pc0001`, { body: { macs: ['52:54:00:00:00:03'] } })).body,
    ).toMatchObject({ code: 'Conflict', detail: expect.stringMatching(/^one of its MACs is taken/) });
    expect(value(await listDevices(database)).map(({ name, collection }) => `${name} ${collection}`)).toEqual(
      DEVICES.map(({ name, collection }) => `${name} ${collection}`),
    );
  });
});

test('a right on devices alone shows no session, nor who has one', async () => {
  const get = (as: string, path: string) => ask(who[as] ?? {}, 'GET', `${FARM}${path}`);
  expect((await get('viewer', '/devices/pc0001')).body).toHaveProperty('session');
  expect((await get('devices', '/devices/pc0001')).body).not.toHaveProperty('session');
  expect((await get('viewer', '/devices')).text).toContain('"session"');
  expect((await get('devices', '/devices')).text).not.toContain('"session"');
  expect((await get('devices', '/devices?streaming=true')).status).toBe(403);
  expect((await get('bound', '/devices?streaming=true')).body['items']).toHaveLength(1);
});

test('whoever is known to the cluster may read whom to believe, and no key', async () => {
  value(await publishAuthority(client, { namespace: 'bootfarm', service: 'bootfarm-api' }, ca));
  const get = (kind: string, name: string) =>
    execFileSync(
      binary('kubectl'),
      [
        ...['--kubeconfig', kube.kubeconfig, '--as=system:serviceaccount:lab:none', '--as-group=system:authenticated'],
        ...['-n', 'bootfarm', 'get', kind, name, '-o', 'jsonpath={.data.ca\\.crt}'],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
  expect(get('configmap', 'bootfarm-api-ca')).toBe(ca);
  expect(() => get('secret', 'bootfarm-api-tls')).toThrow(/[Ff]orbidden/);
});

describe('devices', () => {
  test('what was changed meanwhile is not written over, and each edit leaves who, what, old and new', async () => {
    const read = await admin('GET', '/devices/pc0002');
    const tag = String(read.headers['etag']);
    const changed = await admin('PATCH', '/devices/pc0002', {
      body: { properties: { seat: 'C3' } },
      headers: { 'if-match': tag },
    });
    expect(changed).toMatchObject({ status: 200, body: { properties: { seat: 'C3' } } });
    for (const [method, body] of [
      ['PATCH', { enabled: false }],
      ['DELETE', undefined],
    ] as const) {
      const late = await admin(method, '/devices/pc0002', { ...(body ? { body } : {}), headers: { 'if-match': tag } });
      expect(late).toMatchObject({
        status: 412,
        body: { code: 'Changed', detail: expect.stringContaining(String(changed.headers['etag'])) },
      });
    }
    const moved = await admin('POST', '/devices/pc0002/replace-nic', { body: { mac: '52-54-00-00-00-22' } });
    expect(moved.body).toMatchObject({ macs: ['52:54:00:00:00:22'] });
    const { items } = (await admin('GET', '/audit?name=pc0002&limit=2')).body as unknown as { items: object[] };
    expect(items).toMatchObject([
      {
        source: 'api',
        who: 'system:serviceaccount:lab:administrator',
        action: 'change',
        before: { macs: ['52:54:00:00:00:02'] },
        after: { macs: ['52:54:00:00:00:22'] },
      },
      { before: { properties: {} }, after: { properties: { seat: 'C3' } } },
    ]);
  });

  test.each([
    ['POST', '/devices', { name: 'PC!', macs: ['zz'], collection: 'room-101' }, 400, /name "PC!".*macs "zz"/],
    [
      'POST',
      '/devices',
      { name: 'pc5', macs: ['52:54:00:00:00:01'], collection: 'room-101' },
      409,
      /MAC 52:54:00:00:00:01 belongs to device pc0001/,
    ],
    [
      'POST',
      '/devices',
      { name: 'pc5', macs: ['52:54:00:00:00:05'], collection: 'room-999' },
      409,
      /no collection room-999; it has room-101, room-102/,
    ],
    ['POST', '/devices', { name: 'pc5' }, 400, /must have macs, collection/],
    ['PATCH', '/devices/pc0001', { colour: 'red' }, 400, /has no colour/],
    ['PATCH', '/devices/pc9999', { enabled: true }, 404, /no device pc9999/],
    ['PATCH', '/collections/room-999/devices', { enabled: true }, 404, /no collection room-999/],
    ['PATCH', '/devices/pc0001', { properties: { a: 'x\ud800' } }, 400, /properties.a .*surrogate/],
    ['PATCH', '/devices/pc0001', { properties: { 'a\0': 'x' } }, 400, /properties.a.*NUL/],
    ['GET', '/devices/%00', undefined, 400, /device .*is no text/],
    ['GET', '/devices?search=%00', undefined, 400, /query.search/],
    ['GET', '/audit?who=%00', undefined, 400, /query.who/],
    ['GET', '/sessions?server=a%00', undefined, 400, /query.server/],
    ['GET', '/devices?limit=5000', undefined, 400, /query.limit "5000".*500/],
    ['GET', '/devices?sort=colour', undefined, 400, /query.sort "colour": must be one of name, collection/],
    ['GET', '/devices?continue=xyz', undefined, 400, /query.continue "xyz"/],
    ['GET', '/devices?colour=red', undefined, 400, /has no colour/],
    ['GET', '/vdisks/nowhere', undefined, 404, /no vDisk nowhere; it has lab/],
    ['GET', '/nowhere', undefined, 404, /openapi.json has all/],
    ['GET', '/events?kinds=devices,colours', undefined, 400, /query.kinds "colours"/],
    ['POST', '/devices.csv', { a: 1 }, 400, /text\/csv/],
  ])('%s %s with %j is %d', async (method, path, body, status, says) => {
    const answer = await admin(method, path, body === undefined ? {} : { body });
    expect([answer.status, answer.headers['content-type'], answer.body['detail']]).toEqual([
      status === 400 && path === '/devices.csv' ? 415 : status,
      expect.stringMatching(PROBLEM),
      expect.stringMatching(says),
    ]);
  });

  test('an edit waits for another one a second, and the database does not count as dead', async () => {
    const held = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const other = database.run((db) =>
      db.transaction().execute(async (trx) => {
        await sql`select from device where name = 'pc0001' for update`.execute(trx);
        held.resolve();
        await end.promise;
      }),
    );
    await held.promise;
    const late = await Promise.all([
      admin('PATCH', '/devices/pc0001', { body: { enabled: false } }),
      admin('PATCH', '/collections/room-101/devices', { body: { enabled: false } }),
    ]);
    const read = await admin('GET', '/devices/pc0001');
    end.resolve();
    value(await other);
    for (const { status, body } of late)
      expect([status, body['detail']]).toEqual([409, expect.stringMatching(/somebody else writes it .* ask again/)]);
    expect(read).toMatchObject({ status: 200, body: { enabled: true } });
    expect(read.body).not.toHaveProperty('stale');
  });

  test('pages of the database are those of the replica', async () => {
    await fillReplica();
    const queries = [
      '',
      '?limit=1',
      '?limit=3&sort=-name',
      '?sort=-collection&limit=2',
      '?enabled=false',
      '?streaming=true',
      '?search=00:04',
      '?site=default&collection=room-102',
    ];
    const walk = async (path: string): Promise<unknown[]> => {
      const items: unknown[] = [];
      for (let next = path; ; ) {
        const { body } = await admin('GET', next);
        items.push(...(body['items'] as unknown as object[]));
        if (body['continue'] === undefined) return items;
        next = `${path}&continue=${body['continue']}`;
      }
    };
    const read = async () =>
      Promise.all([
        ...queries.map((query) => walk(`/devices${query}`)),
        walk('/sessions'),
        walk('/vdisks/lab/copies'),
        walk('/stores/local/files'),
      ]);
    const fromDatabase = await read();
    expect(fromDatabase.map((items) => items.length)).toEqual([4, 4, 4, 4, 1, 1, 1, 2, 1, 0, 1]);
    expect((fromDatabase[2] as { name: string }[]).map(({ name }) => name)).toEqual([
      'pc0004',
      'pc0003',
      'pc0002',
      'pc0001',
    ]);
    await postgres.kill();
    expect(await read()).toEqual(fromDatabase);
    const passed = quietClock();
    const device = await admin('GET', '/devices/pc0001');
    const edit = await admin('PATCH', '/devices/pc0001', { body: { enabled: false } });
    const audit = await admin('GET', '/audit');
    const fresh = await admin('GET', '/devices/pc9999');
    const stranger = await ask(who['none'] ?? {}, 'GET', `${FARM}/devices/pc0001`);
    expect(passed()).toBeLessThan(1_000);
    expect(device.body['stale']).toEqual({ since: expect.any(String), reason: expect.stringMatching(/database/) });
    expect(edit).toMatchObject({
      status: 503,
      body: { code: 'DatabaseAway', detail: expect.stringMatching(/nothing was changed/) },
    });
    expect(audit).toMatchObject({ status: 503, body: { code: 'DatabaseAway' } });
    expect(fresh).toMatchObject({ status: 503, body: { code: 'DatabaseAway' } });
    expect(stranger).toMatchObject({ status: 403 });
    await postgres.start();
    await until('the test has it again', () => database.state.reachable);
    await until(
      'the database is read again',
      async () => (await admin('GET', '/devices/pc0001')).body['stale'] === undefined,
    );
  });

  test('10,000 devices come in by a file, all or nothing, and go out as the same bytes', async () => {
    const lines = Array.from(
      { length: 10_000 },
      (_, n) =>
        `m${String(n).padStart(5, '0')},52:56:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')},,room-102,,true`,
    );
    const csv = `name,mac,uuid,collection,class,enabled\n${lines.join('\n')}\n`;
    await removeAll();
    const bad = await admin('POST', '/devices.csv', {
      body: `${csv}m00001,52:57:00:00:00:01,,room-102,,true\nx,zz,,room-102,,true\ny,52:57:00:00:00:02,,nowhere,,true\n`,
    });
    expect(bad).toMatchObject({
      status: 422,
      body: {
        code: 'BadLines',
        detail: expect.stringMatching(/^nothing was imported: 3 of the lines are bad, 10000 are good/),
      },
    });
    expect(
      (bad.body['complaints'] as unknown as { line: number; field: string }[]).map(
        ({ line, field }) => `${line} ${field}`,
      ),
    ).toEqual(['10002 name', '10003 mac', '10004 collection']);
    expect((await admin('POST', '/devices.csv?dryRun=true', { body: csv })).body).toEqual({
      added: 10_000,
      unchanged: 0,
      dryRun: true,
    });
    expect(value(await listDevices(database))).toEqual([]);
    const passed = quietClock();
    // A database that has no processor for 2 s counts as away, and nothing is imported: it is asked again.
    const imported = await until(
      'the database takes it',
      async () => {
        const { status, body } = await admin('POST', '/devices.csv', { body: csv });
        return status !== 503 && body;
      },
      60_000,
    );
    expect(imported).toEqual({ added: 10_000, unchanged: 0, dryRun: false });
    const seconds = passed() / 1_000;
    console.log(`import of 10,000 devices: ${seconds.toFixed(2)} s`);
    expect(seconds).toBeLessThan(5);
    expect((await admin('GET', '/devices.csv')).text).toBe(csv);
    const page = performance.now();
    expect((await admin('GET', '/devices?limit=100&search=m099')).body['items']).toHaveLength(100);
    console.log(`a page of them: ${(performance.now() - page).toFixed(0)} ms`);
    const bulk = await admin('PATCH', '/collections/room-102/devices', {
      body: { collection: 'room-101', enabled: false },
    });
    expect(bulk.body).toEqual({ devices: 10_000, changed: 10_000 });
    await removeAll();
    await loadDatabase(database, { snapshot: farmRows(), devices: [], sessions: [] });
  });
});

describe('live changes', () => {
  interface Heard {
    readonly id: string;
    readonly event: string;
    readonly data: { readonly changes?: readonly { kind: string; name: string; value?: object }[] };
  }
  const parse = (text: string): readonly Heard[] =>
    text.split('\n\n').flatMap((block) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
      return field('event') === '' ? [] : [{ id: field('id'), event: field('event'), data: JSON.parse(field('data')) }];
    });
  async function listen(as: Credentials, more: { lastEventId?: string; query?: string } = {}) {
    let text = '';
    const stream = await ask(as, 'GET', `${FARM}/events${more.query ?? ''}`, {
      open: (chunk) => (text += chunk),
      headers: more.lastEventId === undefined ? {} : { 'last-event-id': more.lastEventId },
    });
    return {
      status: stream.status,
      body: stream.body,
      close: stream.close,
      heard: () => parse(text),
      text: () => text,
    };
  }
  const changes = (heard: readonly Heard[]) =>
    heard.flatMap(({ data }) =>
      (data.changes ?? [])
        .filter(({ kind }) => kind !== 'database') // which a busy machine may have away for a moment
        .map(({ kind, name, value: is }) => `${kind} ${name}${is ? '' : ' gone'}`),
    );
  const add = (name: string, mac: string, collection: string) =>
    until(`${name} is added`, async () => {
      const { status } = await admin('POST', '/devices', { body: { name, macs: [mac], collection } });
      return status === 201;
    });

  test('what changed comes once, to those who may see it, and who was away goes on where they were', async () => {
    const [whole, part] = [await listen(who['viewer'] ?? {}), await listen(who['bound'] ?? {})];
    await until('both are told where they begin', () => whole.heard().length > 0 && part.heard().length > 0);
    expect(whole.heard()[0]).toMatchObject({ event: 'reset' });
    await until('it beats', () => whole.text().includes(': still here'));
    await add('e1', '52:54:00:00:05:01', 'room-101');
    await add('e2', '52:54:00:00:05:02', 'room-102');
    value(await upsertSession(database, aSession({ device: 'e1', epoch: 2_000_000_000_000 })));
    informers.vdisks.put(
      aVDisk({
        metadata: { resourceVersion: '2' },
        spec: { storeRef: { name: 'local' }, enabled: false },
      }) as unknown as KubeObject,
    );
    const all = ['devices e1', 'devices e2', 'sessions e1', 'vdisks lab'];
    await until('all of it came', () => all.every((one) => changes(whole.heard()).includes(one)));
    await until('a part of it came', () => changes(part.heard()).includes('sessions e1'));
    const others = /^sessions pc/; // of devices of the tests before: their server is gone, and a session ends when it was not heard of
    expect(
      changes(whole.heard())
        .filter((one) => !others.test(one))
        .sort(),
    ).toEqual(all);
    expect(changes(part.heard()).sort()).toEqual(['devices e1', 'sessions e1']);
    const lastEventId = whole.heard().at(-1)?.id ?? '';
    whole.close();
    await admin('DELETE', '/devices/e2');
    await admin('PATCH', '/devices/e1', { body: { collection: 'room-102' } });
    await until('it left their collection', () => changes(part.heard()).includes('devices e1 gone'));
    expect(changes(part.heard()).join()).not.toContain('e2');
    const again = await listen(who['viewer'] ?? {}, { lastEventId });
    await until('what was missed came', () => again.heard().length > 0);
    await until('all that was missed came', () => changes(again.heard()).length >= 3);
    expect(changes(again.heard()).sort()).toEqual(['devices e1', 'devices e2 gone', 'sessions e1']);
    const stranger = await listen(who['viewer'] ?? {}, { lastEventId: 'another.7' });
    await until('a stranger begins anew', () => stranger.heard().length > 0);
    expect(stranger.heard()[0]).toMatchObject({ event: 'reset' });
    for (const stream of [part, again, stranger]) stream.close();
  });

  test('clients of one identity are bounded, and the others have their own', async () => {
    const open = [];
    for (let count = 0; count < CLIENTS.each; count++) open.push(await listen(who['operator'] ?? {}));
    expect(open.map(({ status }) => status)).toEqual(open.map(() => 200));
    expect(await listen(who['operator'] ?? {})).toMatchObject({ status: 429, body: { code: 'TooMany' } });
    const other = await listen(who['administrator'] ?? {});
    expect(other.status).toBe(200);
    for (const stream of [...open, other]) stream.close();
  });
});

test('while the API server is away nobody new is known, and it is said', async () => {
  const fresh = await token('viewer');
  await kube.crash();
  const answer = await ask({ token: fresh }, 'GET', '/farms');
  expect(answer).toMatchObject({
    status: 503,
    body: { code: 'ReviewsAway', detail: expect.stringMatching(/not judged/) },
  });
});
