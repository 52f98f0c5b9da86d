/**
 * Named network namespaces. The first `ip netns add` of a machine makes the folder of their names a mount, which outlives them all; where that
 * was ours, a marker says so, and the mount goes with the last namespace.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = '/run/netns';
/** A file, not a variable: the process that removes the last one is another than the one that made the first. */
const MARKER = '/run/bootfarm-netns';

export function addNamespace(name: string): void {
  if (!isMount()) writeFileSync(MARKER, '');
  ip('add', name);
}

/** Throws when there is no such namespace. */
export function deleteNamespace(name: string): void {
  ip('delete', name);
  leaveAsFound();
}

/** For what may be gone already. */
export function removeNamespace(name: string): void {
  try {
    ip('delete', name);
  } catch {
    // as `ip netns delete` by hand leaves it
  }
  leaveAsFound();
}

/** Whether a process is in it; not when there is no such namespace. */
export const runsIn = (name: string): boolean => existsSync(join(FOLDER, name)) && ip('pids', name).trim() !== '';

/** A mount that is busy, because somebody adds a namespace at this moment, is left to the next who deletes one. */
function leaveAsFound(): void {
  if (!existsSync(MARKER)) return;
  try {
    if (readdirSync(FOLDER).length > 0) return;
    if (isMount()) execFileSync('umount', [FOLDER], { stdio: ['ignore', 'ignore', 'pipe'] });
    rmdirSync(FOLDER);
  } catch {
    return;
  }
  rmSync(MARKER, { force: true });
}

const isMount = (): boolean =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === FOLDER);

const ip = (...args: string[]): string =>
  execFileSync('ip', ['netns', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
