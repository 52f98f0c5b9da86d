/**
 * What we write, judged by qemu-img: it finds nothing to complain about, and sees the disk that we were given. It reads no differences, so those are judged where
 * they became a base. And what is left where the command is ended half-way.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { convertFile } from '../../src/store/convert.ts';
import { mergeVersions, newVersion } from '../../src/store/versions.ts';
import { quietClock, until } from '../setup/time.ts';

const MIB = 1 << 20;
const MAIN = join(import.meta.dirname, '../../src/main.ts');
const DEADLINE_MS = 60_000;

let folder: string;
let command: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-written-'));
});
afterEach(async () => {
  if (command?.exitCode === null && command.signalCode === null) {
    command.kill('SIGKILL');
    await once(command, 'close');
  }
  command = undefined;
  rmSync(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);
const run = (line: string): string => execFileSync('sh', ['-ec', line], { cwd: folder, encoding: 'utf8' });
const random = (file: string, offsetMib: number, mib: number): string =>
  `dd if=/dev/urandom of=${file} bs=1M seek=${offsetMib} count=${mib} conv=notrunc status=none; `;
/** 80 MiB and a rest that is no whole block, of which 5 MiB are written. */
const HOLED = `truncate -s 83970560 disk.raw; ${random('disk.raw', 20, 3)} ${random('disk.raw', 40, 1)} ${random('disk.raw', 79, 1)}`;

function must<T>(answer: { ok: true; value: T } | { ok: false; error: { message: string } }): T {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

function judge(image: string, disk: string): void {
  const format = image.endsWith('.vhdx') ? 'vhdx' : image.endsWith('.vhd') ? 'vpc' : 'raw';
  if (format === 'vhdx') expect(run(`qemu-img check -f vhdx ${image}`)).toContain('No errors');
  const facts = JSON.parse(run(`qemu-img info --output=json -f ${format} ${image}`));
  expect(facts['virtual-size']).toBe(statSync(at(disk)).size);
  expect(run(`qemu-img compare -f raw -F ${format} ${disk} ${image}`)).toContain('identical');
}

const heldBytes = (name: string): number => statSync(at(name)).blocks * 512;

test.each<{ name: string; fixed?: true; blockMib?: number }>([
  { name: 'lab.raw' },
  { name: 'lab.vhd' },
  { name: 'lab.vhd', fixed: true },
  { name: 'lab.vhd', blockMib: 0.5 },
  { name: 'lab.vhdx' },
  { name: 'lab.vhdx', fixed: true },
  ...[1, 8, 256].map((blockMib) => ({ name: 'lab.vhdx', blockMib })),
])('what is written: %j', async ({ name, fixed, blockMib }) => {
  run(HOLED);
  const options = { ...(fixed && { fixed }), ...(blockMib !== undefined && { blockBytes: blockMib * MIB }) };
  must(await convertFile(at('disk.raw'), at(name), options));
  judge(name, 'disk.raw');
  expect(heldBytes(name)).toBeLessThan(heldBytes('disk.raw') + MIB);
});

test.each(['vhdx', 'vhd'])('a disk of 127 GiB, sparse, as %s: what is not there costs nothing', async (format) => {
  run(`truncate -s 127G disk.raw; ${random('disk.raw', 127 * 1_024 - 2, 2)} ${random('disk.raw', 0, 1)}`);
  const passed = quietClock();
  const made = must(await convertFile(at('disk.raw'), at(`lab.${format}`)));
  expect(passed()).toBeLessThan(5_000);
  expect(made.fileBytes).toBeLessThan(10 * MIB);
  // qemu-img knows no zeros of a VHDX without reading them: a minute and a half.
  if (format === 'vhd') judge('lab.vhd', 'disk.raw');
  else expect(run('qemu-img check -f vhdx lab.vhdx')).toContain('No errors');
  must(await convertFile(at(`lab.${format}`), at('back.raw')));
  judge('back.raw', 'disk.raw');
  expect(heldBytes('back.raw')).toBeLessThan(4 * MIB);
});

test.each([
  { format: 'vhdx', by: 'vhdx' },
  { format: 'vhd', by: 'vpc -o force_size=on' },
])('differences on what qemu-img made ($format), merged both ways', async ({ format, by }) => {
  run(
    `${HOLED} qemu-img convert -q -f raw -O ${by} disk.raw lab.${format}; cp disk.raw first.raw; ${random('first.raw', 3, 1)}`,
  );
  run(`cp first.raw second.raw; ${random('second.raw', 40, 2)} fallocate -p -o 20M -l 2M second.raw`);
  const lab = { folder, fileName: 'lab' };
  must(await newVersion(lab, { from: at('first.raw') }));
  must(await newVersion(lab, { from: at('second.raw') }));
  must(await mergeVersions(lab, 'updates'));
  must(await mergeVersions(lab, 'base'));
  judge(`lab.4.${format}`, 'second.raw');
  must(await convertFile(at(`lab.2.a${format}`), at('second')));
  judge('second.vhdx', 'second.raw');
  must(await convertFile(at(`lab.1.a${format}`), at('first')));
  judge('first.vhdx', 'first.raw');
});

function begin(...args: readonly string[]): ChildProcess {
  command = spawn(process.execPath, [MAIN, 'vdisk', ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  return command;
}

async function untilHalfWritten(name: string): Promise<void> {
  const isHalf = () => readdirSync(folder).includes(name) && statSync(at(name)).size >= 40 * MIB;
  await until(`${name} is half written`, () => isHalf() || command?.exitCode !== null, DEADLINE_MS, 1);
  expect(isHalf()).toBe(true);
}

test('what is killed is gone on with; what is ended leaves nothing', async () => {
  run(`truncate -s 600M disk.raw; ${random('disk.raw', 8, 400)}`);
  const ended = begin('convert', 'disk.raw', 'lab.vhdx');
  await untilHalfWritten('lab.vhdx.partial');
  ended.kill('SIGTERM');
  expect(await once(ended, 'close')).toEqual([1, null]);
  expect(readdirSync(folder)).toEqual(['disk.raw']);

  const killed = begin('convert', 'disk.raw', 'lab.vhdx');
  await untilHalfWritten('lab.vhdx.partial');
  killed.kill('SIGKILL');
  await once(killed, 'close');
  expect(readdirSync(folder)).toEqual(['disk.raw', 'lab.vhdx.partial']);
  const { ino } = statSync(at('lab.vhdx.partial'));
  // As a power cut leaves it: some of it never came to the disk, and its end is anywhere.
  run(
    `${random('lab.vhdx.partial', 20, 1)} fallocate -p -o 30M -l 1M lab.vhdx.partial; truncate -s 700M lab.vhdx.partial`,
  );
  const again = begin('convert', 'disk.raw', 'lab.vhdx');
  expect(await once(again, 'close')).toEqual([0, null]);
  expect([readdirSync(folder), statSync(at('lab.vhdx')).ino]).toEqual([['disk.raw', 'lab.vhdx'], ino]);
  judge('lab.vhdx', 'disk.raw');
});
