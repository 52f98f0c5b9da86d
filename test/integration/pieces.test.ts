/** `target/build/libpieces.so`, the hashes of pieces that client and server share, as a process loads it; judged by Debian's `b3sum`. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from '@jest/globals';
import koffi from 'koffi';

const LIBRARY = 'target/build/libpieces.so';
const SEED = 20_261_129;
const PIECE_BYTES = 4_096;

beforeAll(() => {
  execFileSync('make', ['-s', '-C', 'target', 'build/libpieces.so'], { stdio: 'inherit' });
});

/** The same bytes at each run: a linear congruential generator, its upper byte. */
function bytesOf(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, state = SEED; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

const b3sum = (input: Uint8Array): string => execFileSync('b3sum', ['--no-names'], { input, encoding: 'utf8' }).trim();

/** Where multiples of 4,096 of the disk cut `data`. */
function pieces(data: Buffer, offset: number): Buffer[] {
  const cuts: Buffer[] = [];
  for (let at = 0; at < data.length; ) {
    const end = Math.min(data.length, at + PIECE_BYTES - ((offset + at) % PIECE_BYTES));
    cuts.push(data.subarray(at, end));
    at = end;
  }
  return cuts;
}

test('it shows two names, needs nothing but libc, and no memory that is run', () => {
  const names = execFileSync('nm', ['-D', '--defined-only', LIBRARY], { encoding: 'utf8' });
  expect(names.match(/\w+$/gm)).toEqual(['pieces_hash', 'pieces_lanes']);
  const parts = execFileSync('readelf', ['-dlW', LIBRARY], { encoding: 'utf8' });
  expect(parts.match(/(?<=\(NEEDED\).*\[).*(?=\])/g)).toEqual(['libc.so.6']);
  expect(parts).toMatch(/GNU_STACK .* RW /);
});

test('the vectors of the C tests are what b3sum says', () => {
  const source = readFileSync('target/test/pieces_test.c', 'utf8');
  const vectors = [...source.matchAll(/\{(\d+), "([0-9a-f]{64})"\}/g)].map(([, length, hash]) => ({ length, hash }));
  expect(vectors).toHaveLength(22);
  const input = Buffer.from(Array.from({ length: 102_400 }, (_, i) => i % 251));
  expect(vectors.map(({ length }) => ({ length, hash: b3sum(input.subarray(0, Number(length))) }))).toEqual(vectors);
});

test.each([
  { what: 'an answer of whole pieces', offset: 5 * PIECE_BYTES, length: 32_768 },
  { what: 'one that begins and ends within pieces', offset: 3 * PIECE_BYTES + 512, length: 65_536 },
  { what: 'a sector', offset: 512, length: 512 },
  { what: 'bytes that no sector ends', offset: 4_095, length: 4_098 },
  { what: 'an offset beyond 32 bits', offset: 2 ** 40 + 1_024, length: 20_480 },
  { what: 'nothing', offset: 0, length: 0 },
])('hashes of $what are those of b3sum', ({ offset, length }) => {
  const library = koffi.load(LIBRARY);
  const hash = library.func('unsigned int pieces_hash(void *out, uint64_t offset, const void *data, uint32_t length)');
  const data = bytesOf(length);
  const wanted = pieces(data, offset).map(b3sum);
  const out = Buffer.alloc(32 * (wanted.length + 1), 0xee);
  expect(hash(out, offset, data, length)).toBe(wanted.length);
  const hex = out.toString('hex');
  expect(hex.match(/.{64}/g)?.slice(0, -1) ?? []).toEqual(wanted);
  expect(hex.slice(-64)).toBe('ee'.repeat(32));
  expect([1, 4, 8, 16]).toContain(library.func('unsigned int pieces_lanes()')());
});
