import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

/** A command that gives 64 MiB to standard output and says so, behind which a shell puts `behind`. */
const run = (behind: string) =>
  new Promise<{ readonly err: string; readonly status: unknown }>((done) => {
    const at = (name: string): string => JSON.stringify(join(import.meta.dirname, name));
    const script = `
      import { attempt } from ${at('refusal.ts')};
      import { giveOut, terminalOfProcess } from ${at('terminal.ts')};
      await attempt(terminalOfProcess, async () => {
        for (let count = 0; count < 64; count++) await giveOut(Buffer.alloc(1 << 20));
        terminalOfProcess.err('all was given\\n');
      });`;
    const line = `set -o pipefail; "$0" --input-type=module --eval "$1" ${behind}`;
    execFile('bash', ['-c', line, process.execPath, script], (error, _out, err) =>
      done({ err, status: error?.code ?? 0 }),
    );
  });

test.each([
  { behind: '>/dev/null', err: 'all was given\n', status: 0 },
  { behind: '| head -c 100 >/dev/null', err: '', status: 1 },
  { behind: '>/dev/full', err: 'error: it cannot be written: ENOSPC: no space left on device, write\n', status: 1 },
])('bytes $behind end with $status', async ({ behind, err, status }) => {
  expect(await run(behind)).toEqual({ err, status });
});
