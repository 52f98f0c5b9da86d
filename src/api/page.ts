/** Lists in pages: filter, sort and cursor. Pure. */
import { isText } from '../devices/input.ts';
import { ok, type Result } from '../kit/result.ts';
import { invalid, type Problem } from './problem.ts';

export const DEFAULT_LIMIT = 100;
export const MAX_LIMIT = 500;

export interface PageQuery {
  readonly limit?: number;
  /** Of the page before. */
  readonly continue?: string;
  /** A field, or `-` and a field: from the last to the first. */
  readonly sort?: string;
}

/** Where a page begins: behind the row that has this key, and this name among those with the same key. */
export interface After {
  readonly key: string;
  readonly name: string;
}

export interface Order {
  readonly field: string;
  readonly descending: boolean;
  readonly limit: number;
  readonly after?: After;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Absent: this is the last one. */
  readonly continue?: string;
}

/** A cursor holds for the order that it was given for. */
export function orderOf(query: PageQuery, fields: readonly string[]): Result<Order, Problem> {
  const { limit = DEFAULT_LIMIT, sort = fields[0] ?? 'name' } = query;
  const descending = sort.startsWith('-');
  const field = descending ? sort.slice(1) : sort;
  if (!fields.includes(field))
    return invalid([
      { field: 'query.sort', value: sort, reason: `must be one of ${fields.join(', ')}, or - and one of them` },
    ]);
  const order = { field, descending, limit };
  if (query.continue === undefined) return ok(order);
  const after = readCursor(query.continue, sort);
  return after
    ? ok({ ...order, after })
    : invalid([
        {
          field: 'query.continue',
          value: query.continue,
          reason: `is of no page that is sorted by ${sort}: leave it out to begin anew`,
        },
      ]);
}

const cursorOf = ({ field, descending }: Order, { key, name }: After): string =>
  Buffer.from(JSON.stringify([`${descending ? '-' : ''}${field}`, key, name])).toString('base64url');

const isHeld = (value: unknown): value is string => typeof value === 'string' && isText(value);

function readCursor(text: string, sort: string): After | undefined {
  try {
    const [of, key, name]: unknown[] = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return of === sort && isHeld(key) && isHeld(name) ? { key, name } : undefined;
  } catch {
    return undefined;
  }
}

/** Of rows that were read one beyond the limit, in order. */
export function pageOfRows<T>(rows: readonly T[], order: Order, at: (row: T) => After): Page<T> {
  const items = rows.slice(0, order.limit);
  const last = items.at(-1);
  return rows.length > order.limit && last !== undefined ? { items, continue: cursorOf(order, at(last)) } : { items };
}

/** Of all rows, in any order: as the database would give them. */
export function pageOf<T>(rows: readonly T[], order: Order, at: (row: T) => After): Page<T> {
  const way = order.descending ? -1 : 1;
  const compare = (a: After, b: After): number => way * (compareText(a.key, b.key) || compareText(a.name, b.name));
  const { after } = order;
  const behind = after ? rows.filter((row) => compare(at(row), after) > 0) : rows;
  return pageOfRows(
    [...behind].sort((a, b) => compare(at(a), at(b))),
    order,
    at,
  );
}

/** As collation "C" does, but for what lies beyond the basic plane: names are ASCII. */
const compareText = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);
