/**
 * The network of the target's initramfs: its script, run by the initramfs's own shell and tools (busybox) in a network namespace, against a real DHCP
 * server (dnsmasq) in another.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { until } from '../setup/time.ts';

const MAC = '52:54:00:00:00:21';
const SERVER = '10.90.0.11';
const DEADLINE_MS = 30_000;

interface Route {
  readonly dst: string;
  readonly gateway?: string;
}

let folder: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-initramfs-'));
  mkdirSync(join(folder, 'bin'));
  for (const tool of ['sh', 'ip', 'udhcpc', 'sed', 'head', 'tr', 'cat', 'basename', 'grep', 'chmod', 'rm', 'sleep'])
    symlinkSync('/bin/busybox', join(folder, 'bin', tool));
});

afterEach(async () => {
  for (const child of children.splice(0).reverse()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
});

afterAll(() => rmSync(folder, { recursive: true }));

function start(...command: string[]): ChildProcess {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  return child;
}

/** A network namespace with one end of a cable, the command that leads into it. */
async function openNamespace(): Promise<{ pid: number; enter: string[] }> {
  const holder = start('unshare', '--net', 'sh', '-c', 'echo ready; exec sleep 600');
  if (holder.stdout) await once(holder.stdout, 'data');
  return { pid: holder.pid ?? 0, enter: ['nsenter', `--net=/proc/${holder.pid}/ns/net`] };
}

/** What a machine has made of such DHCP options: the MTU of its card, and its routes. */
async function networkWith(options: readonly string[]) {
  const [server, machine] = [await openNamespace(), await openNamespace()];
  const run = (enter: readonly string[], ...command: string[]): string =>
    execFileSync('nsenter', [...enter.slice(1), ...command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  run(server.enter, ...['sh', '-ec', `ip link add card type veth peer name card address ${MAC} netns ${machine.pid}`]);
  run(server.enter, 'sh', '-ec', `ip addr add ${SERVER}/24 dev card; ip link set card up; ip link set lo up`);
  const dnsmasq = start(
    ...[...server.enter, 'dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--port=0', '--interface=card'],
    ...['--bind-interfaces', '--leasefile-ro', '--dhcp-range=10.90.0.50,10.90.0.60,255.255.255.0', '--no-ping'],
    ...options.map((option) => `--dhcp-option=${option}`),
  );
  let said = '';
  dnsmasq.stderr?.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  await until(`dnsmasq serves: ${said}`, () => said.includes('DHCP, IP range'), DEADLINE_MS);
  const state = mkdtempSync(join(folder, 'state-'));
  writeFileSync(join(state, 'boot'), `version=1\nmac=${MAC}\n`);
  const script = `. ${resolve('target/initramfs/scripts/bootfarm')}
    CONFIG=${state}/boot STATE=${state} DHCP_SCRIPT=${state}/udhcpc CONSOLE=${state}/console
    interface_of() { echo card; } # whose /sys is of the first namespace here
    network_up`;
  const child = start(
    'env',
    `PATH=${join(folder, 'bin')}`,
    '/usr/bin/nsenter',
    ...machine.enter.slice(1),
    'sh',
    '-c',
    script,
  );
  let told = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    told += chunk;
  });
  await until(`a lease: ${told}`, () => child.exitCode !== null, DEADLINE_MS);
  expect(readFileSync(join(state, 'console'), 'utf8')).toContain('by DHCP');
  const [card] = JSON.parse(run(machine.enter, 'ip', '-j', 'link', 'show', 'card'));
  const routes = JSON.parse(run(machine.enter, 'ip', '-j', 'route')) as Route[];
  expect(existsSync(join(state, 'lease'))).toBe(true);
  return {
    mtu: card.mtu as number,
    routes: routes.map(({ dst, gateway }) => `${dst} ${gateway ?? 'link'}`).sort(),
    lease: readFileSync(join(state, 'lease'), 'utf8'),
  };
}

const OWN = '10.90.0.0/24 link';

test.each<[string, string[], { mtu: number; routes: string[] }]>([
  ['a router alone', ['3,10.90.0.9'], { mtu: 1500, routes: [OWN, 'default 10.90.0.9'] }],
  [
    'classless routes, which take the place of the router',
    ['3,10.90.0.9', '121,10.77.0.0/16,10.90.0.1,0.0.0.0/0,10.90.0.2'],
    { mtu: 1500, routes: [OWN, '10.77.0.0/16 10.90.0.1', 'default 10.90.0.2'] },
  ],
  [
    'routes of a server from before they had a number',
    ['3', '249,10.77.0.0/16,10.90.0.1'],
    { mtu: 1500, routes: [OWN, '10.77.0.0/16 10.90.0.1'] },
  ],
  ['an MTU', ['3', '26,1420'], { mtu: 1420, routes: [OWN] }],
  ['an MTU that no network has', ['3', '26,100'], { mtu: 1500, routes: [OWN] }],
  [
    'a mask of 32, and routes over a gateway that is on the link',
    ['1,255.255.255.255', '3', '121,10.90.0.1/32,0.0.0.0,0.0.0.0/0,10.90.0.1'],
    { mtu: 1500, routes: ['10.90.0.1 link', 'default 10.90.0.1'] },
  ],
  [
    'a mask of 32, and a router',
    ['1,255.255.255.255', '3,10.90.0.1'],
    { mtu: 1500, routes: ['10.90.0.1 link', 'default 10.90.0.1'] },
  ],
])('a machine whose DHCP server says %s', async (_, options, wanted) => {
  const { lease, ...seen } = await networkWith(options);
  expect(seen).toEqual({ ...wanted, routes: [...wanted.routes].sort() });
  expect(lease).toMatch(/^ip='10\.90\.0\.5\d'$/m);
});
