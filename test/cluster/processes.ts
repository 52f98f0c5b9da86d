/** Processes of a cluster: started with a log and a record on disk, ended by that record alone and never by name. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A process id is used again; the time of its start, in clock ticks since boot, tells which process was meant. */
interface Recorded {
  readonly pid: number;
  readonly started: string;
}

const startOf = (pid: number): string | undefined => {
  try {
    // Field 22 of /proc/PID/stat; the name in field 2 may hold blanks and ends with the last parenthesis.
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19];
  } catch {
    return undefined;
  }
};

const recordPath = (folder: string, name: string): string => join(folder, 'pids', `${name}.json`);
export const logPath = (folder: string, name: string): string => join(folder, 'log', `${name}.log`);

export function startProcess(folder: string, name: string, command: readonly string[]): number {
  mkdirSync(join(folder, 'log'), { recursive: true });
  const log = openSync(logPath(folder, name), 'a');
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd: folder, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name}: ${program} cannot be started`);
  child.unref();
  recordProcess(folder, name, pid);
  return pid;
}

/** For a process that somebody else started: it ends with the others. */
export function recordProcess(folder: string, name: string, pid: number): void {
  mkdirSync(join(folder, 'pids'), { recursive: true });
  writeFileSync(recordPath(folder, name), JSON.stringify({ pid, started: startOf(pid) ?? '' } satisfies Recorded));
}

/** The id of a recorded process that still runs. */
export function runningPid(folder: string, name: string): number | undefined {
  if (!existsSync(recordPath(folder, name))) return undefined;
  const { pid, started }: Recorded = JSON.parse(readFileSync(recordPath(folder, name), 'utf8'));
  return startOf(pid) === started && !isZombie(pid) ? pid : undefined;
}

const isZombie = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.startsWith('Z') === true;
  } catch {
    return true;
  }
};

export const recordedNames = (folder: string): string[] =>
  existsSync(join(folder, 'pids')) ? readdirSync(join(folder, 'pids')).map((file) => file.replace(/\.json$/, '')) : [];

/** SIGTERM to all, SIGKILL to those that stay (an API server with open watches takes a minute), then their records go. */
export async function endProcesses(folder: string, names: readonly string[], patienceMs = 5_000): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const name of names) {
      const pid = runningPid(folder, name);
      if (pid !== undefined) process.kill(pid, signal);
    }
    const end = Date.now() + patienceMs;
    while (names.some((name) => runningPid(folder, name) !== undefined) && Date.now() < end) await delay(50);
  }
  for (const name of names) rmSync(recordPath(folder, name), { force: true });
}
