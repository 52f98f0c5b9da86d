import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aPvsFolder, aPvsVersion } from '../../../test/builders/pvs.ts';
import { type ExportOptions, exportVDisk } from './export.ts';
import { type FoundVDisk, findVDisk } from './folder.ts';
import { ACCESSES, type PvsVersion, TYPES } from './manifest.ts';

let top: string;
let folder: string;
let to: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'bootfarm-export-'));
  [folder, to] = [join(top, 'store'), join(top, 'out')];
  mkdirSync(folder);
});
afterEach(() => rmSync(top, { recursive: true }));
const exporting = (options: ExportOptions = {}) => exportVDisk({ folder, fileName: 'lab' }, to, options);

async function found(where: string): Promise<FoundVDisk['versions']> {
  const vdisk = await findVDisk({ folder: where, fileName: 'lab' });
  if (!vdisk.ok) throw new Error(vdisk.error.message);
  return vdisk.value.versions;
}
/** Sizes and times are those of the files, whatever a manifest says. */
const said = (versions: FoundVDisk['versions']) =>
  versions.map(({ sizeBytes: _, writtenAt: __, properties, ...version }) => ({
    ...version,
    properties: properties?.ok && createHash('sha256').update(properties.value.bytes).digest('hex'),
  }));

test('a chain of five is there with its properties and its manifest, and reads back equal', async () => {
  await aPvsFolder(folder);
  writeFileSync(join(folder, 'lab.2.vmlinuz'), 'kernel');
  writeFileSync(join(folder, 'lab.2.avhd.partial'), 'in the making');
  expect(await exporting()).toEqual({
    ok: true,
    value: {
      ...{ folder: to, manifestName: 'lab.xml', versions: [0, 1, 2, 3, 4], kept: [], assumed: [] },
      linked: ['lab.vhd', 'lab.1.avhd', 'lab.2.avhd', 'lab.3.avhd'],
      copied: [...['lab.4.avhd', 'lab.pvp', 'lab.1.pvp', 'lab.2.pvp', 'lab.2.vmlinuz', 'lab.3.pvp', 'lab.4.pvp']],
    },
  });
  const before = readdirSync(folder).filter((name) => !name.endsWith('.partial'));
  expect(readdirSync(to)).toEqual(before);
  const versions = await found(to);
  expect(said(versions)).toEqual(said(await found(folder)));
  for (const { diskFileName, sizeBytes, writtenAt = 0 } of versions) {
    const { size, mtimeMs } = statSync(join(to, diskFileName));
    expect([sizeBytes, writtenAt]).toEqual([size, Math.floor(mtimeMs)]);
  }
  expect(statSync(join(to, 'lab.4.avhd')).ino).not.toBe(statSync(join(folder, 'lab.4.avhd')).ino);
});

test('any versions read back as they were', async () => {
  const words = fc.string({ maxLength: 20 }).map((text) => text.replace(/[^\x20-\x7e]/g, '').trim());
  const date = fc.integer({ min: 0, max: Date.UTC(2_100, 0) });
  const version = fc.record(
    {
      ...{ description: words, access: fc.constantFrom(...ACCESSES), deleteWhenFree: fc.boolean() },
      ...{ type: fc.constantFrom(...TYPES), createdAt: date, scheduledAt: date, gap: fc.integer({ min: 1, max: 9 }) },
    },
    { requiredKeys: ['description', 'access', 'deleteWhenFree', 'type', 'gap'] },
  );
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(version, { minLength: 1, maxLength: 4 }), async (records) => {
      let number = -1;
      const versions = records.map(({ gap, type, ...rest }, at): PvsVersion => {
        number += at === 0 ? 1 : gap;
        const kind = at === 0 ? 'Base' : type;
        const end = kind === 'Base' || kind === 'MergeBase' ? 'vhd' : 'avhd';
        return aPvsVersion(number, {
          ...rest,
          type: kind,
          diskFileName: number === 0 ? 'lab.vhd' : `lab.${number}.${end}`,
        });
      });
      [folder, to] = [join(top, `store-${++run}`), join(top, `out-${run}`)];
      mkdirSync(folder);
      await aPvsFolder(folder, versions);
      expect(await exporting()).toMatchObject({ ok: true });
      expect(said(await found(to))).toMatchObject(versions);
      expect(said(await found(to))).toEqual(said(await found(folder)));
    }),
    { seed: 14, numRuns: 25 },
  );
});

test.each<{ what: string; options: ExportOptions; files: string[]; says?: object[] }>([
  {
    what: 'one version, with all that it is a difference of',
    options: { numbers: [1] },
    files: ['lab.1.avhd', 'lab.1.pvp', 'lab.pvp', 'lab.vhd', 'lab.xml'],
  },
  { what: 'a base alone', options: { numbers: [0] }, files: ['lab.pvp', 'lab.vhd', 'lab.xml'] },
  {
    what: 'what the farm says',
    options: { numbers: [2], stated: [{ number: 2, access: 'Override', description: 'git', scheduledAt: 7_000 }] },
    files: ['lab.1.avhd', 'lab.1.pvp', 'lab.2.avhd', 'lab.2.pvp', 'lab.pvp', 'lab.vhd', 'lab.xml'],
    says: [
      { access: 'Maintenance', description: 'as installed' },
      { access: 'Maintenance', type: 'Automatic' },
      { access: 'Override', description: 'git', scheduledAt: 7_000 },
    ],
  },
])('exported is $what', async ({ options, files, says }) => {
  await aPvsFolder(folder);
  const exported = await exporting(options);
  expect(exported).toMatchObject({ ok: true });
  expect(readdirSync(to)).toEqual(files);
  if (says) expect(await found(to)).toMatchObject(says);
  // PVS writes to what is in maintenance, and a second name is the store's own file.
  const inMaintenance = (await found(to)).filter(({ access }) => access.includes('Maintenance'));
  for (const { diskFileName } of inMaintenance)
    expect(statSync(join(to, diskFileName)).ino).not.toBe(statSync(join(folder, diskFileName)).ino);
});

test.each<{ what: string; change: () => unknown; options?: ExportOptions; code: string; left: string[] }>([
  {
    what: 'another file of that name',
    change: () => writeFileSync(join(to, 'lab.3.avhd'), 'else'),
    ...{ code: 'FileExists', left: ['lab.3.avhd'] },
  },
  {
    what: 'a link of that name',
    change: () => symlinkSync('/nowhere', join(to, 'lab.pvp')),
    ...{ code: 'FileExists', left: ['lab.pvp'] },
  },
  {
    what: 'its own folder',
    change: () => {
      rmSync(to, { recursive: true });
      symlinkSync(folder, to);
    },
    ...{ code: 'FileExists', left: readdirNames() },
  },
  {
    what: 'another manifest',
    change: () => writeFileSync(join(to, 'lab.xml'), 'else'),
    ...{ code: 'FileExists', left: ['lab.xml'] },
  },
  { what: 'no such version', change: () => undefined, options: { numbers: [9] }, code: 'NoVersion', left: [] },
  { what: 'an image that lacks', change: () => rmSync(join(folder, 'lab.2.avhd')), code: 'NoVersion', left: [] },
])('$what is $code, and nothing is written', async ({ change, options, code, left }) => {
  await aPvsFolder(folder);
  mkdirSync(to);
  await change();
  expect(await exporting(options)).toMatchObject({ ok: false, error: { code } });
  expect(readdirSync(to)).toEqual(left);
});

function readdirNames(): string[] {
  const stems = ['lab', ...[1, 2, 3, 4].map((number) => `lab.${number}`)];
  return [
    ...stems.flatMap((stem, number) => [stem + (number === 0 ? '.vhd' : '.avhd'), `${stem}.pvp`]),
    'lab.xml',
  ].sort();
}

test('what was interrupted is gone on with, and what is whole is not touched', async () => {
  await aPvsFolder(folder);
  const stop = new AbortController();
  const interrupted = await exporting({ signal: stop.signal, onProgress: () => stop.abort() });
  expect(interrupted).toMatchObject({ error: { code: 'Cancelled' } });
  expect(readdirSync(to)).not.toContain('lab.xml');
  copyFileSync(join(folder, 'lab.3.pvp'), join(to, 'lab.3.pvp'));
  writeFileSync(join(to, 'lab.1.pvp.partial'), 'what an earlier try left');
  expect(await exporting()).toMatchObject({ value: { kept: expect.arrayContaining(['lab.vhd', 'lab.3.pvp']) } });
  expect(readdirSync(to)).toEqual(readdirNames());
  expect(readFileSync(join(to, 'lab.1.pvp')).equals(readFileSync(join(folder, 'lab.1.pvp')))).toBe(true);
  expect(await exporting()).toMatchObject({ value: { linked: [], copied: [] } });
});
