import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { libc } from '../../net/libc.ts';
import { Mappings, NOT_MAPPED, NOT_THERE } from './mappings.ts';

const BYTES = 10_240;
let folder: string;
let path: string;
let fd: number;
let mappings: Mappings;
/** What the kernel says of pages. */
let there: boolean;

beforeEach(() => {
  const loaded = libc();
  if (!loaded.ok) throw new Error(loaded.error.message);
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-mappings-'));
  path = join(folder, 'lab.raw');
  writeFileSync(path, Buffer.alloc(BYTES));
  fd = openSync(path, 'r');
  there = true;
  const { mincore } = loaded.value;
  mappings = new Mappings({ ...loaded.value, mincore: (...args) => (there ? mincore(...args) : -1) });
});
afterEach(() => {
  mappings.keep(new Set());
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

const timesMapped = (): number => readFileSync('/proc/self/maps', 'utf8').split(path).length - 1;

const find = (length = 512, offset = 0): number => mappings.find(fd, offset, length);
test('a file is mapped once, when it is added, as long as it is then', () => {
  expect(find()).toBe(NOT_MAPPED);
  mappings.add(fd);
  mappings.add(fd);
  expect(find(BYTES)).toBeGreaterThan(0);
  expect(find(512, BYTES - 512)).toBe(find() + BYTES - 512);
  expect(find(BYTES + 512)).toBe(NOT_MAPPED);
  expect(timesMapped()).toBe(1);
});

test('a file that is not kept is unmapped, and may be added again', () => {
  mappings.add(fd);
  mappings.keep(new Set([fd]));
  expect(timesMapped()).toBe(1);
  mappings.keep(new Set());
  expect(find()).toBe(NOT_MAPPED);
  expect(timesMapped()).toBe(0);
  mappings.add(fd);
  expect(timesMapped()).toBe(1);
});

test('what cannot be mapped stays unmapped, and is no error', () => {
  const folderFd = openSync(folder, 'r');
  mappings.add(folderFd);
  expect(mappings.find(folderFd, 0, 512)).toBe(NOT_MAPPED);
  closeSync(folderFd);
  mappings.add(folderFd + 1_000);
  expect(mappings.find(folderFd + 1_000, 0, 512)).toBe(NOT_MAPPED);
});

test('a file that was cut ends where it ends now', () => {
  mappings.add(fd);
  mappings.begin(0);
  expect(find(BYTES)).toBeGreaterThan(0);
  truncateSync(path, BYTES - 512);
  expect(find(BYTES)).toBe(NOT_THERE);
  expect(find(BYTES - 512)).toBeGreaterThan(0);
});

test('the kernel is asked again for a page that was seen over a second ago', () => {
  mappings.add(fd);
  mappings.begin(0);
  expect(find(BYTES)).toBeGreaterThan(0);
  there = false;
  mappings.begin(999);
  expect(find(BYTES)).toBeGreaterThan(0);
  mappings.begin(1_000);
  expect(find(BYTES)).toBe(NOT_THERE);
  there = true;
  expect(find(BYTES)).toBeGreaterThan(0);
});

test('a part that was seen says nothing of the pages beside it', () => {
  mappings.add(fd);
  mappings.begin(0);
  expect(find(4_096)).toBeGreaterThan(0);
  there = false;
  mappings.begin(1);
  expect(find(4_096)).toBeGreaterThan(0);
  expect(find(8_192)).toBe(NOT_THERE);
});

test('what was seen of a file is nothing of the next one with its descriptor', () => {
  mappings.add(fd);
  mappings.begin(0);
  expect(find(BYTES)).toBeGreaterThan(0);
  mappings.keep(new Set());
  there = false;
  mappings.add(fd);
  expect(find(BYTES)).toBe(NOT_THERE);
});
