import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Manifests } from './keep.ts';
import { encode } from './manifest.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-keep-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const sha256 = 'ab'.repeat(32);
const digests = new Uint8Array(64).fill(7);
const manifest = encode({ sizeBytes: 70_000, chunkBytes: 65_536, sha256, digests, zeros: new Uint8Array(2) });

test('a manifest is found again by the digest of its file, until it is removed', async () => {
  await new Manifests(folder).keep(manifest);
  const kept = new Manifests(folder);
  expect(await kept.of(sha256)).toEqual(manifest);
  expect(await kept.of('cd'.repeat(32))).toBeUndefined();
  const { root, sizeBytes, chunkBytes, chunks } = manifest;
  const found = await kept.factsOf(sha256);
  expect(found?.facts).toEqual({ sha256, root, sizeBytes, chunkBytes, chunks });
  expect(readFileSync(found?.path ?? '')).toEqual(manifest.encoded);
  await kept.remove(sha256);
  expect(await kept.factsOf(sha256)).toBeUndefined();
  expect(await kept.of(sha256)).toBeUndefined();
});

test('what is of no known file goes when a process begins; a manifest of another root, when one is kept', async () => {
  const kept = new Manifests(folder);
  const [other, older] = [{ sha256: 'cd'.repeat(32) }, { chunkBytes: 131_072, digests: digests.subarray(32) }].map(
    (more) => encode({ sizeBytes: 70_000, chunkBytes: 65_536, sha256, digests, zeros: new Uint8Array(2), ...more }),
  );
  for (const each of [other, older, manifest]) if (each) await kept.keep(each);
  expect(readdirSync(join(folder, 'chunks'))).toHaveLength(2);
  expect([other && (await kept.holds(other)), older && (await kept.holds(older))]).toEqual([true, false]);
  for (const name of ['x.partial', `${sha256}.chunks`]) writeFileSync(join(folder, 'chunks', name), 'left');
  expect(await new Manifests(folder).tidy(new Set([sha256, 'ef'.repeat(32)]))).toEqual(new Set([sha256]));
  expect(readdirSync(join(folder, 'chunks'))).toEqual([`${sha256}.${manifest.root}.chunks`]);
});

test.each([
  ['a bit that turned', (bytes: Buffer) => bytes.fill(1, 60, 61)],
  ['an end that is gone', (bytes: Buffer) => bytes.subarray(0, -1)],
])('%s makes it none, and it goes', async (_, change) => {
  const kept = new Manifests(folder);
  await kept.keep(manifest);
  const [name = ''] = readdirSync(join(folder, 'chunks'));
  const path = join(folder, 'chunks', name);
  writeFileSync(path, change(readFileSync(path)));
  expect(await kept.of(sha256)).toBeUndefined();
  expect(readdirSync(join(folder, 'chunks'))).toEqual([]);
});
