import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nextOf, turnOf, type Waiting } from './order.ts';

interface File extends Waiting {
  readonly name: string;
}
const file = (name: string, more: Partial<Waiting> = {}): File => ({
  ...{ name, again: false, doubtful: false, images: 0, owes: 0 },
  ...more,
});
const doubtful = (owes = 0) => file('doubtful', { doubtful: true, owes });
const again = file('again', { again: true });
const table = (images: number) => file(`table of ${images}`, { images });

test.each<{ what: string; waiting: readonly File[]; reading?: File; is: string | undefined }>([
  { what: 'nothing', waiting: [], is: undefined },
  { what: 'the first of those that are new', waiting: [again, file('a'), file('b')], is: 'a' },
  { what: 'what is only read again, last', waiting: [again], is: 'again' },
  { what: 'what machines read and is doubtful, first', waiting: [again, file('a'), doubtful()], is: 'doubtful' },
  { what: 'what went before the others already, in its turn', waiting: [file('a'), doubtful(1)], is: 'a' },
  { what: 'what went before already, where no other waits', waiting: [again, doubtful(1)], is: 'doubtful' },
  {
    what: 'what is doubtful, while a new one is read',
    waiting: [file('a'), doubtful()],
    reading: file('b'),
    is: 'doubtful',
  },
  {
    what: 'nothing while what is doubtful is read',
    waiting: [file('a'), doubtful()],
    reading: doubtful(),
    is: undefined,
  },
  { what: 'nothing new while a new one is read', waiting: [file('a'), again], reading: file('b'), is: undefined },
  { what: 'a new one while one is only read again', waiting: [file('a')], reading: again, is: 'a' },
  { what: 'a table, where no digest lacks', waiting: [again, table(1)], is: 'table of 1' },
  { what: 'a digest, before a table', waiting: [table(1), file('a')], is: 'a' },
  { what: 'the table of the fewest images', waiting: [table(3), table(1), table(2)], is: 'table of 1' },
  { what: 'no other table while one is made', waiting: [table(1), again], reading: table(3), is: undefined },
  { what: 'a digest while a table is made', waiting: [file('a')], reading: table(1), is: 'a' },
])('next is $what', ({ waiting, reading, is }) => {
  expect(nextOf(waiting, reading && turnOf(reading))?.name).toBe(is);
});

test('files that are doubtful again and again hold up no other for ever', () => {
  const size = fc.integer({ min: 1, max: 1_000 });
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 5 }), size, (touched, other) => {
      const owes = touched.map(() => 0);
      let [left, read] = [other, 0];
      while (left > 0) {
        // Who is touched again is at the end of those that wait.
        const next = nextOf([
          { ...file('other'), at: -1, bytes: left },
          ...touched.map((bytes, at) => ({ ...doubtful(owes[at]), at, bytes })),
        ]);
        if (!next) throw new Error('all wait');
        if (next.at >= 0) {
          owes[next.at] = next.bytes;
          read += next.bytes;
        } else {
          left--;
          for (const at of owes.keys()) owes[at] = (owes[at] ?? 0) - 1;
        }
      }
      // Each was read once at first, and once more for as many bytes of the other.
      expect(read).toBeLessThanOrEqual(touched.reduce((sum, bytes) => sum + bytes * (1 + other / bytes), 0));
    }),
    { seed: 19 },
  );
});
