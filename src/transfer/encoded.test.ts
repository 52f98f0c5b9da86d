import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { EncodedManifests } from './encoded.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-encoded-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const rootOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function put(name: string, bytes: Buffer): string {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
}

test('what is asked for is read once, also by many at once, until others need its room', async () => {
  const all = [1, 2, 3].map((fill) => Buffer.alloc(1_000, fill));
  const paths = all.map((bytes, at) => put(`${at}`, bytes));
  const roots = all.map(rootOf);
  const encoded = new EncodedManifests(2_500);
  const of = (at: number) => encoded.of(paths[at] ?? '', roots[at] ?? '');
  const [one, other] = await Promise.all([of(0), of(0)]);
  expect(one).toEqual(all[0]);
  expect(other).toBe(one);
  await of(1);
  expect(await of(0)).toBe(one); // and was asked for last
  await of(2);
  expect(await of(0)).toBe(one);
  rmSync(paths[1] ?? '');
  expect(await of(1)).toBeUndefined();
});

test.each([
  ['another content', (path: string) => writeFileSync(path, randomBytes(1_000))],
  ['a file that is gone', (path: string) => rmSync(path)],
])('%s is not given, and is looked at again', async (_, change) => {
  const bytes = Buffer.alloc(1_000, 1);
  const path = put('one', bytes);
  change(path);
  const encoded = new EncodedManifests();
  expect(await encoded.of(path, rootOf(bytes))).toBeUndefined();
  writeFileSync(path, bytes);
  expect(await encoded.of(path, rootOf(bytes))).toEqual(bytes);
});
