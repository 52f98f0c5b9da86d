import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { uploadedBytes, uploadFile } from './upload.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-upload-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const BYTES = Buffer.from(Array.from({ length: 10_240 }, (_, at) => (at * 7) % 251));
const sha256 = createHash('sha256').update(BYTES).digest('hex');
const target = () => join(folder, 'lab.raw');

async function* chunks(bytes: Buffer, size = 999, breaks = false): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  if (breaks) throw new Error('the connection broke');
}
const upload = (bytes: Buffer, more: object = {}, breaks = false) =>
  uploadFile(target(), chunks(bytes, 999, breaks), { sizeBytes: BYTES.length, sha256, ...more });

test('a file that comes at once is there, and nothing else', async () => {
  const progress: number[] = [];
  const onProgress = (done: number) => void progress.push(done);
  expect(await upload(BYTES, { onProgress })).toEqual({ ok: true, value: { path: target(), sizeBytes: 10_240 } });
  expect(readFileSync(target()).equals(BYTES)).toBe(true);
  expect(readdirSync(folder)).toEqual(['lab.raw']);
  expect(progress.at(-1)).toBe(10_240);
});

test('one that breaks off wherever, again and again, is gone on with', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 10_240 }), { maxLength: 4 }), fc.boolean(), async (ends, breaks) => {
      for (const end of ends) {
        const offset = await uploadedBytes(target());
        if (end <= offset || end === BYTES.length) continue;
        const part = await upload(BYTES.subarray(offset, end), { offset }, breaks);
        expect(part).toMatchObject({
          error: { code: 'InputEnded', message: expect.stringContaining(`--offset ${end}`) },
        });
      }
      const offset = await uploadedBytes(target());
      expect(await upload(BYTES.subarray(offset), { offset })).toMatchObject({ ok: true });
      expect(readFileSync(target()).equals(BYTES)).toBe(true);
      expect(readdirSync(folder)).toEqual(['lab.raw']);
      rmSync(target());
    }),
    { numRuns: 50, seed: 11 },
  );
});

test.each<{ what: string; bytes?: Buffer; more?: object; there?: Buffer; code: string; left: string[] }>([
  { what: 'another content', bytes: Buffer.alloc(10_240), code: 'DigestWrong', left: [] },
  { what: 'more than was said', bytes: Buffer.concat([BYTES, BYTES]), code: 'InputTooLong', left: [] },
  {
    what: 'a beginning behind what is there',
    more: { offset: 5 },
    there: BYTES.subarray(0, 4),
    code: 'OffsetWrong',
    left: ['lab.raw.partial'],
  },
  {
    what: 'a rest of another file',
    bytes: BYTES.subarray(4),
    more: { offset: 4 },
    there: Buffer.from('else'),
    code: 'DigestWrong',
    left: [],
  },
  { what: 'more than there is room for', more: { sizeBytes: 2 ** 52 }, code: 'NoSpace', left: [] },
])('$what is $code', async ({ bytes = BYTES, more = {}, there, code, left }) => {
  if (there) writeFileSync(`${target()}.partial`, there);
  expect(await upload(bytes, more)).toMatchObject({ ok: false, error: { code } });
  expect(readdirSync(folder)).toEqual(left);
  if (left.length > 0) expect(await uploadedBytes(target())).toBe(there?.length ?? 0);
});

test('what is there is not overwritten', async () => {
  writeFileSync(target(), 'golden');
  expect(await upload(BYTES)).toMatchObject({ error: { code: 'FileExists' } });
  expect(readFileSync(target(), 'utf8')).toBe('golden');
});
