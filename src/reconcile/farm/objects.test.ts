import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from '@jest/globals';
import { alone, databaseSet, replicaSet, restartedOnChange } from './objects.ts';

/** Words of a command as the kubelet hands them over: `$$` is how a single `$` is written, and `$(NAME)` of no variable stays. */
const asTheKubeletReads = (word: string): string => word.replaceAll('$$', '$');

test.each([
  ['database', databaseSet],
  ['replica', replicaSet],
])('what the pod of a %s runs is what is written', (_, make) => {
  const set = make({ farm: 'farm', image: 'i', embedded: { storage: { size: '1Gi', hostPath: '/srv' } } });
  const { initContainers = [], containers = [] } = set.spec?.template.spec ?? {};
  const commands = [...initContainers, ...containers].map(({ command = [] }) => command);
  expect(commands.length).toBeGreaterThan(1);
  expect(commands).toEqual(commands.map((words) => words.map(asTheKubeletReads)));
});

test('a database that is ended sends its clients away: by TERM alone it waits for them until it is killed', () => {
  const set = databaseSet({ farm: 'farm', image: 'i', embedded: { storage: { size: '8Gi' } } });
  expect(set.spec?.template.spec?.containers).toEqual([
    expect.objectContaining({ lifecycle: { preStop: { exec: { command: ['/bin/sh', '-c', 'kill -INT 1'] } } } }),
  ]);
});

test('Redis is started again with its new Secret in the same container, and ends with it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-secret-'));
  const turn = (to: string): void => {
    symlinkSync(to, join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, '..data'));
  };
  turn('first');
  const program = ['/bin/sh', '-c', `echo $(readlink ${folder}/..data); exec sleep 60`];
  const [shell = '', ...args] = restartedOnChange(program, folder, 0.1);
  const container = spawn(shell, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines = createInterface({ input: container.stdout })[Symbol.asyncIterator]();
  try {
    expect(await lines.next()).toMatchObject({ value: 'first' });
    turn('second');
    expect(await lines.next()).toMatchObject({ value: 'second' });
    expect(container.exitCode).toBeNull();
    container.kill('SIGTERM');
    await once(container, 'exit');
    expect([container.signalCode, container.exitCode]).toEqual([null, 143]);
  } finally {
    container.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
});

test('of two pods with one folder the second says so and ends; when the first has gone, with all that it began, the next one works', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-alone-'));
  const termination = join(folder, 'termination');
  const begin = (script: string) => {
    const [shell = '', ...args] = alone(['/bin/sh', '-c', script], join(folder, 'lock'), {
      waitSeconds: 0,
      termination,
    });
    return spawn(shell, args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
  };
  const first = begin('sleep 60 & echo works; exec sleep 60');
  try {
    expect(await createInterface({ input: first.stdout })[Symbol.asyncIterator]().next()).toMatchObject({
      value: 'works',
    });
    expect(await once(begin('exit 0'), 'exit')).toEqual([75, null]);
    expect(readFileSync(termination, 'utf8')).toMatch(
      /^another pod works in this folder: .* name another in storage.hostPath\n$/,
    );
    first.kill('SIGKILL');
    await once(first, 'exit');
    expect(await once(begin('exit 0'), 'exit')).toEqual([75, null]); // its child is there
    process.kill(-(first.pid ?? 0), 'SIGKILL');
    const [shell = '', ...args] = alone(['/bin/true'], join(folder, 'lock'), { termination });
    expect(await once(spawn(shell, args), 'exit')).toEqual([0, null]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a Redis that ends by itself ends its container, with its code', async () => {
  const [shell = '', ...args] = restartedOnChange(['/bin/sh', '-c', 'exit 7'], '/nowhere', 0.1);
  expect(await once(spawn(shell, args, { stdio: 'ignore' }), 'exit')).toEqual([7, null]);
});
