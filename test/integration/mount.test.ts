/**
 * `bootfarm mount` on a node made of mount namespaces: the node, whose folder is shared, a mount pod, which has a volume, and a server, which the node's mounts
 * come to and none of whose leave. Needs root.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mountAt, parseMounts } from '../../src/store/mounted.ts';
import { FuseFolder } from '../fakes/fuse.ts';
import { quietClock, until } from '../setup/time.ts';

/** What waits for an answer of the volume cannot even be killed, so it gives one in the end. */
const HANG_MS = 8_000;

let root: string;
let node: ChildProcess;
let server: ChildProcess;
let pods: ChildProcess[];
let folder: FuseFolder | undefined;
/** By mount pods. */
let said: string;

const within = (of: ChildProcess, ...command: readonly string[]): string[] => ['-t', `${of.pid}`, '-m', ...command];
const inNode = (script: string): string =>
  execFileSync('nsenter', within(node, 'sh', '-ec', `cd ${root}; ${script}`), { encoding: 'utf8', stdio: 'pipe' });
const mountOf = (of: ChildProcess, folder: string) =>
  mountAt(parseMounts(readFileSync(`/proc/${of.pid}/mountinfo`, 'utf8')), join(root, folder));
/** As the server sees it. */
const seen = (use: 'read' | 'write') => mountOf(server, `node/${use}/nas`);
const inServer = (path: string): string => `/proc/${server.pid}/root${join(root, path)}`;

function keep(child: ChildProcess): ChildProcess {
  pods.push(child);
  return child;
}
const sleeper = (...command: readonly string[]): ChildProcess =>
  keep(spawn('setpriv', ['--pdeathsig', 'KILL', ...command, 'sleep', 'infinity'], { stdio: 'ignore' }));
const lives = (child: ChildProcess, word: string) =>
  until(word, () => readFileSync(`/proc/${child.pid}/comm`, 'utf8').trim() === 'sleep');

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
  return child.exitCode;
}

/** The kubelet mounts a volume twice, once to read only; then the pod runs. */
async function startPod(volume = 'volume'): Promise<ChildProcess> {
  const script = [
    `mount --bind ${volume} source`,
    `mount --bind ${volume} source-read`,
    'mount -o remount,bind,ro source-read',
    `exec "${process.execPath}" "${join(import.meta.dirname, '../../src/main.ts')}" mount --at ` +
      ['source=node/write/nas', 'source-read=node/read/nas']
        .map((one) => one.replace(/[^=]+/g, `${root}/$&`))
        .join(' '),
  ].join(' && ');
  // Its mounts are its own, but those on the folder that is shared.
  const command = ['unshare', '-m', '--propagation', 'unchanged', 'sh', '-ec', `cd ${root} && ${script}`];
  const pod = spawn('setpriv', ['--pdeathsig', 'KILL', 'nsenter', ...within(node, ...command)], { stdio: 'pipe' });
  pod.stdout.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  return keep(pod);
}

async function startNode(): Promise<void> {
  node = sleeper('unshare', '-m', '--propagation', 'private');
  await lives(node, 'the node');
  inNode('mount -t tmpfs node node && mount --make-shared node && mkdir node/read node/write');
  server = sleeper('nsenter', ...within(node, 'unshare', '-m', '--propagation', 'slave'));
  await lives(server, 'the server');
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'bootfarm-mount-'));
  pods = [];
  said = '';
  for (const folder of ['node', 'volume', 'other', 'source', 'source-read', 'fuse']) mkdirSync(join(root, folder));
  writeFileSync(join(root, 'volume/lab.raw'), 'right');
  writeFileSync(join(root, 'other/lab.raw'), 'wrong');
  await startNode();
});
afterEach(async () => {
  for (const pod of pods.toReversed()) await end(pod, 'SIGKILL');
  // Before anything looks into it: this process serves it.
  folder?.close();
  folder = undefined;
  rmSync(root, { recursive: true });
});

test('the server sees the volume and may not write to it, also when it was mounted over or taken away, and no more when the pod ends', async () => {
  const pod = await startPod();
  await until('it is seen', () => seen('read') && seen('write'));
  expect([seen('read')?.readOnly, seen('write')?.readOnly]).toEqual([true, false]);
  expect(readFileSync(inServer('node/read/nas/lab.raw'), 'utf8')).toBe('right');
  expect(() => writeFileSync(inServer('node/read/nas/new'), '')).toThrow('EROFS');
  writeFileSync(inServer('node/write/nas/new'), '');

  const times = () => said.split('"mounted"').length - 1;
  await until('it says so', () => times() === 2);
  inNode('umount -l node/read/nas');
  await until('it is mounted anew', () => times() === 3 && seen('read'));
  inNode('mount --bind other node/read/nas');
  await until('what lies over it goes', () => readFileSync(inServer('node/read/nas/lab.raw'), 'utf8') === 'right');

  expect(await end(pod, 'SIGTERM')).toBe(0);
  expect([seen('read'), seen('write'), existsSync(inServer('node/read/nas'))]).toEqual([undefined, undefined, false]);
});

test('what a killed pod left is taken over by the next, and goes where that has another volume', async () => {
  const killed = await startPod();
  await until('it is seen', () => seen('read') && seen('write'));
  const left = [seen('read')?.id, seen('write')?.id];
  await end(killed, 'SIGKILL');
  const next = await startPod();
  await until('the next one has it', () => mountOf(next, 'node/write/nas'));
  expect([seen('read')?.id, seen('write')?.id]).toEqual(left);
  await end(next, 'SIGKILL');
  await startPod('other');
  await until('the other volume is seen', () => readFileSync(inServer('node/read/nas/lab.raw'), 'utf8') === 'wrong');
});

test('a pod whose volume does not answer ends all the same, and takes it off', async () => {
  await end(server, 'SIGKILL');
  await end(node, 'SIGKILL');
  folder = new FuseFolder(join(root, 'fuse'), { 'lab.raw': Buffer.alloc(1) });
  await startNode();
  const pod = await startPod('fuse');
  await until('it is seen', () => seen('read') && seen('write'));
  folder.metadataMs = HANG_MS;
  const passed = quietClock();
  expect(await end(pod, 'SIGTERM')).toBe(0);
  expect(passed()).toBeLessThan(HANG_MS / 2);
  expect([seen('read'), seen('write')]).toEqual([undefined, undefined]);
});
