import { describe, expect, test } from '@jest/globals';
import { anObject } from '../../test/builders/kube.ts';
import { ok } from '../kit/result.ts';
import { applyChanged, applyStatusChanged, covers } from './apply.ts';
import type { Client } from './client.ts';
import { kinds } from './kinds.ts';
import { at, type KubeObject } from './object.ts';

test.each([
  { live: { a: 1, b: 2 }, desired: { a: 1 }, covered: true },
  { live: { a: 1 }, desired: { a: 2 }, covered: false },
  { live: {}, desired: { a: 1 }, covered: false },
  { live: { a: [{ x: 1, y: 2 }] }, desired: { a: [{ x: 1 }] }, covered: true },
  { live: { a: [{ x: 1 }, { x: 2 }] }, desired: { a: [{ x: 1 }] }, covered: false },
  { live: { a: 'x' }, desired: { a: { b: 1 } }, covered: false },
  { live: { a: null }, desired: { a: {} }, covered: false },
  { live: { a: 1 }, desired: { a: '1' }, covered: false },
  { live: undefined, desired: [], covered: false },
])('$live covers $desired: $covered', ({ live, desired, covered }) => {
  expect(covers(live, desired)).toBe(covered);
});

/** A client that applies by keeping the body, and fills in a default as the API does. */
function keeper() {
  const sent: object[] = [];
  const apply = async (_: unknown, body: { metadata?: object; spec?: object }) => {
    sent.push(body);
    const spec = { defaulted: true, ...body.spec };
    return ok({ ...body, spec, metadata: { name: 'a', ...body.metadata } } as KubeObject);
  };
  const applyStatus = async (_: unknown, status: object) => {
    sent.push(status);
    return ok({ ...anObject(), status });
  };
  return { sent, client: { apply, applyStatus } as unknown as Client };
}

const target = at(kinds.Deployment, 'lab', 'a');

describe('an apply', () => {
  test('is sent once, and never for what is as asked already, in whatever order it is written', async () => {
    const { sent, client } = keeper();
    const first = await applyChanged(client, target, { spec: { a: 1, b: { c: 2, d: undefined } } }, undefined);
    if (!first.ok) throw new Error(first.error.message);
    expect(first.value.changed).toBe(true);
    const again = await applyChanged(client, target, { spec: { b: { c: 2 }, a: 1 } }, first.value.object);
    expect(again).toMatchObject({ ok: true, value: { changed: false } });
    expect(sent).toHaveLength(1);
  });

  test.each([
    ['what somebody changed', { spec: { a: 1 } }, (live: KubeObject) => ({ ...live, spec: { a: 5 } })],
    ['what we ask for now', { spec: { a: 2 } }, (live: KubeObject) => live],
    ['what we stopped asking for', { spec: {} }, (live: KubeObject) => live],
  ])('is sent for %s', async (_, desired, meanwhile) => {
    const { sent, client } = keeper();
    const first = await applyChanged(client, target, { spec: { a: 1 } }, undefined);
    if (!first.ok) throw new Error(first.error.message);
    await applyChanged(client, target, desired, meanwhile(first.value.object));
    expect(sent).toHaveLength(2);
  });
});

describe('a status', () => {
  test.each([
    { live: { a: [1], b: { c: 1 } }, status: { b: { c: 1, d: undefined }, a: [1] }, sent: 0 },
    { live: { a: 1 }, status: { a: 2 }, sent: 1 },
    { live: { a: 1, b: 1 }, status: { a: 1 }, sent: 1 },
    { live: undefined, status: {}, sent: 0 },
    { live: { observedGeneration: -1 }, status: { observedGeneration: 1 }, sent: 1 },
  ])('$status over $live is sent $sent times', async ({ live, status, sent }) => {
    const keeps = keeper();
    await applyStatusChanged(keeps.client, target, status, { ...anObject(), status: live });
    expect(keeps.sent).toHaveLength(sent);
  });
});
