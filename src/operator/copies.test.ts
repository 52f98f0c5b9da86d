import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Database } from '../database/connection.ts';
import type { CopyRow } from '../database/copies.ts';
import { fail, ok } from '../kit/result.ts';
import { type CopiesFound, CopyRecord, copyChanges } from './copies.ts';

const row = (server: string, version: number, more: Partial<CopyRow> = {}): CopyRow => ({
  ...{ server, version, state: 'UpToDate', message: '' },
  ...more,
});
const copying = (progressPercent: number, secondsLeft: number): CopyRow =>
  row('b', 1, { state: 'Copying', progressPercent, secondsLeft });
const shown = (images: Record<string, readonly number[] | 'Unknown'>): CopiesFound['images'] =>
  new Map(Object.entries(images).map(([server, of]) => [server, of === 'Unknown' ? of : new Set(of)]));
const BOTH = shown({ a: [1], b: [1] });

test.each<{
  what: string;
  there?: readonly CopyRow[];
  copies: readonly CopyRow[];
  images?: CopiesFound['images'];
  put?: readonly CopyRow[];
  gone?: readonly string[];
}>([
  { what: 'what is new is written', copies: [row('a', 1)], put: [row('a', 1)] },
  { what: 'what is as it was is not', there: [row('a', 1)], copies: [row('a', 1)] },
  {
    what: 'of several the one that changed is',
    there: [row('a', 1), row('b', 1)],
    copies: [row('a', 1), row('b', 1, { state: 'Missing', message: 'not there' })],
    put: [row('b', 1, { state: 'Missing', message: 'not there' })],
  },
  {
    what: 'another message is a change',
    there: [row('a', 1)],
    copies: [row('a', 1, { message: 'x' })],
    put: [row('a', 1, { message: 'x' })],
  },
  { what: 'another ten percent are', there: [copying(10, 90)], copies: [copying(20, 80)], put: [copying(20, 80)] },
  { what: 'how long it takes is none by itself', there: [copying(10, 90)], copies: [copying(10, 80)] },
  {
    what: 'a message has an end',
    copies: [row('a', 1, { message: 'x'.repeat(2_000) })],
    put: [row('a', 1, { message: `${'x'.repeat(1_023)}…` })],
  },
  {
    what: 'and is cut between characters',
    copies: [row('a', 1, { message: `${'x'.repeat(1_022)}🖴🖴` })],
    put: [row('a', 1, { message: `${'x'.repeat(1_022)}\ufffd…` })],
  },
  {
    what: 'one that was cut is not written again',
    there: [row('a', 1, { message: `${'x'.repeat(1_023)}…` })],
    copies: [row('a', 1, { message: 'x'.repeat(2_000) })],
  },
  {
    what: 'a server that should have none loses its row',
    there: [row('a', 1), row('c', 1)],
    copies: [row('a', 1)],
    gone: ['c/1'],
  },
  {
    what: 'a version whose image is nowhere loses its rows',
    there: [row('a', 1), row('a', 2)],
    copies: [row('a', 1)],
    gone: ['a/2'],
  },
  {
    what: 'of a version that no VDisk names what was said last stays while its image lies there',
    ...{ there: [row('a', 1), row('a', 2), row('b', 2)], copies: [row('a', 1)] },
    images: shown({ a: [1, 2], b: [1] }),
    gone: ['b/2'],
  },
  {
    what: 'nor does it go while its server does not answer',
    ...{ there: [row('a', 2), row('b', 2)], copies: [row('a', 1)], put: [row('a', 1)] },
    images: shown({ a: 'Unknown' }),
    gone: ['b/2'],
  },
])('$what', ({ there = [], copies, images = BOTH, put = [], gone = [] }) => {
  const changes = copyChanges(there, { copies, images });
  expect({ ...changes, gone: changes.gone.map(({ server, version }) => `${server}/${version}`) }).toEqual({
    put,
    gone,
  });
});

test('whatever was there, once it is written nothing is left to write, and each verdict stands', () => {
  const server: fc.Arbitrary<string> = fc.constantFrom('a', 'b', 'c');
  const version = fc.nat(3);
  const state = fc.constantFrom('UpToDate', 'Missing', 'Copying') as fc.Arbitrary<CopyRow['state']>;
  const rows = fc.uniqueArray(
    fc.record({ server, version, state, message: fc.constantFrom('', 'x', 'y'.repeat(2_000)) }),
    { selector: (one) => `${one.version}/${one.server}` },
  );
  const images = fc.dictionary(server, fc.oneof(fc.constant('Unknown' as const), fc.array(version)));
  fc.assert(
    fc.property(rows, rows, images, (there, copies, of) => {
      const found = { copies, images: shown(of) };
      const keyOf = (one: CopyRow) => `${one.version}/${one.server}`;
      const { put, gone } = copyChanges(there, found);
      const after = new Map(there.map((one) => [keyOf(one), one]));
      for (const one of gone) after.delete(`${one.version}/${one.server}`);
      for (const one of put) after.set(keyOf(one), one);
      expect(copyChanges([...after.values()], found)).toEqual({ put: [], gone: [] });
      for (const copy of copies) expect(after.get(keyOf(copy))?.state).toBe(copy.state);
    }),
  );
});

test('while the database is away it is asked at each look, once it answered the same is not asked for again', async () => {
  let isAway = true;
  let asked = 0;
  const run = async () => {
    asked++;
    return isAway ? fail('Unreachable', 'no answer') : ok([row('a', 1)]);
  };
  const database = { run } as unknown as Database;
  const record = new CopyRecord();
  const look = (...copies: readonly CopyRow[]) => record.record(database, 'lab', { copies, images: BOTH });
  const answers = [await look(row('a', 1)), await look(row('a', 1))];
  isAway = false;
  answers.push(await look(row('a', 1)), await look(row('a', 1)));
  expect([answers.map((answer) => answer.ok), asked]).toEqual([[false, false, true, true], 3]);
  await look(row('a', 1), copying(10, 90));
  expect(asked).toBe(5);
  await look(row('a', 1), copying(10, 20));
  expect(asked).toBe(5);
});
