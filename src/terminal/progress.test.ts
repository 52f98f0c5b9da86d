import { expect, test } from '@jest/globals';
import { progressOn } from './progress.ts';

const MIB = 1 << 20;

/** What was said, of marks [ms, MiB done] of work of `total` MiB. */
function said(isWatched: boolean, total: number | undefined, marks: readonly (readonly [number, number])[]): string {
  let text = '';
  let now = 0;
  const err = (more: string): void => {
    text += more;
  };
  const terminal = { isWatched, err };
  const progress = progressOn(terminal, 'lab.raw: ', () => now);
  for (const [ms, done] of marks) {
    now = ms;
    progress.tell(done * MIB, total === undefined ? undefined : total * MIB);
  }
  progress.end();
  return text;
}

test('on a screen one line is written over, once a second, and goes at the end', () => {
  const marks = [
    [0, 0],
    [500, 10],
    [1_000, 20],
    [2_000, 50],
  ] as const;
  expect(said(true, 200, marks)).toBe(
    '\r\u001b[Klab.raw: 10 % of 200 MiB, 20.0 MiB/s, 9 s left\r\u001b[Klab.raw: 25 % of 200 MiB, 25.0 MiB/s, 6 s left\r\u001b[K',
  );
});

test('elsewhere a line needs 30 s and a tenth of it', () => {
  const marks = [
    [0, 0],
    [10_000, 60], // much, and soon
    [31_000, 61],
    [62_000, 62], // late, and little
    [63_000, 81],
  ] as const;
  expect(said(false, 200, marks)).toBe(
    'lab.raw: 30 % of 200 MiB, 2.0 MiB/s, 71 s left\nlab.raw: 40 % of 200 MiB, 1.3 MiB/s, 2 min left\n',
  );
});

test('what came before is no measure, and what has no known end has no percent', () => {
  expect(
    said(true, 200, [
      [0, 100],
      [1_000, 110],
    ]),
  ).toContain('55 % of 200 MiB, 10.0 MiB/s, 9 s left');
  expect(
    said(true, undefined, [
      [0, 0],
      [2_000, 10],
    ]),
  ).toContain('lab.raw: 10.0 MiB, 5.0 MiB/s');
  expect(
    said(true, 0, [
      [0, 0],
      [2_000, 0],
    ]),
  ).toContain('100 % of 0 bytes');
});
