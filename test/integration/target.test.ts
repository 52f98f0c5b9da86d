/**
 * The device's client (`target/`), built with AddressSanitizer, against real servers over loopback. `target/test/kernel.c` plays the kernel: random
 * reads, each compared with the file. Machines are in `test/e2e/stream.test.ts`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideBoot } from '../../src/farm/boot.ts';
import { type Machine, startHttpBoot } from '../../src/httpboot/server.ts';
import { ok } from '../../src/kit/result.ts';
import { Names } from '../../src/server/names.ts';
import { httpServers, loginServers } from '../../src/server/site.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aBoot, aBootDecision, aDevice, aServer, aSnapshot } from '../builders/farm.ts';
import { freePorts } from '../setup/ports.ts';
import { until } from '../setup/time.ts';

const FILE_BYTES = 32 << 20;
const MAC = '52:54:00:00:00:01';
const SEED = 20_261_123;
const DEADLINE_MS = 30_000;
/** Of their speed, all other reads keep beside one that cannot be read; what is seen is all of it, within what a second of reads differs from the next. */
const SPEED_KEPT = 0.9;

interface Report {
  readonly reads: number;
  readonly wrong: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly longestStallMs: number;
  readonly sockets: number;
  /** What `wait` asked for has not come. */
  readonly waiting: boolean;
}

interface Status {
  readonly current: string;
  readonly standby: string;
  readonly failovers: number;
  readonly moves: number;
  readonly restarts: number;
  readonly longestStallMs: number;
  readonly refused: boolean;
  readonly waitsFor: string;
  readonly servers: number;
  readonly badReads: number;
  readonly badReadsOf: string;
  readonly drops: Readonly<Record<string, number>>;
}

/** `proved`: Authenticated, with a leaf table (suite 3), as servers have it that have digested their images. */
type Mode = 'trusted' | 'authenticated' | 'proved';

const OPTIONS: Readonly<Record<Mode, readonly string[]>> = {
  trusted: ['--mode', 'trusted'],
  authenticated: ['--mode', 'authenticated'],
  proved: ['--mode', 'authenticated', '--leaves'],
};

interface Server {
  readonly port: number;
  readonly token: string;
  readonly child: ChildProcess;
  /** What it said of bad reads. */
  readonly badCopies: readonly string[];
}

let folder: string;
let file: string;
const cleanups: (() => Promise<unknown> | unknown)[] = [];

beforeAll(() => {
  execFileSync('make', ['-s', '-C', 'target', 'asan'], { stdio: 'inherit' });
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-target-'));
  file = join(folder, 'disk.raw');
  writeFileSync(file, randomFillSync(Buffer.alloc(FILE_BYTES)));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

afterAll(() => rmSync(folder, { recursive: true }));

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

const name = (port: number): string => `127.0.0.1:${port}`;

const startServer = (port: number, list: readonly number[], mode: Mode, ...more: string[]): Promise<Server> =>
  startServerOf(file, port, list, mode, ...more);

const startServerOf = (
  image: string,
  port: number,
  list: readonly number[],
  mode: Mode,
  ...more: string[]
): Promise<Server> => startServerIn([], port, mode, '--file', image, '--list', list.map(name).join(','), ...more);

/** `enter`: the command before it, which leads into a network namespace. */
async function startServerIn(enter: readonly string[], port: number, mode: Mode, ...more: string[]): Promise<Server> {
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', ...enter, process.execPath, 'test/fakes/serve.ts'],
      ...['--port', String(port), ...OPTIONS[mode], ...more],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  cleanups.push(() => end(child, 'SIGKILL'));
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, 'line')) as [string];
  const badCopies: string[] = [];
  lines.on('line', (said) => {
    const { badCopy } = JSON.parse(said);
    if (badCopy !== undefined) badCopies.push(badCopy);
  });
  return { port, token: JSON.parse(line).token, child, badCopies };
}

interface Client {
  readonly pid: number;
  /** What is on the console. */
  said(): string;
  /** Random reads; below `mib` alone. */
  read(depth: number, ms: number, maxKiB: number, mib?: number): Promise<Report>;
  /** One more read, whose answer nobody waits for. */
  wait(kib: number, atKiB: number): void;
  status(): Status;
  until(what: string, holds: (status: Status) => boolean): Promise<Status>;
  /** Disconnects as a shutdown does; the exit code of the client, which is not 0 when a sanitizer has found anything. */
  close(): Promise<number>;
}

const startClient = (token: string, servers: readonly number[], http = '', more = ''): Promise<Client> =>
  startClientWith(
    `version=1\ntoken=${token}\nservers=${servers.map(name).join(',')}\nhttp=${http}\ndevice=pc1\nmac=${MAC}\noverlayMiB=64\n${more}`,
  );

/** With that text as its boot configuration. */
const startClientWith = (text: string, ...options: string[]): Promise<Client> => startClientIn([], text, ...options);

async function startClientIn(enter: readonly string[], text: string, ...options: string[]): Promise<Client> {
  const state = mkdtempSync(join(folder, 'state-'));
  const config = join(state, 'boot');
  writeFileSync(config, text);
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', ...enter, 'target/build/kernel', file, 'target/build/bootfarm-client-asan'],
      ...['--config', config, '--state', state, ...options],
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  cleanups.push(() => end(child, 'SIGKILL'));
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
  const { client } = await next<{ client: number }>();
  await next();
  const path = join(state, 'status');
  await until(`a status file: ${said}`, () => existsSync(path), DEADLINE_MS); // the parent writes it once the kernel has its socket
  const status = (): Status => JSON.parse(readFileSync(path, 'utf8'));
  return {
    pid: client,
    said: () => said,
    read: (depth, ms, maxKiB, mib) => {
      child.stdin.write(`read ${depth} ${ms} ${maxKiB} ${mib ?? ''}\n`);
      return next<Report>();
    },
    wait: (kib, atKiB) => void child.stdin.write(`wait ${kib} ${atKiB}\n`),
    status,
    until: async (what, holds) => {
      await until(what, () => holds(status()), DEADLINE_MS, 20).catch((cause) => {
        throw new Error(`${what}: ${JSON.stringify(status())}: ${said}`, { cause });
      });
      return status();
    },
    close: async () => {
      const ended = once(child, 'exit');
      child.stdin.end();
      const [code] = await ended;
      if (code !== 0) throw new Error(`exit code ${code}: ${said}`);
      return code;
    },
  };
}

const right = { wrong: 0, failed: 0 };
const attachedToBoth = ({ current, standby }: Status): boolean => current !== '' && standby !== '';

/** The client's processes: the parent that its caller left behind, and its children. */
function processesOf({ pid }: Client): number[] {
  const childrenOf = (parent: number): number[] =>
    readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  return childrenOf(pid).flatMap((parent) => [parent, ...childrenOf(parent)]);
}

const commOf = (pid: number): string => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();

function pidOf(client: Client, wanted: 'bootfarm-stream' | 'bootfarm-http'): number {
  const found = processesOf(client).find((pid) => commOf(pid) === wanted);
  if (found === undefined) throw new Error(`the client has no process ${wanted}`);
  return found;
}

/** Of `struct identity`: what clients and their parent share. */
const TICKET_BYTES_AT = 1_024 + 1_024 + 32 + 2;

/** Breaks what the processes of a client share, as a stray write would; gives what mends it. */
function breakTicket(client: Client): () => void {
  const pid = pidOf(client, 'bootfarm-stream');
  const parent = processesOf(client).find((found) => commOf(found) === 'bootfarm-parent') ?? pid;
  const shared = readFileSync(`/proc/${parent}/maps`, 'utf8')
    .split('\n')
    .find((line) => line.includes(' rw-s ') && line.includes('/dev/zero'));
  const at = Number.parseInt(shared?.split('-')[0] ?? '', 16) + TICKET_BYTES_AT;
  const memory = openSync(`/proc/${parent}/mem`, 'r+');
  cleanups.push(() => closeSync(memory));
  const right = Buffer.alloc(2);
  readSync(memory, right, 0, 2, at);
  expect(right.readUInt16LE()).toBeGreaterThan(0);
  writeSync(memory, Buffer.from([0xff, 0xff]), 0, 2, at);
  return () => void writeSync(memory, right, 0, 2, at);
}

test('an assertion that fails, twice in a row, costs no read', async () => {
  const [port = 0] = await freePorts(1);
  const server = await startServer(port, [port], 'authenticated');
  const client = await startClient(server.token, [port]);
  await client.until('a server', ({ current }) => current !== '');
  const reading = client.read(8, 2_000, 32);
  const mend = breakTicket(client);
  const failed = (): number => client.said().split('not so: id->ticket_bytes <= MAX_TOKEN_BYTES').length - 1;
  await until('it fails again at its start', () => failed() >= 2, DEADLINE_MS);
  mend();
  const report = await reading;
  expect(report).toMatchObject(right);
  expect(report.sockets).toBeGreaterThanOrEqual(3);
  expect(client.said()).toMatch(/src\/session\.c:\d+: not so: /);
  const { restarts } = await client.until('it is counted', ({ restarts }) => restarts >= 2);
  expect(restarts).toBeLessThan(100);
  expect(await client.close()).toBe(0);
});

describe.each<Mode>(['trusted', 'authenticated', 'proved'])('in mode %s', (mode) => {
  async function pair(): Promise<{ first: Server; second: Server; client: Client }> {
    const ports = await freePorts(2);
    const [one = 0, two = 0] = ports;
    const [first, second] = await Promise.all([startServer(one, ports, mode), startServer(two, ports, mode)]);
    const client = await startClient(first.token, ports);
    await client.until('a server and a stand-by', attachedToBoth);
    return { first, second, client };
  }

  test('every block is right, small and large', async () => {
    const { client } = await pair();
    expect(await client.read(16, 700, 64)).toMatchObject(right);
    expect(await client.read(4, 700, 4_096)).toMatchObject(right);
    expect(await client.close()).toBe(0);
  });

  test('a killed server is replaced by its stand-by; back, it stands by', async () => {
    const { first, second, client } = await pair();
    const reading = client.read(16, 2_500, 32);
    await delay(500);
    await end(first.child, 'SIGKILL');
    const report = await reading;
    expect(report).toMatchObject(right);
    expect(report.longestStallMs).toBeLessThan(1_000);
    await startServer(first.port, [first.port, second.port], mode);
    await client.until(
      'stand-by again',
      ({ current, standby }) => current === name(second.port) && standby === name(first.port),
    );
    expect(await client.close()).toBe(0);
  });

  test('a server that drains is left before it goes', async () => {
    const { first, second, client } = await pair();
    const reading = client.read(16, 1_500, 32);
    await delay(300);
    first.child.kill('SIGTERM');
    const report = await reading;
    expect(report).toMatchObject(right);
    expect(report.longestStallMs).toBeLessThan(500);
    const status = await client.until('moved', ({ current }) => current === name(second.port));
    expect(status).toMatchObject({ moves: 1, failovers: 0 });
    expect(await client.close()).toBe(0);
  });

  test('a killed client is brought back by its parent and needs no login', async () => {
    const { client } = await pair();
    const reading = client.read(8, 2_500, 32);
    await delay(500);
    process.kill(pidOf(client, 'bootfarm-stream'), 'SIGKILL');
    const report = await reading;
    expect(report).toMatchObject({ ...right, sockets: 2 });
    expect(await client.until('counted', ({ restarts }) => restarts === 1)).toMatchObject({ restarts: 1 });
    expect(await client.close()).toBe(0);
  });

  test('with no server at all it waits, and goes on with the first that is back', async () => {
    const { first, second, client } = await pair();
    const reading = client.read(8, 3_000, 32);
    await delay(300);
    await Promise.all([end(first.child, 'SIGKILL'), end(second.child, 'SIGKILL')]);
    await delay(1_500);
    await startServer(second.port, [first.port, second.port], mode);
    const report = await reading;
    expect(report).toMatchObject(right);
    expect(report.longestStallMs).toBeGreaterThan(1_000);
    expect(await client.close()).toBe(0);
  });
});

test.each<Mode>(['trusted', 'authenticated'])(
  'with the segments of an MTU of 576, in mode %s, every block is right',
  async (mode) => {
    const [port = 0] = await freePorts(1);
    const { token } = await startServer(port, [port], mode);
    const text = `version=1\ntoken=${token}\nservers=${name(port)}\nmac=${MAC}\n`;
    const client = await startClientWith(text, '--segment', '448');
    expect(await client.read(8, 500, 256)).toMatchObject(right);
    expect(await client.close()).toBe(0);
  },
);

describe.each([1, 2])('with %i servers of one file that is cut', (count) => {
  const CUT_MIB = 16;
  const UNREADABLE_KIB = 24 << 10;

  test.each<Mode>(['trusted', 'authenticated'])(
    'a read behind its end waits, all others go on as fast, in mode %s',
    async (mode) => {
      const cut = join(folder, `cut-${count}-${mode}.raw`);
      copyFileSync(file, cut);
      const ports = await freePorts(count);
      const servers = await Promise.all(ports.map((port) => startServerOf(cut, port, ports, mode)));
      const client = await startClient(servers[0]?.token ?? '', ports);
      const { current } = await client.until(
        'servers',
        ({ current, standby }) => current !== '' && (count === 1 || standby !== ''),
      );
      const whole = readFileSync(file);
      const before = await client.read(16, 1_000, 4, CUT_MIB);
      truncateSync(cut, CUT_MIB << 20);
      client.wait(4, UNREADABLE_KIB);
      const during: Report[] = [];
      // The fault lasts through each second, what else this machine does comes and goes: the best of them says how fast they may be.
      const best = (): number => Math.max(...during.map(({ perSecond }) => perSecond));
      const isFast = (): boolean => best() > SPEED_KEPT * before.perSecond;
      while (during.length < 3 || (during.length < 20 && !isFast()))
        during.push(await client.read(16, 1_000, 4, CUT_MIB));
      writeFileSync(cut, whole, { flag: 'r+' });
      await until('it is read', async () => !(await client.read(16, 200, 4, CUT_MIB)).waiting, DEADLINE_MS);
      const after = await client.read(16, 1_000, 4, CUT_MIB);
      process.stderr.write(
        `${count} servers, ${mode}: ${before.perSecond} reads a second, ${best()} with one that cannot be read, ${after.perSecond} after it\n`,
      );
      expect(during).toMatchObject(during.map(() => ({ ...right, waiting: true })));
      expect(best()).toBeGreaterThan(SPEED_KEPT * Math.min(before.perSecond, after.perSecond));
      expect(client.status()).toMatchObject({ current, failovers: 0 });
      expect(await client.close()).toBe(0);
    },
  );
});

/** A network namespace for so long as the test runs, and the command that leads into it. */
async function openNamespace(): Promise<{ pid: number; enter: string[]; run: (script: string) => void }> {
  const holder = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'unshare', '--net', 'sh', '-c', 'echo ready; exec sleep 600'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  cleanups.push(() => end(holder, 'SIGKILL'));
  await once(holder.stdout, 'data');
  const pid = holder.pid ?? 0;
  const enter = ['nsenter', `--net=/proc/${pid}/ns/net`];
  return { pid, enter, run: (script) => void execFileSync('nsenter', [...enter.slice(1), 'sh', '-ec', script]) };
}

const [SERVER_ADDRESS, CLIENT_ADDRESS] = ['10.89.1.11', '10.89.2.21'];

/** A server and a client, both with an MTU of 9000, and a router between them that drops what is longer than `narrow` says, and tells nobody. */
async function routed() {
  const [server, router, client] = [await openNamespace(), await openNamespace(), await openNamespace()];
  const join = (end: typeof server, card: string, address: string, net: string): void => {
    router.run(`ip link add ${card} mtu 9000 type veth peer name card mtu 9000 netns ${end.pid}
      ip addr add ${net}.1/24 dev ${card}; ip link set ${card} up`);
    // What the server's kernel would send as one packet of many segments is cut where a card would cut it.
    end.run(`ethtool -K card tx-udp-segmentation off gso off >/dev/null
      ip addr add ${address}/24 dev card; ip link set card up; ip link set lo up; ip route add default via ${net}.1`);
  };
  join(server, 'servers', SERVER_ADDRESS, '10.89.1');
  join(client, 'clients', CLIENT_ADDRESS, '10.89.2');
  router.run(
    'sysctl -qw net.ipv4.ip_forward=1; nft add table ip way; nft add chain ip way pass "{ type filter hook forward priority 0; }"',
  );
  const narrow = (bytes: number): void =>
    router.run(`nft flush chain ip way pass; nft add rule ip way pass ip length gt ${bytes} drop`);
  return { server, client, narrow };
}

describe('a copy that rots while it is served, past its digest', () => {
  const READS = 10_000;
  const NAMED_MS = 10_000;
  /** How the file of one server is spoiled: its bytes, in the place of the right ones. */
  const spoil = (path: string, bytes: (right: Buffer, at: number) => Buffer): void => {
    const [fd, piece] = [openSync(path, 'r+'), Buffer.alloc(4_096)];
    for (let at = 0; at < FILE_BYTES; at += piece.length) {
      readSync(fd, piece, 0, piece.length, at);
      writeSync(fd, bytes(piece, at), 0, piece.length, at);
    }
    closeSync(fd);
  };
  const flipped = (right: Buffer, at: number): Buffer => {
    const wrong = Buffer.from(right);
    const byte = (at / 4_096) % wrong.length;
    wrong.writeUInt8(wrong.readUInt8(byte) ^ 8, byte);
    return wrong;
  };

  test.each<{ what: string; bytes: (right: Buffer, at: number) => Buffer }>([
    { what: 'one bit in each 4 KiB', bytes: flipped },
    { what: 'one bit in 1 MiB', bytes: (right, at) => (at % (1 << 20) === 0 ? flipped(right, at) : right) },
    { what: 'blocks of another version', bytes: (right) => randomFillSync(Buffer.alloc(right.length)) },
    { what: 'zeros', bytes: (right) => Buffer.alloc(right.length) },
  ])('$what: 10,000 reads are right, and it is named within 10 s', async ({ what, bytes }) => {
    const ports = await freePorts(2);
    const [one = 0, two = 0] = ports;
    const rotten = join(folder, `${what}.raw`);
    copyFileSync(file, rotten);
    const first = await startServerOf(rotten, one, ports, 'proved', '--content', 'lab');
    const second = await startServerOf(file, two, ports, 'proved', '--content', 'lab');
    const client = await startClient(first.token, ports);
    await client.until('a server and a stand-by', attachedToBoth);
    expect(await client.read(8, 300, 64)).toMatchObject(right);
    spoil(rotten, bytes);
    const named = until('the bad one is named', () => first.badCopies.length > 0, NAMED_MS);
    for (let reads = 0; reads < READS; ) {
      const report = await client.read(8, 1_000, 32);
      expect(report).toMatchObject(right);
      reads += report.reads;
    }
    await named;
    expect(second.badCopies).toEqual([]);
    // What the server has not in its page cache it judges itself, and says ERROR: then the client has seen nothing wrong.
    expect(['', name(one)]).toContain(client.status().badReadsOf);
    const told = client.said().includes(`${name(one)} gives wrong data at byte `);
    await client.until('console and status agree', ({ badReads }) => badReads > 0 === told);
    expect(await client.close()).toBe(0);
  });
});

test.each<[Mode, number, number]>([
  ['trusted', 1_500, 1_408],
  ['authenticated', 1_500, 1_408],
  ['authenticated', 1_280, 1_152],
  ['authenticated', 576, 448],
])(
  'where both ends have an MTU of 9000, in mode %s, and a router takes %i bytes and says nothing, it reads on',
  async (mode, mtu, segment) => {
    const PORT = 6910;
    const { server, client: machine, narrow } = await routed();
    const list = `${SERVER_ADDRESS}:${PORT}`;
    narrow(9_000);
    const more = ['--file', file, '--address', SERVER_ADDRESS, '--list', list];
    const { token } = await startServerIn(server.enter, PORT, mode, ...more);
    const text = `version=1\ntoken=${token}\nservers=${list}\nhttp=\ndevice=pc1\nmac=${MAC}\noverlayMiB=64\n`;
    const wide = await startClientIn(machine.enter, text);
    const before = await wide.read(8, 500, 64);
    expect(before).toMatchObject(right);
    narrow(mtu);
    const narrowed = await wide.read(8, 8_000, 64);
    expect(narrowed).toMatchObject(right);
    expect(wide.said()).toContain(`do not arrive: asks for ${segment}`);
    process.kill(pidOf(wide, 'bootfarm-stream'), 'SIGKILL');
    const next = await wide.read(8, 1_000, 64);
    expect(next).toMatchObject(right);
    expect(await wide.close()).toBe(0);
    const begin = performance.now();
    const born = await startClientIn(machine.enter, text);
    const first = await born.read(1, 1, 4);
    const tookMs = performance.now() - begin;
    expect(first).toMatchObject(right);
    expect(await born.close()).toBe(0);
    process.stderr.write(
      `${mode}, ${mtu} of 9000: stall ${narrowed.longestStallMs} ms, of the next client ${next.longestStallMs} ms, of one that starts ${first.longestStallMs} ms (up after ${tookMs.toFixed(0)} ms)\n`,
    );
    expect(narrowed.longestStallMs).toBeLessThan(5_000);
    expect(next.longestStallMs).toBeLessThan(1_500);
    expect(first.longestStallMs).toBeLessThan(12_000);
  },
);

test('a refused token is fetched again over HTTP', async () => {
  const [port = 0] = await freePorts(1);
  const server = await startServer(port, [port], 'trusted');
  const http = createServer((request, response) => {
    expect(request.url).toBe(`/boot/config?mac=${MAC}`);
    response.end(`version=1\ntoken=${server.token}\nservers=${name(port)}\nmac=${MAC}\n`);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  cleanups.push(() => http.close());
  const stale = `A${server.token.slice(1, -8)}AAAAAAAA`;
  const client = await startClient(stale, [port], `http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  expect(await client.read(4, 200, 32)).toMatchObject(right);
  expect(await client.close()).toBe(0);
});

const UUID = '4c4c4544-0042-3510-8052-b4c04f4e4e32';

/** The farm's own HTTP boot, in a site of `servers`, `own` of which serves; hosts of `named` are its boot.loginServers. */
async function bootConfigOf(own: Server, count: number, named: readonly string[] = []): Promise<string> {
  const servers = Array.from({ length: count }, (_, index) =>
    aServer({ name: `node-${index}`, address: index === 17 ? '127.0.0.1' : `127.1.${index >> 8}.${index & 255}` }),
  ).map((server) => ({ ...server, ports: { stream: own.port, http: own.port, control: own.port } }));
  const boot = aBoot({ loginServers: named.map((host) => ({ host, port: own.port })) });
  const snapshot = aSnapshot({ servers, sites: [{ name: 'default', boot }] });
  const names = new Names(async (host) =>
    host === 'login.example' ? ['127.0.0.1'] : Promise.reject(new Error('none')),
  );
  const self = { host: '127.0.0.1', port: own.port };
  const decide = async ({ uuid }: Machine) =>
    ok(aBootDecision(decideBoot(snapshot, 'default', aDevice({ uuid: uuid ?? '' }), 0)));
  const http = await startHttpBoot({
    address: '127.0.0.1',
    port: 0,
    decide,
    lookUp: decide,
    token: () => Buffer.from(own.token, 'base64url'),
    loginServers: (decision) => loginServers(decision, self, names, servers),
    servers: () => httpServers(snapshot, 'default', self),
    file: () => undefined,
    onEvent: () => undefined,
    log: silentLogger,
  });
  if (!http.ok) throw new Error(http.error.message);
  cleanups.push(() => http.value.close());
  const answer = await fetch(`http://127.0.0.1:${http.value.port}/boot/config?mac=${MAC}&uuid=${UUID}`);
  return answer.text();
}

test.each([
  { count: 21, named: [] },
  { count: 256, named: [] },
  { count: 256, named: ['login.example', 'gone.example', 'fd00::1'] },
])('in a site of $count servers, login servers $named, a machine boots', async ({ count, named }) => {
  const [port = 0] = await freePorts(1);
  const own = await startServer(port, [port], 'authenticated');
  const text = await bootConfigOf(own, count, named);
  expect(text).toContain(`uuid=${UUID}\n`);
  const client = await startClientWith(text);
  expect(await client.read(4, 200, 32)).toMatchObject(right);
  expect(client.said()).not.toContain('left out');
  expect(await client.close()).toBe(0);
});

test('the client leaves out what it cannot read, and says so', async () => {
  const [port = 0] = await freePorts(1);
  const { token } = await startServer(port, [port], 'trusted');
  const many = Array.from({ length: 300 }, (_, index) => `127.2.${index >> 8}.${index & 255}:6910`).join(',');
  const client = await startClientWith(
    `version=1\ntoken=${token}\nservers=login.example:6910,[fd00::1]:6910,${name(port)},${many}\nmac=${MAC}\n`,
  );
  expect(client.said()).toContain('283 servers left out, the first is login.example:6910');
  expect(await client.read(4, 200, 32)).toMatchObject(right);
  expect(await client.close()).toBe(0);
});

test('a machine that is revoked says so, and goes on by itself when it is added again', async () => {
  const ports = await freePorts(2);
  const servers = await Promise.all(ports.map((port) => startServer(port, ports, 'authenticated')));
  const asked: string[] = [];
  const http = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(403).end('disabled\n');
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  cleanups.push(() => http.close());
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const client = await startClient(servers[0]?.token ?? '', ports, url, `uuid=${UUID}\n`);
  await client.until('a server and a stand-by', attachedToBoth);
  for (const { child } of servers) child.kill('SIGWINCH');
  const reading = client.read(4, 12_000, 32);
  await client.until('it is refused', ({ refused, current }) => refused && current === '');
  await until('it asks for a token', () => asked.length > 0, DEADLINE_MS);
  expect(asked[0]).toBe(`/boot/config?mac=${MAC}&uuid=${UUID}`);
  expect(client.said()).toContain('no server may serve this machine');
  for (const { child } of servers) child.kill('SIGWINCH');
  await client.until('it goes on', ({ refused, current }) => !refused && current !== '');
  expect(await reading).toMatchObject(right);
  expect(await client.close()).toBe(0);
});

test('servers of HTTP that say nothing, or a byte a second, hold up no read', async () => {
  const ports = await freePorts(2);
  const servers = await Promise.all(ports.map((port) => startServer(port, ports, 'trusted')));
  const [slow, silent] = [createTcpServer(), createTcpServer()];
  let slowAsked = 0;
  slow.on('connection', (socket) => {
    slowAsked++;
    const timer = setInterval(() => socket.write('H'), 500);
    socket.on('error', () => undefined).on('close', () => clearInterval(timer));
  });
  silent.on('connection', (socket) => socket.on('error', () => undefined));
  for (const server of [slow, silent]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
  }
  const urls = [slow, silent].map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const client = await startClient(servers[0]?.token ?? '', ports, urls.join(','));
  await client.until('a server and a stand-by', attachedToBoth);
  for (const { child } of servers) child.kill('SIGWINCH');
  await client.until('it is refused', ({ refused }) => refused);
  await until('it asks for a token', () => slowAsked > 0, DEADLINE_MS);
  for (const { child } of servers) child.kill('SIGWINCH');
  await client.until('it reads while HTTP waits', ({ current }) => current !== '');
  const report = await client.read(4, 3_000, 32);
  expect(report).toMatchObject(right);
  expect(report.longestStallMs).toBeLessThan(1_000);
  process.kill(pidOf(client, 'bootfarm-http'), 'SIGKILL');
  await until(
    'it is brought back',
    () => processesOf(client).some((pid) => commOf(pid) === 'bootfarm-http'),
    DEADLINE_MS,
  );
  expect(await client.read(4, 200, 32)).toMatchObject(right);
  expect(await client.close()).toBe(0);
});

test('a login is sent on to another server', async () => {
  const ports = await freePorts(2);
  const [one = 0, two = 0] = ports;
  const first = await startServer(one, ports, 'trusted', '--redirect', name(two));
  await startServer(two, [two], 'trusted');
  const client = await startClient(first.token, [one]);
  expect((await client.until('attached', ({ current }) => current !== '')).current).toBe(name(two));
  expect(await client.close()).toBe(0);
});

/** In [0, 1): the same trouble in each run. */
function randomOf(seed: number): () => number {
  const numbers = fc.infiniteStream(fc.nat({ max: 0xff_ffff }), { noHistory: true });
  const [stream] = fc.sample(numbers, { seed, numRuns: 1 });
  return () => (stream?.next().value ?? 0) / 0x100_0000;
}

/** A bad cable between one client and a server: what the server says is lost, doubled, late, cut, changed, or made up. */
async function badCable(port: number, server: number, changes: boolean): Promise<Socket> {
  const random = randomOf(SEED);
  const inside = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  const outside = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  let client: number | undefined;
  inside.bind(port, '127.0.0.1');
  outside.bind(0, '127.0.0.1');
  await Promise.all([once(inside, 'listening'), once(outside, 'listening')]);
  inside.on('message', (bytes, from) => {
    client = from.port;
    if (random() > 0.02) outside.send(bytes, server, '127.0.0.1');
  });
  const pass = (bytes: Uint8Array): void => {
    if (client !== undefined) inside.send(bytes, client, '127.0.0.1');
  };
  outside.on('message', (bytes) => {
    const dice = random();
    if (dice < 0.02) return;
    if (dice < 0.04) pass(bytes);
    if (dice < 0.06) return void setTimeout(pass, 30 * random(), bytes);
    if (dice < 0.08) pass(bytes.subarray(0, Math.floor(random() * bytes.length)));
    if (changes && dice > 0.97) {
      const wrong = Buffer.from(bytes);
      const at = Math.floor(random() * wrong.length);
      wrong[at] = (wrong[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      pass(wrong);
      return;
    }
    if (dice > 0.96) pass(randomFillSync(Buffer.alloc(Math.floor(random() * 1_500))));
    pass(bytes);
  });
  cleanups.push(() => {
    inside.close();
    outside.close();
  });
  return inside;
}

/* Mode Trusted trusts whoever is on the path, so that nothing is changed there: the README of src/stream says so. */
test.each<[Mode, boolean]>([
  ['trusted', false],
  ['authenticated', true],
])(`a bad cable in mode %s: no block is wrong, no memory is (seed ${SEED})`, async (mode, changes) => {
  const [port = 0, cable = 0] = await freePorts(2);
  const server = await startServer(port, [cable], mode);
  await badCable(cable, port, changes);
  const client = await startClient(server.token, [cable]);
  const report = await client.read(8, 4_000, 32);
  expect(report).toMatchObject(right);
  expect(report.reads).toBeGreaterThan(20);
  await delay(1_100);
  const { drops } = client.status();
  for (const reason of ['malformed', 'size', 'late', ...(changes ? ['answerTag'] : [])])
    expect({ reason, dropped: (drops[reason] ?? 0) > 0 }).toEqual({ reason, dropped: true });
  expect(await client.close()).toBe(0);
});
