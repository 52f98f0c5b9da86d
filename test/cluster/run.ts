/** Commands of the machine, and waiting. */
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { until as patiently, type Truthy } from '../setup/time.ts';

const execute = promisify(execFile);

/** Standard output; throws with what the command said. */
export function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 << 20 });
}

export async function runAsync(program: string, ...args: string[]): Promise<string> {
  return (await execute(program, args, { encoding: 'utf8', maxBuffer: 64 << 20 })).stdout;
}

/** For what may be gone already. */
export function attempt(program: string, ...args: string[]): string | undefined {
  try {
    return run(program, ...args);
  } catch {
    return undefined;
  }
}

/** As the one of `test/setup/time.ts`, looking every 100 ms. */
export const until = <T>(what: string, deadlineMs: number, condition: () => Promise<T> | T): Promise<Truthy<T>> =>
  patiently(what, condition, deadlineMs, 100);
