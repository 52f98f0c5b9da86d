/** The process of `road.ts` in a network namespace, and what it says that happens. */
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

export interface Road {
  /** When this event happened first since then; both Unix milliseconds. */
  since(event: string, startMs: number): number | undefined;
  end(): Promise<void>;
}

export async function startRoad({ namespace, address, folder, mac, maxBlockSize = 1_468 }: RoadOptions): Promise<Road> {
  // Not by nsenter: the MTU of a card is read from the /sys of its namespace.
  const [command, ...enter] = [...inNamespace(), 'ip', 'netns', 'exec', namespace];
  const program = [join(import.meta.dirname, 'road.ts'), address, 'eth0', folder, mac, String(maxBlockSize)];
  const child = spawn(command, [...enter, process.execPath, ...program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const happened: { readonly at: number; readonly event: string }[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => happened.push(JSON.parse(line)));
  await once(lines, 'line');
  return {
    since: (event, startMs) => happened.find((one) => one.event === event && one.at >= startMs)?.at,
    end: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
