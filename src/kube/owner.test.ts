import { expect, test } from '@jest/globals';
import { anObject } from '../../test/builders/kube.ts';
import { kinds } from './kinds.ts';
import { controllerRef, labelled, ownedBy } from './owner.ts';

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
