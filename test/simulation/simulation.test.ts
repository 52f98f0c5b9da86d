/**
 * 10,000 scenes of a farm in virtual time, in a process of its own (the client is C: what it breaks, it breaks alone) that takes what no other test wants of
 * the processors. README.md says what must hold, and how a seed is played again.
 */
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from '@jest/globals';

const SEEDS = 10_000;
const FIRST = 1;
/** Where others leave it nothing for so long, it takes its share. */
const PATIENCE_MS = 120_000;
/** Most of what it allocates lives for one packet, and its one core is all that it wants. */
const NODE = ['--max-semi-space-size=32', '--single-threaded-gc'];
const SIMULATE = join(import.meta.dirname, 'simulate.ts');

async function simulate(...options: string[]): Promise<{ code: number; told: string }> {
  const idle = ['--idle', '0', process.execPath, ...NODE, SIMULATE, ...options];
  const ended = promisify(execFile)('chrt', idle, { maxBuffer: 64 << 20 });
  const late = setTimeout(() => execFileSync('chrt', ['--other', '--pid', '0', `${ended.child.pid}`]), PATIENCE_MS);
  return ended
    .then(
      ({ stdout }) => ({ code: 0, told: stdout }),
      (error: { code: number; stdout: string; stderr: string }) => ({
        code: error.code,
        told: error.stdout + error.stderr,
      }),
    )
    .finally(() => clearTimeout(late));
}

beforeAll(() => {
  execFileSync('make', ['-s', '-C', 'target', 'simulation'], { stdio: 'inherit' });
});

test('what failed once is right', async () => {
  const { code, told } = await simulate('--regressions');
  expect({ code, told }).toMatchObject({ code: 0, told: expect.not.stringContaining('FAIL') });
});

test(`every read is right and in time in ${SEEDS} scenes (seeds from ${FIRST} on)`, async () => {
  const { code, told } = await simulate('--seed', String(FIRST), '--seeds', String(SEEDS));
  console.log(told);
  expect({ code, told: code === 0 ? '' : told }).toEqual({ code: 0, told: '' });
});
