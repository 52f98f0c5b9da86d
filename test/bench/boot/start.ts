/** The processes of `road.ts` and `judge.ts` in a network namespace, and what they say that happens. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { inNamespace } from '../../e2e/machine/run.ts';

export interface RoadOptions {
  /** Where the servers are: their network card is `eth0`. */
  readonly namespace: string;
  readonly address: string;
  /** Has `lab.raw`, `lab.vmlinuz` and `lab.initrd`. */
  readonly folder: string;
  readonly mac: string;
  /** `boot.tftp.maxBlockSize` of the farm. */
  readonly maxBlockSize?: number;
}

interface Event {
  /** Unix milliseconds. */
  readonly at: number;
  readonly event: string;
}

export interface Teller {
  /** When this event happened first since then. */
  since(event: string, startMs: number): number | undefined;
  end(): Promise<void>;
}

export interface Road extends Teller {
  /** Where the kernel and the initramfs are. */
  readonly files: string;
}

export async function startRoad(options: RoadOptions): Promise<Road> {
  const { namespace, address, folder, mac, maxBlockSize = 1_468 } = options;
  const { first, ...road } = await start(namespace, 'road.ts', address, 'eth0', folder, mac, String(maxBlockSize));
  return { ...road, files: first.event };
}

/** Where a machine says that it begins something, and ends it: by asking for `http://…/EVENT`. */
export const startJudge = (namespace: string, address: string, port: number): Promise<Teller> =>
  start(namespace, 'judge.ts', address, String(port));

async function start(namespace: string, program: string, ...args: string[]): Promise<Teller & { first: Event }> {
  // Not by nsenter: the MTU of a card is read from the /sys of its namespace.
  const [command, ...enter] = [...inNamespace(), 'ip', 'netns', 'exec', namespace];
  const script = [process.execPath, join(import.meta.dirname, program), ...args];
  const child = spawn(command, [...enter, ...script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const happened: Event[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => happened.push(JSON.parse(line)));
  const [line] = (await once(lines, 'line')) as [string];
  return {
    first: JSON.parse(line),
    since: (event, startMs) => happened.find((one) => one.event === event && one.at >= startMs)?.at,
    end: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
