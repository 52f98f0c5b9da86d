import { expect, test } from '@jest/globals';
import { anObject } from '../../test/builders/kube.ts';
import { fail, ok } from '../kit/result.ts';
import type { Client } from './client.ts';
import { kinds } from './kinds.ts';
import { at, type Target } from './object.ts';
import { controllerRef, labelled, orphan, ownedBy } from './owner.ts';

const farm = anObject({ name: 'main', uid: 'uid-main' });
const ref = controllerRef(kinds.Farm, farm);

test.each([
  { owners: [ref], keys: ['lab/main'] },
  { owners: [{ ...ref, apiVersion: 'bootfarm.io/v1' }], keys: ['lab/main'] },
  { owners: [{ ...ref, controller: false }], keys: [] },
  { owners: [{ ...ref, kind: 'Store' }], keys: [] },
  { owners: [{ ...ref, apiVersion: 'elsewhere.io/v1' }], keys: [] },
  { owners: [], keys: [] },
])('a child of $owners concerns $keys', ({ owners, keys }) => {
  expect(ownedBy(kinds.Farm)(anObject({ ownerReferences: owners }))).toEqual(keys);
});

test('an owner without a uid was never read', () => {
  const { uid: _, ...metadata } = farm.metadata;
  expect(() => controllerRef(kinds.Farm, { metadata })).toThrow('Farm main has no uid');
});

test('a label names an owner where there is no reference', () => {
  expect(labelled('bootfarm.io/farm')(anObject({ labels: { 'bootfarm.io/farm': 'main' } }))).toEqual(['lab/main']);
  expect(labelled('bootfarm.io/farm')(anObject())).toEqual([]);
});

test.each([
  { owners: [ref], left: null },
  { owners: [{ ...ref, uid: 'of another' }, ref], left: [{ ...ref, uid: 'of another' }] },
  { owners: [{ ...ref, uid: 'of another' }], left: 'untouched' },
  { owners: [], left: 'untouched' },
  { owners: undefined, left: 'untouched' },
])('of $owners an owner that goes leaves $left', async ({ owners, left }) => {
  let written: unknown = 'untouched';
  const client = {
    get: async () => (owners ? ok(anObject({ ownerReferences: owners })) : fail('NotFound', 'gone')),
    patch: async (_: unknown, body: { metadata: { ownerReferences: unknown } }) => {
      written = body.metadata.ownerReferences;
      return ok({});
    },
  } as unknown as Client;
  const target = at(kinds.Service, 'lab', 'main-database');
  expect(await orphan(client, 'uid-main', [target], new AbortController().signal)).toEqual(ok(undefined));
  expect(written).toEqual(left);
});

test('what cannot be let go is said', async () => {
  const targets = ['a', 'b', 'c'].map((name) => at(kinds.Service, 'lab', name));
  const client = {
    get: async ({ name }: Target) => (name === 'b' ? fail('TimedOut', 'no answer') : fail('NotFound', 'gone')),
  } as unknown as Client;
  expect(await orphan(client, 'uid-main', targets, new AbortController().signal)).toEqual(
    fail('TimedOut', 'no answer'),
  );
});
