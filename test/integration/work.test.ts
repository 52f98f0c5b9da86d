/** The keeper of jobs as it runs in the container `work`: real processes, which are killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { vdiskCommand } from '../../src/commands/vdisk.ts';
import { patternBytes } from '../../src/image/pattern/pattern.ts';
import type { Job, JobState } from '../../src/work/job.ts';
import { startWorker } from '../../src/work/runner.ts';
import { fakeTerminal, type Said } from '../fakes/terminal.ts';
import { until } from '../setup/time.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const MIB = 1 << 20;
const DEADLINE_MS = 60_000;

let folder: string;
let keeper: ChildProcess | undefined;
const at = (name: string): string => join(folder, name);
const jobs = (): string => at('work');

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-work-'));
  for (const name of ['work', 'a', 'b']) mkdirSync(at(name));
  for (const name of ['a', 'b']) writeFileSync(at(`${name}/lab.raw`), patternBytes(0, MIB));
  await keep();
});
afterEach(async () => {
  delete process.env['BOOTFARM_WORK'];
  await end('SIGTERM');
  rmSync(folder, { recursive: true });
});

async function keep(): Promise<void> {
  const words = ['work', '--folder', jobs(), '--orders', at('orders.json')];
  keeper = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(keeper.stdout as NodeJS.ReadableStream, 'data');
}

async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (!keeper || keeper.exitCode !== null || keeper.signalCode !== null) return;
  const ended = once(keeper, 'exit');
  keeper.kill(signal);
  await ended;
}

/** As `kubectl exec -c work` runs it. */
async function vdisk(...words: string[]): Promise<Said> {
  const { said, terminal } = fakeTerminal();
  process.env['BOOTFARM_WORK'] = jobs();
  await vdiskCommand(terminal).parseAsync(words, { from: 'user' });
  return said;
}

/** In a process of its own, for who interrupts it, or gives it an input. */
const spawned = (...words: string[]): ChildProcess =>
  spawn(process.execPath, [MAIN, 'vdisk', ...words], { env: { ...process.env, BOOTFARM_WORK: jobs() } });

const readJob = (id: string): Job => JSON.parse(readFileSync(join(jobs(), `${id}.json`), 'utf8'));

/** Jobs have what nobody else wants of the processors: on a busy machine one is late. */
const became = (id: string, state: JobState): Promise<Job> =>
  until(
    `job ${id} is ${state}`,
    () => existsSync(join(jobs(), `${id}.json`)) && readJob(id).state === state && readJob(id),
    DEADLINE_MS,
  ).catch((cause) => {
    throw new Error(JSON.stringify(readJob(id)), { cause });
  });

/** Its process, which stands still: the work is as slow as a test wants it. */
async function stopped(id: string): Promise<number> {
  await became(id, 'Running');
  // One that has not begun its program yet holds its parent with it.
  const workers = () => childrenOf(keeper?.pid ?? 0).filter((pid) => commandOf(pid).includes('worker'));
  const [pid = 0] = await until(`job ${id} has a process`, () => workers().length > 0 && workers(), DEADLINE_MS, 1);
  process.kill(pid, 'SIGSTOP');
  return pid;
}

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it is gone
  }
};

const detached = async (...words: string[]): Promise<string> => (await vdisk(...words, '--detach')).out.trim();
const toVhdx = (name: string) => ['convert', at(`${name}/lab.raw`), at(`${name}/lab.vhdx`)];

test('an order is done by the keeper, and followed', async () => {
  const made = await vdisk(...toVhdx('a'));
  expect(made).toMatchObject({ failed: false, err: expect.stringMatching(/^job [0-9a-f]{8}: `bootfarm vdisk follow/) });
  expect(made.out).toMatch(/lab\.vhdx is a disk of 1\.0 MiB, in a file of 6\.0 MiB\nlab\.raw is beside it/);
  const again = await vdisk(...toVhdx('a'));
  expect(again).toMatchObject({ failed: true, out: '', err: expect.stringContaining('is there already') });
  const [first, second] = JSON.parse((await vdisk('jobs', '-o', 'json')).out) as Job[];
  expect(first).toMatchObject({ state: 'Done', fileName: 'lab', version: 0, doneBytes: MIB, totalBytes: MIB });
  expect(second).toMatchObject({ state: 'Failed', message: expect.stringContaining('is there already') });
  expect((await vdisk('jobs')).out).toMatch(
    /^JOB .*STATE .*WORK .*SAYS\n[0-9a-f]{8} .*:\d\dZ .* Done .* convert .*\n[0-9a-f]{8} .* Failed .* convert .*\n$/,
  );
  expect((await vdisk('follow', first?.id ?? '')).err).toBe('');
  expect((await vdisk('follow', '00000000')).err).toBe(
    'error: there is no job 00000000: `bootfarm vdisk jobs` shows all\n',
  );
  expect((await vdisk('follow', first?.id ?? '', '-o', 'json')).out).toContain('"fileBytes": 6291456');
  expect(await vdisk('cancel', first?.id ?? '')).toMatchObject({
    failed: true,
    err: expect.stringContaining('Done already'),
  });
});

test('a process that is killed costs its own job, and the next one has its turn', async () => {
  const first = await detached(...toVhdx('a'));
  const next = await detached(...toVhdx('a'));
  const pid = await stopped(first);
  expect(readJob(next).state).toBe('Queued');
  process.kill(pid, 'SIGKILL');
  expect((await became(first, 'Failed')).message).toContain('was ended by SIGKILL without a word (memory?)');
  await became(next, 'Done');
});

test('a keeper that is killed, or told to end, goes on where it was', async () => {
  const id = await detached(...toVhdx('a'));
  const pid = await stopped(id);
  await end('SIGKILL');
  process.kill(pid, 'SIGKILL');
  await keep();
  expect(await became(id, 'Done')).toMatchObject({ crashes: 1 });
  const other = await detached(...toVhdx('b'));
  await stopped(other);
  await end('SIGTERM');
  expect(readJob(other)).toMatchObject({ state: 'Queued', crashes: 0 });
  await keep();
  expect(await became(other, 'Done')).toMatchObject({ crashes: 0 });
});

test('what is cancelled leaves nothing, whether it runs or waits', async () => {
  const runs = await detached(...toVhdx('a'));
  const pid = await stopped(runs);
  const waits = await detached('merge', at('a/lab'), '--base');
  const { id: asked } = JSON.parse((await vdisk('merge', at('a/lab'), '--base', '--detach', '-o', 'json')).out);
  expect(JSON.parse((await vdisk('cancel', asked, '-o', 'json')).out)).toEqual({ id: asked });
  await became(asked, 'Cancelled');
  expect((await vdisk('follow', asked)).err).toMatch(/^job [0-9a-f]{8}: it was cancelled before it began\n$/);
  expect((await vdisk('cancel', '--all')).out).toMatch(/^job [0-9a-f]{8} ends: .*\njob [0-9a-f]{8} ends: .*\n$/);
  await became(waits, 'Cancelled');
  process.kill(pid, 'SIGCONT');
  await became(runs, 'Cancelled');
  expect(readdirSync(at('a'))).toEqual(['lab.raw']);
  expect(readdirSync(jobs()).filter((name) => name.endsWith('.cancel'))).toEqual([]);
});

test('what the operator orders is fetched, and said to have no kernel; what it orders no more ends', async () => {
  const file = patternBytes(0, MIB);
  const server = createServer((_, res) => res.writeHead(200, { 'content-length': MIB }).end(file));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const order = {
    ...{ id: 'aaaaaaaa', kind: 'fetch', folder: at('b'), fileName: 'new', url: `http://127.0.0.1:${port}/disk.raw?a` },
    sha256: createHash('sha256').update(file).digest('hex'),
  };
  const merge = { id: 'bbbbbbbb', kind: 'merge', folder: at('a'), fileName: 'lab', version: 0 };
  const runs = await detached(...toVhdx('a'));
  const pid = await stopped(runs);
  const bootFiles = { id: 'dddddddd', kind: 'boot-files', folder: at('b'), fileName: 'lab', number: 0 };
  writeFileSync(at('orders.json'), JSON.stringify([order, merge, { id: 'cccccccc', kind: 'later' }, bootFiles]));
  const fetched = await became(order.id, 'Done');
  server.close();
  expect(fetched).toMatchObject({ byFarm: true, folder: at('b'), fileName: 'new', version: 0 });
  expect(fetched.words).toEqual([`${at('b/new.raw')} is there`, expect.stringContaining('without kernel and initrd')]);
  expect(readFileSync(at('b/new.raw')).equals(file)).toBe(true);
  const sought = await became(bootFiles.id, 'Failed');
  expect(sought).toMatchObject({
    byFarm: true,
    version: 0,
    message: expect.stringContaining('no kernel with an initrd'),
  });
  await became(merge.id, 'Queued');
  expect(existsSync(join(jobs(), 'cccccccc.json'))).toBe(false);
  writeFileSync(at('orders.json'), '[]');
  await became(merge.id, 'Cancelled');
  process.kill(pid, 'SIGCONT');
  await became(runs, 'Done');
});

test('who stops following leaves the job, and is told how to find it', async () => {
  const id = await detached(...toVhdx('a'));
  const pid = await stopped(id);
  const follower = spawned(...toVhdx('a'));
  const [first] = await once(follower.stderr as NodeJS.ReadableStream, 'data');
  const next = String(first).slice('job '.length, 'job 00000000'.length);
  follower.kill('SIGINT');
  const [[last], [status]] = await Promise.all([
    once(follower.stderr as NodeJS.ReadableStream, 'data'),
    once(follower, 'exit'),
  ]);
  expect([String(last), status]).toEqual([
    expect.stringContaining(`job ${next} goes on: \`bootfarm vdisk follow`),
    130,
  ]);
  process.kill(pid, 'SIGCONT');
  await became(next, 'Failed');
});

test('an upload is done by its command, seen among the jobs, and no job works beside it', async () => {
  const bytes = patternBytes(0, MIB, 7);
  const words = ['upload', at('a/new.raw'), '--size', String(MIB), '--sha256'];
  const command = spawned(...words, createHash('sha256').update(bytes).digest('hex'));
  command.stdin?.write(bytes.subarray(0, 1_000));
  const upload = await uploading();
  expect(readJob(upload)).toMatchObject({ state: 'Running', order: { kind: 'upload', target: at('a/new.raw') } });
  const id = await detached(...toVhdx('a'));
  expect((await vdisk('cancel', upload)).err).toContain('end the command that sends it');
  await became(await detached(...toVhdx('b')), 'Done');
  expect(readJob(id).state).toBe('Queued');
  command.stdin?.end(bytes.subarray(1_000));
  await once(command, 'close');
  expect(existsSync(at('a/new.raw'))).toBe(true);
  await became(id, 'Done');
  expect(readJob(upload)).toMatchObject({ state: 'Done' });
});

test('an upload whose command was killed is said to have failed', async () => {
  const command = spawned('upload', at('a/new.raw'), '--size', '10', '--sha256', '0'.repeat(64));
  const id = await uploading();
  command.kill('SIGKILL');
  expect(await became(id, 'Failed')).toMatchObject({ message: expect.stringContaining('--tell-offset') });
});

async function uploading(): Promise<string> {
  const name = await until(
    'an upload is seen',
    () => readdirSync(jobs()).find((name) => name.endsWith('.json')),
    DEADLINE_MS,
  );
  return name.slice(0, 8);
}

test('without a keeper it is done here, and --detach is refused', async () => {
  await end('SIGTERM');
  expect(await vdisk(...toVhdx('a'))).toMatchObject({
    failed: false,
    out: expect.stringContaining('lab.vhdx is a disk'),
  });
  expect(await vdisk(...toVhdx('b'), '--detach')).toMatchObject({
    failed: true,
    err: expect.stringContaining('no keeper of jobs runs here'),
  });
});

test('a version that cannot be written down is not made', async () => {
  await vdisk(...toVhdx('a'));
  rmSync(at('a/lab.raw'));
  const order = { kind: 'new-version', folder: at('a'), fileName: 'lab' } as const;
  const worker = startWorker(order, { onVersion: () => Promise.reject(new Error('the disk is full')) });
  const message = expect.stringMatching(/version 1 cannot be written down, .*: the disk is full: make room/);
  expect(await worker.ending).toMatchObject({ kind: 'fault', code: 'WriteFailed', message });
  expect(readdirSync(at('a'))).toEqual(['lab.vhdx']);
});
