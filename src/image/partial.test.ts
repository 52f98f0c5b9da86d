/** A file appears whole or not at all, over nothing, and is written by one process at a time. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { lock, stretches } from './native.ts';
import { copyFile, PartialFile } from './partial.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-partial-'));
  path = join(folder, 'lab.vhdx');
});
afterEach(() => rmSync(folder, { recursive: true }));

const partial = (): string => `${path}.partial`;
const names = (): string[] => readdirSync(folder).sort();

async function begun(): Promise<PartialFile> {
  const file = await PartialFile.open(path);
  if (!file.ok) throw new Error(file.error.message);
  return file.value;
}

test('it has its name when it is finished, and no other before', async () => {
  const file = await begun();
  expect(await file.append(4_096, Buffer.from('data'))).toBeUndefined();
  expect(names()).toEqual(['lab.vhdx.partial']);
  expect(await file.finish(8_192)).toBeUndefined();
  await file.remove();
  expect(names()).toEqual(['lab.vhdx']);
  const bytes = readFileSync(path);
  expect([bytes.length, bytes.toString('latin1', 4_096, 4_100)]).toEqual([8_192, 'data']);
});

test('whatever was left of an earlier try, only what was written is there', async () => {
  const pieces = fc.array(fc.tuple(fc.nat({ max: 40_000 }), fc.integer({ min: 1, max: 30_000 })), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.uint8Array({ maxLength: 200_000, size: 'max' }), async (gaps, left) => {
      rmSync(path, { force: true });
      writeFileSync(partial(), left);
      const file = await begun();
      const model = Buffer.alloc(400_000);
      let end = 0;
      for (const [gap, length] of gaps) {
        model.fill(1 + (length % 255), end + gap, end + gap + length);
        expect(await file.append(end + gap, model.subarray(end + gap, end + gap + length))).toBeUndefined();
        end += gap + length;
      }
      expect(await file.finish(end + 512)).toBeUndefined();
      expect(readFileSync(path).equals(model.subarray(0, end + 512))).toBe(true);
    }),
    { seed: 14, numRuns: 50 },
  );
});

test('what is finished is never written again: a second name of it goes', async () => {
  writeFileSync(path, 'golden');
  linkSync(path, partial());
  rmSync(path);
  linkSync(partial(), join(folder, 'other.vhdx'));
  const file = await begun();
  expect(await file.append(0, Buffer.from('new'))).toBeUndefined();
  expect(await file.finish(3)).toBeUndefined();
  expect(readFileSync(join(folder, 'other.vhdx'), 'latin1')).toBe('golden');
});

test('a name that is there is not overwritten, before and at the end', async () => {
  const file = await begun();
  writeFileSync(path, 'golden');
  expect(await PartialFile.open(path)).toMatchObject({ ok: false, error: { code: 'FileExists' } });
  expect(await file.finish(512)).toMatchObject({ code: 'FileExists', message: expect.stringContaining(path) });
  await file.remove();
  expect(names()).toEqual(['lab.vhdx']);
  expect(readFileSync(path, 'latin1')).toBe('golden');
});

test.each<{ what: string; put: () => void; code: string; says: string }>([
  { what: 'a folder', put: () => mkdirSync(partial()), code: 'NotRegular', says: '.partial is a folder, ' },
  {
    what: 'a link',
    put: () => symlinkSync(join(folder, 'golden'), partial()),
    ...{ code: 'NotRegular', says: '.partial is a link, ' },
  },
  {
    what: 'no folder',
    put: () => rmSync(folder, { recursive: true }),
    ...{ code: 'FileMissing', says: 'is not there: make it' },
  },
])('where $what is in its place nothing is written', async ({ put, code, says }) => {
  put();
  expect(await PartialFile.open(path)).toMatchObject({
    ok: false,
    error: { code, message: expect.stringContaining(says) },
  });
  mkdirSync(folder, { recursive: true });
});

test('what is left for the next try is what was written, and nothing where nothing was', async () => {
  for (const [bytes, left] of [
    ['', []],
    ['data', ['lab.vhdx.partial']],
  ] as const) {
    const file = await begun();
    expect(await file.append(0, Buffer.from(bytes))).toBeUndefined();
    await file.leave();
    expect(names()).toEqual(left);
  }
});

test('one process writes it, for as long as it lives', async () => {
  const other = spawn('flock', [partial(), 'sh', '-c', 'echo; read -r line'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(other.stdout, 'data');
  const refused = { ok: false, error: { code: 'BeingWritten', message: expect.stringContaining(partial()) } };
  const asked = await PartialFile.open(path);
  other.stdin.end('\n');
  await once(other, 'close');
  expect(asked).toMatchObject(refused);
  const file = await begun();
  expect(await PartialFile.open(path)).toMatchObject(refused);
  await file.remove();
  expect(names()).toEqual([]);
});

test('a lock is held by one that is open', () => {
  writeFileSync(path, '');
  const [one, two] = [openSync(path, 'r'), openSync(path, 'r')];
  expect([lock(one), lock(two)]).toEqual(['taken', 'held']);
  closeSync(one);
  expect(lock(two)).toBe('taken');
  closeSync(two);
});

test('holes are found, up to the end of the range', async () => {
  const file = await begun();
  await file.append(1 << 20, Buffer.alloc(65_536, 1));
  await file.finish(3 << 20);
  const fd = openSync(path, 'r');
  const found = [...stretches(fd, 4_096, (2 << 20) - 4_096)];
  closeSync(fd);
  expect(found).toEqual([
    { offset: 4_096, length: (1 << 20) - 4_096, isHole: true },
    { offset: 1 << 20, length: 65_536, isHole: false },
    { offset: (1 << 20) + 65_536, length: (1 << 20) - 65_536, isHole: true },
  ]);
});

test('a file is copied whole, or what lacks is named', async () => {
  const source = join(folder, 'lab.vmlinuz');
  expect(await copyFile(source, path)).toMatchObject({ code: 'FileMissing', message: expect.stringContaining(source) });
  const bytes = Buffer.alloc((2 << 20) + 7, 'kernel');
  writeFileSync(source, bytes);
  expect(await copyFile(source, path)).toBeUndefined();
  expect(readFileSync(path).equals(bytes)).toBe(true);
  expect(await copyFile(source, path)).toMatchObject({ code: 'FileExists' });
  expect(names()).toEqual(['lab.vhdx', 'lab.vmlinuz']);
});
