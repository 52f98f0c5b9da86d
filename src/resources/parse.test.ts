import { describe, expect, test } from '@jest/globals';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../../test/builders/resources.ts';
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
