/** Versions as a person makes them: each shows what it shall, whatever was merged, and nothing that was there is changed. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Work } from '../image/copy.ts';
import { openImage } from '../image/images.ts';
import { patternBytes } from '../image/pattern/pattern.ts';
import { convertFile, targetOf } from './convert.ts';
import { mergeVersions, newVersion, versionOf } from './versions.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-versions-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const lab = () => ({ folder, fileName: 'lab' });
const at = (name: string): string => join(folder, name);
const put = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(at(name), bytes);
  return at(name);
};

function must<T>(answer: { ok: true; value: T } | { ok: false; error: { message: string } }): T {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

async function shown(name: string): Promise<Buffer> {
  const disk = must(await openImage(at(name)));
  const read = must(await disk.read(0, disk.sizeBytes));
  await disk.close();
  return read;
}

const digests = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(at(name)))
          .digest('hex'),
      ]),
  );

const MIB = 1 << 20;
/** Runs of 4 KiB over the disk before: its own pattern, zeros, or as it was. */
const update = fc.array(fc.tuple(fc.nat({ max: 1_100 }), fc.integer({ min: 1, max: 400 }), fc.boolean()), {
  maxLength: 4,
});
const chain = fc.record({
  format: fc.constantFrom('vhd', 'vhdx'),
  mebibytes: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
  updates: fc.array(update, { minLength: 4, maxLength: 4 }),
});

test('whatever chain is made and merged, its newest version shows what was asked for', async () => {
  await fc.assert(
    fc.asyncProperty(chain, async ({ format, mebibytes, updates }) => {
      for (const name of readdirSync(folder)) rmSync(at(name));
      let disk = Buffer.alloc(0);
      for (const [number, size] of mebibytes.entries()) {
        disk = Buffer.concat([disk.subarray(0, size * MIB)], size * MIB);
        for (const [from, pages, isZeros] of updates[number] ?? []) {
          const [start, end] = [from * 4_096, Math.min(disk.length, (from + pages) * 4_096)];
          if (end > start)
            disk.set(isZeros ? Buffer.alloc(end - start) : patternBytes(start, end - start, number), start);
        }
        // Of a disk that shows what the newest version does none is made.
        disk[0] = number;
        const from = put('from.raw', disk);
        if (number === 0) must(await convertFile(from, at(`lab.${format}`)));
        else expect((await shown(must(await newVersion(lab(), { from })).name)).equals(disk)).toBe(true);
      }
      const before = digests();
      const newest = mebibytes.length - 1;
      const updated = must(await mergeVersions(lab(), 'updates'));
      expect(updated?.name).toBe(newest < 2 ? undefined : `lab.${newest + 1}.a${format}`);
      if (updated) expect((await shown(updated.name)).equals(disk)).toBe(true);
      const based = must(await mergeVersions(lab(), 'base'));
      expect(based?.name).toBe(newest < 1 ? undefined : `lab.${newest + (updated ? 2 : 1)}.${format}`);
      if (based) {
        expect((await shown(based.name)).equals(disk)).toBe(true);
        expect(must(await mergeVersions(lab(), 'base'))).toBeUndefined();
        expect((await shown(must(await newVersion(lab())).name)).equals(disk)).toBe(true);
      }
      expect(digests()).toMatchObject(before);
    }),
    { seed: 14, numRuns: 15 },
  );
});

test('a difference is as large as what differs, and an empty one has no blocks', async () => {
  const disk = Buffer.from(patternBytes(0, 8 * MIB));
  must(await convertFile(put('from.raw', disk), at('lab.vhdx')));
  disk.fill(0, 0, 2 * MIB);
  disk.fill(7, 5 * MIB, 5 * MIB + 512);
  expect(must(await newVersion(lab(), { from: put('from.raw', disk) })).fileBytes).toBe((4 + 1 + 2) * MIB);
  expect(statSync(at('lab.1.avhdx')).blocks * 512).toBeLessThan(1.5 * MIB);
  expect(must(await newVersion(lab())).fileBytes).toBe(4 * MIB);
});

test('updates are merged without what is the base alone, and nothing of the base shows through', async () => {
  const disk = Buffer.from(patternBytes(0, 8 * MIB));
  must(await convertFile(put('from.raw', disk), at('lab.vhdx')));
  expect(must(await newVersion(lab(), { from: put('from.raw', disk.subarray(0, 4 * MIB)) })).lessBytes).toBe(4 * MIB);
  const longer = Buffer.concat([Buffer.alloc(512, 7), disk.subarray(512, 4 * MIB)], 8 * MIB);
  must(await newVersion(lab(), { from: put('from.raw', longer) }));
  const merged = must(await mergeVersions(lab(), 'updates'));
  expect(merged?.fileBytes).toBe((4 + 1 + 2) * MIB);
  expect((await shown('lab.3.avhdx')).equals(longer)).toBe(true);
});

test('holes of what is given are zeros of the new version', async () => {
  must(await convertFile(put('from.raw', patternBytes(0, 4 * MIB)), at('lab.vhd')));
  rmSync(at('from.raw'));
  put('from.raw', '');
  truncateSync(at('from.raw'), 4 * MIB);
  must(await newVersion(lab(), { from: at('from.raw') }));
  expect((await shown('lab.1.avhd')).equals(Buffer.alloc(4 * MIB))).toBe(true);
  expect(statSync(at('lab.1.avhd')).blocks * 512).toBeLessThan(64 << 10);
});

test('kernel and initrd come with it, but where they are there', async () => {
  must(await convertFile(put('from.raw', patternBytes(0, MIB)), at('lab.vhd')));
  put('lab.vmlinuz', 'kernel');
  put('lab.initrd', 'initrd');
  put('lab.1.initrd', 'mine');
  const made = must(await newVersion(lab()));
  expect(made).toEqual({
    ...{ number: 1, name: 'lab.1.avhd', before: 'lab.vhd', diskBytes: MIB },
    ...{ fileBytes: statSync(at('lab.1.avhd')).size, bootFiles: ['lab.1.vmlinuz'] },
  });
  const read = (name: string): string => readFileSync(at(name), 'latin1');
  expect([read('lab.1.vmlinuz'), read('lab.1.initrd')]).toEqual(['kernel', 'mine']);
  expect(statSync(at('lab.1.vmlinuz')).ino).not.toBe(statSync(at('lab.vmlinuz')).ino);
  expect(must(await mergeVersions(lab(), 'base'))).toMatchObject({
    name: 'lab.2.vhd',
    bootFiles: ['lab.2.vmlinuz', 'lab.2.initrd'],
  });
});

test('what is cancelled, or fails at its end, leaves nothing', async () => {
  const source = put('from.raw', patternBytes(0, 4 * MIB));
  must(await convertFile(source, at('lab.vhdx')));
  put('lab.vmlinuz', 'kernel');
  const before = digests();
  const stop = new AbortController();
  const cancelled: Work = { signal: stop.signal, onProgress: () => stop.abort() };
  const after = { ok: false, error: { code: 'Cancelled' } };
  expect(await convertFile(source, at('other.vhd'), cancelled)).toMatchObject(after);
  expect(await newVersion(lab(), cancelled)).toMatchObject(after);
  expect(await newVersion(lab(), { from: put('from.raw', patternBytes(0, 4 * MIB, 1)), ...cancelled })).toMatchObject(
    after,
  );
  writeFileSync(source, patternBytes(0, 4 * MIB));
  expect(digests()).toEqual(before);
  // Another puts an image there meanwhile.
  const meanwhile = { onProgress: () => void put('lab.1.avhdx', 'golden') };
  expect(await newVersion(lab(), { from: put('from.raw', patternBytes(0, 4 * MIB, 2)), ...meanwhile })).toMatchObject({
    ok: false,
    error: { code: 'FileExists' },
  });
  writeFileSync(source, patternBytes(0, 4 * MIB));
  expect(digests()).toMatchObject(before);
  expect(readdirSync(folder).sort()).toEqual(['from.raw', 'lab.1.avhdx', 'lab.vhdx', 'lab.vmlinuz']);
});

test('progress only grows, and ends at all of the disk', async () => {
  const source = put('from.raw', patternBytes(0, 4 * MIB));
  const told: number[] = [];
  must(await convertFile(source, at('lab.vhdx'), { onProgress: (done, total) => void told.push(done / total) }));
  expect(told).toEqual([...told].sort());
  expect(told.at(-1)).toBe(1);
});

test('a try that follows another makes the version that was begun, or none', async () => {
  must(await convertFile(put('lab.raw', patternBytes(0, MIB)), at('lab.vhdx')));
  rmSync(at('lab.raw'));
  expect(must(await newVersion(lab(), { number: 1 })).name).toBe('lab.1.avhdx');
  const before = digests();
  const told: number[] = [];
  const again = { number: 1, onVersion: async (number: number) => void told.push(number) };
  for (const tried of [await newVersion(lab(), again), await mergeVersions(lab(), 'base', again)])
    expect(tried).toMatchObject({
      error: { code: 'FileExists', message: expect.stringContaining('lab.1.avhdx is in') },
    });
  expect([told, digests()]).toEqual([[], before]);
  expect(must(await mergeVersions(lab(), 'base', { number: 2 }))?.name).toBe('lab.2.vhdx');
});

test('two at once in one folder are not both begun: no number is given twice', async () => {
  must(await convertFile(put('from.raw', patternBytes(0, MIB)), at('lab.vhdx')));
  must(await newVersion(lab()));
  const both = await Promise.all([newVersion(lab()), mergeVersions(lab(), 'base')]);
  const refused = both.filter((made) => !made.ok);
  expect(refused).toMatchObject([{ error: { code: 'BeingWritten', message: expect.stringContaining(folder) } }]);
  expect(readdirSync(folder).filter((name) => versionOf(name, 'lab') === 2)).toHaveLength(1);
  expect(must(await newVersion(lab())).number).toBe(3);
});

test.each<{ what: string; there: readonly string[]; code: string; says: string }>([
  {
    what: 'of a vDisk that is not there',
    there: ['other.vhdx'],
    code: 'FileMissing',
    says: 'lab.raw, lab.vhdx, lab.vhd',
  },
  { what: 'of a raw image', there: ['lab.raw'], code: 'NotSupported', says: 'bootfarm vdisk convert' },
])('a new version $what is refused, with the way out', async ({ there, code, says }) => {
  for (const name of there) put(name, patternBytes(0, MIB));
  expect(await newVersion(lab())).toMatchObject({ ok: false, error: { code, message: expect.stringContaining(says) } });
});

test('the last number is the last one, of a difference and of a base', async () => {
  must(await convertFile(put('from.raw', patternBytes(0, MIB)), at('lab.vhdx')));
  must(await newVersion(lab()));
  renameSync(at('lab.1.avhdx'), at('lab.999999.avhdx'));
  const there = readdirSync(folder);
  const line = `vdisk convert ${at('lab.999999.avhdx')} ${at('NAME.vhdx')}`;
  for (const tried of [await newVersion(lab()), await mergeVersions(lab(), 'base')])
    expect(tried).toMatchObject({
      error: { code: 'NotSupported', message: expect.stringMatching(/versions end at 999999: .* another name/) },
    });
  expect(await newVersion(lab())).toMatchObject({ error: { message: expect.stringContaining(line) } });
  expect(readdirSync(folder)).toEqual(there);
});

test('behind fifty images there is none more before they are merged', async () => {
  must(await convertFile(put('from.raw', patternBytes(0, MIB)), at('lab.vhd')));
  for (let number = 1; number < 50; number++) must(await newVersion(lab()));
  expect(await newVersion(lab())).toMatchObject({
    error: {
      code: 'ChainTooLong',
      message: `${at('lab.49.avhd')} is the last of 50 images, each a difference of the next, and 50 is the most: merge them first by \`bootfarm vdisk merge ${at('lab')} --base\``,
    },
  });
  expect(must(await mergeVersions(lab(), 'base'))?.name).toBe('lab.50.vhd');
});

test('an image that is there, or is meant before the one that is made, is told of', async () => {
  const source = put('lab.raw', patternBytes(0, MIB));
  expect(must(await convertFile(source, at('lab')))).toMatchObject({ path: at('lab.vhdx'), meant: 'lab.raw' });
  expect(await convertFile(source, at('lab.vhdx'))).toMatchObject({ ok: false, error: { code: 'FileExists' } });
  expect(await convertFile(source, at('lab.9.avhdx'))).toMatchObject({ ok: false, error: { code: 'NotSupported' } });
  expect(existsSync(at('lab.9.avhdx'))).toBe(false);
});

test.each([
  ['lab.vhdx', 0],
  ['lab.12.avhd', 12],
  ['lab.3.raw', 3],
  ['lab.03.raw', undefined],
  ['lab.0.raw', undefined],
  ['lab.3.vmlinuz', undefined],
  ['lab.3.avhdx.partial', undefined],
  ['lab2.3.avhdx', undefined],
  ['lab.x.vhdx', undefined],
  ['lab', undefined],
])('%s is version %s of lab', (name, version) => {
  expect(versionOf(name, 'lab')).toBe(version);
});

test.each([
  ['lab', undefined, 'lab.vhdx'],
  ['lab', 'vhd', 'lab.vhd'],
  ['lab.1', 'raw', 'lab.1.raw'],
  ['lab.vhd', undefined, 'lab.vhd'],
  ['lab.vhd', 'vhd', 'lab.vhd'],
  ['lab.vhd', 'vhdx', undefined],
  ['lab.old', undefined, 'lab.old.vhdx'],
  ['win10.22h2', undefined, 'win10.22h2.vhdx'],
])('%s in format %s is %s', (target, format, path) => {
  const named = targetOf(target, format);
  expect(named.ok ? named.value : undefined).toBe(path);
});

test.each([
  ['lab.vdh', undefined, 'did you mean .vhd?'],
  ['lab.vhx', undefined, 'did you mean .vhdx?'],
  ['lab.VHDX', undefined, 'did you mean .vhdx?'],
  ['lab.vhddx', 'vhd', 'did you mean .vhdx?'],
  ['lab.rwa', undefined, 'did you mean .raw?'],
  ['lab.qcow2', undefined, 'download NAME --format qcow2'],
  ['lab.VMDK', undefined, 'download NAME --format vmdk'],
  ['lab.img', undefined, 'named as another kind of image: end it with .raw, .vhdx, .vhd'],
])('%s in format %s is no name of an image', (target, format, says) => {
  expect(targetOf(target, format)).toMatchObject({ ok: false, error: { message: expect.stringContaining(says) } });
});
