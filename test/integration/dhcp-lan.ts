/**
 * Run by dhcp.test.ts in a network namespace of its own: a server with two network cards, of which one serves, and on each network a machine (in a
 * namespace too) that has no address and broadcasts. Prints one JSON object: what each machine heard, and what the cards sent.
 */
import { execFileSync, spawn } from 'node:child_process';
import type { Socket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { decode, encode } from '../../src/dhcp/packet.ts';
import { startProxyDhcp } from '../../src/dhcp/server.ts';
import { openSocket } from '../../src/dhcp/socket.ts';
import { aBoot } from '../builders/farm.ts';
import { aRequest, PC_MAC } from '../builders/pxe.ts';

const ADDRESS = '10.88.0.11';
const READY = 'ready';
/** Answers take under a millisecond; silence is what has to be waited for. */
const LISTEN_MS = 500;

const ROGUE_MAC = '52:54:00:00:00:99';

const [role = 'server', card = ''] = process.argv.slice(2);
if (role === 'machine') await machine();
else await server();
process.exit(0);

/** For each MAC on standard input: broadcasts one DISCOVER, and prints every answer of the next half second. */
async function machine(): Promise<void> {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  console.log(READY);
  let heard: unknown[] = [];
  let socket: Socket | undefined;
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    if (!socket) {
      execFileSync('ip', ['link', 'set', card, 'up']);
      const opened = await openSocket('0.0.0.0', 68, card);
      if (!opened.ok) throw new Error(opened.error.message);
      socket = opened.value;
      socket.on('message', (bytes, source) => {
        const packet = decode(bytes);
        heard.push(packet.ok ? { from: `${source.address}:${source.port}`, file: packet.value.file } : packet.error);
      });
    }
    heard = [];
    const chaddr = Uint8Array.from(Buffer.from(line.value.replaceAll(':', ''), 'hex'));
    const request = encode(aRequest({}, { chaddr }), 1_500);
    if (!request.ok) throw new Error(request.error.message);
    socket.send(request.value, 67, '255.255.255.255');
    await delay(LISTEN_MS);
    console.log(JSON.stringify(heard));
  }
}

interface Asked {
  readonly heard: unknown;
  /** Packets that the server's card sent meanwhile. */
  readonly sent: number;
}

/** Joins a new machine to a new card of this namespace. */
async function attach(own: string, peer: string, address: string): Promise<(mac: string) => Promise<Asked>> {
  const ip = (line: string): string => execFileSync('ip', line.split(' '), { encoding: 'utf8' });
  const child = spawn('unshare', ['--net', process.execPath, import.meta.filename, 'machine', peer], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  ip(`link add ${own} type veth peer name ${peer}`);
  ip(`link set ${peer} netns ${child.pid}`);
  // IPv6 would send neighbour discovery of its own.
  execFileSync('sysctl', ['-qw', `net.ipv6.conf.${own}.disable_ipv6=1`]);
  ip(`addr add ${address}/24 dev ${own}`);
  ip(`link set ${own} up`);
  const sent = (): number => JSON.parse(ip(`-j -s link show dev ${own}`))[0].stats64.tx.packets;
  return async (mac) => {
    const before = sent();
    child.stdin.write(`${mac}\n`);
    const { value } = await lines.next();
    return { heard: JSON.parse(value ?? '[]'), sent: sent() - before };
  };
}

async function server(): Promise<void> {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  const served = await attach('serve0', 'pc0', ADDRESS);
  const other = await attach('other0', 'pc1', '10.89.0.11');
  const start = () =>
    startProxyDhcp({
      ...{ address: ADDRESS, interface: 'serve0', ports: { dhcp: 67, pxe: 4011 }, httpPort: 8069 },
      bootstrap: () => ({ farm: 'farm', site: 'default', boot: aBoot(), loginServers: [], httpServers: [] }),
      verdict: ({ mac }) => (mac === PC_MAC ? { kind: 'known' } : { kind: 'unknown', action: 'Ignore' }),
      log: { debug() {}, warn: console.warn },
    });
  const started = await start();
  if (!started.ok) throw new Error(started.error.message);
  const second = await start();
  const selfTest = await started.value.selfTest();
  const known = await served(PC_MAC);
  const unknown = await served(ROGUE_MAC);
  const otherNetwork = await other(PC_MAC);
  await started.value.close();
  const again = await start();
  console.log(
    JSON.stringify({
      selfTest: selfTest.ok,
      second: second.ok || second.error,
      known,
      unknown,
      otherNetwork,
      again: again.ok,
    }),
  );
}
