import { expect, test } from '@jest/globals';
import type { Database } from '../../database/connection.ts';
import { fail, ok } from '../../kit/result.ts';
import { stateContent } from './apply.ts';

const content = { manifest: 'a'.repeat(64), files: [] };
let asked = 0;
const answers = (...all: readonly ('written' | 'no such version' | 'away')[]): Database => {
  let at = 0;
  const run = async () => {
    asked++;
    const answer = all[at++];
    return answer === 'away' ? fail('Unreachable', 'database db: no answer') : ok(answer === 'written');
  };
  return { run } as unknown as Database;
};

test.each([
  { what: 'nothing is to be stated', database: answers('away'), versions: [{ number: 0 }], says: undefined },
  { what: 'it is written', database: answers('written'), versions: [{ number: 0, content }], says: undefined },
  {
    what: 'the database is away',
    database: answers('written', 'away'),
    versions: [{ number: 0, content }, { number: 1 }, { number: 2, content }],
    says: 'what is right of version 2 is not recorded: database db: no answer',
  },
  {
    what: 'its Farm did not write the version yet',
    database: answers('no such version'),
    versions: [{ number: 1, content }],
    says: 'what is right of version 1 is not recorded: the farm database has no such version yet',
  },
  {
    what: 'one cannot be written, and the next is all the same',
    database: answers('no such version', 'written'),
    versions: [
      { number: 1, content },
      { number: 2, content },
    ],
    says: 'what is right of version 1 is not recorded: the farm database has no such version yet',
    asked: 2,
  },
])(
  'a VDisk is Ready when what is right is in the database: $what',
  async ({ database, versions, says, asked: times }) => {
    asked = 0;
    const fault = await stateContent(database, 'lab', versions);
    expect(fault).toEqual(says && { kind: 'reconciling', reason: 'FarmNotReady', message: says });
    if (times !== undefined) expect(asked).toBe(times);
  },
);
