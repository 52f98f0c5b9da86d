import { expect, test } from '@jest/globals';
import { PACED_LOG_MS, paced } from './paced.ts';

test('the first line at once, then one an interval that says how many there were', () => {
  const lines: unknown[] = [];
  let nowMs = 0;
  const tell = paced(
    (fields, message) => lines.push([message, fields]),
    'not sent',
    () => nowMs,
  );
  for (let n = 0; n < 5_000; n += 1) tell({ n });
  nowMs = PACED_LOG_MS;
  for (let n = 5_000; n < 6_000; n += 1) tell({ n });
  nowMs = 3 * PACED_LOG_MS;
  tell({ n: 6_000 });
  expect(lines).toEqual([
    ['not sent', { n: 0 }],
    ['not sent', { n: 5_000, more: 4_999 }],
    ['not sent', { n: 6_000, more: 999 }],
  ]);
});
