import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from '@jest/globals';
import { diskContract } from '../../../test/contract/disk.ts';
import { patternBytes, patternMismatch } from '../pattern/pattern.ts';
import { openRaw, raw } from './raw.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-raw-'));
afterAll(() => rmSync(folder, { recursive: true }));

function aFile(name: string, bytes: number): string {
  const path = join(folder, name);
  writeFileSync(path, patternBytes(0, bytes));
  return path;
}

async function opened(path: string) {
  const disk = await openRaw(path);
  if (!disk.ok) throw new Error(disk.error.message);
  return disk.value;
}

describe('a disk', () => diskContract(() => opened(aFile('lab.raw', 1 << 20))));

test.each([
  { name: 'a file that is not there', path: () => join(folder, 'none.raw'), code: 'FileMissing' },
  { name: 'a folder', path: () => join(folder, 'folder'), code: 'NotRegular' },
  { name: 'an empty file', path: () => aFile('empty.raw', 0), code: 'SizeInvalid' },
  { name: 'a file that ends within a sector', path: () => aFile('odd.raw', 1_000), code: 'SizeInvalid' },
])('$name is $code, and is named', async ({ path, code }) => {
  mkdirSync(join(folder, 'folder'), { recursive: true });
  const name = path();
  expect(await openRaw(name)).toMatchObject({ ok: false, error: { code, message: expect.stringContaining(name) } });
});

test('what is compressed is said to be that, and not that it was cut', async () => {
  const path = join(folder, 'packed.raw');
  writeFileSync(path, gzipSync(patternBytes(0, 4_096)));
  const refused = { ok: false, error: { code: 'NotSupported', message: expect.stringContaining('gzip -d') } };
  expect(await openRaw(path)).toMatchObject(refused);
  expect(await raw.probe(path, 4_096)).toMatchObject(refused);
});

test('a file that is cut later: a fault beyond its end, its bytes before', async () => {
  const path = aFile('cut.raw', 16_384);
  const disk = await opened(path);
  truncateSync(path, 8_192);
  expect(await disk.read(7_680, 1_024)).toMatchObject({ ok: false, error: { code: 'FileCut' } });
  const before = await disk.read(7_680, 512);
  expect(before.ok && patternMismatch(before.value, 7_680)).toBeUndefined();
  await disk.close();
});

test('a file that grows later keeps its size', async () => {
  const path = aFile('grown.raw', 8_192);
  const disk = await opened(path);
  truncateSync(path, 16_384);
  expect(await disk.read(8_192, 512)).toMatchObject({ ok: false, error: { code: 'ReadBeyondEnd' } });
  await disk.close();
});
