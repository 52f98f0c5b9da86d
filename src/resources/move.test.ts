import { expect, test } from '@jest/globals';
import { aStore, aVDisk } from '../../test/builders/resources.ts';
import { type MoveFacts, moveTo } from './move.ts';

const fast = aStore({
  metadata: { name: 'fast' },
  status: { observedGeneration: 1, servers: [{ name: 'node-b', state: 'Accessible' }] },
});
const lab = aVDisk();
const whole: MoveFacts = { vdisk: lab, store: fast, vdisks: [lab] };

test.each<{ what: string; given?: Partial<MoveFacts>; removeOld?: boolean; patch?: object; says: string }>([
  {
    what: 'another store',
    patch: { storeRef: { name: 'fast' } },
    says: 'it goes from Store images to Store fast (node-b offer it) while devices read it; what lies where it was stays',
  },
  {
    what: 'another store, and nothing stays',
    removeOld: true,
    patch: { storeRef: { name: 'fast' }, movePolicy: 'Delete' },
    says: 'goes when that is whole',
  },
  {
    what: 'where it is',
    given: { store: aStore({ metadata: { name: 'fast' } }), vdisk: aVDisk({ spec: { storeRef: { name: 'fast' } } }) },
    patch: {},
    says: 'it is in Store fast',
  },
  {
    what: 'where it is, and what lay elsewhere stays after all',
    given: { vdisk: aVDisk({ spec: { storeRef: { name: 'fast' }, movePolicy: 'Delete' } }) },
    ...{ patch: { movePolicy: 'Retain' }, says: 'it is in Store fast' },
  },
  { what: 'no store', given: { store: undefined }, says: 'namespace lab has no Store fast' },
  {
    what: 'a store of another farm',
    given: { store: aStore({ metadata: { name: 'fast' }, spec: { farmRef: { name: 'other' } } }) },
    says: 'Store fast is of Farm other, and the VDisk of farm',
  },
  {
    what: 'a store where another vDisk has its names',
    given: { vdisks: [lab, aVDisk({ metadata: { name: 'copy' }, spec: { storeRef: { name: 'fast' } } })] },
    says: 'VDisk copy has files of that name (lab) in Store fast',
  },
])('to $what', ({ given, removeOld = false, patch, says }) => {
  const found = moveTo({ ...whole, ...given }, { to: 'fast', removeOld });
  expect(found.ok ? found.value.says : found.error.message).toContain(says);
  expect(found.ok ? found.value.patch : undefined).toEqual(patch);
});
