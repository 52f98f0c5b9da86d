import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Column, tableText } from './table.ts';

interface Row {
  readonly name: string;
  readonly macs: string;
  readonly message?: string;
}
const COLUMNS: readonly Column<Row>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'MAC', cell: ({ macs }) => macs, atLeast: 17 },
  { title: 'ID', cell: () => 7, isWide: true },
  { title: 'MESSAGE', cell: ({ message }) => message, atLeast: 10 },
];
const ROWS: readonly Row[] = [
  { name: 'pc0001', macs: '52:54:00:00:00:01 52:54:00:00:00:02', message: 'it waits for a version that nobody has' },
  { name: 'pc2', macs: '52:54:00:00:00:03' },
];

describe('a table on a screen', () => {
  test.each([
    [
      undefined,
      false,
      [
        'NAME     MAC                                   MESSAGE',
        'pc0001   52:54:00:00:00:01 52:54:00:00:00:02   it waits for a version that nobody has',
        'pc2      52:54:00:00:00:03                     -',
      ],
    ],
    [
      60,
      false,
      [
        'NAME     MAC                        MESSAGE',
        'pc0001   52:54:00:00:00:01 52:54…   it waits for a version …',
        'pc2      52:54:00:00:00:03          -',
      ],
    ],
    [30, false, ['NAME     MAC', 'pc0001   52:54:00:00:00:01 52…', 'pc2      52:54:00:00:00:03']],
    [8, false, ['NAME', 'pc0001', 'pc2']],
    [
      20,
      true,
      [
        'NAME     MAC                                   ID   MESSAGE',
        'pc0001   52:54:00:00:00:01 52:54:00:00:00:02   7    it waits for a version that nobody has',
        'pc2      52:54:00:00:00:03                     7    -',
      ],
    ],
  ])('%s characters wide, all of it: %s', (width, isWide, lines) => {
    expect(tableText(COLUMNS, ROWS, { width, isWide })).toBe(`${lines.join('\n')}\n`);
  });

  test('no row: the titles', () => {
    expect(tableText(COLUMNS, [])).toBe('NAME   MAC   MESSAGE\n');
  });

  test('what a device says of itself moves no cursor and makes no line', () => {
    const text = tableText(COLUMNS, [{ name: 'a\u001b[2Jb', macs: 'x\ny', message: '\u202eright\u0007' }]);
    expect(text.split('\n')[1]).toBe('a?[2Jb   x y   ?right?');
  });

  test('no line is longer than the screen, whatever stands there, but for a name', () => {
    const rows = fc.array(fc.record({ name: fc.string({ maxLength: 8 }), macs: fc.string(), message: fc.string() }));
    fc.assert(
      fc.property(rows, fc.integer({ min: 8, max: 200 }), (some, width) => {
        const lines = tableText(COLUMNS, some, { width }).split('\n');
        expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(width);
        expect(lines).toHaveLength(some.length + 2);
      }),
      { seed: 20_261_130, numRuns: 300 },
    );
  });
});
