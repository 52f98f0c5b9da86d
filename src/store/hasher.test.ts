/** The thread that hashes, as a thread. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { until } from '../../test/setup/time.ts';
import { LEAST_CHUNK_BYTES } from '../transfer/manifest.ts';
import { Hasher, HasherLost, type Pass } from './hasher.ts';
import { Hashes } from './hashes.ts';

let hasher: Hasher;
afterEach(() => hasher.close());

async function give(pass: Pass, content: Buffer): Promise<void> {
  for (let at = 0; at < content.length; ) {
    const room = await pass.room();
    const bytes = Math.min(room.length, content.length - at);
    room.set(content.subarray(at, at + bytes));
    pass.add(bytes);
    at += bytes;
  }
}

/** Plain twin. */
function hashesOf(content: Buffer, chunkBytes?: number) {
  const hashes = new Hashes({ sizeBytes: content.length, chunkBytes });
  hashes.add(content);
  return hashes.finish();
}

const contents = [
  Buffer.alloc(0),
  Buffer.of(1),
  randomBytes((1 << 20) + 1),
  Buffer.concat([Buffer.alloc(1 << 20), randomBytes(1 << 20)]),
  randomBytes(9 << 20),
];

test('files that are hashed at once have the digests and manifests that they have alone', async () => {
  hasher = new Hasher();
  const chunks = [LEAST_CHUNK_BYTES, undefined];
  const cases = contents.flatMap((content) => chunks.map((chunkBytes) => ({ content, chunkBytes })));
  const hashed = await Promise.all(
    cases.map(async ({ content, chunkBytes }) => {
      using pass = hasher.begin({ sizeBytes: content.length, chunkBytes });
      await give(pass, content);
      return await pass.finish();
    }),
  );
  for (const [at, { manifest, sha256 }] of hashed.entries()) {
    const { content = Buffer.alloc(0), chunkBytes } = cases[at] ?? {};
    const alone = hashesOf(content, chunkBytes);
    expect([sha256, manifest?.root]).toEqual([alone.sha256, alone.manifest?.root]);
    if (manifest) expect(manifest.encoded.equals(alone.manifest?.encoded ?? Buffer.of())).toBe(true);
  }
});

test('the thread ends when there was nothing to hash for a while, and never beside a pass', async () => {
  hasher = new Hasher({ lingerMs: 1 });
  expect(hasher.isAwake).toBe(false);
  const [large = Buffer.of()] = contents.slice(-1);
  const long = hasher.begin({ sizeBytes: large.length });
  for (const content of contents) {
    using pass = hasher.begin({ sizeBytes: content.length });
    await give(pass, content);
    await pass.finish();
  }
  await give(long, large);
  expect(await long.finish()).toEqual(hashesOf(large));
  long[Symbol.dispose]();
  await until('it ended', () => !hasher.isAwake);
  using again = hasher.begin({ sizeBytes: 0 });
  expect(await again.finish()).toEqual(hashesOf(Buffer.of()));
});

test('who waits for a pass that was ended is told', async () => {
  hasher = new Hasher();
  const pass = hasher.begin({ sizeBytes: 1 });
  const hashed = pass.finish();
  pass[Symbol.dispose]();
  await expect(hashed).rejects.toThrow('was ended');
});

test.each<[string, string]>([
  ['throws', 'throw new Error("of the thread")'],
  ['ends itself', 'process.exit(3)'],
  ['takes more memory than it may', 'const kept = []; for (;;) kept.push({ more: [kept.length] })'],
])('a thread that %s fails the passes that it had', async (_, last) => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-hasher-'));
  const path = join(folder, 'worker.mjs');
  const source = `import { parentPort } from 'node:worker_threads'; parentPort.on('message', ({ kind }) => { if (kind === 'finish') { ${last} } });`;
  writeFileSync(path, source);
  try {
    hasher = new Hasher({ worker: pathToFileURL(path) });
    const [waits, finishes] = [hasher.begin({ sizeBytes: 9 }), hasher.begin({ sizeBytes: 1 })];
    for (let piece = 0; piece < 2; piece++) waits.add((await waits.room()).length);
    const room = waits.room();
    await expect(finishes.finish()).rejects.toThrow(HasherLost);
    await expect(room).rejects.toThrow('the thread that hashes files ended');
    expect(hasher.isAwake).toBe(false);
    for (const pass of [waits, finishes]) pass[Symbol.dispose]();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
