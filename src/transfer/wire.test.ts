import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bitmapOf, chunksOf } from './holdings.ts';
import { claimsOf } from './local.ts';
import { encode } from './manifest.ts';
import { Pace } from './pace.ts';
import { parseRuns, runsOf } from './wire.ts';

const FILE = { chunks: 1_000, chunkBytes: 65_536 };

test('chunks are asked for as they are understood', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 999 }), { minLength: 1, maxLength: 32 }), (some) => {
      const chunks = some.toSorted((a, b) => a - b);
      const runs = parseRuns(runsOf(chunks), FILE);
      const all = runs.ok
        ? runs.value.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, at) => from + at))
        : [];
      expect(all).toEqual(chunks);
    }),
  );
});

test.each([
  ['', 'is none'],
  ['1-', 'is none'],
  ['1e3', 'is none'],
  ['5,5', 'not in order'],
  ['7-6', 'not in order'],
  ['1000', 'has 1000'],
  ['0-32', 'more than 2097152 bytes'],
  [Array.from({ length: 65 }, (_, at) => 2 * at).join(), '64 at most'],
])('"%s" is refused: %s', (text, message) => {
  expect(parseRuns(text, FILE)).toMatchObject({ ok: false, error: { message: expect.stringContaining(message) } });
});

test('what is held survives its bitmap', () => {
  fc.assert(
    fc.property(fc.uint8Array({ max: 1, maxLength: 70 }), (has) => {
      expect(chunksOf(bitmapOf(has), has.length)).toEqual(has);
    }),
  );
});

/** A chunk a letter; `.` is zeros. */
function manifestOf(text: string) {
  const zeros = Uint8Array.from(text, (letter) => (letter === '.' ? 1 : 0));
  const digests = Buffer.concat([...text].map((letter) => Buffer.alloc(32, letter)));
  return encode({ sizeBytes: text.length * 65_536, chunkBytes: 65_536, sha256: '00'.repeat(32), digests, zeros });
}

test.each([
  { here: 'abcd', wanted: 'abcd', from: '0123' },
  { here: 'abcd', wanted: 'xbad', from: '-103' },
  { here: 'aab', wanted: 'baa', from: '211' },
  { here: 'a.c', wanted: 'c.a', from: '2-0' },
  { here: '...', wanted: 'abc', from: '---' },
])('of $wanted $here gives $from', ({ here, wanted, from }) => {
  const want = manifestOf(wanted);
  const claims = claimsOf(want, want.zeros, manifestOf(here));
  const found = Object.fromEntries(claims.map(({ chunk, offset }) => [chunk, offset / 65_536]));
  expect([...wanted].map((_, chunk) => found[chunk] ?? '-').join('')).toBe(from);
});

test('a pace lets so many bytes a second through, and keeps little of what was not used', () => {
  let now = 0;
  const pace = new Pace(1_000_000, () => now);
  const waits = [pace.waitMs(50_000), pace.waitMs(100_000), pace.waitMs(1)];
  expect(waits).toEqual([0, 0, 100]);
  now = 10_000;
  expect([pace.waitMs(50_000), pace.waitMs(1), pace.waitMs(1)]).toEqual([0, 0, expect.closeTo(0.001, 5)]);
  expect(new Pace(undefined, () => now).waitMs(2 ** 40)).toBe(0);
});
