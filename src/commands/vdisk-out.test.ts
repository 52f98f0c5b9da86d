import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { anImage } from '../../test/builders/pvs.ts';
import { fakeTerminal } from '../../test/fakes/terminal.ts';
import { patternBytes } from '../image/pattern/pattern.ts';
import { addDownload } from './vdisk-out.ts';

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
  readonly during?: () => void;
}

async function run(line: string, { isTTY = false, breaks = false, during }: Taking = {}) {
  const { said, terminal } = fakeTerminal();
  const taken: Buffer[] = [];
  const output = new Writable({
    write: (bytes, _encoding, done) => {
      during?.();
      taken.push(bytes);
      done(breaks ? new Error('write EPIPE') : null);
    },
  });
  const command = new Command('vdisk');
  addDownload(command, terminal, Object.assign(output, { isTTY }));
  const words = line.split(' ').map((word) => (word.startsWith('/') ? folder + word : word));
  await command.parseAsync(['download', ...words], { from: 'user' });
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

test.each<{ what: string; line: string; taking?: Taking; says: string }>([
  { what: 'a terminal', line: '/lab', taking: { isTTY: true }, says: 'no text for a terminal' },
  { what: 'another target', line: '/lab lab.raw', says: 'write - and >lab.raw' },
  { what: 'no such version', line: '/lab --version 9', says: 'no version 9: there is 0, 1' },
  { what: 'no such vDisk', line: '/win', says: 'there is none' },
  { what: 'a difference as a base', line: '/lab --format vhd', says: 'lab.1.avhd is no base in the format vhd' },
  { what: 'another format', line: '/lab --version 0 --format vhdx', says: 'bootfarm vdisk convert' },
  { what: 'more than there is', line: `/lab --offset ${MIB + 1}`, says: 'has 1048576 bytes, and 1048577 are said' },
])('$what is refused, and nothing is written', async ({ line, taking, says }) => {
  const { failed, err, bytes } = await run(line, taking);
  expect([failed, err, bytes.length]).toEqual([true, expect.stringContaining(says), 0]);
});

test('one that nobody takes any more, or that is written to meanwhile, fails, and no digest is said', async () => {
  const broken = await run('/lab', { breaks: true });
  expect([broken.failed, broken.err]).toEqual([true, expect.stringMatching(/^error: .*EPIPE.*--offset.*\n$/)]);
  const changed = await run('/big --format asis', { during: () => appendFileSync(join(folder, 'big.raw'), 'more') });
  expect([changed.failed, changed.err]).toEqual([true, expect.stringMatching(/^error: .*big\.raw was changed.*\n$/)]);
});
