import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parse as parseYaml } from 'yaml';
import { anImage, aPvp, aPvsFolder, aPvsVersion } from '../../test/builders/pvs.ts';
import { fakeTerminal } from '../../test/fakes/terminal.ts';
import { fail, ok } from '../kit/result.ts';
import { parse } from '../resources/parse.ts';
import type { FoundVersion } from '../store/pvs/folder.ts';
import { decodeProperties } from '../store/pvs/properties.ts';
import { takeOver } from './takeover.ts';
import { vdiskCommand } from './vdisk.ts';

const NOW = Date.UTC(2026, 10, 29);
const aFound = (number: number, more: Partial<FoundVersion> = {}): FoundVersion => ({
  ...aPvsVersion(number),
  isAssumed: false,
  image: ok({ chain: ['lab.vhd'], diskBytes: 1 << 20, fileBytes: 4_096, writtenAt: 0 }),
  propertiesName: number === 0 ? 'lab.pvp' : `lab.${number}.pvp`,
  properties: decodeProperties(aPvp({ writeCacheType: 3, writeCacheMib: 512 })),
  bootFiles: number === 0 ? ['lab.vmlinuz', 'lab.initrd'] : [`lab.${number}.vmlinuz`, `lab.${number}.initrd`],
  beside: {},
  ...more,
});
const take = (...versions: readonly FoundVersion[]) =>
  takeOver(
    { folder: '/srv', fileName: 'lab', manifestName: 'lab.xml', startingVersion: 0, versions },
    { name: 'lab', namespace: 'rooms', farm: 'farm', store: 'local' },
    NOW,
  );

test('all that PVS says of versions and a VDisk has a place for is taken over', () => {
  const taken = take(
    aFound(0, { description: 'as installed' }),
    aFound(1, { access: 'Test' }),
    aFound(2, { scheduledAt: Date.UTC(2026, 11, 1, 6, 0, 0, 137) }),
  );
  expect(taken).toEqual({
    resource: {
      ...{ apiVersion: 'bootfarm.io/v1alpha1', kind: 'VDisk', metadata: { name: 'lab', namespace: 'rooms' } },
      spec: {
        ...{ farmRef: { name: 'farm' }, storeRef: { name: 'local' }, fileName: 'lab' },
        writeCache: { type: 'DeviceRAM', sizeMiB: 512 },
        versions: [
          { number: 0, access: 'Production', description: 'as installed' },
          { number: 1, access: 'Test' },
          { number: 2, access: 'Production', releaseAt: '2026-12-01T06:00:01Z' },
        ],
      },
    },
    ...{ boots: 0, lacks: [], assumed: [], left: [] },
  });
  expect(parse('VDisk', taken.resource).ok).toBe(true);
});

describe('of versions', () => {
  test.each<{
    what: string;
    of: readonly FoundVersion[];
    spec?: object;
    boots?: number;
    lacks?: RegExp;
    left?: RegExp;
  }>([
    {
      what: 'an override is what machines boot',
      of: [aFound(0), aFound(1, { access: 'Override' }), aFound(2)],
      spec: { bootVersion: 1, versions: [{}, { number: 1, access: 'Production' }, {}] },
      boots: 1,
    },
    {
      what: 'two overrides: the newest',
      of: [aFound(0, { access: 'Override' }), aFound(1, { access: 'Override' })],
      spec: { bootVersion: 1 },
      ...{ boots: 1, left: /^versions 0, 1 are all Override/ },
    },
    {
      what: 'the highest in maintenance is Maintenance',
      of: [aFound(0), aFound(1, { access: 'MaintenanceHighestVersion', scheduledAt: 1 })],
      spec: { versions: [{}, { number: 1, access: 'Maintenance' }] },
      ...{ boots: 0, left: /highest one in maintenance\n.*its date/ },
    },
    {
      what: 'one that is being merged is left out',
      of: [aFound(0), aFound(1, { access: 'MergeTest' })],
      spec: { versions: [{ number: 0 }] },
      ...{ boots: 0, lacks: /version 1 was being merged \(MergeTest\)/ },
    },
    {
      what: 'what boots and lacks is told, and what would boot',
      of: [aFound(0), aFound(1, { image: fail('FileMissing', '/srv/lab.1.avhd does not exist') })],
      spec: { versions: [{ number: 0 }] },
      ...{ boots: 0, lacks: /PVS boots version 1, and machines would boot 0\n.*version 1 is left out: .*not exist/ },
    },
    {
      what: 'an image of another name is left out',
      of: [aFound(0), aFound(1, { diskFileName: 'Lab v1.vhdx', access: 'Test' })],
      spec: { versions: [{ number: 0 }] },
      ...{ boots: 0, lacks: /look for lab\.1\.raw, lab\.1\.avhdx, .*: rename Lab v1\.vhdx/ },
    },
    {
      what: 'a number beyond those of a VDisk is left out',
      of: [aFound(0), aFound(1_000_000, { access: 'Test' })],
      spec: { versions: [{ number: 0 }] },
      ...{ boots: 0, lacks: /^version 1000000 is left out: numbers end at 999999/ },
    },
    {
      what: 'the last date there is',
      of: [aFound(0), aFound(1, { scheduledAt: Date.UTC(9_999, 11, 31, 23, 59, 59, 999) })],
      spec: { versions: [{}, { number: 1, releaseAt: '9999-12-31T23:59:59Z' }] },
      boots: 0,
    },
    {
      what: 'one that servers do not take, for another has its name',
      of: [aFound(0, { diskFileName: 'lab.vhd', beside: { before: 'lab.vhdx' } })],
      ...{ boots: 0, lacks: /^version 0 is lab\.vhd, and servers take lab\.vhdx beside it/ },
    },
    {
      what: 'another of its name that servers do not take',
      of: [aFound(0, { beside: { instead: 'lab.old.vhd' } })],
      ...{ boots: 0, left: /^version 0: lab\.old\.vhd, for servers take lab\.vhd instead of it$/ },
    },
    { what: 'none that is released', of: [aFound(0, { access: 'Test' })], lacks: /machines boot none/ },
    { what: 'a file of another size', of: [aFound(0, { sizeBytes: 7 })], boots: 0, lacks: /4096 bytes.* says 7/ },
    {
      what: 'no .pvp, no kernel',
      of: [aFound(0, { properties: undefined as never, bootFiles: ['lab.initrd'] })],
      ...{ boots: 0, lacks: /^lab\.vmlinuz: machines boot version 0 with.*$/ },
    },
    {
      what: 'what PVS removes stays',
      of: [aFound(0, { deleteWhenFree: true, type: 'Automatic' })],
      ...{ boots: 0, left: /its type Automatic\n.*bootfarm removes no files/ },
    },
    {
      what: 'a description that is too long is cut',
      of: [aFound(0, { description: `${'x'.repeat(1_023)}\u{1f600}` })],
      spec: { versions: [{ description: `${'x'.repeat(1_023)}\ufffd` }] },
      ...{ boots: 0, left: /beyond 1024/ },
    },
    {
      what: 'properties have a description, where the manifest has none, and more than a VDisk',
      of: [
        aFound(0, {
          properties: decodeProperties(
            aPvp({
              description: 'Rooms 101',
              writeCacheType: 9,
              licenseMode: 2,
              diskClass: 'Gold',
              author: 'E\x1b\nK',
            }),
          ),
        }),
      ],
      spec: { versions: [{ description: 'Rooms 101' }] },
      ...{
        boots: 0,
        left: /write cache ClientRamWithOverflow .*use DeviceRAM.*\nlab\.pvp says, and keeps: class Gold, licence KMS, author E K$/,
      },
    },
    {
      what: 'a private image',
      of: [aFound(0, { properties: decodeProperties(aPvp()) })],
      ...{ boots: 0, left: /write cache None .*private image/ },
    },
  ])('$what', ({ of, spec = {}, boots, lacks = /^$/, left = /^$/ }) => {
    const taken = take(...of);
    expect(taken.resource.spec).toMatchObject(spec);
    expect(taken.boots).toBe(boots);
    expect(taken.lacks.join('\n')).toMatch(lacks);
    expect(taken.left.join('\n')).toMatch(left);
    expect(parse('VDisk', taken.resource)).toMatchObject({ ok: true });
  });
});

describe('bootfarm vdisk takeover', () => {
  let folder: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bootfarm-takeover-'));
    await aPvsFolder(folder);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function run(...words: readonly string[]) {
    const { said, terminal } = fakeTerminal();
    const paths = words.map((word) => (word.startsWith('/') ? folder + word : word));
    await vdiskCommand(terminal).parseAsync(['node', 'vdisk', 'takeover', ...paths]);
    return said;
  }

  test.each([
    { fileName: 'Win_10.', name: 'win-10' },
    { fileName: '__', name: undefined },
    { fileName: 'lab', words: ['--name', 'Lab'], name: undefined },
    { fileName: 'lab', words: ['--name', 'lab-'], name: undefined },
    { fileName: 'lab', words: ['--namespace', 'A b'], name: undefined },
  ])('$fileName $words is named as Kubernetes has names, or refused', async ({ fileName, words = [], name }) => {
    writeFileSync(join(folder, `${fileName}.raw`), Buffer.alloc(512, 1));
    const { out, err } = await run(`/${fileName}`, ...words);
    if (name === undefined) expect([out, err]).toEqual(['', expect.stringMatching(/^error: --name(space)? /)]);
    else expect(parseYaml(out)).toMatchObject({ metadata: { name } });
  });

  test('prints a VDisk for git, and beside it what lacks, and changes nothing', async () => {
    const before = readdirSync(folder);
    const { out, err, status } = await run('/', '--farm', 'school', '--store', 'disks');
    expect(parseYaml(out)).toMatchObject({
      kind: 'VDisk',
      metadata: { name: 'lab' },
      spec: { farmRef: { name: 'school' }, storeRef: { name: 'disks' }, fileName: 'lab', versions: { length: 5 } },
    });
    expect([status, err]).toEqual([
      3,
      expect.stringMatching(/^lacks: .*lab\.vmlinuz and lab\.initrd.*\n[\s\S]*^not taken/m),
    ]);
    expect(JSON.parse((await run('/lab', '-o', 'json')).out)).toMatchObject({ boots: 2, resource: { kind: 'VDisk' } });
    const { out: text } = await run('/lab.xml', '-o', 'text');
    expect(text).toContain('lab in '.concat(folder, ': 5 versions by lab.xml, boots version 2\n'));
    expect(text).toContain(
      'version 3: lab.3.avhd on lab.2.avhd, Manual, Production from 2027-07-01T02:00:00.000Z, 1.0 MiB',
    );
    expect(readdirSync(folder)).toEqual(before);
  });

  test('a name that a VDisk cannot have is mended by the lines that the message has', async () => {
    const odd = 'Win 10 [x64] & 2.0';
    for (const name of readdirSync(folder)) renameSync(join(folder, name), join(folder, name.replace('lab', odd)));
    const manifest = join(folder, `${odd}.xml`);
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replaceAll('>lab.', '>Win 10 [x64] &amp; 2.0.'));
    const { err, failed } = await run(`/${odd}`);
    expect(failed).toBe(true);
    const [, ...lines] = err.split('\n');
    execFileSync('sh', ['-ec', lines.join('\n')]);
    const taken = await run('/Win-10-x64-2-0', '-o', 'text');
    expect(taken.out).toContain(': 5 versions by Win-10-x64-2-0.xml, boots version 2\n');
    expect(taken.out).not.toContain('left out');
  });

  test('files that were renamed without the manifest are not said to lack alone', async () => {
    renameSync(join(folder, 'lab.4.avhd'), join(folder, 'other.4.avhd'));
    expect((await run('/lab', '-o', 'text')).out).toMatch(
      /version 4 is left out: .*lab\.4\.avhd does not exist; .*<diskFileName> of the manifest/,
    );
  });

  test('of a version that cannot be read nothing is assumed', async () => {
    for (const name of ['lab.xml', 'lab.2.avhd']) rmSync(join(folder, name));
    const { out, status } = await run('/lab', '-o', 'text');
    expect([status, out]).toEqual([3, expect.stringContaining('version 3: lab.3.avhd, which cannot be read\n')]);
    expect(out).toMatch(/version 3 is left out: .*lab\.2\.avhd, which is not in its folder/);
    expect(out).not.toMatch(/assumed: version [34]/);
  });

  test('says what it assumes where there is no manifest', async () => {
    rmSync(join(folder, 'lab.xml'));
    const { err, out } = await run('/lab', '-o', 'text');
    expect([err, out]).toEqual(['', expect.stringContaining('5 versions without a manifest, boots version 3')]);
    expect(out).toContain('assumed: version 4 is Maintenance: no manifest says anything of it');
  });

  test.each([
    { what: 'several vDisks', change: () => anImage(folder, 'win.vhd'), word: '/', says: 'has the vDisks lab, win' },
    { what: 'another vDisk', change: () => undefined, word: '/win', says: 'name a vDisk that lies there' },
    {
      what: 'no manifest',
      change: () => writeFileSync(join(folder, 'lab.xml'), '<a/>'),
      word: '/',
      says: 'it is a <a>',
    },
    {
      what: 'no image',
      change: () => [0, 1, 2, 3, 4].map((n) => rmSync(join(folder, n === 0 ? 'lab.vhd' : `lab.${n}.avhd`))),
      ...{ word: '/lab', says: 'no version of lab can be taken over' },
    },
    {
      what: 'a name that no VDisk has',
      change: () => anImage(folder, 'my lab.vhd'),
      ...{ word: '/my lab', says: "mv -n 'my lab.vhd' my-lab.vhd" },
    },
    {
      what: 'a manifest that is broken',
      change: () => writeFileSync(join(folder, 'lab.xml'), '<versionManifest>'),
      ...{ word: '/lab', says: 'lab.xml.aside`, and what it says is assumed' },
    },
  ])('$what is refused', async ({ change, word, says }) => {
    await change();
    expect(await run(word)).toMatchObject({ failed: true, out: '', err: expect.stringContaining(says) });
  });
});
