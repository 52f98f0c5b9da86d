/** The CRDs on a real API server: what it takes, what it refuses and what it says then, what people see. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse as parseYaml } from 'yaml';
import { KINDS, type KindName } from '../../src/resources/kinds.ts';
import { parse } from '../../src/resources/parse.ts';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../builders/resources.ts';
import { until } from '../setup/time.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { RULE_CASES, type RuleCase, type Spec } from './resources-cases.ts';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly maxProperties?: number;
  readonly enum?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message: string }[];
  readonly 'x-kubernetes-list-type'?: string;
}
interface Crd {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly names: { readonly kind: KindName };
    readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

const folder = join(import.meta.dirname, '../../crds');
const crds = readdirSync(folder).map((name) => ({
  bytes: readFileSync(join(folder, name)).length,
  crd: parseYaml(readFileSync(join(folder, name), 'utf8')) as Crd,
}));

/** Every schema of a CRD with its place: `Farm spec.sites[].name`. */
function* schemas(at: string, schema: Schema): Generator<readonly [string, Schema]> {
  yield [at, schema];
  const join = at.endsWith(' ') ? '' : '.';
  for (const [name, child] of Object.entries(schema.properties ?? {})) yield* schemas(`${at}${join}${name}`, child);
  if (schema.items) yield* schemas(`${at}[]`, schema.items);
  if (schema.additionalProperties) yield* schemas(`${at}{}`, schema.additionalProperties);
}
const everySchema = crds.flatMap(({ crd }) =>
  crd.spec.versions.flatMap((version) => [...schemas(`${crd.spec.names.kind} `, version.schema.openAPIV3Schema)]),
);
const everyRule = everySchema.flatMap(([at, schema]) =>
  (schema['x-kubernetes-validations'] ?? []).map(({ message }) => ({ at, message })),
);

const build = { Farm: aFarm, StreamingServer: aStreamingServer, Store: aStore, VDisk: aVDisk } as const;
const kindOf = ({ at }: RuleCase): KindName => at.split(' ')[0] as KindName;

function objectOf(kind: KindName, spec: Spec, name: string): object {
  const { apiVersion, spec: base } = build[kind]();
  return { apiVersion, kind, metadata: { name, namespace: 'default' }, spec: { ...base, ...spec } };
}

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the tests look at what the API gives, whatever it is
  readonly body: any;
}

let directory: string;
let server: ApiServer;
let pem: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

function call(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { ...pem, method, host: '127.0.0.1', port: server.port, path, timeout: 10_000 };
    const sent = request({ ...options, headers: { 'content-type': 'application/json', ...headers } }, (response) => {
      let text = '';
      response.on('data', (data) => {
        text += data;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: text ? JSON.parse(text) : undefined }),
      );
    });
    sent.on('error', reject);
    sent.end(body ? JSON.stringify(body) : undefined);
  });
}

const pathOf = (kind: KindName, name = ''): string =>
  `/apis/bootfarm.io/v1alpha1/namespaces/default/${KINDS[kind].plural}${name && `/${name}`}`;
const create = (kind: KindName, spec: Spec, name = 'a', query = '?dryRun=All'): Promise<Answer> =>
  call('POST', pathOf(kind) + query, objectOf(kind, spec, name));
const merge = { 'content-type': 'application/merge-patch+json' };

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bootfarm-resources-'));
  server = await startApiServer(directory);
  const read = (name: string): Buffer => readFileSync(join(directory, name));
  pem = { ca: read('ca.crt'), cert: read('admin.crt'), key: read('admin.key') };
  for (const { crd } of crds) {
    const { status, body } = await call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
    if (status !== 201) throw new Error(body.message);
  }
  for (const kind of Object.keys(KINDS) as KindName[])
    await until(`${kind} is served`, async () => (await call('GET', pathOf(kind))).status === 200, 20_000, 50);
});

afterAll(async () => {
  await server?.stop();
  if (directory) rmSync(directory, { recursive: true, force: true });
});

test('every rule of the CRDs has a case, and every case its rule', () => {
  const fits = (rule: { at: string; message: string }, one: RuleCase): boolean =>
    rule.at === one.at && rule.message.includes(one.says);
  expect(everyRule.filter((rule) => RULE_CASES.filter((one) => fits(rule, one)).length !== 1)).toEqual([]);
  expect(RULE_CASES.filter((one) => everyRule.filter((rule) => fits(rule, one)).length !== 1)).toEqual([]);
});

describe.each(RULE_CASES.map((one, index) => ({ ...one, index })))('$at: $says', (one) => {
  const kind = kindOf(one);
  const message = everyRule.find(({ at, message }) => at === one.at && message.includes(one.says))?.message ?? '?';
  const name = `case-${one.index}`;

  async function attempt(spec: Spec, ownName: string | undefined): Promise<Answer> {
    if (!one.before) return create(kind, spec, ownName ?? name);
    await create(kind, one.before, name, '');
    return call('PATCH', `${pathOf(kind, name)}?dryRun=All`, { spec }, merge);
  }
  test('passes', async () => {
    const { status, body } = await attempt(one.good, one.goodName);
    expect({ status, message: body.message }).toEqual({ status: one.before ? 200 : 201, message: undefined });
  });
  test('is refused', async () => {
    const { status, body } = await attempt(one.bad, one.badName);
    expect(status).toBe(422);
    expect(body.message).toContain(message);
  });
});

test('a duration that is too short is refused with its value, its limit and how to write another', async () => {
  const { body } = await create('Store', { replication: { verifyEvery: '1s' } });
  for (const part of ['spec.replication.verifyEvery', '1s', 'less than 1h', 'such as 24h or 1h30m'])
    expect(body.message).toContain(part);
  const { body: other } = await create('Store', { replication: { verifyEvery: '1 day' } });
  expect(other.message).not.toContain('less than');
});

const twice = [
  { kind: 'Farm', spec: { sites: [{ name: 'a' }, { name: 'a' }] } },
  { kind: 'Farm', spec: { collections: [{ name: 'a' }, { name: 'a' }] } },
  { kind: 'StreamingServer', spec: { nodes: [{ name: 'a' }, { name: 'a' }] } },
  { kind: 'StreamingServer', spec: { storeRoots: ['/srv', '/srv'] } },
  {
    kind: 'Store',
    spec: {
      local: {
        path: '/s',
        nodes: [
          { name: 'a', path: '/a' },
          { name: 'a', path: '/b' },
        ],
      },
    },
  },
  {
    kind: 'VDisk',
    spec: {
      versions: [
        { number: 1, access: 'Test' },
        { number: 1, access: 'Production' },
      ],
    },
  },
] as const;
test.each(twice)('the same name twice is refused: $kind $spec', async ({ kind, spec }) => {
  const { status, body } = await create(kind, spec);
  expect(status).toBe(422);
  expect(body.message).toContain('Duplicate value');
});

const malformed = [
  { kind: 'Farm', spec: { sites: [{ name: 'Paris' }] }, says: 'spec.sites[0].name' },
  { kind: 'Farm', spec: { offline: { maxAge: '30 days' } }, says: 'spec.offline.maxAge' },
  { kind: 'Farm', spec: { database: { embedded: { storage: { size: '8 GB' } } } }, says: 'storage.size' },
  { kind: 'Store', spec: { local: { path: '/srv/../etc' } }, says: 'spec.local.path' },
  { kind: 'Store', spec: { local: { path: 'srv' } }, says: 'spec.local.path' },
  { kind: 'StreamingServer', spec: { powerRating: 0 }, says: 'spec.powerRating' },
  { kind: 'VDisk', spec: { fileName: '../lab' }, says: 'spec.fileName' },
  { kind: 'VDisk', spec: { versions: [{ number: 1, access: 'Test', releaseAt: 'soon' }] }, says: 'releaseAt' },
] as const;
test.each(malformed)('$kind $spec is refused by the API server and by parse alike', async ({ kind, spec, says }) => {
  const { status, body } = await create(kind, spec);
  expect(status).toBe(422);
  expect(body.message).toContain(says);
  const parsed = parse(kind, objectOf(kind, spec, 'a'));
  expect(parsed).toMatchObject({ ok: false, error: { code: 'InvalidResource', path: expect.stringContaining(says) } });
});

test('a new object has status.observedGeneration -1, and parses', async () => {
  for (const kind of Object.keys(KINDS) as KindName[]) {
    const { body } = await create(kind, {});
    expect(body.status).toEqual({ observedGeneration: -1 });
    expect(parse(kind, body)).toMatchObject({ ok: true });
  }
});

test('kubectl get shows Ready first, Age last and the message when wide', async () => {
  await create('VDisk', {}, 'shown', '');
  const condition = {
    type: 'Ready',
    status: 'True',
    reason: 'Settled',
    message: 'version 0 is right on 2 of 2 servers',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  const status = { observedGeneration: 1, conditions: [condition], upToDate: '2/2', bootVersion: 0 };
  await call('PATCH', `${pathOf('VDisk', 'shown')}/status`, { status }, merge);
  const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
  const { body } = await call('GET', pathOf('VDisk', 'shown'), undefined, table);
  const columns: { name: string; priority: number }[] = body.columnDefinitions;
  const cells: unknown[] = body.rows[0].cells;
  const shown = (wide: boolean) => columns.filter(({ priority }) => wide || priority === 0).map(({ name }) => name);
  expect(shown(false)).toEqual(['Name', 'Ready', 'Version', 'Copies', 'Replicated', 'Devices', 'Age']);
  expect(shown(true).slice(-2)).toEqual(['Message', 'Age']);
  const cell = (name: string) => cells[columns.findIndex((column) => column.name === name)];
  expect([cell('Ready'), cell('Copies'), cell('Message')]).toEqual(['True', '2/2', condition.message]);
  for (const kind of Object.keys(KINDS) as KindName[]) {
    const { body } = await call('GET', pathOf(kind), undefined, table);
    const names = body.columnDefinitions.map(({ name }: { name: string }) => name);
    expect([names[1], names.at(-2), names.at(-1)]).toEqual(['Ready', 'Message', 'Age']);
  }
});

test('kubectl scale works on a StreamingServer, before and after the first look', async () => {
  await create('StreamingServer', { replicas: undefined }, 'pool', '');
  const scale = `${pathOf('StreamingServer', 'pool')}/scale`;
  expect((await call('GET', scale)).body).toMatchObject({ spec: { replicas: 2 }, status: { replicas: 0 } });
  await call('PATCH', scale, { spec: { replicas: 3 } }, merge);
  const status = { replicas: 3, selector: 'bootfarm.io/pool=pool' };
  await call('PATCH', `${pathOf('StreamingServer', 'pool')}/status`, { status }, merge);
  expect((await call('GET', scale)).body).toMatchObject({ spec: { replicas: 3 }, status });
});

test('short names and the category are served', async () => {
  const { body } = await call('GET', '/apis/bootfarm.io/v1alpha1');
  const found = body.resources.filter(({ categories }: { categories?: string[] }) => categories?.includes('bootfarm'));
  const names = found.flatMap(
    (one: { singularName: string; shortNames?: string[] }) => one.shortNames ?? one.singularName,
  );
  expect(names.sort()).toEqual(['bfs', 'bst', 'farm', 'vd']);
});

test('kubectl explain has a description of every field', async () => {
  const { body } = await call('GET', '/openapi/v3/apis/bootfarm.io/v1alpha1');
  const own = Object.entries<Schema>(body.components.schemas).filter(([name]) =>
    /bootfarm.*\.(Farm|Store|StreamingServer|VDisk)$/.test(name),
  );
  expect(own).toHaveLength(4);
  const fields = own.flatMap(([name, schema]) => [...schemas(`${name} `, schema)]);
  const bare = fields.filter(([at, schema]) => !schema.description && !/\[\]$|\{\}$| metadata/.test(at));
  expect(bare.map(([at]) => at)).toEqual([]);
});

test('every list, map and text is bounded, and each CRD stays under 256 KiB', () => {
  const unbounded = everySchema.filter(([at, schema]) => {
    if (/ (apiVersion|kind|metadata)$/.test(at)) return false;
    if (schema.type === 'array') return schema.maxItems === undefined;
    if (schema.additionalProperties) return schema.maxProperties === undefined;
    return schema.type === 'string' && !schema.enum && schema.maxLength === undefined;
  });
  expect(unbounded.map(([at]) => at)).toEqual([]);
  expect(crds.filter(({ bytes }) => bytes >= 256 * 1024)).toEqual([]);
});
