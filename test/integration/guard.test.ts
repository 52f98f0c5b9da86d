/** The last guard in a process of its own: protocols that throw where nobody catches, beside one that does not. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, [new URL('guard-process.ts', import.meta.url).pathname, ...args], {
    timeout: 300_000,
  });

test.each(['handler', 'timer', 'promise'])('a throw in the %s of one protocol costs that protocol', async (where) => {
  const { stdout } = await run(where);
  expect(JSON.parse(stdout)).toEqual({
    fault: { code: 'Crashed', message: expect.stringContaining(`from the ${where}`) },
    otherAnswers: true,
    startedAgain: true,
    answersAgain: true,
  });
});

test('a throw that belongs to no protocol ends the process', async () => {
  await expect(run('nobody')).rejects.toMatchObject({ code: 1 });
});
