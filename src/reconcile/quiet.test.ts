import { expect, test } from '@jest/globals';
import { COUNTS_EVERY_MS, keepDevices, keepWords, Quiet } from './quiet.ts';
import { Recent } from './recent.ts';

interface Status {
  readonly devices?: number;
  readonly state: string;
}

test('the first move of a count is told at once, the next ones not before 30 s, everything else at once', () => {
  const quiet = new Quiet();
  let written: Status | undefined;
  const look = (devices: number, state: string, nowMs: number): Status => {
    written = quiet.status<Status>('default/main', written, { devices, state }, keepDevices, nowMs);
    return written;
  };
  expect(look(0, 'A', 0)).toEqual({ devices: 0, state: 'A' });
  expect(look(1, 'A', 1)).toEqual({ devices: 1, state: 'A' });
  expect(look(2, 'A', 2)).toEqual({ devices: 1, state: 'A' });
  expect(look(3, 'B', 3)).toEqual({ devices: 1, state: 'B' });
  expect(look(4, 'B', COUNTS_EVERY_MS)).toEqual({ devices: 1, state: 'B' });
  expect(look(5, 'B', COUNTS_EVERY_MS + 1)).toEqual({ devices: 5, state: 'B' });
  quiet.forget('default/main');
  expect(look(6, 'B', COUNTS_EVERY_MS + 2)).toEqual({ devices: 6, state: 'B' });
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
