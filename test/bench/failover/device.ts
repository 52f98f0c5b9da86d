/** A device: the real client (`target/`), and `target/test/kernel.c` in the place of its kernel, which compares each block that it reads. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { inNamespace } from '../../e2e/machine/run.ts';
import { until } from '../../setup/time.ts';

export interface DeviceOptions {
  readonly namespace: string;
  /** Of its own: its state lies there. */
  readonly folder: string;
  /** What it should read. */
  readonly file: string;
  readonly token: string;
  readonly servers: readonly string[];
  readonly mac: string;
}

/** The line of kernel.c. */
export interface Report {
  readonly reads: number;
  readonly wrong: number;
  readonly failed: number;
  readonly longestStallMs: number;
}

export interface Status {
  readonly current: string;
  readonly standby: string;
  readonly failovers: number;
}

export interface Device {
  status(): Status;
  /** Random reads of up to `maxKiB`, so many a second, `depth` open at most. */
  read(depth: number, ms: number, maxKiB: number, perSecond: number): Promise<Report>;
  end(): Promise<void>;
}

const START_MS = 20_000;
const TARGET = join(import.meta.dirname, '../../../target/build');

export async function startDevice(options: DeviceOptions): Promise<Device> {
  const { namespace, folder, file, token, servers, mac } = options;
  mkdirSync(folder);
  const config = join(folder, 'boot');
  writeFileSync(config, `version=1\ntoken=${token}\nservers=${servers.join(',')}\nhttp=\nmac=${mac}\noverlayMiB=64\n`);
  const [command, ...enter] = inNamespace(namespace);
  const client = [join(TARGET, 'bootfarm-client'), '--config', config, '--state', folder];
  const child = spawn(command, [...enter, join(TARGET, 'kernel'), file, ...client], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the client ended: ${said}`);
    return JSON.parse(value) as T;
  };
  await next();
  await next();
  const status = (): Status => JSON.parse(readFileSync(join(folder, 'status'), 'utf8'));
  const attached = (): boolean => {
    try {
      const { current, standby } = status();
      return current !== '' && standby !== '';
    } catch {
      return false; // it is not there yet
    }
  };
  await until(`a server and a stand-by: ${said}`, attached, START_MS);
  return {
    status,
    read: (depth, ms, maxKiB, perSecond) => {
      child.stdin.write(`read ${depth} ${ms} ${maxKiB} 0 ${perSecond}\n`);
      return next<Report>();
    },
    end: () => ended(child),
  };
}

/** Disconnects, as a shutdown does. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.stdin?.end();
  await exit;
}
