import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { admit, FLOOR_BYTES, givesWay, type Held, LOOK_MS, type Pace, paced } from './admission.ts';

const share = { total: 8, each: 6 };
/** `a3` is three connections of a; the first of each source stands still longest. */
const house = (...guests: readonly string[]): Set<Held> =>
  new Set(
    guests.flatMap((guest) =>
      Array.from({ length: Number(guest.slice(1)) }, (_, index) => ({ source: guest.slice(0, 1), progressAt: index })),
    ),
  );

test.each([
  { held: house(), source: 'a', is: 'admit' },
  { held: house('a5'), source: 'a', is: 'admit' },
  { held: house('a6'), source: 'a', is: 'Share' },
  { held: house('a6', 'b1'), source: 'b', is: 'admit' },
  { held: house('a6', 'b2'), source: 'c', is: 'a0' },
  { held: house('a6', 'b2'), source: 'b', is: 'a0' },
  { held: house('a4', 'b4'), source: 'c', is: 'a0' },
  { held: house('a4', 'b4'), source: 'a', is: 'Total' },
  { held: house('a4', 'b3', 'c1'), source: 'b', is: 'Total' },
  { held: house('a2', 'b2', 'c2', 'd2'), source: 'e', is: 'a0' },
  { held: house('a1', 'b1', 'c1', 'd1', 'e1', 'f1', 'g1', 'h1'), source: 'i', is: 'Total' },
  { held: house('a6'), source: 'a', is: 'a0', newest: true },
  { held: house('a5'), source: 'a', is: 'admit', newest: true },
])('$source comes to a house of $held.size: $is', ({ held, source, is, newest = false }) => {
  const admission = admit(held, source, { ...share, newest });
  const { kind } = admission;
  if (kind === 'replace') expect(`${admission.victim.source}${admission.victim.progressAt}`).toBe(is);
  else expect(kind === 'refuse' ? admission.reason : kind).toBe(is);
});

test('whoever comes in whatever order: no cap is passed, and a source with few is never shut out by those with more', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...'aaaaaaaabbbbccd'), { maxLength: 200 }), (arrivals) => {
      const held = new Set<Held>();
      const count = (source: string) => [...held].filter((one) => one.source === source).length;
      for (const [progressAt, source] of arrivals.entries()) {
        const most = Math.max(0, ...[...'abcd'].map(count));
        const before = count(source);
        const admission = admit(held, source, share);
        if (admission.kind === 'replace') held.delete(admission.victim);
        if (admission.kind !== 'refuse') held.add({ source, progressAt });
        else expect(before >= share.each || before + 1 >= most).toBe(true);
        expect(held.size).toBeLessThanOrEqual(share.total);
        expect(count(source)).toBeLessThanOrEqual(share.each);
      }
    }),
    { seed: 8 },
  );
});

test.each([
  { held: house(), source: 'a', is: 'nobody' },
  { held: house('a5'), source: 'a', is: 'nobody' },
  { held: house('a6'), source: 'a', is: 'a0' },
  { held: house('a5', 'b3'), source: 'c', is: 'a0' },
  { held: house('a5', 'b3'), source: 'b', is: 'a0' },
  { held: house('a1', 'b1', 'c1', 'd1', 'e1', 'f1', 'g1', 'h1'), source: 'i', is: 'a0' },
])('$source proves itself in a house of $held.size, and $is gives way', ({ held, source, is }) => {
  const victim = givesWay(held, source, share);
  expect(victim ? `${victim.source}${victim.progressAt}` : 'nobody').toBe(is);
});

/** The pace after a look each second, in which the peer took so many bytes of an answer that waits. */
const reads = (bytesEach: readonly number[], elapsedMs = LOOK_MS): Pace | 'TooSlow' => {
  let taken = 0;
  return bytesEach.reduce<Pace | 'TooSlow'>(
    (pace, bytes) => {
      taken += bytes;
      return pace === 'TooSlow' ? pace : paced(pace, { taken, waiting: true }, elapsedMs);
    },
    { taken: 0, waitedMs: 0 },
  );
};

test.each([
  { what: 'takes nothing for 9 s', pace: reads(new Array(9).fill(0)), slow: false },
  { what: 'takes nothing for 10 s', pace: reads(new Array(10).fill(0)), slow: true },
  { what: 'takes a byte a second', pace: reads(new Array(10).fill(1)), slow: true },
  { what: 'takes 64 KiB in 9 s, again and again', pace: reads(new Array(90).fill(FLOOR_BYTES / 9)), slow: false },
  { what: 'took nothing while this process slept', pace: reads([0, 0], 3_600_000), slow: false },
])('who $what is too slow: $slow', ({ pace, slow }) => {
  expect(pace === 'TooSlow').toBe(slow);
});

test('who has taken all is not waited for', () => {
  expect(paced({ taken: 5, waitedMs: 9_999 }, { taken: 6, waiting: false }, LOOK_MS)).toEqual({
    taken: 6,
    waitedMs: 0,
  });
});
