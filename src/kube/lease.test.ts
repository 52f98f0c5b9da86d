import { expect, test } from '@jest/globals';
import { anObject } from '../../test/builders/kube.ts';
import { decide, LEASE_TIMES, type LeaseSpec } from './lease.ts';

const epochMs = Date.parse('2026-01-01T00:00:00.123Z');
const time = '2026-01-01T00:00:00.123000Z';
const lease = (spec: LeaseSpec) => ({ lease: { ...anObject(), spec }, sinceMs: 1_000 });
const held = lease({ holderIdentity: 'other', leaseDurationSeconds: 15, leaseTransitions: 3 });
const mine = { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime: time };
const taken = { ...mine, acquireTime: time, leaseTransitions: 4 };

test.each([
  {
    what: 'no lease',
    observed: { lease: undefined, sinceMs: 0 },
    nowMs: 0,
    action: { kind: 'Create', spec: { ...taken, leaseTransitions: 0 } },
  },
  {
    what: 'a lease of mine',
    observed: lease({ holderIdentity: 'me' }),
    nowMs: 9e9,
    action: { kind: 'Write', spec: mine },
  },
  { what: 'one that was renewed just now', observed: held, nowMs: 15_999, action: { kind: 'Wait' } },
  {
    what: 'one that was not renewed for its time',
    observed: held,
    nowMs: 16_000,
    action: { kind: 'Write', spec: taken },
  },
  {
    what: 'one that was given up',
    observed: lease({ leaseTransitions: 3, leaseDurationSeconds: 1 }),
    nowMs: 1_000,
    action: { kind: 'Write', spec: taken },
  },
])('$what at $nowMs ms: $action.kind', ({ observed, nowMs, action }) => {
  expect(decide(observed, 'me', LEASE_TIMES, nowMs, epochMs)).toEqual(action);
});
