import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { libc } from '../../net/libc.ts';
import { Mappings } from './mappings.ts';

const BYTES = 10_240;
let folder: string;
let path: string;
let fd: number;
let mappings: Mappings;

beforeEach(() => {
  const loaded = libc();
  if (!loaded.ok) throw new Error(loaded.error.message);
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-mappings-'));
  path = join(folder, 'lab.raw');
  writeFileSync(path, Buffer.alloc(BYTES));
  fd = openSync(path, 'r');
  mappings = new Mappings(loaded.value);
});
afterEach(() => {
  mappings.keep(new Set());
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

const timesMapped = (): number => readFileSync('/proc/self/maps', 'utf8').split(path).length - 1;

test('a file is mapped once, when it is added, as long as it is then', () => {
  expect(mappings.of(fd, 512)).toBe(0);
  mappings.add(fd);
  mappings.add(fd);
  expect(mappings.of(fd, BYTES)).toBeGreaterThan(0);
  expect(mappings.of(fd, BYTES + 512)).toBe(0);
  expect(timesMapped()).toBe(1);
});

test('a file that is not kept is unmapped, and may be added again', () => {
  mappings.add(fd);
  mappings.keep(new Set([fd]));
  expect(timesMapped()).toBe(1);
  mappings.keep(new Set());
  expect(mappings.of(fd, 512)).toBe(0);
  expect(timesMapped()).toBe(0);
  mappings.add(fd);
  expect(timesMapped()).toBe(1);
});

test('what cannot be mapped stays unmapped, and is no error', () => {
  const folderFd = openSync(folder, 'r');
  mappings.add(folderFd);
  expect(mappings.of(folderFd, 512)).toBe(0);
  closeSync(folderFd);
  mappings.add(folderFd + 1_000);
  expect(mappings.of(folderFd + 1_000, 512)).toBe(0);
});

test('what was read of a large file is let go of, and can be read again', () => {
  const large = join(folder, 'large.raw');
  writeFileSync(large, Buffer.alloc(256 << 20, 'a'));
  const largeFd = openSync(large, 'r');
  mappings.add(largeFd);
  const at = mappings.of(largeFd, 512);
  const [same, loaded] = [Buffer.alloc(4_096, 'a'), libc()];
  if (!loaded.ok) throw new Error(loaded.error.message);
  const { addressOf, memcmp } = loaded.value;
  const touch = (): void => {
    for (let page = 0; page < 256 << 20; page += 4_096) expect0(memcmp(at + page, addressOf(same), 512));
  };
  const mappedMiB = (): number =>
    Number(/RssFile:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1_024;
  touch();
  const before = mappedMiB();
  mappings.trim();
  expect(before - mappedMiB()).toBeGreaterThan(200);
  touch();
  mappings.keep(new Set());
  closeSync(largeFd);
});

function expect0(difference: number): void {
  if (difference !== 0) throw new Error('other bytes');
}
