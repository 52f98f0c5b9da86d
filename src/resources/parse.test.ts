import { describe, expect, test } from '@jest/globals';
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../../test/builders/resources.ts';
import { API_VERSION } from './kind.ts';
import { KINDS, type KindName } from './kinds.ts';
import { parse } from './parse.ts';

const valid = { Farm: aFarm(), StreamingServer: aStreamingServer(), Store: aStore(), VDisk: aVDisk() };
const kinds = Object.keys(KINDS) as KindName[];

test.each(kinds)('a %s parses to itself', (kind) => {
  expect(parse(kind, valid[kind])).toEqual({ ok: true, value: valid[kind] });
});

test('fields that this release does not know are let through', () => {
  const farm = { ...aFarm(), spec: { ...aFarm().spec, later: { field: 1 } } };
  expect(parse('Farm', farm)).toMatchObject({ ok: true, value: { spec: { later: { field: 1 } } } });
});

test('what a spec leaves out is filled in, the overrides of a site alone are not; what was given is not touched', () => {
  const given = {
    ...{ apiVersion: API_VERSION, kind: 'Farm', metadata: { name: 'farm', namespace: 'lab' } },
    spec: {
      database: { external: { secretRef: { name: 'db' } } },
      sites: [{ name: 'paris', boot: { noServer: { after: '1m' } } }],
      autoAdd: { collection: 'new', digits: 2 },
    },
  };
  const before = structuredClone(given);
  const parsed = parse('Farm', given);
  if (!parsed.ok) throw new Error(parsed.error.message);
  expect(parsed.value.spec).toMatchObject({
    database: { external: { secretRef: { name: 'db', key: 'uri' } } },
    replica: { embedded: {} },
    boot: { noServer: { action: 'Wait', after: '10m' }, http: { enabled: true, port: 8069 } },
    collections: [],
    autoAdd: { digits: 2, namePrefix: 'pc', maxDevices: 1_000 },
    suspend: false,
  });
  expect(parsed.value.spec.sites).toEqual([{ name: 'paris', boot: { noServer: { action: 'Wait', after: '1m' } } }]);
  expect(given).toEqual(before);
});

test.each(kinds)('each default of a %s is a value that its field takes, and stands in its description', (kind) => {
  for (const [path, field] of fieldsOf(KINDS[kind].spec, 'spec')) {
    if (!('default' in field)) continue;
    const { description = '' } = field as { readonly description?: string };
    expect([path, Value.Check(field, Value.Default(field, undefined))]).toEqual([path, true]);
    if (typeof field.default !== 'object')
      expect([path, description]).toEqual([path, expect.stringMatching(/Default: |\(default\)/)]);
  }
});

function* fieldsOf(
  schema: TSchema,
  path: string,
): Generator<readonly [path: string, field: TSchema & { default?: unknown }]> {
  const { properties, items } = schema as { readonly properties?: Record<string, TSchema>; readonly items?: TSchema };
  yield [path, schema];
  for (const [name, field] of Object.entries(properties ?? {})) yield* fieldsOf(field, `${path}.${name}`);
  if (items) yield* fieldsOf(items, `${path}[]`);
}

describe('faults name the object, the path, the value and the limit', () => {
  const farm = (spec: object) => ({ ...aFarm(), spec: { ...aFarm().spec, ...spec } });
  const cases: readonly { object: unknown; path: string; message: string }[] = [
    {
      object: { ...aStreamingServer(), spec: { ...aStreamingServer().spec, replicas: 300 } },
      path: 'spec.replicas',
      message: 'StreamingServer lab/main: spec.replicas is 300: must be <= 256',
    },
    {
      object: farm({ sites: [{ name: 'paris' }, { name: 'Rome' }] }),
      path: 'spec.sites[1].name',
      message: 'Farm lab/farm: spec.sites[1].name is "Rome": must match pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"',
    },
    {
      object: farm({ security: { stream: 'None' } }),
      path: 'spec.security.stream',
      message: 'Farm lab/farm: spec.security.stream is "None": must be one of Trusted, Authenticated, Encrypted',
    },
    {
      object: { ...aFarm(), spec: {} },
      path: 'spec',
      message: 'Farm lab/farm: spec must have database',
    },
    {
      object: { apiVersion: 'bootfarm.io/v1alpha1', kind: 'Farm', metadata: { name: 'f', namespace: 'lab' } },
      path: '',
      message: 'Farm lab/f: it must have spec',
    },
  ];
  test.each(cases)('$message', ({ object, path, message }) => {
    const kind = (object as { kind: KindName }).kind;
    const result = parse(kind, object);
    expect(result).toEqual({ ok: false, error: { code: 'InvalidResource', path, message: expect.any(String) } });
    expect(result.ok ? '' : result.error.message).toBe(message);
  });

  const strangers: readonly (readonly [string, unknown])[] = [
    ['null', null],
    ['text', 'x'],
    ['another kind', aStore()],
    ['another version', { ...aFarm(), apiVersion: 'bootfarm.io/v2' }],
  ];
  test.each(strangers)('%s is no Farm', (_, object) => {
    expect(parse('Farm', object)).toMatchObject({ ok: false, error: { code: 'WrongKind' } });
  });
});

describe('a status that does not fit is no fault', () => {
  const condition = {
    type: 'Ready',
    status: 'True',
    reason: 'Settled',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  const cases: readonly { what: string; status: unknown; kept: unknown }[] = [
    { what: 'absent', status: undefined, kept: {} },
    {
      what: 'a state of a later release',
      status: { conditions: [condition], copies: [{ state: 'New' }] },
      kept: { conditions: [condition] },
    },
    { what: 'nonsense', status: { conditions: 1 }, kept: {} },
  ];
  test.each(cases)('$what', ({ status, kept }) => {
    const parsed = parse('VDisk', { ...aVDisk(), status });
    expect(parsed.ok && parsed.value.status).toEqual(kept);
  });
});
