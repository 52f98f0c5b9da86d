import { expect, test } from '@jest/globals';
import { parseArrows } from './arrows.ts';
import { pathFaults, readmeFaults, unusedArrows } from './tidy.ts';

const known = new Set(['packet.ts', 'place.ts']);

test.each([
  { what: 'all is said', readme: '`packet.ts` is the codec, see `place.ts`', entries: ['packet.ts'], faults: [] },
  { what: 'a name without its ending', readme: '`packet` decodes', entries: ['packet.ts'], faults: [] },
  {
    what: 'a file that nobody explains',
    readme: '`packet.ts`',
    entries: ['packet.ts', 'session.ts'],
    faults: ['src/tftp/README.md does not say what session.ts is'],
  },
  {
    what: 'a file that is gone',
    readme: '`packet.ts`, `limits.ts`',
    entries: ['packet.ts'],
    faults: ['src/tftp/README.md names limits.ts, which is nowhere'],
  },
])('a README: $what', ({ readme, entries, faults }) => {
  expect(readmeFaults({ path: 'tftp', readme, entries }, known)).toEqual(faults);
});

test('a document names paths that are there, from the root or beside it', () => {
  const text = '`src/kit/`, `test/lan.ts`, `src/KIND/KIND.ts`, src/gone.ts, `src/gone.ts`, `docs/a b`';
  const there = new Set(['src/kit/', 'target/test/lan.ts']);
  expect(pathFaults('target/README.md', text, (path) => there.has(path))).toEqual([
    'target/README.md names src/gone.ts, which is nowhere',
  ]);
});

test('an arrow that nothing goes along is named', () => {
  const arrows = parseArrows('| kit | |\n| farm | kit |\n| stream | farm kit |\n');
  const files = [
    { path: 'farm/place.ts', imports: ['../kit/result.ts'] },
    { path: 'stream/native/io.ts', imports: ['../../farm/place.ts', '../packet.ts'] },
  ];
  expect(unusedArrows(files, arrows)).toEqual(['src/README.md: stream imports nothing of kit']);
});
