import { expect, test } from '@jest/globals';
import { aSnapshot, aVDisk, aVersion } from '../../test/builders/farm.ts';
import type { Version } from './model.ts';
import { planRollback, type Rollback } from './rollback.ts';

const version = (number: number, more: Partial<Version> = {}) => aVersion({ number, settledAt: 10 * number, ...more });
const { content: _, ...unknown } = version(1);
const LATEST = 1_000;

test.each<{ what: string; versions: readonly Version[]; to?: Rollback['to']; pinned?: number; gives: string | RegExp }>(
  [
    { what: 'the one before', versions: [version(0), version(1), version(2)], gives: '2 → 1' },
    {
      what: 'the one before what is pinned',
      versions: [version(0), version(1), version(2)],
      pinned: 1,
      gives: '1 → 0',
    },
    {
      what: 'one that few have, where none was complete',
      versions: [0, 1, 2].map((number) => aVersion({ number })),
      gives: '2 → 1',
    },
    {
      what: 'a named one of another access',
      versions: [version(0), version(1, { access: 'Test' })],
      to: { version: 1 },
      gives: '0 → 1',
    },
    {
      what: 'never forward, nor to what it boots',
      versions: [version(0, { settledAt: 500 }), version(1), version(2)],
      pinned: 0,
      to: { asOfSeconds: 100 },
      gives: /lab has none before version 0 that was released/,
    },
    { what: 'none that is Test', versions: [version(0), version(1, { access: 'Test' }), version(2)], gives: '2 → 0' },
    { what: 'none whose content nobody knows', versions: [version(0), unknown, version(2)], gives: '2 → 0' },
    {
      what: 'the one that is named',
      versions: [version(0), version(1), version(2)],
      to: { version: 0 },
      gives: '2 → 0',
    },
    {
      what: 'what was complete then',
      versions: [version(0), version(1), version(2), version(3)],
      to: { asOfSeconds: 19 },
      gives: '3 → 1',
    },
    {
      what: 'what was released then',
      versions: [version(0), version(1, { releaseAt: 20 }), version(2)],
      to: { asOfSeconds: 19 },
      gives: '2 → 0',
    },
    { what: 'nothing before the first', versions: [version(0)], gives: /lab has none before version 0: .* are 0;/ },
    {
      what: 'nothing so long ago',
      versions: [version(1)],
      to: { asOfSeconds: 9 },
      gives: /complete at 1970-01-01T00:00:09/,
    },
    {
      what: 'none of that number',
      versions: [version(0)],
      to: { version: 7 },
      gives: /lab has no version 7 to go to: /,
    },
  ],
)('a vDisk goes back to $what', ({ versions, to, pinned, gives }) => {
  const vdisk = aVDisk(pinned === undefined ? {} : { bootVersion: pinned });
  const snapshot = aSnapshot({ vdisks: [vdisk], versions, overrides: [{ vdisk: 'lab', version: 0 }] });
  const plan = planRollback(snapshot, { vdisks: ['lab'], ...(to ? { to } : {}) }, LATEST);
  const [step] = plan.ok ? plan.value : [];
  const told = plan.ok ? step?.kind === 'back' && `${step.from} → ${step.version}` : plan.error.message;
  expect(told).toEqual(typeof gives === 'string' ? gives : expect.stringMatching(gives));
});

test('of all, those that have nothing before stay, and it is said why; a name that is none is told beside those that are', () => {
  const snapshot = aSnapshot({
    vdisks: [aVDisk(), aVDisk({ name: 'other' })],
    versions: [version(0), version(1), version(0, { vdisk: 'other' })],
  });
  expect(planRollback(snapshot, {}, LATEST)).toEqual({
    ok: true,
    value: [
      { kind: 'back', vdisk: 'lab', from: 1, version: 0 },
      { kind: 'stays', vdisk: 'other', from: 0, why: expect.stringContaining('none before version 0') },
    ],
  });
  expect(planRollback(snapshot, { vdisks: ['lap'] }, LATEST)).toMatchObject({
    error: { code: 'VDiskUnknown', message: 'the farm has no vDisk lap: it has lab, other' },
  });
});
