import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readCached } from './native.ts';

test('what was just written is read from the page cache, as far as the file goes; what is no file is 0', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-native-'));
  const path = join(folder, 'file');
  const content = Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 251));
  writeFileSync(path, content);
  const file = await open(path);
  const bytes = Buffer.alloc(4_096, 0xff);
  // A file system that does not say it (−1) is read through Node's threads.
  const isTold = readCached(file.fd, bytes, 0, 4_096, 1_000) >= 0;
  if (isTold) {
    expect(bytes.equals(content.subarray(1_000, 5_096))).toBe(true);
    expect(readCached(file.fd, bytes, 2_000, 1_000, 9_500)).toBe(500);
    expect(bytes.subarray(2_000, 2_500).equals(content.subarray(9_500))).toBe(true);
    expect(bytes.subarray(2_500).equals(content.subarray(3_500, 5_096))).toBe(true);
    expect([readCached(file.fd, bytes, 0, 4_096, 10_000), readCached(-1, bytes, 0, 4_096, 0)]).toEqual([0, 0]);
    for (const [place, length] of [
      [1, 4_096],
      [-1, 1],
      [4_097, 0],
      [0, -1],
    ] as const)
      expect(() => readCached(file.fd, bytes, place, length, 0)).toThrow(RangeError);
  }
  await file.close();
  rmSync(folder, { recursive: true });
});
