import { expect, test } from '@jest/globals';
import { Recent } from '../operator/recent.ts';
import type { Condition } from '../resources/conditions.ts';
import { BEGINNING_MS, COUNTS_EVERY_MS, keepDevices, keepWords, Quiet } from './quiet.ts';

interface Status {
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
  readonly devices?: number;
  readonly state: string;
}

const judged = (status: 'True' | 'False', observedGeneration = 1): Status => ({
  observedGeneration,
  conditions: [{ type: 'Ready', status, reason: 'Settled', message: '', lastTransitionTime: '2026-11-23T12:00:00Z' }],
  state: 'A',
});

const rollsOut: Status = {
  ...judged('False'),
  conditions: [
    ...(judged('False').conditions ?? []),
    { type: 'Reconciling', status: 'True', reason: 'RollingOut', message: '', lastTransitionTime: '' },
  ],
};

const knowsNothing: Status = {
  ...judged('False'),
  conditions: (judged('False').conditions ?? []).map((condition) => ({ ...condition, reason: 'FarmNotReady' })),
};

test('more devices are told at once, fewer not before 30 s since the last time, everything else at once', () => {
  const quiet = new Quiet();
  let written: Status | undefined;
  const observe = (devices: number, state: string, nowMs: number): Status => {
    written = quiet.status<Status>('default/main', written, { devices, state }, keepDevices, nowMs);
    return written;
  };
  expect(observe(0, 'A', 0)).toEqual({ devices: 0, state: 'A' });
  expect(observe(9, 'A', 1)).toEqual({ devices: 9, state: 'A' });
  expect(observe(8, 'A', 2)).toEqual({ devices: 8, state: 'A' });
  expect(observe(7, 'A', 3)).toEqual({ devices: 8, state: 'A' });
  expect(observe(9, 'A', 4)).toEqual({ devices: 9, state: 'A' });
  expect(observe(6, 'B', 5)).toEqual({ devices: 9, state: 'B' });
  expect(observe(5, 'B', COUNTS_EVERY_MS + 1)).toEqual({ devices: 9, state: 'B' });
  expect(observe(4, 'B', COUNTS_EVERY_MS + 2)).toEqual({ devices: 4, state: 'B' });
  quiet.forget('default/main');
  expect(observe(3, 'B', COUNTS_EVERY_MS + 3)).toEqual({ devices: 3, state: 'B' });
});

test.each<{ what: string; before?: Status; after: Status; atMs: number; told: 'before' | 'after' }>([
  { what: 'takes no verdict back at first', after: judged('False'), atMs: BEGINNING_MS - 1, told: 'before' },
  { what: 'does once it must know', after: judged('False'), atMs: BEGINNING_MS, told: 'after' },
  {
    what: 'takes nothing back of what is not Ready while its Farm has no runtime',
    before: judged('False'),
    after: { ...knowsNothing, state: 'B' },
    atMs: 0,
    told: 'before',
  },
  { what: 'tells at once what follows from another spec', after: judged('False', 2), atMs: 0, told: 'after' },
  { what: 'tells at once that it rolls something out', after: rollsOut, atMs: 0, told: 'after' },
  { what: 'tells at once what is no verdict', after: { ...judged('True'), state: 'B' }, atMs: 0, told: 'after' },
  {
    what: 'tells at once of what had no status',
    before: { state: 'A' },
    after: judged('False'),
    atMs: 0,
    told: 'after',
  },
])('a leader that has just begun $what', ({ before = judged('True'), after, atMs, told }) => {
  const quiet = new Quiet();
  const observe = (nowMs: number): Status =>
    quiet.status<Status>('default/main', before, after, (found) => found, nowMs);
  quiet.status<Status>('default/other', undefined, before, (found) => found, 1_000);
  expect(observe(1_000 + atMs)).toBe(told === 'before' ? before : after);
});

test('a fault is news once, and again after it was gone or was another one', () => {
  const quiet = new Quiet();
  const away = { code: 'Unreachable', message: 'no answer' };
  const refused = { code: 'Refused', message: 'no' };
  const said = [away, away, refused, away, undefined, away].map((fault) => quiet.isNews('Farm a/b led', fault));
  expect(said).toEqual([true, false, true, true, false, true]);
  quiet.forget('Farm a/b');
  expect(quiet.isNews('Farm a/b led', away)).toBe(true);
});

test('one that leads again begins again', () => {
  const quiet = new Quiet();
  const observe = (nowMs: number): Status =>
    quiet.status<Status>('default/main', judged('True'), judged('False'), (found) => found, nowMs);
  expect([observe(0), observe(BEGINNING_MS)]).toEqual([judged('True'), judged('False')]);
  quiet.rest();
  expect(observe(BEGINNING_MS + 1)).toEqual(judged('True'));
});

test('a condition keeps its words while it says the same', () => {
  const at = { lastTransitionTime: '2026-11-23T12:00:00Z' };
  const uneven = (message: string, status: 'True' | 'False' = 'False') =>
    ({ type: 'Balanced', status, reason: 'LoadUneven', message, ...at }) as const;
  expect(keepWords([uneven('9 of 12')], [uneven('8 of 10')], ['Balanced'])).toEqual([uneven('8 of 10')]);
  expect(keepWords([uneven('9 of 12')], [uneven('8 of 10')], [])).toEqual([uneven('9 of 12')]);
  expect(keepWords([uneven('fair', 'True')], [uneven('8 of 10')], ['Balanced'])).toEqual([uneven('fair', 'True')]);
});

test('what was found right is not asked for again while it lives, unless it is something else', () => {
  const recent = new Recent(10);
  expect(recent.has('secret', 'x', 0)).toBe(false);
  recent.note('secret', 'x', 0);
  expect([recent.has('secret', 'x', 9), recent.has('secret', 'y', 9), recent.has('secret', 'x', 10)]).toEqual([
    true,
    false,
    false,
  ]);
});
