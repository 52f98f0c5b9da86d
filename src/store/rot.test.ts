import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ManifestMaker } from '../transfer/maker.ts';
import { differing, LEAST_CHUNK_BYTES, type Manifest } from '../transfer/manifest.ts';
import { rotOf, type Seen, wasOf } from './rot.ts';

test.each<[string, Seen | undefined, string, string | undefined]>([
  ['read for the first time', undefined, 'a', undefined],
  ['as before', { sha256: 'a' }, 'a', undefined],
  ['otherwise', { sha256: 'a' }, 'b', 'a'],
  ['as rotten as before', { sha256: 'b', was: 'a' }, 'b', 'a'],
  ['more rotten than before', { sha256: 'b', was: 'a' }, 'c', 'a'],
  ['right again', { sha256: 'b', was: 'a' }, 'a', undefined],
])('what is read %s', (_, last, sha256, was) => expect(wasOf(last, sha256)).toBe(was));

const CHUNK = LEAST_CHUNK_BYTES;

function manifestOf(bytes: Buffer): Manifest {
  const maker = new ManifestMaker(bytes.length, CHUNK);
  maker.add(bytes);
  return maker.finish('ab'.repeat(32));
}

test('where two files of a size are not the same, their manifests say', () => {
  const sizeBytes = 2_060 * CHUNK + 5;
  const before = Buffer.alloc(sizeBytes);
  const first = manifestOf(before);
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(2_060), { maxLength: 20 }), fc.integer({ min: 1, max: 255 }), (chunks, value) => {
      const after = Buffer.from(before);
      for (const chunk of chunks) after[Math.min(sizeBytes - 1, chunk * CHUNK + 17)] = value;
      const inOrder = chunks.sort((a, b) => a - b);
      expect(differing(first, manifestOf(after))).toEqual(inOrder);
      expect(differing(manifestOf(after), first)).toEqual(inOrder);
      expect(rotOf(first, manifestOf(after))).toEqual({
        chunks: chunks.length,
        bytes: chunks.length * CHUNK - (chunks.includes(2_060) ? CHUNK - 5 : 0),
        offsets: inOrder.slice(0, 16).map((chunk) => chunk * CHUNK),
      });
    }),
    {
      numRuns: 5,
      examples: [
        [[2_060], 1],
        [[0, 1_023, 1_024], 2],
      ],
    },
  );
});
