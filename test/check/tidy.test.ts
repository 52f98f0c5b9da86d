import { expect, test } from '@jest/globals';
import { parseArrows } from './arrows.ts';
import { droppedResults, pathFaults, readmeFaults, unusedArrows } from './tidy.ts';

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

test('a Result that a statement drops is named; one that is used, returned or left by void is not', () => {
  const text = `export async function release(
  database: Database,
): Promise<Result<void, Fault>> {
  await database.run(one);
  const done = await database.run(one);
  return client.patch(a);
}
const record = (key: string): Answer<void> => ok(undefined);
const name = (key: string): string => key;
async function end() {
  await release(database);
  record('a');
  name('a');
  void release(database); // it goes with the process
  if (done) {
    await this.client.delete(a);
  }
}
`;
  expect(droppedResults([{ path: 'x.ts', text }]).map((line) => line.slice(0, 60))).toEqual([
    'src/x.ts:4: what database.run answers is dropped: use it, or',
    'src/x.ts:11: what release answers is dropped: use it, or wri',
    'src/x.ts:12: what record answers is dropped: use it, or writ',
    'src/x.ts:16: what this.client.delete answers is dropped: use',
  ]);
});
