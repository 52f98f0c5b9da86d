import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { judgeOpen, type OpenFacts } from './keep.ts';

/** `inode:size:modified:changed` */
const files = (identity: string) => [{ name: 'lab.raw', identity }];
const PROVED = '1:100:5:5';

test.each<{ what: string; given: Partial<OpenFacts>; is: string }>([
  { what: 'renamed over, and so changed in status', given: { now: files('1:100:5:9') }, is: 'Proved' },
  { what: 'touched for the first time', given: { now: files('1:100:7:7'), content: 'Hashing' }, is: 'Doubtful' },
  {
    what: 'touched, and still as it was then',
    given: { now: files('1:100:7:7'), doubted: files('1:100:7:7'), content: 'Hashing' },
    is: 'Doubtful',
  },
  {
    what: 'changed again while it is doubtful',
    given: { now: files('1:100:8:8'), doubted: files('1:100:7:7'), content: 'Hashing' },
    is: 'Wrong',
  },
  {
    what: 'touched back to the time that was proved',
    given: { now: files('1:100:5:8'), doubted: files('1:100:7:7'), content: 'Hashing' },
    is: 'Proved',
  },
  { what: 'cut or grown', given: { now: files('1:99:7:7'), content: 'Hashing' }, is: 'Wrong' },
  { what: 'changed, and of no name', given: { now: files('1:100:7:7'), content: 'Elsewhere' }, is: 'Wrong' },
  {
    what: 'changed, and its folder does not answer',
    given: { now: files('1:100:7:7'), content: 'Unseen' },
    is: 'Doubtful',
  },
  { what: 'touched, and right by its digest', given: { now: files('1:100:7:7'), content: 'Right' }, is: 'Proved' },
  { what: 'unchanged, and wrong by its digest', given: { content: 'Wrong' }, is: 'Wrong' },
  { what: 'silent', given: { now: undefined, content: 'Unseen' }, is: 'Proved' },
  { what: 'silent while it is doubtful', given: { now: undefined, doubted: files('1:100:7:7') }, is: 'Doubtful' },
  { what: 'one file more', given: { now: [...files(PROVED), ...files(PROVED)] }, is: 'Wrong' },
])('a disk whose file is $what: $is', ({ given, is }) => {
  expect(judgeOpen({ proved: files(PROVED), now: files(PROVED), content: 'Elsewhere', ...given })).toBe(is);
});

/** What befalls the file that is open; after each a look. `hash`: its digest is there. */
const EVENT = fc.constantFrom('nothing', 'touch', 'write', 'grow', 'unlink', 'replace', 'hash');

test('what was only touched is kept as long as each digest comes before the next touch; what is written is Wrong two writes later at the latest', () => {
  fc.assert(
    fc.property(fc.array(EVENT, { maxLength: 12 }), (events) => {
      let [size, at, changed, named, right, hashed, sinceProof] = [100, 5, 5, true, true, true, 0];
      let writes = 0;
      let facts: Pick<OpenFacts, 'proved' | 'doubted'> = { proved: files(PROVED) };
      for (const event of events) {
        changed += 1;
        if (event === 'touch' || event === 'write' || event === 'grow') {
          at = changed;
          hashed = false;
          sinceProof += 1;
        }
        if (event === 'write') right = false;
        if (event === 'grow') size += 1;
        if (event === 'unlink' || event === 'replace') named = false;
        if (event === 'hash') hashed = true;
        if (!right) writes += event === 'write' ? 1 : 0;
        const now = files(`1:${size}:${at}:${changed}`);
        const content = !named ? 'Elsewhere' : !hashed ? 'Hashing' : right && size === 100 ? 'Right' : 'Wrong';
        const judged = judgeOpen({ ...facts, now, content });
        if (judged === 'Wrong') {
          expect(!right || size !== 100 || sinceProof > 1 || (!named && sinceProof > 0)).toBe(true);
          return;
        }
        expect([size, writes < 2]).toEqual([100, true]);
        if (judged === 'Doubtful') facts = { proved: facts.proved, doubted: facts.doubted ?? now };
        else {
          facts = { proved: now };
          sinceProof = 0;
        }
      }
    }),
    { seed: 14, numRuns: 2_000 },
  );
});
