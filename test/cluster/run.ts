/** Commands of the machine, and waiting. */
import { execFile, execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

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

/** Looks every 100 ms until the condition gives something true; the last failure is told when the time is over. */
export async function until<T>(what: string, deadlineMs: number, condition: () => Promise<T> | T): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (let last: unknown; ; ) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${deadlineMs / 1_000} s: ${what}`, { cause: last });
    await delay(100);
  }
}
