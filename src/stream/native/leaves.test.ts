/** Pages of leaf tables in a thread: a table of more pages than it holds, and pages that rot. */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PAGE_BYTES, PAGE_LEAVES, PAGE_SPAN_BYTES } from '../../image/tree/layout.ts';
import { HASH_BYTES, pieces } from '../../image/tree/pieces.ts';
import type { ServedDisk } from '../shard.ts';
import { LeafPages } from './leaves.ts';
import { type Native, native } from './sodium.ts';

/** More than the 4,096 that a thread holds. */
const PAGES = 5_000;
let folder: string;
let fd: number;
let disk: ServedDisk;
let libc: Native;

/** Each leaf says its number. */
function page(index: number): Buffer {
  const leaves = Buffer.alloc(PAGE_BYTES);
  for (let leaf = 0; leaf < PAGE_LEAVES; leaf++) leaves.writeUInt32LE(index * PAGE_LEAVES + leaf, leaf * HASH_BYTES);
  return leaves;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-leaves-'));
  fd = openSync(join(folder, 'table'), 'w+');
  const [loaded, library] = [native(), pieces()];
  if (!loaded.ok || !library.ok) throw new Error('no native code');
  libc = loaded.value;
  const pageHashes = new Uint8Array(new SharedArrayBuffer(PAGES * HASH_BYTES));
  const hash = Buffer.alloc(HASH_BYTES);
  for (let index = 0; index < PAGES; index++) {
    const leaves = page(index);
    writeSync(fd, leaves);
    library.value.hash(hash, 0, leaves);
    pageHashes.set(hash, index * HASH_BYTES);
  }
  const leaves = { root: '', fd, pageHashes };
  disk = { id: 7, sizeBytes: PAGES * PAGE_SPAN_BYTES, leaves } as ServedDisk;
});
afterAll(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

function leavesFrom(cache: LeafPages, first: number, count: number): number[] | undefined {
  const out = new Int32Array(17 * 8);
  return cache.copy(disk, first, count, out, 0) ? Array.from({ length: count }, (_, i) => out[i * 8] ?? -1) : undefined;
}

test('any pieces, over the edge of a page, in a table of more pages than are held', () => {
  const cache = new LeafPages(libc);
  const leaves = PAGES * PAGE_LEAVES;
  for (let n = 0; n < 20_000; n++) {
    const first = (n * 7_919 * 61) % (leaves - 17);
    const found = leavesFrom(cache, first, 17);
    if (found?.[0] !== first || found[16] !== first + 16) throw new Error(`piece ${first}: ${found}`);
  }
  expect(leavesFrom(cache, leaves - 1, 1)).toEqual([leaves - 1]);
});

test('a page that is not what it was is not given, and is again when it is right again', () => {
  const cache = new LeafPages(libc);
  writeSync(fd, Buffer.from([1]), 0, 1, 3 * PAGE_BYTES + 9);
  expect(leavesFrom(cache, 3 * PAGE_LEAVES + 5, 1)).toBeUndefined();
  expect(leavesFrom(cache, 2 * PAGE_LEAVES + 5, 1)).toEqual([2 * PAGE_LEAVES + 5]);
  writeSync(fd, Buffer.from([0]), 0, 1, 3 * PAGE_BYTES + 9);
  expect(leavesFrom(cache, 3 * PAGE_LEAVES + 5, 1)).toEqual([3 * PAGE_LEAVES + 5]);
});

test('a table that another disk has under another id is another one', () => {
  const cache = new LeafPages(libc);
  expect(leavesFrom(cache, 0, 1)).toEqual([0]);
  const other: ServedDisk = {
    ...disk,
    id: 8,
    leaves: { root: '', fd: -1, pageHashes: new Uint8Array(new SharedArrayBuffer(32)) },
  };
  expect(cache.copy(other, 0, 1, new Int32Array(8), 0)).toBe(false);
});
