import { expect, test } from '@jest/globals';
import { type Breaker, stepBreaker } from './breaker.ts';
import { classify, type DatabaseFault } from './fault.ts';

const fault: DatabaseFault = { code: 'TimedOut', message: 'slow' };
const worse: DatabaseFault = { code: 'AuthenticationFailed', message: 'no' };
const closed: Breaker = { kind: 'Closed', since: 1 };
const open: Breaker = { kind: 'Open', since: 10, fault, attempt: 0, probeAt: 110 };
const failed = { kind: 'Failed', fault } as const;

test.each([
  ['stays closed on success, since when it was', closed, { kind: 'Succeeded' } as const, closed],
  ['opens on failure, and probes after half to all of 200 ms', closed, failed, { ...open, since: 50, probeAt: 150 }],
  [
    'stays open since when it was, names the latest fault, probes later',
    open,
    { ...failed, fault: worse },
    { ...open, fault: worse, attempt: 1, probeAt: 250 },
  ],
  ['never waits more than 5 s', { ...open, attempt: 30 }, failed, { ...open, attempt: 31, probeAt: 2_550 }],
  ['closes on success', open, { kind: 'Succeeded' } as const, { kind: 'Closed', since: 50 }],
])('%s', (_, before, event, after) => {
  expect(stepBreaker(before, event, 50, () => 0)).toEqual(after);
});

const postgres = (code: string, more: object = {}) =>
  Object.assign(new Error('said'), { severity: 'ERROR', code, ...more });

test.each([
  [postgres('25006'), 'Unreachable', true],
  [postgres('28P01'), 'AuthenticationFailed', true],
  [postgres('57014'), 'TimedOut', true],
  [postgres('57P03'), 'Unreachable', true],
  [postgres('53300'), 'Unreachable', true],
  [postgres('3D000'), 'Refused', true],
  [postgres('42P01'), 'Refused', false],
  [postgres('22021'), 'Invalid', false],
  [postgres('55P03'), 'Conflict', false],
  [postgres('23505', { constraint: 'device_mac_pkey' }), 'Conflict', false],
  [postgres('40001'), 'Conflict', false],
  [Object.assign(new Error(''), { code: 'ECONNREFUSED' }), 'Unreachable', true],
  [Object.assign(new Error('bad'), { code: 'SELF_SIGNED_CERT_IN_CHAIN' }), 'Refused', true],
  [new Error('Query read timeout'), 'TimedOut', true],
  [new Error('Connection terminated unexpectedly'), 'Unreachable', true],
])('%s is %s', (thrown, code, trips) => {
  expect(classify(thrown, 'db:5432/farm')).toMatchObject({
    fault: { code, message: /^database db:5432\/farm: ./ },
    trips,
  });
});

test('values of other rows, which PostgreSQL gives as the detail, go no further', () => {
  const thrown = postgres('23505', { constraint: 'device_mac_pkey', detail: 'Key (mac)=(52:54:00:00:00:01) exists' });
  expect(classify(thrown, 'db:5432/farm')?.fault.message).toBe('database db:5432/farm: another device has this MAC');
});

test.each(['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT'])(
  'after %s the message says where the certificate of the authority belongs',
  (code) => {
    const thrown = Object.assign(new Error('certificate; try running Node.js with --use-system-ca'), { code });
    const message = classify(thrown, 'db:5432/farm')?.fault.message;
    expect(message).toContain('ca.crt beside the uri');
    expect(message).not.toContain('Node.js');
  },
);

test.each([new TypeError('x is undefined'), 'text', undefined])('%p is a bug', (thrown) => {
  expect(classify(thrown, 'db')).toBeUndefined();
});
