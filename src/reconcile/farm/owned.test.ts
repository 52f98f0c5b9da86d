import { expect, test } from '@jest/globals';
import { isRolling } from './owned.ts';

const settled = { observedGeneration: 2, currentRevision: 'a', updateRevision: 'a', readyReplicas: 1 };
test.each([
  { what: 'its pod is of its template', status: settled, rolls: false },
  { what: 'its pod starts again by itself', status: { ...settled, readyReplicas: 0 }, rolls: false },
  { what: 'its controller has not seen what is asked', status: { ...settled, observedGeneration: 1 }, rolls: true },
  { what: 'a pod of the older template is left', status: { ...settled, updateRevision: 'b' }, rolls: true },
  { what: 'it was made a moment ago', status: undefined, rolls: true },
])('$what: $rolls', ({ status, rolls }) => {
  const set = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'farm-database', generation: 2 } };
  expect(isRolling({ ...set, ...(status ? { status } : {}) })).toBe(rolls);
});
