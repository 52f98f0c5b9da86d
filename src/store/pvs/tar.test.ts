/** GNU tar reads what is written here. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fail, ok } from '../../kit/result.ts';
import { type TarFile, tarBytes, tarOf } from './tar.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-tar-'));
afterAll(() => rmSync(folder, { recursive: true }));
const tar = (...words: string[]): string =>
  execFileSync('tar', ['--force-local', ...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { LC_ALL: 'C.UTF-8', TZ: 'UTC' },
  });

function fileOf(name: string, bytes: Buffer): TarFile<never> {
  const chunks = (async function* () {
    for (let at = 0; at < bytes.length; at += 1_000) yield ok(bytes.subarray(at, at + 1_000));
  })();
  return { name, sizeBytes: bytes.length, modifiedMs: 1_700_000_000_000, chunks };
}

async function write(files: readonly TarFile<never>[]): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of tarOf(files)) if (part.ok) parts.push(part.value);
  const all = Buffer.concat(parts);
  expect(all.length).toBe(tarBytes(files));
  writeFileSync(join(folder, 'all.tar'), all);
  return 'all.tar';
}

const letters = fc.constantFrom(...'abZ09.-_ ()äß語😀');
const aName = fc.string({ unit: letters, minLength: 1, maxLength: 60 }).map((text) => `n${text}`);
const aFile = fc.tuple(aName, fc.integer({ min: 0, max: 3_000 }));

test('files of any names and sizes come out as they went in', async () => {
  const some = fc.uniqueArray(aFile, { minLength: 1, maxLength: 6, selector: ([name]) => name });
  const into = join(folder, 'into');
  await fc.assert(
    fc.asyncProperty(some, async (files) => {
      const contents = files.map(([name, size]) => [name, Buffer.alloc(size, name)] as const);
      const path = await write(contents.map(([name, bytes]) => fileOf(name, bytes)));
      execFileSync('mkdir', [into]);
      tar('-xf', path, '-C', into);
      expect(new Set(readdirSync(into))).toEqual(new Set(files.map(([name]) => name)));
      for (const [name, bytes] of contents) expect(readFileSync(join(into, name)).equals(bytes)).toBe(true);
      for (const [name] of contents) expect(statSync(join(into, name)).mtimeMs).toBe(1_700_000_000_000);
      rmSync(into, { recursive: true });
    }),
    { seed: 14, numRuns: 15 },
  );
});

test.each([8 ** 11 - 1, 8 ** 11, 2 ** 42])(
  'a file of %i bytes has its size, and its end is found',
  async (sizeBytes) => {
    const chunks = (async function* () {})();
    const file = { name: 'lab.vhdx', sizeBytes, modifiedMs: 0, chunks };
    const first = await tarOf([file]).next();
    if (first.done || !first.value.ok) throw new Error('it begins with a header');
    writeFileSync(join(folder, 'large.tar'), first.value.value);
    // Data and end are one hole.
    truncateSync(join(folder, 'large.tar'), tarBytes([file]));
    expect(tar('-tvf', 'large.tar')).toMatch(new RegExp(`^-rw-r--r-- 0/0 +${sizeBytes} 1970-01-01 00:00 lab.vhdx\n$`));
  },
);

test('a fault of a file is the last of it', async () => {
  const chunks = (async function* () {
    yield ok(Buffer.alloc(10));
    yield fail('Changed', 'it was changed');
  })();
  const parts = [];
  for await (const part of tarOf([{ name: 'lab.vhd', sizeBytes: 20, modifiedMs: 0, chunks }])) parts.push(part.ok);
  expect(parts).toEqual([true, true, false]);
});
