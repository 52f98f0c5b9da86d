import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { lines, MAX_LINE_BYTES } from './lines.ts';

async function* chunksOf(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  for (let index = 1; index < places.length; index += 1) yield bytes.subarray(places[index - 1], places[index]);
}

async function read(chunks: AsyncIterable<Uint8Array>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines(chunks)) all.push(line);
  return all;
}

test('lines are the same wherever the bytes are cut, also inside a character', async () => {
  const text = fc.array(fc.string({ unit: 'grapheme' }).filter((line) => line !== '' && !line.includes('\n')));
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat(200)), async (expected, cuts) => {
      expect(await read(chunksOf(Buffer.from(expected.map((line) => `${line}\n`).join('')), cuts))).toEqual(expected);
    }),
    { seed: 11, numRuns: 300 },
  );
});

test('an empty line is none, and a last line without its end is dropped', async () => {
  expect(await read(chunksOf(Buffer.from('a\n\nb\nc'), [2]))).toEqual(['a', 'b']);
});

test('an endless line is refused', async () => {
  async function* endless() {
    for (;;) yield new Uint8Array(1024 * 1024).fill(97);
  }
  await expect(read(endless())).rejects.toThrow(`above ${MAX_LINE_BYTES} bytes`);
});
