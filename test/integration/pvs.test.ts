/** A folder as PVS writes it, of images in the size that people have (sparse), through the commands: taken over, exported, and taken over again. */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { vdiskCommand } from '../../src/commands/vdisk.ts';
import { convertImage } from '../../src/image/convert.ts';
import { openImage } from '../../src/image/images.ts';
import { patternBytes } from '../../src/image/pattern/pattern.ts';
import { encodeManifest } from '../../src/store/pvs/manifest.ts';
import { newVersion } from '../../src/store/versions.ts';
import { aPvp, CHAIN_OF_FIVE } from '../builders/pvs.ts';
import { fakeTerminal } from '../fakes/terminal.ts';

const MIB = 1 << 20;
let top: string;
let store: string;
beforeAll(async () => {
  top = mkdtempSync(join(tmpdir(), 'bootfarm-pvs-'));
  store = join(top, 'store');
  const must = <T>(made: { ok: boolean; value?: T; error?: { message: string } }) => {
    if (!made.ok) throw new Error(made.error?.message);
  };
  mkdirSync(store);
  const disk = join(top, 'disk.raw');
  const content = patternBytes(0, 16 * MIB);
  writeFileSync(disk, content);
  must(await convertImage(disk, join(store, 'lab.vhdx')));
  for (const number of [1, 2, 3, 4]) {
    content.fill(number, number * MIB, number * MIB + 512 * number);
    writeFileSync(disk, content);
    must(await newVersion({ folder: store, fileName: 'lab' }, { from: disk }));
  }
  const versions = CHAIN_OF_FIVE.map((version) => {
    const { number } = version;
    const diskFileName = number === 0 ? 'lab.vhdx' : `lab.${number}.avhdx`;
    const { size, mtimeMs } = statSync(join(store, diskFileName));
    return { ...version, diskFileName, sizeBytes: size, writtenAt: Math.floor(mtimeMs) };
  });
  for (const { number } of versions) {
    const pvp = aPvp({ version: number, writeCacheType: 3, writeCacheMib: 2_048, author: 'EK' });
    writeFileSync(join(store, number === 0 ? 'lab.pvp' : `lab.${number}.pvp`), pvp);
  }
  writeFileSync(join(store, 'lab.xml'), encodeManifest({ startingVersion: 0, versions }));
});
afterAll(() => rmSync(top, { recursive: true }));

async function run(...words: readonly string[]) {
  const { said, terminal } = fakeTerminal();
  await vdiskCommand(terminal).parseAsync(['node', 'vdisk', ...words]);
  return said;
}

async function content(path: string): Promise<Buffer> {
  const disk = await openImage(path);
  if (!disk.ok) throw new Error(disk.error.message);
  const read = await disk.value.read(0, disk.value.sizeBytes);
  await disk.value.close();
  if (!read.ok) throw new Error(read.error.message);
  return read.value;
}

test('a chain of five is taken over, exported, and taken over again as it was', async () => {
  const taken = await run('takeover', store, '-o', 'json');
  const { resource, boots, lacks, left } = JSON.parse(taken.out);
  expect(resource.spec).toEqual({
    ...{ farmRef: { name: 'farm' }, storeRef: { name: 'local' }, fileName: 'lab' },
    writeCache: { type: 'DeviceRAM', sizeMiB: 2_048 },
    versions: [
      { number: 0, access: 'Production', description: 'as installed' },
      { number: 1, access: 'Production', description: 'Office & <fonts>' },
      { number: 2, access: 'Production' },
      { number: 3, access: 'Production', releaseAt: '2027-07-01T02:00:00Z', description: 'summer' },
      { number: 4, access: 'Maintenance' },
    ],
  });
  expect(boots).toBe(2);
  expect(lacks.every((what: string) => what.includes('.vmlinuz and '))).toBe(true);
  expect(left).toContain('lab.2.pvp says, and keeps: author EK');

  const out = join(top, 'out');
  const exported = await run('export', store, '--to', out);
  expect([exported.err, exported.out]).toEqual([
    '',
    `${out} has versions 0, 1, 2, 3, 4 and lab.xml: 4 are the very files of the store under a second name (who changes one changes both), 6 were copied\n`,
  ]);
  expect((await run('takeover', out, '-o', 'json')).out).toBe(taken.out);
  expect((await content(join(out, 'lab.4.avhdx'))).equals(await content(join(store, 'lab.4.avhdx')))).toBe(true);
});

test('what the farm says goes before what the folder does', async () => {
  const [out, vdisk] = [join(top, 'farm'), join(top, 'vdisk.yaml')];
  const { out: yaml } = await run('takeover', store, '--namespace', 'rooms');
  writeFileSync(vdisk, yaml.replace('  fileName: lab\n', '  fileName: lab\n  bootVersion: 1\n'));
  const exported = JSON.parse(
    (await run('export', store, '--to', out, '--version', '2', '--resource', vdisk, '-o', 'json')).out,
  );
  expect(exported).toMatchObject({ versions: [0, 1, 2], assumed: [] });
  const { boots, resource } = JSON.parse((await run('takeover', out, '-o', 'json')).out);
  expect([boots, resource.spec.bootVersion]).toEqual([1, 1]);
  writeFileSync(vdisk, 'kind: Pod');
  const refused = await run('export', store, '--to', out, '--resource', vdisk);
  for (const [text, says] of [
    ['', 'is empty'],
    ['just words', 'is none'],
  ] as const) {
    writeFileSync(vdisk, text);
    const { err } = await run('export', store, '--to', out, '--resource', vdisk);
    expect(err).toContain(`is to be a VDisk, and ${says}: give it what`);
  }
  const ignored = await run('export', store, '--to', out, '--offset', '5');
  expect([ignored.failed, ignored.err]).toEqual([true, expect.stringContaining('--offset is of --tar alone')]);
  expect([refused.failed, refused.err]).toEqual([true, expect.stringContaining('is to be a VDisk, and is a Pod')]);
});
