/** The stream server as a process: on a path that takes no large packets, on a disk that is not cached, and beside another server of the site. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chownSync,
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { patternBytes, patternMismatch } from '../../src/image/pattern/pattern.ts';
import { libc } from '../../src/net/libc.ts';
import { Mappings } from '../../src/stream/native/mappings.ts';
import type { ReaderResult, ReaderTask } from '../bench/stream/reader.ts';
import { StreamClient } from '../contract/stream-client.ts';
import { sourceContract } from '../contract/udp-edge.ts';
import { addNamespace, deleteNamespace } from '../setup/namespaces.ts';

const SERVE = join(import.meta.dirname, '../fakes/serve.ts');
const READER = join(import.meta.dirname, '../bench/stream/reader.ts');
const SILENT = join(import.meta.dirname, 'stream-silent.ts');
const SIZE = 8 << 20;
const NAMESPACE = `bfstream-${process.pid}`;

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-stream-'));
const file = join(folder, 'lab.raw');
const children: ChildProcess[] = [];

beforeAll(() => {
  const fd = openSync(file, 'w');
  writeSync(fd, patternBytes(0, SIZE));
  fsyncSync(fd);
  closeSync(fd);
});

afterAll(async () => {
  for (const child of children) await killed(child);
  rmSync(folder, { recursive: true });
});

interface Served {
  readonly child: ChildProcess;
  readonly at: { readonly host: string; readonly port: number };
  readonly token: string;
}

async function serve(before: readonly string[], ...options: string[]): Promise<Served> {
  const [program = '', ...args] = [
    ...before,
    process.execPath,
    SERVE,
    '--file',
    file,
    '--port',
    '0',
    '--native',
    'native',
  ];
  const child = spawn(program, [...args, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    const { address, port, token }: { address: string; port: number; token: string } = JSON.parse(line);
    return { child, at: { host: address, port }, token };
  }
  throw new Error('the server ended before it served');
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** One reader of jumbo frames beside one server, where the loopback interface has this MTU: it compares every byte and checks every tag. */
async function readBehind(mtu: number, ...options: string[]): Promise<ReaderResult & { readonly fragments: number }> {
  addNamespace(NAMESPACE);
  const inside = ['ip', 'netns', 'exec', NAMESPACE];
  const ask = (program: string, ...args: string[]): string =>
    execFileSync('ip', ['netns', 'exec', NAMESPACE, program, ...args], { encoding: 'utf8' });
  try {
    execFileSync('ip', ['-n', NAMESPACE, 'link', 'set', 'lo', 'mtu', String(mtu), 'up']);
    const { child, at, token } = await serve(inside, ...options);
    const task: ReaderTask = {
      ...{ protocol: 'stream', ...at, file, length: 32_768, depth: 4, totalBytes: SIZE, token, maxSegmentBytes: 8_896 },
    };
    const result: ReaderResult = JSON.parse(ask(process.execPath, READER, JSON.stringify(task)));
    const [names = [], values = []] = ask('cat', '/proc/net/snmp')
      .split('\n')
      .filter((line) => line.startsWith('Ip:'))
      .map((line) => line.split(' '));
    await killed(child);
    return { ...result, fragments: Number(values[names.indexOf('FragCreates')]) };
  } finally {
    deleteNamespace(NAMESPACE);
  }
}

test.each(['trusted', 'authenticated'])(
  '%s: a path with an MTU below the segments: packets go one by one',
  async (mode) => {
    expect(await readBehind(1_500, '--mode', mode, '--segment', '8896')).toMatchObject({
      bytes: SIZE,
      segmentBytes: 8_896,
    });
  },
);

test.each([
  { mtu: 1_450, most: 1_344 },
  { mtu: 1_500, most: 1_408 },
  { mtu: 9_000, most: 8_896 },
  { mtu: 576, most: 448 },
])(
  'on an interface with an MTU of $mtu a segment has $most bytes at most, and no packet is a fragment',
  async ({ mtu, most }) => {
    const seen = await readBehind(mtu, '--mode', 'authenticated');
    expect(seen).toMatchObject({ bytes: SIZE, segmentBytes: most, fragments: 0 });
  },
);

test('a read that misses the page cache is announced by WAIT, and right', async () => {
  const { at, token } = await serve([]);
  const client = await StreamClient.open();
  const session = await client.attach(at, await client.login(at, Buffer.from(token, 'base64url')));
  execFileSync('dd', [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none']);
  const resident = Number(execFileSync('fincore', ['-b', '-n', '-r', '-o', 'RES', file], { encoding: 'utf8' }));
  expect(patternMismatch(await session.read(1 << 20, 65_536), 1 << 20)).toBeUndefined();
  const waited = client.received.some(({ packet }) => packet.type === 'WAIT');
  // A file system in memory keeps the file: then there is nothing to wait for.
  expect(waited).toBe(resident === 0);
  client.close();
});

test('neighbours that do not answer ARP, and read on, hold up nobody but themselves', async () => {
  const [server, devices] = [`${NAMESPACE}s`, `${NAMESPACE}d`];
  const ip = (...args: string[]): void => void execFileSync('ip', args);
  const inside = (namespace: string, ...command: string[]): void =>
    void execFileSync('ip', ['netns', 'exec', namespace, ...command]);
  addNamespace(server);
  addNamespace(devices);
  try {
    // Two neighbours may hold more than the send buffer, as they may by default where net.core.wmem_max is 208 KiB.
    ip('-n', server, 'link', 'add', 'boot', 'type', 'veth', 'peer', 'name', 'pc', 'netns', devices);
    inside(server, 'sysctl', '-qw', 'net.ipv4.neigh.boot.unres_qlen_bytes=6000000');
    ip('-n', server, 'link', 'set', 'boot', 'address', '02:00:00:00:00:01', 'up');
    ip('-n', devices, 'link', 'set', 'pc', 'address', '02:00:00:00:00:02', 'up');
    ip('-n', devices, 'link', 'set', 'lo', 'up');
    ip('-n', server, 'addr', 'add', '10.98.0.1/24', 'dev', 'boot');
    ip('-n', devices, 'addr', 'add', '10.98.0.2/24', 'dev', 'pc');
    ip('-n', devices, 'neigh', 'add', '10.98.0.1', 'lladdr', '02:00:00:00:00:01', 'dev', 'pc');
    // Addresses of another interface: no ARP for them here.
    inside(devices, 'sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=1');
    for (const silent of ['10.98.0.3', '10.98.0.4']) {
      ip('-n', devices, 'addr', 'add', `${silent}/32`, 'dev', 'lo');
      ip('-n', server, 'neigh', 'add', silent, 'lladdr', '02:00:00:00:00:02', 'dev', 'boot', 'nud', 'reachable');
    }
    const { child, at, token } = await serve(['ip', 'netns', 'exec', server], '--address', '10.98.0.1');
    const args = [at.host, String(at.port), token, '10.98.0.2', '10.98.0.3,10.98.0.4', server, 'boot'];
    const reader = ['netns', 'exec', devices, process.execPath, SILENT, ...args];
    const reads: number[] = JSON.parse(execFileSync('ip', reader, { encoding: 'utf8', timeout: 300_000 }));
    // What they hold when they fall silent is theirs until ARP gives up, three seconds later; then they get nothing more.
    expect(Math.min(...reads.slice(4))).toBeGreaterThan(50);
    await killed(child);
  } finally {
    deleteNamespace(server);
    deleteNamespace(devices);
  }
});

sourceContract('stream, plain');
sourceContract('stream, native');

test('a ticket of one server attaches at another, after the first was killed', async () => {
  const [first, second] = [await serve([]), await serve([])];
  const client = await StreamClient.open();
  const ticket = await client.login(first.at, Buffer.from(first.token, 'base64url'));
  const session = await client.attach(first.at, ticket);
  const standby = await client.attach(second.at, ticket, { role: 'standby' });
  expect(patternMismatch(await session.read(4_096, 4_096), 4_096)).toBeUndefined();
  await killed(first.child);
  expect(patternMismatch(await standby.read(8_192, 65_536), 8_192)).toBeUndefined();
  client.close();
});

test('a file that mincore would hide, neither ours nor to be written, is not mapped', () => {
  const loaded = libc();
  if (!loaded.ok) throw new Error(loaded.error.message);
  const mount = mkdtempSync(join(tmpdir(), 'bootfarm-mount-'));
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mount]);
  const path = join(mount, 'lab.raw');
  writeFileSync(path, patternBytes(0, 4_096));
  chownSync(path, 1, 1);
  const fd = openSync(path, 'r');
  const mappings = new Mappings(loaded.value);
  const isMapped = (): boolean => {
    mappings.keep(new Set());
    mappings.add(fd);
    return mappings.of(fd, 4_096) !== 0;
  };
  try {
    expect(isMapped()).toBe(true);
    execFileSync('mount', ['-o', 'remount,ro', mount]);
    expect(isMapped()).toBe(false);
  } finally {
    mappings.keep(new Set());
    closeSync(fd);
    execFileSync('umount', [mount]);
    rmdirSync(mount);
  }
});
