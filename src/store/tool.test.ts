import { expect, test } from '@jest/globals';
import { runTool } from './tool.ts';

const ran = (script: string) =>
  runTool('sh', ['-c', script], { bounds: ['--core=0'], accepted: [0, 3], onBytes: () => undefined });

test.each([
  ['exit 3', { ok: true }],
  ['exit 4', { error: { code: 'ImageInvalid', message: 'sh cannot read it: it ended with 4' } }],
  ['kill -9 $$', { error: { code: 'ImageInvalid', message: 'sh cannot read it: it was ended by SIGKILL' } }],
  [
    'printf "sh: error: one\\n  two\\n" >&2; exit 1',
    { error: { code: 'ImageInvalid', message: 'sh cannot read it: one; two' } },
  ],
  [
    'echo "sh: error: while writing: No space left on device" >&2; exit 1',
    { error: { code: 'NoSpace', message: expect.stringMatching(/^sh: while writing: No space.*make room there/) } },
  ],
])('%s', async (script, is) => {
  expect(await ran(script)).toMatchObject(is);
});
