import {
  appendFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { copyWithHoles, isSameContent, linkFile } from './carry.ts';

const MIB = 1 << 20;
let folder: string;
const at = (name: string): string => join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-carry-'));
  // Data at 3 MiB and at the end, holes elsewhere.
  writeFileSync(at('from'), '');
  truncateSync(at('from'), 64 * MIB);
  const file = openSync(at('from'), 'r+');
  writeSync(file, Buffer.alloc(MIB + 5, 7), 0, MIB + 5, 3 * MIB);
  writeSync(file, Buffer.alloc(9, 8), 0, 9, 64 * MIB - 9);
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a copy has the content, the holes and the time', async () => {
  expect(await copyWithHoles(at('from'), at('to'))).toBeUndefined();
  expect(await isSameContent(at('from'), at('to'))).toBe(true);
  const [from, to] = [statSync(at('from')), statSync(at('to'))];
  expect(to.blocks * 512).toBeLessThan(2 * MIB);
  expect(Math.floor(to.mtimeMs)).toBe(Math.floor(from.mtimeMs));
  expect(readdirSync(folder)).toEqual(['from', 'to']);
});

test('what an earlier try left is compared, and mended', async () => {
  writeFileSync(at('to.partial'), Buffer.alloc(70 * MIB, 1));
  expect(await copyWithHoles(at('from'), at('to'))).toBeUndefined();
  expect(readFileSync(at('to')).equals(readFileSync(at('from')))).toBe(true);
});

test.each<{ what: string; during: (stop: AbortController) => void; code: string }>([
  { what: 'that is cancelled', during: (stop) => stop.abort(), code: 'Cancelled' },
  { what: 'of a file that grows', during: () => appendFileSync(at('from'), 'more'), code: 'Changed' },
  { what: 'of a file that is cut', during: () => truncateSync(at('from'), 3 * MIB), code: 'Changed' },
])('a copy $what has no name, and stays for the next try', async ({ during, code }) => {
  const stop = new AbortController();
  const onProgress = (): void => during(stop);
  expect(await copyWithHoles(at('from'), at('to'), { signal: stop.signal, onProgress })).toMatchObject({ code });
  expect(readdirSync(folder)).toEqual(['from', 'to.partial']);
});

test('a second name is of one file; a link has none, nor has a file elsewhere', async () => {
  expect(await linkFile(at('from'), at('to'))).toBe(true);
  expect(statSync(at('to')).ino).toBe(statSync(at('from')).ino);
  symlinkSync('from', at('link'));
  expect(await linkFile(at('link'), at('other'))).toBe(false);
  expect(await linkFile('/proc/self/status', at('other'))).toBe(false);
  expect(readdirSync(folder)).toEqual(['from', 'link', 'to']);
});

test.each<[string, string | undefined, boolean]>([
  ['the same', 'one', true],
  ['of another content', 'two', false],
  ['longer', 'one more', false],
  ['not there', undefined, false],
])('a file that is %s', async (_, content, is) => {
  writeFileSync(at('a'), 'one');
  if (content !== undefined) writeFileSync(at('b'), content);
  expect(await isSameContent(at('a'), at('b'))).toBe(is);
});

test('a name that another has, or a folder that is not there, is no second name, and nothing is thrown', async () => {
  writeFileSync(at('to'), 'another');
  for (const to of ['to', 'nowhere/to']) expect(await linkFile(at('from'), at(to))).toBe(false);
  expect(readFileSync(at('to'), 'utf8')).toBe('another');
});
