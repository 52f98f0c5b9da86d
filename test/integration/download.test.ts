/** What goes out through qemu-img is what the disk shows, whole or in two parts. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Result } from '../../src/kit/result.ts';
import { type Download, type Downloaded, type DownloadFault, download } from '../../src/store/download.ts';
import { anImage } from '../builders/pvs.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-download-'));
const got = mkdtempSync(join(tmpdir(), 'bootfarm-got-'));
const BYTES = 9 << 20;
let there: readonly string[];

beforeAll(async () => {
  const disk = Buffer.alloc(BYTES);
  disk.fill('first', 0, 100_000).fill('last', BYTES - 70_000);
  writeFileSync(join(folder, 'plain.raw'), disk);
  await anImage(folder, 'lab.vhd');
  await anImage(folder, 'lab.1.avhd', 'lab.vhd');
});
beforeEach(() => {
  there = readdirSync(folder);
});
afterAll(() => {
  for (const path of [folder, got]) rmSync(path, { recursive: true });
});

interface Taken {
  readonly bytes: Buffer;
  readonly result: Result<Downloaded, DownloadFault>;
}

/** `breaksAt`: nobody takes more. */
async function take(fileName: string, options: Download, breaksAt = Number.POSITIVE_INFINITY): Promise<Taken> {
  const taken: Buffer[] = [];
  const give = async (bytes: Buffer): Promise<void> => {
    if (breaksAt === 0) throw new Error('EPIPE');
    taken.push(Buffer.from(bytes.subarray(0, breaksAt)));
    if (bytes.length > breaksAt) throw new Error('EPIPE');
  };
  const result = await download({ folder, fileName }, options, give);
  return { bytes: Buffer.concat(taken), result };
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

test.each([
  { fileName: 'plain', format: 'qcow2' },
  { fileName: 'plain', format: 'vdi' },
  { fileName: 'lab', format: 'qcow2' },
  { fileName: 'lab', format: 'vmdk' },
] as const)('$fileName goes out as $format in two parts, and nothing is left of it', async ({ fileName, format }) => {
  const progress: number[] = [];
  const onProgress = (done: number, total: number): void => void progress.push(done / total);
  const first = await take(fileName, { format, onProgress }, 70_000);
  expect(first.result).toMatchObject({ error: { code: 'OutputEnded' } });
  expect(readdirSync(folder).filter((name) => !there.includes(name))).toHaveLength(1);
  const made = progress.slice(0, progress.indexOf(1) + 1);
  // How many there are is up to who reads them how late; that they come before the end is what the test of a cancelled one needs.
  expect(made.at(-1)).toBe(1);
  expect(made).toEqual(made.toSorted((a, b) => a - b));
  const rest = await take(fileName, { format, offset: first.bytes.length });
  const all = Buffer.concat([first.bytes, rest.bytes]);
  expect(rest.result).toMatchObject({ ok: true, value: { sizeBytes: all.length, sha256: sha256(all) } });
  expect(readdirSync(folder)).toEqual(there);
  const shown = await take(fileName, { format: 'raw' });
  writeFileSync(join(got, 'disk'), shown.bytes);
  writeFileSync(join(got, `disk.${format}`), all);
  const compared = execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', format, 'disk', `disk.${format}`], {
    cwd: got,
  });
  expect(compared.toString()).toContain('Images are identical');
});

test('one that is cancelled, or whose image is written to meanwhile, leaves nothing and gives nothing', async () => {
  const cancel = new AbortController();
  const cancelled = { format: 'qcow2', signal: cancel.signal, onProgress: () => cancel.abort() } as const;
  expect(await take('lab', cancelled)).toMatchObject({
    bytes: Buffer.alloc(0),
    result: { error: { code: 'Cancelled' } },
  });
  expect(readdirSync(folder)).toEqual(there);
  const path = join(folder, 'plain.raw');
  const before = readFileSync(path);
  const written = { format: 'qcow2', onProgress: () => appendFileSync(path, Buffer.alloc(512)) } as const;
  expect(await take('plain', written)).toMatchObject({
    bytes: Buffer.alloc(0),
    result: { error: { code: 'Changed' } },
  });
  expect(readdirSync(folder)).toEqual(there);
  writeFileSync(path, before);
});

test('what an earlier try left half made is made anew', async () => {
  for (const name of ['lab.partial.qcow2.partial', 'lab.partial.qcow2.raw']) writeFileSync(join(folder, name), 'half');
  const { result } = await take('lab', { format: 'qcow2', number: 0 });
  expect(result).toMatchObject({ ok: true });
  expect(readdirSync(folder)).toEqual(there);
});
