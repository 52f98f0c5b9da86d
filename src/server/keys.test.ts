import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, jest, test } from '@jest/globals';
import type { Logger } from '../telemetry/log.ts';
import { Keys, readKeys } from './keys.ts';

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

test('a folder that breaks keeps the last good ring, and is said once until it is whole', () => {
  jest.useFakeTimers();
  const own = files({ current: '1', 'key-1': key });
  const read = readKeys(own);
  if (!read.ok) throw new Error(read.error.message);
  const said: string[] = [];
  const log = { warn: ({ fault }: { fault: string }) => said.push(fault) } as unknown as Logger;
  const keys = new Keys(own, read.value, log);
  const turn = (current: string): void => {
    writeFileSync(join(own, 'current'), current);
    jest.advanceTimersByTime(20_000);
  };
  for (const current of ['7', '1', '7']) turn(current);
  keys.close();
  jest.useRealTimers();
  expect(keys.ring().current).toBe(1);
  expect(said).toEqual([expect.stringContaining('no key-7'), expect.stringContaining('no key-7')]);
});
