import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { writeImage } from '../../test/builders/image.ts';
import { anImage } from '../../test/builders/pvs.ts';
import { vhdxImage } from '../../test/builders/vhdx.ts';
import { fakeTerminal } from '../../test/fakes/terminal.ts';
import { patternBytes } from '../image/pattern/pattern.ts';
import { findVDisk } from '../store/pvs/folder.ts';
import { addDownload } from './vdisk-out.ts';
import { addPvs } from './vdisk-pvs.ts';

const MIB = 1 << 20;
let folder: string;
const disk = Buffer.concat([patternBytes(0, 64 << 10), Buffer.alloc(MIB - (64 << 10))]);
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-download-'));
  await anImage(folder, 'lab.vhd');
  await anImage(folder, 'lab.1.avhd', 'lab.vhd');
  writeFileSync(join(folder, 'big.raw'), patternBytes(0, 3 * MIB));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Taking {
  readonly isTTY?: boolean;
  readonly breaks?: boolean;
  readonly during?: () => void | Promise<void>;
}

async function run(line: string, { isTTY = false, breaks = false, during }: Taking = {}) {
  const { said, terminal } = fakeTerminal();
  const taken: Buffer[] = [];
  const output = new Writable({
    write: (bytes, _encoding, done) => {
      taken.push(bytes);
      void Promise.resolve(during?.()).then(() => done(breaks ? new Error('write EPIPE') : null));
    },
  });
  const command = new Command('vdisk');
  addDownload(command, terminal, Object.assign(output, { isTTY }));
  addPvs(command, terminal, output);
  const words = line.split(' ').map((word) => (word.startsWith('/') ? folder + word : word));
  await command.parseAsync(line.startsWith('export') ? words : ['download', ...words], { from: 'user' });
  return { ...said, bytes: Buffer.concat(taken) };
}

const file = (name: string): Buffer => readFileSync(join(folder, name));
test.each<{ line: string; gives: () => Buffer; of?: () => Buffer; name: string }>([
  { line: '/lab', gives: () => disk, name: 'lab.1.avhd' },
  { line: '/lab -', gives: () => disk, name: 'lab.1.avhd' },
  { line: '/lab --version 0 --format asis', gives: () => file('lab.vhd'), name: 'lab.vhd' },
  { line: '/lab --version 0 --format vhd', gives: () => file('lab.vhd'), name: 'lab.vhd' },
  { line: '/lab --version 1 --format asis', gives: () => file('lab.1.avhd'), name: 'lab.1.avhd' },
  { line: '/lab --offset 1000', gives: () => disk.subarray(1_000), of: () => disk, name: 'lab.1.avhd' },
  { line: `/lab --offset ${MIB}`, gives: () => Buffer.alloc(0), of: () => disk, name: 'lab.1.avhd' },
  {
    line: `/big --offset ${MIB + 7}`,
    gives: () => file('big.raw').subarray(MIB + 7),
    of: () => file('big.raw'),
    name: 'big.raw',
  },
  {
    line: '/big --format asis --offset 2097152',
    gives: () => file('big.raw').subarray(2 * MIB),
    of: () => file('big.raw'),
    name: 'big.raw',
  },
])('$line goes to standard output, and its digest to standard error', async ({ line, gives, of = gives, name }) => {
  const { out, err, failed, bytes } = await run(line);
  expect([out, failed]).toEqual(['', false]);
  expect(err).toBe(`${name}: ${of().length} bytes, SHA-256 ${digest(of())}\n`);
  expect(bytes.equals(gives())).toBe(true);
});

test('what a raw image does not say of its disk is said beside it', async () => {
  const layer = { sizeBytes: MIB, blockBytes: MIB, sectorBytes: 4096, seed: 1, blocks: new Map() } as const;
  writeImage(join(folder, 'large.vhdx'), vhdxImage(layer));
  expect((await run('/large')).err).toContain('its sectors have 4096 bytes, which no raw image says');
  expect((await run('/large --format asis')).err).not.toContain('sectors');
});

test.each<{ what: string; line: string; taking?: Taking; says: string }>([
  { what: 'a terminal', line: '/lab', taking: { isTTY: true }, says: 'no text for a terminal' },
  { what: 'another target', line: '/lab lab.raw', says: 'write - and >lab.raw' },
  { what: 'no such version', line: '/lab --version 9', says: 'no version 9 of lab: it has 0, 1' },
  { what: 'no such vDisk', line: '/win', says: 'name a vDisk that lies there' },
  { what: 'the rest of what was never made', line: '/lab --format vhdx --offset 9', says: 'without --offset' },
  { what: 'more than there is', line: `/lab --offset ${MIB + 1}`, says: 'has 1048576 bytes, and 1048577 are said' },
])('$what is refused, and nothing is written', async ({ line, taking, says }) => {
  const { failed, err, bytes } = await run(line, taking);
  expect([failed, err, bytes.length]).toEqual([true, expect.stringContaining(says), 0]);
});

test.each([
  { what: 'a difference as a base of its format', line: '/lab --format vhd', as: 'got.vhd' },
  { what: 'a base in another format', line: '/lab --version 0 --format vhdx', as: 'got.vhdx' },
])(
  '$what is made beside it, goes on where it broke off, and is gone when all of it was given',
  async ({ line, as }) => {
    const before = readdirSync(folder);
    const broken = await run(line, { breaks: true });
    expect([broken.failed, broken.err]).toEqual([true, expect.stringContaining('EPIPE')]);
    const [made = ''] = readdirSync(folder).filter((name) => !before.includes(name));
    const whole = file(made);
    const rest = await run(`${line} --offset ${MIB >> 4}`);
    expect([rest.failed, rest.err]).toEqual([false, expect.stringContaining(digest(whole))]);
    expect(rest.bytes.equals(whole.subarray(MIB >> 4))).toBe(true);
    expect(readdirSync(folder)).toEqual(before);
    const again = await run(line);
    expect(again.err).toContain(digest(again.bytes));
    writeFileSync(join(folder, as), again.bytes);
    const shown = await run(`/got`);
    rmSync(join(folder, as));
    expect(shown.bytes.equals(disk)).toBe(true);
  },
);

test.each([
  { what: 'changed', change: () => utimesSync(join(folder, 'big.partial.vhdx'), 1, 1) },
  {
    what: 'replaced by one of an older time',
    change: () => {
      copyFileSync(join(folder, 'big.raw'), join(folder, 'other'));
      utimesSync(join(folder, 'other'), 1, 1);
      renameSync(join(folder, 'other'), join(folder, 'big.raw'));
      const nowMs = Number(statSync(join(folder, 'big.raw')).ctimeMs);
      utimesSync(join(folder, 'big.partial.vhdx'), 1, nowMs / 1_000 - 1);
    },
  },
])('one of an image that was $what since is made again', async ({ change }) => {
  writeFileSync(join(folder, 'big.partial.vhdx'), 'of before');
  change();
  const taken = await run('/big --format vhdx');
  expect(taken.err).toContain(digest(taken.bytes));
  expect(taken.bytes.toString('latin1', 0, 8)).toBe('vhdxfile');
});

test('what is made for two is given to both', async () => {
  let other: ReturnType<typeof run> | undefined;
  const first = await run('/lab --format vhdx', {
    // The other one has all of it, and takes it away, before this one has all.
    during: async () => {
      other ??= run('/lab --format vhdx');
      await other;
    },
  });
  const second = await other;
  expect([first.failed, second?.failed]).toEqual([false, false]);
  expect(second?.bytes.equals(first.bytes)).toBe(true);
  expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([]);
});

test('one that nobody takes any more, or that is written to meanwhile, fails, and no digest is said', async () => {
  const broken = await run('/lab', { breaks: true });
  expect([broken.failed, broken.err]).toEqual([true, expect.stringMatching(/^error: .*EPIPE.*--offset.*\n$/)]);
  for (const format of ['raw', 'asis']) {
    const more = Buffer.alloc(512);
    const changed = await run(`/big --format ${format}`, {
      during: () => appendFileSync(join(folder, 'big.raw'), more),
    });
    expect([changed.failed, changed.err]).toEqual([true, expect.stringMatching(/^error: .*big\.raw was changed.*\n$/)]);
  }
});

test('a folder for PVS goes out as one archive, in two parts, with the manifest last', async () => {
  const before = readdirSync(folder);
  const broken = await run('export /lab --tar -', { breaks: true });
  expect([broken.failed, broken.err]).toEqual([true, expect.stringContaining('EPIPE')]);
  const rest = await run(`export /lab --tar - --offset ${broken.bytes.length}`);
  const all = Buffer.concat([broken.bytes, rest.bytes]);
  const [said, assumed] = rest.err.split('\n');
  expect([rest.out, rest.failed]).toEqual(['', false]);
  expect(said).toBe(`3 files of versions 0, 1: ${all.length} bytes, SHA-256 ${digest(all)}`);
  expect(assumed).toContain('access of versions 0, 1 is assumed');
  expect(readdirSync(folder)).toEqual(before);
  const into = join(folder, 'into');
  mkdirSync(into);
  execFileSync('tar', ['-x', '-C', into], { input: all });
  expect(readdirSync(into)).toEqual(['lab.1.avhd', 'lab.vhd', 'lab.xml']);
  for (const name of ['lab.1.avhd', 'lab.vhd']) expect(readFileSync(join(into, name)).equals(file(name))).toBe(true);
  const read = await findVDisk({ folder: into, fileName: 'lab' });
  expect(read).toMatchObject({
    ok: true,
    value: { manifestName: 'lab.xml', versions: [{ number: 0 }, { number: 1 }] },
  });
  rmSync(into, { recursive: true });
});

test.each<{ what: string; line: string; taking?: Taking; says: string }>([
  { what: 'a terminal', line: 'export /lab --tar -', taking: { isTTY: true }, says: 'no text for a terminal' },
  { what: 'a file', line: 'export /lab --tar /lab.tar', says: 'write - and >' },
  { what: 'a folder, too,', line: 'export /lab --tar - --to /out', says: 'one of them' },
  { what: 'nothing', line: 'export /lab', says: 'name a folder by --to, or write --tar -' },
  { what: 'no such version', line: 'export /lab --tar - --version 9', says: 'has no version 9' },
])('an export to $what is refused, and nothing is written', async ({ line, taking, says }) => {
  const { failed, err, bytes } = await run(line, taking);
  expect([failed, err, bytes.length]).toEqual([true, expect.stringContaining(says), 0]);
});

test('an export fails where a file is changed meanwhile, and what came has no end', async () => {
  const before = file('lab.1.avhd');
  const changed = await run('export /lab --tar -', {
    during: () => appendFileSync(join(folder, 'lab.1.avhd'), 'more'),
  });
  writeFileSync(join(folder, 'lab.1.avhd'), before);
  expect([changed.failed, changed.err]).toEqual([
    true,
    expect.stringMatching(/^error: .*lab\.1\.avhd was changed.*\n$/),
  ]);
  expect(() => execFileSync('tar', ['-t'], { input: changed.bytes, stdio: 'pipe' })).toThrow();
});
