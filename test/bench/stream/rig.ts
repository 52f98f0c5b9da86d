/** What a bench of servers needs: a control group per server to read its CPU time from, two network namespaces with a veth pair between them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { addNamespace, deleteNamespace } from '../../setup/namespaces.ts';

export interface Place {
  readonly name: 'loopback' | 'veth';
  readonly host: string;
  /** Put before a command to run it on the server's or the client's side. */
  readonly server: readonly string[];
  readonly client: readonly string[];
  close(): void;
}

export const loopback: Place = { name: 'loopback', host: '127.0.0.1', server: [], client: [], close() {} };

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
};

/** A veth pair with MTU 1500 between two namespaces of this process's own. */
export function vethPlace(): Place {
  const [server, client] = [`bfbench-s-${process.pid}`, `bfbench-c-${process.pid}`];
  addNamespace(server);
  addNamespace(client);
  ip('-n', server, 'link', 'add', 'eth0', 'mtu', '1500', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', client);
  ip('-n', client, 'link', 'set', 'eth0', 'mtu', '1500');
  for (const [name, address] of [
    [server, '10.199.0.1/24'],
    [client, '10.199.0.2/24'],
  ] as const) {
    ip('-n', name, 'address', 'add', address, 'dev', 'eth0');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  return {
    name: 'veth',
    host: '10.199.0.1',
    server: ['ip', 'netns', 'exec', server],
    client: ['ip', 'netns', 'exec', client],
    close: () => {
      deleteNamespace(server);
      deleteNamespace(client);
    },
  };
}

/** CPU time of a group: of all its threads, with the softirq work that the kernel does in their name. In ns. */
interface Group {
  readonly processes: string;
  cpuSeconds(): number;
  close(): void;
}

const CPUACCT = '/sys/fs/cgroup/cpuacct';

function group(name: string): Group {
  const v1 = existsSync(CPUACCT);
  const path = `${v1 ? CPUACCT : '/sys/fs/cgroup'}/bfbench-${process.pid}-${name}`;
  mkdirSync(path);
  return {
    processes: `${path}/cgroup.procs`,
    cpuSeconds: () => {
      if (v1) return Number(readFileSync(`${path}/cpuacct.usage`, 'utf8')) / 1e9;
      return Number(/usage_usec (\d+)/.exec(readFileSync(`${path}/cpu.stat`, 'utf8'))?.[1]) / 1e6;
    },
    close: () => rmdirSync(path),
  };
}

export interface Running {
  readonly name: string;
  readonly command: string;
  /** The first line it printed, when it was waited for. */
  readonly line: string;
  cpuSeconds(): number;
  stop(): Promise<void>;
}

/** Starts a server in a group of its own; waits for its first line, or until its port is open. */
export async function start(
  place: Place,
  name: string,
  command: readonly string[],
  ready: 'line' | { readonly port: number },
): Promise<Running> {
  const own = group(`${place.name}-${name}`);
  const script = `echo $$ > ${own.processes} && exec "$@"`;
  const all = [...place.server, ...command];
  const child = spawn('sh', ['-c', script, 'sh', ...all], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const line = ready === 'line' ? await firstLine(child) : await portOpen(place, ready.port);
  return {
    name,
    command: command.join(' '),
    line,
    cpuSeconds: () => own.cpuSeconds(),
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      own.close();
    },
  };
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('no standard output');
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) return line;
  throw new Error('the server ended before it served');
}

async function portOpen(place: Place, port: number): Promise<string> {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`;
  const end = performance.now() + 5_000;
  while (performance.now() < end) {
    const [program = 'cat', ...args] = [...place.server, 'cat', '/proc/net/tcp'];
    if (execFileSync(program, args, { encoding: 'utf8' }).includes(hex)) return '';
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** Seconds of ksoftirqd of all processors: softirq work that no process's account has. */
export function softirqThreadSeconds(): number {
  const pids = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid));
  return pids.reduce((sum, pid) => {
    try {
      if (!readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('ksoftirqd/')) return sum;
      return sum + Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
    } catch {
      return sum;
    }
  }, 0);
}
