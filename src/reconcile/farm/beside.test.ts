import { type ChildProcess, spawn } from 'node:child_process';
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
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mountSecret } from '../../../test/fakes/mount.ts';
import { until } from '../../../test/setup/time.ts';
import { keptBeside } from './beside.ts';

let folder: string;
let from: string;
let to: string;
let container: ChildProcess;
const kept = (name: string): string =>
  existsSync(join(to, name)) ? readFileSync(join(to, name), 'utf8') : '(nothing)';
const keeps = (name: string, text: string) => until(`${name} is ${text}`, () => kept(name) === text);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-beside-'));
  [from, to] = [join(folder, 'from'), join(folder, 'to')];
  const [shell = '', ...args] = keptBeside(['/bin/sh', '-c', 'echo up; exec sleep 60'], { from, to }, 0.05);
  container = spawn(shell, args, { stdio: ['ignore', 'pipe', 'inherit'] });
});
afterEach(() => {
  container.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

test('a copy that comes later is kept, for its owner alone, and again when it changed or was lost; of nothing nothing is kept', async () => {
  await once(container.stdout as NonNullable<typeof container.stdout>, 'data');
  expect(existsSync(to)).toBe(false);
  mountSecret(from, { 'a.sealed': 'first', 'b.sealed': '', content: 'digest' });
  await keeps('a.sealed', 'first');
  expect([statSync(join(to, 'a.sealed')).mode & 0o777, statSync(to).mode & 0o777]).toEqual([0o600, 0o700]);
  mountSecret(from, { 'a.sealed': 'second', 'b.sealed': '', content: 'digest' });
  await keeps('a.sealed', 'second');
  rmSync(join(to, 'a.sealed'));
  await keeps('a.sealed', 'second');
  await until('nothing half written', () => readdirSync(to).join() === 'a.sealed');
});

test('those of other farms, and the last of what is gone, stay', async () => {
  mkdirSync(to);
  writeFileSync(join(to, 'other.sealed'), 'another farm’s');
  mountSecret(from, { 'a.sealed': 'first' });
  await keeps('a.sealed', 'first');
  rmSync(join(from, 'a.sealed'));
  mountSecret(from, { 'b.sealed': 'of the next farm' });
  await keeps('b.sealed', 'of the next farm');
  expect([kept('a.sealed'), kept('other.sealed')]).toEqual(['first', 'another farm’s']);
});

test('the program is the container’s own, and the loop ends with it', async () => {
  const { pid = 0 } = container;
  const name = () => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  await until('the program runs in the shell’s place', () => name() === 'sleep');
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  expect(children).toHaveLength(1);
  container.kill('SIGTERM');
  await once(container, 'exit');
  await until('the loop has ended', () => !existsSync(`/proc/${children[0]}`));
});
