import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { alone } from './alone.ts';
import { convertFile } from './convert.ts';
import { importFile } from './import.ts';
import { freeBytes, roomFor } from './room.ts';
import { uploadFile } from './upload.ts';
import { mergeVersions, newVersion } from './versions.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-alone-'));
  writeFileSync(at('lab.raw'), Buffer.alloc(1 << 20, 1));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

async function* nothing(): AsyncGenerator<Uint8Array> {}
const WRITERS: Readonly<Record<string, () => Promise<{ readonly ok: boolean }>>> = {
  convert: () => convertFile(at('lab.raw'), at('lab.vhdx')),
  import: () => importFile(at('lab.qcow2'), at('lab.vhdx')),
  upload: () => uploadFile(at('lab.vhdx'), nothing(), { sizeBytes: 1, sha256: '0'.repeat(64) }),
  'new-version': () => newVersion({ folder, fileName: 'lab' }),
  merge: () => mergeVersions({ folder, fileName: 'lab' }, 'base'),
};

test.each(Object.keys(WRITERS))('%s writes nothing where another one writes', async (word) => {
  const answer = await alone(folder, async () => ({ ok: true as const, value: await WRITERS[word]?.() }));
  expect(answer).toMatchObject({
    ok: true,
    value: { ok: false, error: { code: 'BeingWritten', message: expect.stringContaining(folder) } },
  });
  expect(readdirSync(folder)).toEqual(['lab.raw']);
});

test('what does not fit is refused', async () => {
  const much = (await freeBytes(folder)) + 2 ** 40;
  expect(await roomFor(folder, at('lab.vhdx'), 0)).toMatchObject({ ok: true });
  const refused = await roomFor(folder, at('lab.vhdx'), much);
  expect(refused).toMatchObject({
    ok: false,
    error: { code: 'NoSpace', message: expect.stringMatching(/make room, or/) },
  });
});
