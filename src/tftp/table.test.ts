import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Source } from '../net/source.ts';
import { type Place, Table } from './table.ts';

const STRANGER = { address: '10.0.0.9', port: 9 };
const SHARES = { all: 4, source: 2, ports: 2 };

/** A table, and who gave way in it. */
function scene() {
  const table = new Table(SHARES);
  const gone: string[] = [];
  const take = (address: string, port: number, heard = false, request = 'RRQ a'): string => {
    const taken = table.take({ address, port }, request);
    if (!taken.ok) return taken.error.code;
    const place: Place = taken.value;
    if (heard) table.hear(place);
    place.giveWay = () => gone.push(`${address} ${port}`);
    return 'taken';
  };
  return { table, gone, take };
}

test('the same request again has its transfer already', () => {
  const { take } = scene();
  expect([take('10.0.0.1', 7), take('10.0.0.1', 7)]).toEqual(['taken', 'Repeated']);
});

test('the same request of a client that was heard is a machine that was switched off and on: it has the next transfer once it is heard', () => {
  const { table, take, gone } = scene();
  take('10.0.0.1', 7, true);
  expect([take('10.0.0.1', 7), take('10.0.0.1', 7), gone]).toEqual(['taken', 'Repeated', []]);
  const [, again] = table.places;
  if (again) table.hear(again);
  expect([gone, table.places]).toEqual([['10.0.0.1 7'], [again]]);
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
  const first = table.take({ address: '10.0.0.1', port: 7 }, 'RRQ a');
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

describe('transfers share ports', () => {
  const place = (table: Table, client: Source, request: string): Place => {
    const taken = table.take(client, request);
    if (!taken.ok) throw new Error(taken.error.code);
    return taken.value;
  };
  const client = { address: '10.0.0.1', port: 2070 };

  test('a packet belongs to the transfer of its client at the port where it came in', () => {
    const table = new Table(SHARES);
    const size = place(table, client, 'RRQ tsize');
    table.hear(size);
    const file = place(table, client, 'RRQ');
    expect(new Set([size.port, file.port])).toEqual(new Set([0, 1]));
    expect([table.find(size.port, client), table.find(file.port, client)]).toEqual([size, file]);
    for (const stranger of [
      { ...client, port: 2071 },
      { ...client, address: '10.0.0.2' },
    ])
      expect(table.find(size.port, stranger)).toBeUndefined();
  });

  test.each([
    ['that was never heard is ended at once', false, 0],
    ['that was heard is ended when the new one is heard, as a request may be forged', true, 1],
  ])('another request of the same port: the transfer before it %s', (_, heard, before) => {
    const table = new Table({ ...SHARES, source: 3, ports: 3 });
    const gone: Place[] = [];
    const size = place(table, client, 'RRQ tsize');
    const neighbour = place(table, { ...client, port: 2071 }, 'RRQ tsize');
    for (const one of [size, neighbour]) one.giveWay = () => gone.push(one);
    if (heard) table.hear(size);
    const file = place(table, client, 'RRQ');
    expect(gone).toEqual(before === 0 ? [size] : []);
    expect(table.find(file.port, client)).toBe(file);
    table.hear(file);
    expect([gone, table.find(size.port, client), table.places]).toEqual([[size], undefined, [neighbour, file]]);
  });

  test('another request gets another port, however many of others came between: an ERROR that comes late for the one before ends nothing', () => {
    for (let between = 0; between < 5; between += 1) {
      const table = new Table({ all: 99, source: 3, ports: 3 });
      const size = place(table, client, 'RRQ tsize');
      for (let n = 0; n < between; n += 1) place(table, { address: `10.0.1.${n}`, port: 7 }, 'RRQ');
      expect(place(table, client, 'RRQ').port).not.toBe(size.port);
    }
  });

  test('what comes late for the transfer before is not told: its client has another', () => {
    const table = new Table(SHARES);
    const size = place(table, client, 'RRQ tsize');
    table.hear(size);
    const other = { ...client, address: '10.0.0.2' };
    place(table, client, 'RRQ');
    expect([table.mayTellStranger(size.port, client), table.mayTellStranger(size.port, other)]).toEqual([false, true]);
  });

  test('one after the other they are at different ports: what comes late for the first is no word of the second', () => {
    const table = new Table(SHARES);
    const first = place(table, client, 'RRQ');
    table.leave(first);
    expect(place(table, client, 'RRQ').port).not.toBe(first.port);
  });

  test('strangers at a port are told so once for each transfer of it', () => {
    const table = new Table({ ...SHARES, ports: 1, source: 1 });
    expect(table.mayTellStranger(0, STRANGER)).toBe(false);
    const first = place(table, client, 'RRQ');
    place(table, { ...client, address: '10.0.0.2' }, 'RRQ');
    expect([1, 2, 3].map(() => table.mayTellStranger(0, STRANGER))).toEqual([true, true, false]);
    table.leave(first);
    expect(table.mayTellStranger(0, STRANGER)).toBe(false);
    place(table, client, 'RRQ');
    expect([1, 2].map(() => table.mayTellStranger(0, STRANGER))).toEqual([true, false]);
  });

  test('in any order of takes, words and leaves: shares hold, each is found where it is, and only the unheard gave way, or to their own client', () => {
    const step = fc.record({
      last: fc.integer({ min: 1, max: 3 }),
      port: fc.integer({ min: 7, max: 8 }),
      what: fc.constantFrom('take', 'takeOther', 'hear', 'leave'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const table = new Table(SHARES);
        const wrong: Place[] = [];
        for (const { last, port, what } of steps) {
          const from = { address: `10.0.0.${last}`, port };
          const running = table.places.find((one) => one.client.address === from.address && one.client.port === port);
          if (what === 'hear' && running) table.hear(running);
          else if (what === 'leave' && running) table.leave(running);
          else {
            const taken = table.take(from, what);
            const replaced = (): boolean =>
              table.places.some((one) => one.heard && one.client.address === from.address && one.client.port === port);
            if (taken.ok) taken.value.giveWay = () => taken.value.heard && !replaced() && wrong.push(taken.value);
          }
          const { places } = table;
          expect(places.length).toBeLessThanOrEqual(SHARES.all);
          for (const one of places) expect(table.find(one.port, one.client)).toBe(one);
          for (const last of [1, 2, 3])
            expect(places.filter((one) => one.client.address === `10.0.0.${last}`).length).toBeLessThanOrEqual(2);
        }
        expect(wrong).toEqual([]);
      }),
      { seed: 15, numRuns: 300 },
    );
  });
});
