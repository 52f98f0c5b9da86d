/**
 * A way between a machine and a server, whose MTU is given: README.md. `direct`: both on one bridge, which is what the MTU is of. `routed`: two routers
 * between them, and the MTU is of the link between those; both drop the ICMP that would tell of it. A DHCP server that knows nothing of booting is
 * beside the machine, and behind routers a relay.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { inNamespace, run } from '../e2e/machine/run.ts';
import { addNamespace, deleteNamespace, removeNamespace } from '../setup/namespaces.ts';

export const BRIDGE = 'br0';
const ETHERNET = 1_500;
const JUMBO = 9_000;
const STREAM_PORT = 6910;

export interface WayOptions {
  /** At most 7 letters and digits: what namespaces are named after. */
  readonly name: string;
  readonly mtu: number;
  readonly routed: boolean;
}

export interface Way {
  /** The machine's. */
  readonly namespace: string;
  readonly machineMtu: number;
  readonly server: { readonly namespace: string; readonly address: string };
  /** First fragments of UDP that the server's packets came in. */
  readonly fragments: { readonly stream: number; readonly tftp: number };
  close(): Promise<void>;
}

/** Behind routers the ends know nothing of the link: they have Ethernet's MTU, or jumbo frames where that is the link's. */
const endMtu = (mtu: number): number => (mtu < ETHERNET ? ETHERNET : JUMBO);

export async function openWay({ name, mtu, routed }: WayOptions): Promise<Way> {
  const folder = mkdtempSync(join(tmpdir(), `bootfarm-${name}-`));
  const names = [name, `${name}-s`, ...(routed ? [`${name}-r`, `${name}-b`] : [])];
  const children: ChildProcess[] = [];
  const close = async (): Promise<void> => {
    for (const child of children) {
      const ended = child.exitCode !== null || child.signalCode !== null ? undefined : once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    for (const namespace of names) deleteNamespace(namespace);
    rmSync(folder, { recursive: true });
  };
  const start = async (...command: string[]): Promise<ChildProcess> => {
    const [first, ...enter] = inNamespace(name);
    const child = spawn(first, [...enter, ...command], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(child);
    await once(child, 'spawn');
    return child;
  };
  for (const namespace of names) {
    removeNamespace(namespace); // of a run that was killed: its processes ended with it
    addNamespace(namespace);
    await run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
  }
  const address = routed ? await cableRouted(name, mtu) : await cableDirect(name, mtu);
  await start(
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--port=0', `--interface=${BRIDGE}`],
    ...['--bind-interfaces', '--dhcp-range=10.77.0.100,10.77.0.200,1h', '--no-ping', '--pid-file=', '--user=root'],
    ...[`--dhcp-leasefile=${join(folder, 'leases')}`, '--log-facility=/dev/null'],
  );
  if (routed) await startRelay(name, address, children);
  const fragments = { stream: 0, tftp: 0 };
  const captured = await start(
    ...['tcpdump', '--immediate-mode', '-l', '-n', '-i', BRIDGE],
    `src host ${address} and udp and ip[6:2] & 0x3fff = 0x2000`,
  );
  if (captured.stdout)
    createInterface({ input: captured.stdout }).on('line', (line) => {
      fragments[line.includes(`${address}.${STREAM_PORT} >`) ? 'stream' : 'tftp'] += 1;
    });
  const server = { namespace: `${name}-s`, address };
  const machineMtu = routed ? endMtu(mtu) : Math.max(mtu, ETHERNET);
  return { namespace: name, machineMtu, server, fragments, close };
}

const ip = (namespace: string, ...args: readonly string[]): Promise<string> => run('ip', '-n', namespace, ...args);

/** A pair of network cards, each with its namespace, name and address. */
async function cable(mtu: number, ...ends: readonly (readonly [string, string, string?])[]): Promise<void> {
  const [[a, one] = ['', ''], [b, other] = ['', '']] = ends;
  await ip(a, 'link', 'add', one, 'type', 'veth', 'peer', 'name', other, 'netns', b);
  for (const [namespace, card, address] of ends) {
    if (address !== undefined) await ip(namespace, 'address', 'add', address, 'dev', card);
    await ip(namespace, 'link', 'set', card, 'mtu', String(mtu), 'up');
  }
}

async function bridge(namespace: string, mtu: number): Promise<void> {
  await ip(namespace, 'link', 'add', BRIDGE, 'type', 'bridge', 'forward_delay', '0');
  await ip(namespace, 'address', 'add', '10.77.0.1/24', 'dev', BRIDGE);
  await ip(namespace, 'link', 'set', BRIDGE, 'mtu', String(mtu), 'up');
}

async function cableDirect(name: string, mtu: number): Promise<string> {
  await bridge(name, mtu);
  await cable(mtu, [name, 'place'], [`${name}-s`, 'eth0', '10.77.0.11/24']);
  await ip(name, 'link', 'set', 'place', 'master', BRIDGE);
  return '10.77.0.11';
}

async function cableRouted(name: string, mtu: number): Promise<string> {
  const [far, server, box] = [`${name}-r`, `${name}-s`, `${name}-b`];
  const ends = endMtu(mtu);
  await bridge(name, ends);
  await cable(mtu, [name, 'link0', '10.78.0.1/30'], [far, 'link1', '10.78.0.2/30']);
  await cable(ends, [far, 'server0', '10.79.0.1/24'], [server, 'eth0', '10.79.0.11/24']);
  await cable(ends, [name, 'box'], [box, 'eth0', '10.77.0.2/24']);
  await ip(name, 'link', 'set', 'box', 'master', BRIDGE);
  await ip(box, 'route', 'add', 'default', 'via', '10.77.0.1');
  await ip(name, 'route', 'add', 'default', 'via', '10.78.0.2');
  await ip(far, 'route', 'add', '10.77.0.0/24', 'via', '10.78.0.1');
  await ip(server, 'route', 'add', 'default', 'via', '10.79.0.1');
  const silent =
    'add table ip f; add chain ip f o { type filter hook output priority 0; }; add rule ip f o icmp code frag-needed icmp type destination-unreachable drop';
  for (const router of [name, far]) {
    const [command, ...enter] = inNamespace(router);
    await run(command, ...enter, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
    await run(command, ...enter, 'nft', silent);
  }
  return '10.79.0.11';
}

/** A box of its own on the machine's network: the DHCP server there has port 67. */
async function startRelay(name: string, server: string, children: ChildProcess[]): Promise<void> {
  const box = `${name}-b`;
  const [command, ...enter] = inNamespace(box);
  const child = spawn(command, [...enter, process.execPath, join(import.meta.dirname, 'relay.ts'), server], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(createInterface({ input: child.stdout }), 'line');
}
