import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { fakeTerminal } from '../../test/fakes/terminal.ts';
import { until } from '../../test/setup/time.ts';
import { patternBytes } from '../image/pattern/pattern.ts';
import { addBringing } from './vdisk-in.ts';
import { addVDiskWork } from './vdisk-work.ts';

const MIB = 1 << 20;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-vdisk-'));
  writeFileSync(join(folder, 'lab.raw'), patternBytes(0, MIB));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Words that begin with `/` are in the folder. */
async function run(line: string) {
  const { said, terminal } = fakeTerminal();
  const words = line.split(' ').map((word) => (word.startsWith('/') ? folder + word : word));
  const command = new Command('vdisk').exitOverride().configureOutput({ writeErr: terminal.err });
  addVDiskWork(command, terminal);
  for (const sub of command.commands) sub.exitOverride().configureOutput({ writeErr: terminal.err });
  await command.parseAsync(words, { from: 'user' }).catch((thrown: Error) => {
    said.failed = true;
    said.err += thrown.message;
  });
  return said;
}

test('the way of a disk that was raw, to its second version and to a new base', async () => {
  expect(await run('convert /lab.raw /lab')).toMatchObject({
    failed: false,
    out: expect.stringMatching(
      /lab\.vhdx is a disk of 1\.0 MiB, in a file of 6\.0 MiB\nlab\.raw is beside it .*remove it/,
    ),
  });
  expect((await run('new-version /lab')).err).toContain('bootfarm vdisk convert');
  rmSync(join(folder, 'lab.raw'));
  writeFileSync(join(folder, 'lab.vmlinuz'), 'kernel');
  expect((await run('new-version /lab')).out).toMatch(
    /^lab\.1\.avhdx is version 1, a difference of lab\.vhdx\n.*lab\.1\.vmlinuz .*\n.* vdisk promote NAMESPACE\/NAME 1 --access Maintenance`.*\n`bootfarm vdisk delete-version \S+\/lab 1 --last-copy` removes it again.*\n$/,
  );
  writeFileSync(join(folder, 'from.raw'), patternBytes(0, MIB, 1));
  expect(JSON.parse((await run('new-version /lab --from /from.raw -o json')).out)).toEqual({
    ...{ number: 2, name: 'lab.2.avhdx', before: 'lab.1.avhdx', diskBytes: MIB, fileBytes: 7 * MIB },
    bootFiles: ['lab.2.vmlinuz'],
  });
  expect((await run('merge /lab --base')).out).toContain('lab.3.vhdx is version 3');
  expect(await run('merge /lab --base')).toMatchObject({
    failed: false,
    out: expect.stringContaining('nothing to merge'),
  });
  expect(JSON.parse((await run('merge /lab --updates -o json')).out)).toBeNull();
});

test.each([
  { line: 'convert /lab.raw /lab.raw', says: 'is there already, and is not overwritten' },
  { line: 'convert /lab.raw /lab.vhd --format vhdx', says: 'end it with .vhdx' },
  { line: 'convert /lab.raw /lab --format qcow2', says: 'Allowed choices are raw, vhdx, vhd' },
  { line: 'convert /lab.raw /lab --fixed --dynamic', says: 'cannot be used with' },
  { line: 'convert /lab.raw /lab --block-size 2X', says: 'write it as 2M' },
  { line: 'convert /lab.raw /lab --block-size 3M', says: '1048576 to 268435456' },
  { line: 'convert /lab.raw /none/lab', says: 'make it' },
  { line: 'convert /lab.raw /', says: 'names a folder: name the file in it, as ' },
  { line: 'convert /lab.raw /none/', says: 'names a folder' },
  { line: 'convert /lab.raw /.', says: 'names a folder' },
  { line: 'import /lab.raw /none/..', says: 'names a folder' },
  { line: `fetch / http://127.0.0.1/lab.vhdx --sha256 ${'0'.repeat(64)}`, says: 'names a folder' },
  { line: 'upload /none/ --tell-offset', says: 'names a folder' },
  { line: 'merge /lab', says: '--base or --updates' },
  { line: 'merge /lab --base --updates', says: 'cannot be used with' },
  { line: 'merge ../../../../../../../../../../.. --base', says: 'name a vDisk in its folder' },
  { line: 'new-version /other', says: 'name a vDisk that lies there' },
])('$line is refused, and leaves nothing', async ({ line, says }) => {
  expect(await run(line)).toMatchObject({ failed: true, out: '', err: expect.stringContaining(says) });
  expect(readdirSync(folder)).toEqual(['lab.raw']);
});

const DIGEST = createHash('sha256').update('a disk').digest('hex');
describe('an image that servers would take instead of one that is there', () => {
  beforeEach(() => {
    writeFileSync(join(folder, 'win.vhd'), 'it is there');
    writeFileSync(join(folder, 'win.1.vhd'), 'it is there');
  });
  const lines = [
    'convert /lab.raw /win.vhdx',
    'convert /lab.raw /win --format raw',
    'convert /lab.raw /win.1.vhdx',
    'import /win.qcow2 /win.vhdx',
    `upload /win.vhdx --size 6 --sha256 ${DIGEST}`,
    `fetch /win.vhdx http://127.0.0.1:1/lab.vhdx --sha256 ${DIGEST}`,
  ];
  test.each(lines)('%s is refused', async (line) => {
    expect(await run(line)).toMatchObject({
      ...{ failed: true, out: '' },
      err: expect.stringMatching(
        /has win\.(1\.)?vhd, and servers look for win\S+ before win\S+: .* another folder, or say --instead/,
      ),
    });
    expect(readdirSync(folder).sort()).toEqual(['lab.raw', 'win.1.vhd', 'win.vhd']);
  });

  test('it is made where that is meant, and said', async () => {
    const words = 'servers take win.vhdx instead of win.vhd from now on: remove win.vhd';
    expect((await run('convert /lab.raw /win.vhdx --instead')).out).toContain(words);
    const said = JSON.parse((await run('convert /lab.raw /win.1.vhdx --instead -o json')).out);
    expect(said).toMatchObject({ path: join(folder, 'win.1.vhdx'), instead: 'win.1.vhd' });
    expect(await run('convert /lab.raw /win.vhdx --instead')).toMatchObject({ failed: true });
  });

  test.each(['convert /lab.raw /lab.vhdx', 'convert /lab.raw /win.2.vhdx', 'convert /lab.raw /other.vhdx'])(
    '%s is taken instead of none',
    async (line) => {
      expect(await run(line)).toMatchObject({ failed: false, out: expect.not.stringContaining('instead') });
    },
  );
});

test('a disk that was cut makes no version, unless that is meant', async () => {
  await run('convert /lab.raw /win.vhdx');
  writeFileSync(join(folder, 'cut.raw'), patternBytes(0, MIB - 512));
  const there = readdirSync(folder);
  expect(await run('new-version /win --from /cut.raw')).toMatchObject({
    ...{ failed: true, out: '' },
    err: expect.stringMatching(
      /cut\.raw is a disk of .*\(1048064 bytes\), and win\.vhdx is one of .*\(1048576 bytes\): .* say --shrink/,
    ),
  });
  expect(readdirSync(folder)).toEqual(there);
  expect((await run('new-version /win --from /cut.raw --shrink')).out).toContain('win.1.avhdx is version 1');
  expect(await run('new-version /win --from /lab.raw')).toMatchObject({ failed: false });
});

test('what the newest version shows already makes no other one, unless its kernel is another', async () => {
  await run('convert /lab.raw /win.vhdx');
  const there = readdirSync(folder);
  const base = { failed: false, out: `${join(folder, 'lab.raw')} shows what version 0 shows: nothing is made\n` };
  expect(await run('new-version /win --from /lab.raw')).toMatchObject(base);
  expect(readdirSync(folder)).toEqual(there);
  writeFileSync(join(folder, 'from.raw'), patternBytes(0, MIB, 1));
  expect((await run('new-version /win --from /from.raw')).out).toContain('win.1.avhdx is version 1');
  expect(JSON.parse((await run('new-version /win --from /from.raw -o json')).out)).toMatchObject({
    ...{ number: 1, name: 'win.1.avhdx', unchanged: true, diskBytes: MIB },
  });
  expect(readdirSync(folder).sort()).toEqual(['from.raw', 'lab.raw', 'win.1.avhdx', 'win.vhdx']);
  writeFileSync(join(folder, 'win.2.vmlinuz'), 'another kernel');
  expect((await run('new-version /win --from /from.raw')).out).toContain('win.2.avhdx is version 2');
  writeFileSync(join(folder, 'longer.raw'), patternBytes(0, MIB + 512, 1).fill(0, MIB));
  expect((await run('new-version /win --from /longer.raw')).out).toContain('win.3.avhdx is version 3');
});

describe('a vDisk that is named by one of its files, as a shell completes it', () => {
  beforeEach(async () => {
    await run('convert /lab.raw /win.vhdx');
    for (const name of ['win.xml', 'win.pvp']) writeFileSync(join(folder, name), '');
  });
  test.each(['/win', '/win.vhdx', '/win.xml', '/win.pvp'])('%s', async (name) => {
    expect((await run(`new-version ${name}`)).out).toContain('win.1.avhdx is version 1');
    expect((await run(`merge ${name} --base`)).out).toContain('win.2.vhdx is version 2');
  });

  test('a later version is none, and one that is named so is it', async () => {
    await run('new-version /win');
    expect(await run('merge /win.1.avhdx --base')).toMatchObject({
      failed: true,
      err: expect.stringMatching(/win\.1\.avhdx is of version 1 of a vDisk: name that one, \S+\/win$/m),
    });
    writeFileSync(join(folder, 'win.vhdx.raw'), patternBytes(0, MIB));
    expect((await run('new-version /win.vhdx')).err).toContain('win.vhdx.raw has a format that knows no differences');
  });

  test.each([
    ['/WIN', /you mean \S+\/win$/m],
    ['/Win.vhdx', /you mean \S+\/win$/m],
    ['/other', /\(other\.raw, other\.vhdx, other\.vhd\): there are lab, win: name a vDisk that lies there/],
  ])('%s is none, and what lies there is said', async (name, says) => {
    expect(await run(`new-version ${name}`)).toMatchObject({ failed: true, err: expect.stringMatching(says) });
  });
});

test('a line that a message has runs as it stands, whatever names are', async () => {
  mkdirSync(join(folder, "it's here"));
  writeFileSync(join(folder, "it's here", 'p lab.raw'), patternBytes(0, MIB));
  const vdisk = join(folder, "it's here", 'p lab');
  const { said, terminal } = fakeTerminal();
  const command = new Command('vdisk');
  addVDiskWork(command, terminal);
  await command.parseAsync(['new-version', vdisk], { from: 'user' });
  const [, line = ''] = /`bootfarm (.*)`/.exec(said.err) ?? [];
  const words = execFileSync('sh', ['-c', `printf '%s\\n' ${line}`], { encoding: 'utf8' });
  expect(words).toBe(`vdisk\nconvert\n${vdisk}.raw\n${vdisk}.vhdx\n`);
});

describe('a name that is too long', () => {
  const LONG = 'l'.repeat(240);
  test.each([
    [`convert /lab.raw /${LONG}.vhdx`, /^error: l+\.vhdx has 245 bytes, and a name that is made here has 243 at most/],
    [`import /lab.raw /${LONG}`, /has 245 bytes, .* 243 at most/],
    [`upload /${LONG}.vmlinuz --size 6 --sha256 ${DIGEST}`, /has 248 bytes, .* 247 at most/],
    [`fetch /${LONG}.vmlin.raw http://127.0.0.1:1/ --sha256 ${DIGEST}`, /has 250 bytes, .* 247 at most/],
  ])('%s', async (line, says) => {
    expect(await run(line)).toMatchObject({ failed: true, out: '', err: expect.stringMatching(says) });
    expect(readdirSync(folder)).toEqual(['lab.raw']);
  });

  test('of a new version', async () => {
    writeFileSync(join(folder, `${LONG}.vhdx`), readFileSync(await converted()));
    expect((await run(`new-version /${LONG}`)).err).toMatch(/\.1\.avhdx has 248 bytes, .* 247 at most/);
  });

  async function converted(): Promise<string> {
    await run('convert /lab.raw /win.vhdx');
    return join(folder, 'win.vhdx');
  }
});

test.each([
  ['1M', 5],
  ['2048K', 6],
  ['4194304', 8],
])('blocks of %s make a file of %i MiB', async (size, mib) => {
  const made = JSON.parse((await run(`convert /lab.raw /lab --block-size ${size} -o json`)).out);
  expect(made.fileBytes).toBe(mib * MIB);
});

test.each([
  { line: 'fetch /lab.vhdx ftp://images/lab.vhdx --sha256 DIGEST', says: 'no address of http or https' },
  { line: 'fetch /lab http://127.0.0.1:1/lab --sha256 DIGEST', says: 'end it with .vhdx, .vhd or .raw' },
  { line: 'fetch /lab.vhdx http://127.0.0.1:1/lab --sha256 12', says: '64 hex digits' },
  { line: 'fetch /lab.vhdx http://127.0.0.1:1/lab', says: "required option '--sha256" },
  { line: 'fetch /lab.raw http://127.0.0.1:1/lab --sha256 DIGEST', says: 'is there already' },
])('$line is refused', async ({ line, says }) => {
  const words = line.replace('DIGEST', '1'.repeat(64));
  expect(await run(words)).toMatchObject({ failed: true, out: '', err: expect.stringContaining(says) });
  expect(readdirSync(folder)).toEqual(['lab.raw']);
});

describe('what is there already does not come again', () => {
  const bytes = patternBytes(0, MIB);
  const [size, sha256] = [bytes.length, createHash('sha256').update(bytes).digest('hex')];
  const same = (name: string) => ({
    failed: false,
    err: '',
    out: `${join(folder, name)} is there already, the same\n`,
  });

  test('by upload, which tells its end', async () => {
    expect((await run('upload /lab.raw --tell-offset')).out).toBe(`${size}\n`);
    const line = `upload /lab.raw --size ${size} --sha256 ${sha256}`;
    expect(await run(line)).toMatchObject(same('lab.raw'));
    expect(await run(`${line} --offset ${size}`)).toMatchObject(same('lab.raw'));
    expect(JSON.parse((await run(`${line} -o json`)).out)).toMatchObject({ kept: true });
    for (const other of [`--size ${size} --sha256 ${DIGEST}`, `--size 6 --sha256 ${sha256}`])
      expect(await run(`upload /lab.raw ${other}`)).toMatchObject({
        ...{ failed: true, err: expect.stringContaining('is there already, and is not overwritten') },
      });
  });

  test('by fetch, which asks nobody', async () => {
    const line = `fetch /lab.raw http://127.0.0.1:1/lab.raw --sha256 ${sha256}`;
    expect(await run(line)).toMatchObject(same('lab.raw'));
    expect(await run(`${line} --size 6`)).toMatchObject({ failed: true });
  });
});

const QCOW2 = Buffer.concat([Buffer.from('514649fb00000003', 'hex')], 1_024);
test.each<{ name: string; content: Buffer | string; err: string; out?: RegExp }>([
  { name: 'd.vhdx', content: QCOW2, err: 'warning: .*d\\.vhdx holds a qcow2 image.*bootfarm vdisk import' },
  { name: 'd.raw', content: '<!doctype html><p>Not found', err: 'warning: .*d\\.raw holds a page of HTML' },
  { name: 'd.vhd', content: 'version https://git-lfs.github.com/spec/v1', err: 'warning: .*git lfs pull' },
  { name: 'd.qcow2', content: 'no such thing', err: 'warning: .*d\\.qcow2 is no qcow2, VMDK or VDI image' },
  { name: 'd.qcow2', content: QCOW2, err: '^$', out: /make an image of it: .*bootfarm vdisk import d\.qcow2 d\.vhdx/ },
  { name: 'd.vmlinuz', content: 'a kernel', err: '^$' },
])('$name that came is looked at: $err', async ({ name, content, err, out = /^.* is there, .*\n$/ }) => {
  const sha256 = createHash('sha256').update(content).digest('hex');
  const { said, terminal } = fakeTerminal();
  const command = new Command('vdisk');
  const input = new PassThrough();
  addBringing(command, terminal, input);
  input.end(content);
  const words = ['upload', join(folder, name), '--size', String(content.length), '--sha256', sha256];
  await command.parseAsync(words, { from: 'user' });
  expect(said.failed).toBe(false);
  expect(said.err).toMatch(new RegExp(err));
  expect(said.out).toMatch(out);
});

test.each([
  ['/new', '/some/lab.vhdx?x=1', 'new.vhdx'],
  ['/new', '/some/lab.qcow2', 'new.qcow2'],
  ['/new.vmdk', '/some/download', 'new.vmdk'],
  ['/new.raw', '/some/lab.qcow2', 'new.raw'],
])('what is fetched to %s from %s is %s', async (target, path, name) => {
  const server = createServer((_req, res) => void res.end('a disk')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const said = await run(`fetch ${target} http://127.0.0.1:${port}${path} --sha256 ${DIGEST} --size 6`);
  server.close();
  expect([said.err, said.out]).toEqual([
    expect.stringMatching(/^warning: /),
    `${join(folder, name)} is there, 6 bytes\n`,
  ]);
});

test('an upload that is interrupted does not wait for its input, and what came stays', async () => {
  const input = new PassThrough();
  const { said, terminal } = fakeTerminal();
  const command = new Command('vdisk');
  addBringing(command, terminal, input);
  const words = ['upload', join(folder, 'new.raw'), '--size', '10', '--sha256', '1'.repeat(64)];
  const ended = command.parseAsync(words, { from: 'user' });
  input.write('half of');
  const partial = join(folder, 'new.raw.partial');
  await until('it came', () => existsSync(partial) && statSync(partial).size === 7);
  process.emit('SIGINT');
  await ended;
  expect(said).toMatchObject({ failed: true, err: expect.stringContaining('--offset 7') });
  expect(readdirSync(folder).sort()).toEqual(['lab.raw', 'new.raw.partial']);
});
