import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Output of a command; throws with what it said on stderr. */
export async function run(command: string, ...args: readonly string[]): Promise<string> {
  return (await execute(command, args, { encoding: 'utf8' })).stdout;
}

/** What begins a command that runs in a network namespace and ends with this process, whatever happens to it. */
export function inNamespace(namespace?: string): [string, ...string[]] {
  return ['setpriv', '--pdeathsig', 'KILL', ...intoNamespace(namespace)];
}

/** The same, for what outlives this process. */
export const intoNamespace = (namespace?: string): [string, ...string[]] =>
  namespace === undefined ? ['env'] : ['nsenter', `--net=/run/netns/${namespace}`];
