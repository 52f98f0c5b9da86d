import { expect, test } from '@jest/globals';
import { type Place, Table } from './table.ts';

const SHARES = { all: 4, source: 2 };

/** A table, and who gave way in it. */
function scene() {
  const table = new Table(SHARES);
  const gone: string[] = [];
  const take = (address: string, port: number, heard = false): string => {
    const taken = table.take({ address, port });
    if (!taken.ok) return taken.error.code;
    const place: Place = taken.value;
    place.heard = heard;
    place.giveWay = () => gone.push(`${address} ${port}`);
    return 'taken';
  };
  return { table, gone, take };
}

test('the same request again has its transfer already', () => {
  const { take } = scene();
  expect([take('10.0.0.1', 7), take('10.0.0.1', 7)]).toEqual(['taken', 'Repeated']);
});

test('a full table: the oldest that was not heard gives way', () => {
  const { take, gone } = scene();
  take('10.0.0.1', 7, true);
  for (const last of [2, 3, 4, 5, 6]) expect(take(`10.0.0.${last}`, 7)).toBe('taken');
  expect(gone).toEqual(['10.0.0.2 7', '10.0.0.3 7']);
});

test('a full table of clients that were heard takes nobody', () => {
  const { take, gone } = scene();
  for (const last of [1, 2, 3, 4]) take(`10.0.0.${last}`, 7, true);
  expect([take('10.0.0.5', 7), gone]).toEqual(['TooManyTransfers', []]);
});

test('an address has its share, and only its own give way within it', () => {
  const { take, gone } = scene();
  take('10.0.0.2', 1);
  take('10.0.0.1', 1, true);
  take('10.0.0.1', 2);
  expect([take('10.0.0.1', 3, true), gone]).toEqual(['taken', ['10.0.0.1 2']]);
  expect(take('10.0.0.1', 4)).toBe('TooManyTransfersOfSource');
});

test('who left has left: its place is free, and a late leave takes nobody else’s', () => {
  const { table, take, gone } = scene();
  const first = table.take({ address: '10.0.0.1', port: 7 });
  if (!first.ok) throw new Error(first.error.code);
  table.leave(first.value);
  expect(take('10.0.0.1', 7)).toBe('taken');
  table.leave(first.value);
  expect([take('10.0.0.1', 7), table.places.length, gone]).toEqual(['Repeated', 1, []]);
});

test('a flood of forged addresses never keeps out a machine that answers at once', () => {
  const { take } = scene();
  for (let n = 0; n < 1_000; n += 1) {
    expect(take(`10.1.${n >> 8}.${n & 255}`, 7)).toBe('taken');
    if (n % 300 === 0) expect(take('10.0.0.1', n, true)).not.toBe('TooManyTransfers');
  }
});
