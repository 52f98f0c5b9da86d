import { createHash, randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mutated } from '../../test/builders/mutations.ts';
import { ManifestMaker } from './maker.ts';
import { chunkBytesOf, DIGEST_BYTES, decode, encode, LEAST_CHUNK_BYTES, type Manifest } from './manifest.ts';

const CHUNK = LEAST_CHUNK_BYTES;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Plain twin: each chunk by itself. */
function check(manifest: Manifest, content: Buffer): void {
  expect(manifest).toMatchObject({
    sizeBytes: content.length,
    sha256: sha256(content),
    root: sha256(manifest.encoded),
  });
  for (let chunk = 0; chunk < manifest.chunks; chunk++) {
    const bytes = content.subarray(chunk * CHUNK, (chunk + 1) * CHUNK);
    const digest = Buffer.from(manifest.digests.subarray(chunk * DIGEST_BYTES, (chunk + 1) * DIGEST_BYTES));
    const isZero = bytes.every((byte) => byte === 0);
    expect(manifest.zeros[chunk]).toBe(isZero ? 1 : 0);
    expect(digest.toString('hex')).toBe(isZero ? '00'.repeat(DIGEST_BYTES) : sha256(bytes));
  }
}

test.each([
  ['nothing', Buffer.alloc(0)],
  ['a byte', Buffer.of(1)],
  ['a chunk', randomBytes(CHUNK)],
  ['zeros alone', Buffer.alloc(3 * CHUNK + 1)],
  ['data, zeros, and an end', Buffer.concat([randomBytes(2 * CHUNK), Buffer.alloc(9 * CHUNK), randomBytes(100)])],
  ['zeros but for the last byte', Buffer.concat([Buffer.alloc(2 * CHUNK), Buffer.of(1)])],
])('a manifest of %s says what each chunk is, however the bytes came, and survives its codec', (_, content) => {
  for (const pieceBytes of [1 << 20, CHUNK, 100_000, 4_099]) {
    const maker = new ManifestMaker(content.length, CHUNK);
    for (let at = 0; at < content.length; at += pieceBytes) maker.add(content.subarray(at, at + pieceBytes));
    const manifest = maker.finish(sha256(content));
    check(manifest, content);
    expect(decode(manifest.encoded)).toEqual({ ok: true, value: manifest });
  }
});

test('a maker that is given too little or too much says so', () => {
  const maker = new ManifestMaker(10, CHUNK);
  expect(() => maker.finish(sha256(Buffer.alloc(0)))).toThrow('were not all added');
  expect(() => maker.add(Buffer.alloc(11))).toThrow('more than the 10 bytes');
});

const some = [0, 1, 3, 20].map((chunks) => {
  const zeros = Uint8Array.from({ length: chunks }, (_, at) => (at % 3) & 1);
  const parts = { sizeBytes: chunks * CHUNK, chunkBytes: CHUNK, sha256: 'ab'.repeat(32), zeros };
  return encode({ ...parts, digests: randomBytes(chunks * DIGEST_BYTES) }).encoded;
});

test('any bytes are a manifest that encodes to the same bytes, or a fault', () => {
  let decoded = 0;
  fc.assert(
    fc.property(mutated(some), (bytes) => {
      const answer = decode(Buffer.concat([Buffer.alloc(3), bytes]).subarray(3));
      if (!answer.ok) return expect(answer.error.code).toBe('ManifestInvalid');
      decoded++;
      expect(encode(answer.value).encoded.equals(bytes)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
  expect(decoded).toBeGreaterThan(20);
});

test('no truncation is a manifest', () => {
  for (const bytes of some)
    for (let length = 0; length < bytes.length; length++) expect(decode(bytes.subarray(0, length)).ok).toBe(false);
});

test.each([
  ['another beginning', 0, 1, 'begins with'],
  ['chunks of 64 KiB and a bit', 11, 1, 'power of two'],
  ['chunks of 16 MiB', 8, 1, 'power of two'],
  ['a file of 2^56 bytes', 12, 1, 'chunks at most'],
])('%s is refused', (_, at, value, message) => {
  const bytes = Buffer.from(some[2] ?? []);
  bytes[at] = (bytes[at] ?? 0) ^ value;
  expect(decode(bytes)).toMatchObject({ ok: false, error: { message: expect.stringContaining(message) } });
});

test.each([
  [0, CHUNK],
  [4 * 2 ** 30, CHUNK],
  [64 * 2 ** 30, CHUNK],
  [64 * 2 ** 30 + 1, 2 * CHUNK],
  [2 ** 41, 2 << 20],
  [2 ** 41 + 1, undefined],
])('a file of %d bytes has chunks of %d', (sizeBytes, chunkBytes) => expect(chunkBytesOf(sizeBytes)).toBe(chunkBytes));
