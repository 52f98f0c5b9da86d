/** Tables of text that fit a screen. Pure. */

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string | number | undefined;
  /** It is there by `-o wide` alone. */
  readonly isWide?: true;
  /** What it is cut to at the least where the screen is narrow. Absent: it is whole, or not there. */
  readonly atLeast?: number;
}

export interface Look {
  /** Of the screen; absent: there is none, and nothing is cut. */
  readonly width?: number | undefined;
  readonly isWide?: boolean;
}

const GAP = '   ';
const CUT = '…';

/** What a farm holds is text of anybody: none of it moves the cursor, or turns the line around. */
export const plain = (text: string): string =>
  text.replace(/[\r\n\t]+/g, ' ').replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');

const lengthOf = (text: string): number => [...text].length;

/** A line a row, below the titles. Narrow: what may be cut is cut, then columns go, the last first; `-o wide` has all. */
export function tableText<Row>(columns: readonly Column<Row>[], rows: readonly Row[], look: Look = {}): string {
  const { width = Number.POSITIVE_INFINITY, isWide = false } = look;
  const all = columns
    .filter((column) => isWide || !column.isWide)
    .map(({ title, cell, atLeast }) => {
      const cells = [title, ...rows.map((row) => shown(cell(row)))];
      return {
        cells,
        width: Math.max(...cells.map(lengthOf)),
        atLeast: atLeast === undefined ? undefined : Math.max(atLeast, title.length),
      };
    });
  const kept = isWide ? all : fitting(all, width);
  const line = (row: number): string =>
    kept
      .map(({ cells, width: own }) => padded(cut(cells[row] ?? '', own), own))
      .join(GAP)
      .trimEnd();
  return `${[undefined, ...rows].map((_, row) => line(row)).join('\n')}\n`;
}

interface Sized {
  readonly cells: readonly string[];
  readonly width: number;
  readonly atLeast: number | undefined;
}

function fitting(all: readonly Sized[], width: number): readonly Sized[] {
  const gaps = GAP.length * (all.length - 1);
  const least = all.reduce((sum, column) => sum + Math.min(column.width, column.atLeast ?? column.width), gaps);
  if (least > width && all.length > 1) return fitting(all.slice(0, -1), width);
  const kept = [...all];
  for (let over = gaps - width + all.reduce((sum, column) => sum + column.width, 0); over > 0; over--) {
    // Who has the most to give gives first.
    const at = widest(kept);
    const column = kept[at];
    if (!column) break;
    kept[at] = { ...column, width: column.width - 1 };
  }
  return kept;
}

function widest(all: readonly Sized[]): number {
  let found = -1;
  for (const [at, { width, atLeast = width }] of all.entries())
    if (width > atLeast && width > (all[found]?.width ?? 0)) found = at;
  return found;
}

const shown = (value: string | number | undefined): string =>
  value === undefined || value === '' ? '-' : plain(String(value));
const cut = (text: string, width: number): string =>
  lengthOf(text) <= width ? text : `${[...text].slice(0, width - 1).join('')}${CUT}`;
const padded = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - lengthOf(text)));
