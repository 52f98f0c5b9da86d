/** The short form of `make attack`: a baseline, and every attack at once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import type { Row } from '../attack/verdict.ts';

test('a farm that serves withstands all attacks at once', async () => {
  const args = ['--pdeathsig', 'TERM', process.execPath, 'test/attack/attack.ts', '--short', '--json'];
  const child = spawn('setpriv', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  await once(child, 'close');
  const { rows }: { rows: readonly Row[] } = JSON.parse(text.split('\n')[0] ?? '');
  // How fast honest machines are served meanwhile is measured by `make attack`: a test does not judge the speed of the machine that it runs on.
  expect(rows.filter(({ ok, what }) => !ok && !what.includes('p99'))).toEqual([]);
});
