import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { readKeys } from './keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-keys-'));
afterAll(() => rmSync(folder, { recursive: true }));

const files = (given: Record<string, string | Buffer>): string => {
  const own = mkdtempSync(join(folder, 'keys-'));
  for (const [name, data] of Object.entries(given)) writeFileSync(join(own, name), data);
  return own;
};
const key = Buffer.alloc(32, 1);

test('the current key seals, the others open', () => {
  const read = readKeys(files({ current: '2\n', 'key-1': key, 'key-2': key }));
  expect(read).toMatchObject({ ok: true, value: { current: 2 } });
  expect(read.ok && [...read.value.keys.keys()]).toEqual([1, 2]);
});

test.each([
  { what: 'no folder', given: undefined, says: 'cannot read' },
  {
    what: 'a key of another length',
    given: { current: '1', 'key-1': key.subarray(1) },
    says: 'has 31 bytes, not 32',
  },
  { what: 'no current', given: { 'key-1': key }, says: 'current' },
  { what: 'a current that is not there', given: { current: '7', 'key-1': key }, says: 'no key-7' },
])('$what is named', ({ given, says }) => {
  const read = readKeys(given ? files(given) : join(folder, 'nowhere'));
  expect(read).toMatchObject({ ok: false, error: { code: 'KeysInvalid', message: expect.stringContaining(says) } });
});
