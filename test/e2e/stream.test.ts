/**
 * The client where it lives: in a machine's initramfs, with the root on it, against two servers, without a cluster. The fastest loop for work
 * on the protocol; what a server does by itself is tested in `src/stream` and by the contract, and farm.test.ts reads a whole disk.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Lan, openLan, type Place } from './machine/lan.ts';
import { type Machine, startMachine } from './machine/machine.ts';
import { inNamespace } from './machine/run.ts';

const PORT = 6910;
const MAC = '52:54:00:00:00:01';
const BOOT_DEADLINE_MS = 120_000;
/** The bar: design, "failover"; what is seen is about 160 ms. */
const LONGEST_STALL_MS = 1_000;
/** nbd's patience, 1 s, which the kernel rounds up to whole seconds; and the emulated machine's time to start a process. */
const CLIENT_KILLED_STALL_MS = 3_000;
const READS_PER_SECOND = 100;

interface ReadReport {
  readonly reads: number;
  readonly wrong: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly longestStallMs: number;
}

interface Status {
  readonly current: string;
  readonly standby: string;
  readonly restarts: number;
  readonly failovers: number;
  readonly servers: number;
}

interface Server {
  readonly place: Place;
  readonly name: string;
  token: string;
  child: ChildProcess | undefined;
}

let folder: string;
let image: string;
let lan: Lan;
let machine: Machine;
let servers: [Server, Server];

async function startServer(server: Server): Promise<void> {
  const list = servers.map(({ name }) => name).join(',');
  const { address, namespace } = server.place;
  const [command, ...enter] = inNamespace(namespace);
  const child = spawn(
    command,
    [
      ...[...enter, process.execPath, 'test/fakes/serve.ts', '--file', join(image, 'lab.raw')],
      ...['--address', address, '--port', String(PORT), '--mode', 'authenticated', '--list', list],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  server.child = child;
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(() => {
      throw new Error(`the server on ${address} ended before it served`);
    }),
  ])) as [string];
  server.token = JSON.parse(line).token;
  lines.on('line', () => undefined);
}

async function killServer(server: Server): Promise<void> {
  const { child } = server;
  server.child = undefined;
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

async function status(): Promise<Status> {
  return machine.ask<Status>('status');
}

async function untilStatus(what: string, holds: (status: Status) => boolean, deadlineMs = 15_000): Promise<Status> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const now = await status();
    if (holds(now)) return now;
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}: ${JSON.stringify(now)}`);
    await delay(100);
  }
}

const attachedToBoth = ({ current, standby }: Status): boolean => current !== '' && standby !== '';

function serving({ current }: Status): Server {
  const found = servers.find(({ name }) => name === current);
  if (!found) throw new Error(`no server is called ${current}`);
  return found;
}

/** Reads and checks blocks in the machine for so long, while `meanwhile` happens a second after the start, and the client is killed, in ms from it. */
async function readWhile(seconds: number, meanwhile: () => Promise<void>, killClientMs?: number): Promise<ReadReport> {
  const kill = killClientMs === undefined ? '' : ` ${killClientMs}`;
  const report = machine.ask<ReadReport>(`read ${READS_PER_SECOND} ${seconds}${kill}`, seconds * 1_000 + 60_000);
  await delay(1_000);
  await meanwhile();
  const seen = await report;
  expect(seen).toMatchObject({ wrong: 0, failed: 0 });
  expect(seen.reads).toBeGreaterThan(0);
  return seen;
}

function tell(what: string, { reads, perSecond, longestStallMs }: ReadReport): void {
  process.stderr.write(`${what}: longest stall ${longestStallMs} ms, ${reads} reads, ${perSecond} a second\n`);
}

beforeAll(async () => {
  image = execFileSync('target/demo/make-image', { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-stream-'));
  lan = await openLan('bfstream', 2);
  const [first, second] = lan.places.map(
    (place): Server => ({ place, name: `${place.address}:${PORT}`, token: '', child: undefined }),
  );
  if (!first || !second) throw new Error('the LAN has two places');
  servers = [first, second];
  await Promise.all(servers.map(startServer));
  machine = await startMachine({
    name: 'stream',
    namespace: lan.namespace,
    bridge: lan.bridge,
    mac: MAC,
    stateDirectory: join(folder, 'machine'),
    direct: {
      kernel: join(image, 'lab.vmlinuz'),
      initrd: join(image, 'lab.initrd'),
      commandLine: 'boot=bootfarm console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable',
      config: `version=1\ntoken=${servers[0].token}\nservers=${servers.map(({ name }) => name).join(',')}\nhttp=\ndevice=pc1\nmac=${MAC}\noverlayMiB=64\n`,
    },
  });
});

afterAll(async () => {
  process.stderr.write(`longest stalls:\n${stalls.join('\n')}\n`);
  await machine?.kill();
  if (servers) await Promise.all(servers.map(killServer));
  await lan?.close();
  if (folder) rmSync(folder, { recursive: true });
});

test('it boots with its root on the stream, and has a stand-by', async () => {
  const begin = Date.now();
  const [, hostname] = await machine.waitFor(/bootfarm: up (\S+)/, BOOT_DEADLINE_MS);
  process.stderr.write(`up after ${((Date.now() - begin) / 1000).toFixed(1)} s\n`);
  expect(hostname).toBe('pc1');
  await machine.ask('ping');
  await untilStatus('a server and a stand-by', attachedToBoth);
});

/** What happens to the server that serves, or to its stand-by; each gives back the way it was. */
const FAULTS = {
  'server killed': async ({ serving }: Pair) => {
    await killServer(serving);
    return () => startServer(serving);
  },
  'stand-by killed': async ({ standby }: Pair) => {
    await killServer(standby);
    return () => startServer(standby);
  },
  'link cut': async ({ serving: { place } }: Pair) => {
    await place.cut();
    return place.mend;
  },
  'server drained': async ({ serving }: Pair) => {
    const { child } = serving;
    const ended = child ? once(child, 'exit') : undefined;
    child?.kill('SIGTERM');
    return async () => {
      await ended; // its devices have left, or its patience is over
      await startServer(serving);
    };
  },
} as const;

interface Pair {
  readonly serving: Server;
  readonly standby: Server;
}

async function bothAttached(): Promise<Pair> {
  const serves = serving(await untilStatus('a server and a stand-by', attachedToBoth, 30_000));
  const standby = servers.find((server) => server !== serves);
  if (!standby) throw new Error('there are two servers');
  return { serving: serves, standby };
}

const stalls: string[] = [];

interface Row {
  readonly what: string;
  readonly faults: readonly (keyof typeof FAULTS)[];
  readonly clientKilled?: boolean;
  /** Between the last of the faults and the first way back, where the machine reads meanwhile. */
  readonly backMs?: number;
  readonly mostMs: number;
}

const alone = (fault: keyof typeof FAULTS): Row => ({ what: fault, faults: [fault], mostMs: LONGEST_STALL_MS });
const withClient = (...faults: Row['faults']): Row => ({
  what: [...faults, 'client killed'].join(' and '),
  faults,
  clientKilled: true,
  mostMs: CLIENT_KILLED_STALL_MS,
});

/** One fault alone, and with another one; each of them twice in a row, for the second time is where what was set once lacks. */
test.each<Row>([
  alone('server killed'),
  alone('link cut'),
  alone('server drained'),
  withClient(),
  withClient('server killed'),
  withClient('link cut'),
  withClient('server drained'),
  {
    what: 'link cut and stand-by killed, nobody serves for a second',
    faults: ['link cut', 'stand-by killed'],
    backMs: 1_000,
    mostMs: 1_000 + LONGEST_STALL_MS,
  },
  {
    what: 'stand-by killed and server drained',
    faults: ['stand-by killed', 'server drained'],
    backMs: 1_000,
    mostMs: LONGEST_STALL_MS,
  },
])(
  '$what, twice: no block is wrong, none fails, none waits for longer than $mostMs ms',
  async ({ what, faults, clientKilled = false, backMs, mostMs }) => {
    for (const time of ['first', 'second']) {
      const pair = await bothAttached();
      const { restarts } = await status();
      const back: (() => Promise<void>)[] = [];
      const happens = async (): Promise<void> => {
        for (const fault of faults) back.push(await FAULTS[fault](pair));
        if (backMs === undefined) return;
        await delay(backMs);
        for (const mend of back.splice(0)) await mend();
      };
      const report = await readWhile(5, happens, clientKilled ? 1_000 : undefined);
      for (const mend of back) await mend();
      tell(`${what}, the ${time} time`, report);
      stalls.push(`${String(report.longestStallMs).padStart(7)} ms  ${what}, the ${time} time`);
      expect(report.longestStallMs).toBeLessThan(mostMs);
      const after = await untilStatus('a server and a stand-by again', attachedToBoth, 30_000);
      expect(after.restarts).toBe(restarts + Number(clientKilled));
    }
  },
);

test('both servers are away for 20 s: the machine waits, says so in a line, and goes on', async () => {
  await untilStatus('a server and a stand-by', attachedToBoth);
  await machine.ask('loglevel 7'); // what a kernel without `quiet` shows
  const before = machine.console().length;
  const report = await readWhile(25, async () => {
    await Promise.all(servers.map(killServer));
    await delay(20_000);
    await startServer(servers[1]);
  });
  await machine.waitFor(/bootfarm: goes on after/, 10_000);
  await machine.ask('loglevel 4');
  tell('both away for 20 s', report);
  expect(report.longestStallMs).toBeGreaterThan(15_000);
  const said = machine.console().slice(before).split('\n');
  process.stderr.write(`${said.join('\n')}\n`);
  expect(said.filter((line) => line.includes('has waited'))).toHaveLength(1);
  expect(said.filter((line) => line.includes('Possible stuck request'))).toEqual([]);
  await startServer(servers[0]);
  await untilStatus('a stand-by again', attachedToBoth);
});
