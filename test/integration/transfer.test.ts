/** Files between servers by real TLS and real disks: what comes is right, comes once, and goes on after a crash. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { encode, LEAST_CHUNK_BYTES, type Manifest } from '../../src/transfer/manifest.ts';
import { pull } from '../../src/transfer/pull.ts';
import { partialOf } from '../../src/transfer/target.ts';
import { Node } from '../bench/copy/nodes.ts';
import { type Farm, type Giver, giver, MemoryHoldings, makeFarm, manifestOf } from '../fakes/transfer.ts';

const CHUNK = LEAST_CHUNK_BYTES;
const PATIENCE_MS = 2_000;
/** 40 chunks of data, 100 of zeros, 20 of data and an end. */
const CONTENT = Buffer.concat([randomBytes(40 * CHUNK), Buffer.alloc(100 * CHUNK), randomBytes(20 * CHUNK + 1_000)]);
const MANIFEST = manifestOf(CONTENT);
const { sha256, sizeBytes, root } = MANIFEST;
const DATA_BYTES = 60 * CHUNK + 1_000;

let farm: Farm;
let folder: string;
let target: string;
const givers: Giver[] = [];

beforeAll(async () => {
  farm = await makeFarm();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-transfer-'));
  target = join(folder, 'lab.raw');
});
afterEach(async () => {
  await Promise.all(givers.splice(0).map((one) => one.close()));
  rmSync(folder, { recursive: true });
});
afterAll(() => expect(givers).toEqual([]));

/** A server that says that it has all of this content by this manifest. */
async function holder(name: string, content = CONTENT, manifest = MANIFEST): Promise<Giver> {
  const one = await giver(farm, name);
  givers.push(one);
  const path = join(folder, name);
  writeFileSync(path, content);
  one.holdings.offer({ manifest, path, has: 'all' });
  return one;
}

const partial = (): string => partialOf(target, sha256);

const changed = (content: Buffer, chunk: number): Buffer<ArrayBuffer> => {
  const other = Buffer.from(content);
  other[chunk * CHUNK] = (other[chunk * CHUNK] ?? 0) ^ 1;
  return other;
};

test.each([
  { proof: 'its root', wanted: { sha256, sizeBytes, root } },
  { proof: 'its digest', wanted: { sha256, sizeBytes } },
])('a file comes from a peer, is right by $proof, and stays sparse', async ({ wanted }) => {
  const { peer } = await holder('node-a');
  const progress: number[] = [];
  const pulled = await pull(target, wanted, { peers: [peer], onProgress: (done) => progress.push(done) });
  expect(pulled).toMatchObject({ ok: true, value: { peerBytes: { 'node-a': DATA_BYTES }, localBytes: 0, blamed: [] } });
  expect(readFileSync(target).equals(CONTENT)).toBe(true);
  expect(statSync(target).blocks * 512).toBeLessThan(DATA_BYTES + 2 * CHUNK);
  expect(progress.at(-1)).toBe(sizeBytes);
  expect(existsSync(partial())).toBe(false);
});

test('only what no file here has comes from peers, wherever it lies in it', async () => {
  const { peer } = await holder('node-a');
  const before = Buffer.concat([
    changed(CONTENT, 3).subarray(0, 30 * CHUNK),
    randomBytes(CHUNK),
    CONTENT.subarray(140 * CHUNK),
  ]);
  const path = join(folder, 'before');
  writeFileSync(path, before);
  const pulled = await pull(
    target,
    { sha256, sizeBytes, root },
    { peers: [peer], bases: [{ path, manifest: manifestOf(before) }] },
  );
  expect(pulled).toMatchObject({ ok: true, value: { peerBytes: { 'node-a': 11 * CHUNK } } });
  expect(readFileSync(target).equals(CONTENT)).toBe(true);
});

test('a file here that is not what its manifest says gives what is right of it', async () => {
  const { peer } = await holder('node-a');
  const path = join(folder, 'rotten');
  writeFileSync(path, changed(changed(CONTENT, 5), 150));
  const pulled = await pull(
    target,
    { sha256, sizeBytes, root },
    { peers: [peer], bases: [{ path, manifest: MANIFEST }] },
  );
  expect(pulled).toMatchObject({ ok: true, value: { peerBytes: { 'node-a': 2 * CHUNK } } });
  expect(readFileSync(target).equals(CONTENT)).toBe(true);
});

test.each<{ left: string; before: () => Buffer; fromPeer: number }>([
  { left: 'nothing right', before: () => randomBytes(CONTENT.length), fromPeer: DATA_BYTES },
  { left: 'the first half', before: () => CONTENT.subarray(0, 20 * CHUNK + 5), fromPeer: DATA_BYTES - 20 * CHUNK },
  { left: 'all but a chunk', before: () => changed(CONTENT, 7), fromPeer: CHUNK },
  { left: 'more than all', before: () => Buffer.concat([CONTENT, randomBytes(CHUNK)]), fromPeer: 0 },
])('of $left that a crash left only the rest comes', async ({ before, fromPeer }) => {
  const { peer } = await holder('node-a');
  writeFileSync(partial(), before());
  const pulled = await pull(target, { sha256, sizeBytes, root }, { peers: [peer] });
  expect(pulled.ok && (pulled.value.peerBytes['node-a'] ?? 0)).toBe(fromPeer);
  expect(readFileSync(target).equals(CONTENT)).toBe(true);
  expect(statSync(target).blocks * 512).toBeLessThan(DATA_BYTES + 2 * CHUNK);
});

test('a process that is killed while it pulls leaves what the next one goes on with', async () => {
  const content = randomBytes(256 * CHUNK);
  const manifest = manifestOf(content);
  const slow = await giver(farm, 'node-a', {
    limits: { answers: 8, perCaller: 8, stillMs: 10_000, bytesPerSecond: 16 << 20 },
  });
  givers.push(slow);
  const path = join(folder, 'given');
  writeFileSync(path, content);
  slow.holdings.offer({ manifest, path, has: 'all' });
  const wanted = { sha256: manifest.sha256, sizeBytes: content.length };
  const task = { farm, name: 'node-b', address: '127.0.0.1', port: 0, state: folder, holds: [] };
  const node = await Node.start({
    ...task,
    pull: { path: target, wanted, peers: [{ name: 'node-a', ...slow.address }] },
  });
  const pulling = node.pull();
  const begun = partialOf(target, manifest.sha256);
  const isBegun = () => existsSync(begun) && readFileSync(begun).some((byte) => byte !== 0);
  while (!isBegun()) await setImmediate();
  await node.kill();
  await expect(pulling).rejects.toThrow('ended');
  const pulled = await pull(target, wanted, { peers: [slow.peer] });
  expect(pulled.ok && pulled.value.peerBytes['node-a']).toBeLessThan(content.length);
  expect(readFileSync(target).equals(content)).toBe(true);
});

test('a source that sends what is wrong is named, and another gives it', async () => {
  const liar = await holder('liar', randomBytes(CONTENT.length));
  const honest = await holder('node-a');
  const pulled = await pull(target, { sha256, sizeBytes, root }, { peers: [liar.peer, honest.peer] });
  expect(pulled).toMatchObject({
    ok: true,
    value: { blamed: [{ peer: 'liar', why: expect.stringContaining('is not what its digest says') }] },
  });
  expect(readFileSync(target).equals(CONTENT)).toBe(true);
});

/** A manifest of other content that bears the digest of the right one. */
function lie(): { manifest: Manifest; content: Buffer<ArrayBuffer> } {
  const content = changed(CONTENT, 2);
  const { chunkBytes, digests, zeros } = manifestOf(content);
  return { manifest: encode({ sizeBytes, chunkBytes, sha256, digests, zeros }), content };
}

test('a false manifest costs time, and those who gave it are named', async () => {
  const { manifest, content } = lie();
  const liars = [await holder('liar-1', content, manifest), await holder('liar-2', content, manifest)];
  const honest = await holder('node-a');
  const pulled = await pull(target, { sha256, sizeBytes }, { peers: [...liars, honest].map(({ peer }) => peer) });
  expect(pulled.ok && pulled.value.blamed.map(({ peer }) => peer).sort()).toEqual(['liar-1', 'liar-2']);
  expect(pulled.ok && pulled.value.peerBytes).toEqual({ 'node-a': CHUNK });
  expect(readFileSync(target).equals(CONTENT)).toBe(true);
});

test('where all lie there is no file, and it is said who did', async () => {
  const { manifest, content } = lie();
  const { peer } = await holder('liar', content, manifest);
  const pulled = await pull(target, { sha256, sizeBytes }, { peers: [peer], patienceMs: PATIENCE_MS });
  expect(pulled).toMatchObject({
    ok: false,
    error: { code: 'NoSource', message: expect.stringContaining('liar was left') },
  });
  expect(existsSync(target)).toBe(false);
});

test.each([
  ['nothing came', 0],
  ['a chunk came', CHUNK],
])('where the only source is gone, and %s, it is said, and that stays', async (_, cameBytes) => {
  const { peer, close } = await giver(farm, 'node-a');
  await close();
  if (cameBytes > 0) writeFileSync(partial(), CONTENT.subarray(0, cameBytes));
  const pulled = await pull(target, { sha256, sizeBytes }, { peers: [peer], patienceMs: PATIENCE_MS });
  expect(pulled).toMatchObject({ ok: false, error: { code: 'NoSource' } });
  expect(existsSync(partial()) ? statSync(partial()).size : 0).toBe(cameBytes);
  expect(existsSync(partial())).toBe(cameBytes > 0);
});

test('one that is cancelled leaves nothing', async () => {
  const { peer } = await holder('node-a');
  const controller = new AbortController();
  const cancel = () => controller.abort();
  const pulled = await pull(
    target,
    { sha256, sizeBytes, root },
    { peers: [peer], signal: controller.signal, onProgress: cancel },
  );
  expect(pulled).toMatchObject({ ok: false, error: { code: 'Cancelled' } });
  expect(existsSync(target) || existsSync(partial())).toBe(false);
});

test('what one is pulling it gives on: two have all, though each source has a half', async () => {
  const halves = await Promise.all(
    [0, 1].map(async (half) => {
      const one = await giver(farm, `half-${half}`);
      givers.push(one);
      const path = join(folder, `half-${half}`);
      writeFileSync(path, CONTENT);
      one.holdings.offer({
        manifest: MANIFEST,
        path,
        has: Uint8Array.from(MANIFEST.zeros, (_, at) => (at & 1) ^ half),
      });
      return one;
    }),
  );
  const middle = await giver(farm, 'middle');
  givers.push(middle);
  const wanted = { sha256, sizeBytes, root };
  const last = join(folder, 'last.raw');
  const [first, second] = await Promise.all([
    pull(target, wanted, { peers: halves.map(({ peer }) => peer), holdings: middle.holdings }).then((pulled) => {
      middle.holdings.offer({ manifest: MANIFEST, path: target, has: 'all' });
      return pulled;
    }),
    pull(last, wanted, {
      peers: [middle.peer, ...halves.slice(0, 1).map(({ peer }) => peer)],
      holdings: new MemoryHoldings(),
    }),
  ]);
  expect([first.ok, second.ok]).toEqual([true, true]);
  for (const path of [target, last]) expect(readFileSync(path).equals(CONTENT)).toBe(true);
});
