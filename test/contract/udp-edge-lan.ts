/**
 * Run by udp-edge.ts in a network namespace of its own, where the edge under test and an honest neighbour have an address each, and somebody
 * sends as whoever he likes. Prints one JSON object.
 */
import { execFileSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { openRawUdp } from './raw-udp.ts';
import { heard, nameOf, type RunningEdge, SAMPLES, UDP_EDGES, type UdpEdge } from './udp-edges.ts';

const EDGE = '10.88.0.11';
const NEIGHBOUR = '10.88.0.12';

/** Each has sent the edge's question; none may be answered. */
const BAD_SOURCES = {
  'port 0': { address: NEIGHBOUR, port: 0 },
  'the limited broadcast': { address: '255.255.255.255', port: 2070 },
  'the broadcast of the network': { address: '10.88.0.255', port: 2070 },
  multicast: { address: '224.0.0.1', port: 2070 },
  reserved: { address: '240.0.0.1', port: 2070 },
  'loopback, at a socket of the network': { address: '127.0.0.1', port: 2070 },
  'the edge itself': undefined,
} as const;

const [what, name = ''] = process.argv.slice(2);
execFileSync('ip', ['link', 'set', 'lo', 'up']);
for (const address of [EDGE, NEIGHBOUR]) execFileSync('ip', ['addr', 'add', `${address}/24`, 'dev', 'lo']);
const edge = Object.entries<UdpEdge>(UDP_EDGES).find(([known]) => known === name)?.[1];
if (!edge) throw new Error(`no edge ${name}`);
const running = await edge.start(EDGE);
console.log(JSON.stringify(await (what === 'sources' ? sources() : samples())));
process.exit(0);

/** How many packets were counted as of a bad source, and how many left because of it, which the kernel counts. */
async function sources(): Promise<unknown> {
  const raw = openRawUdp();
  const sentBy = async (work: () => Promise<void>): Promise<number> => {
    const before = datagramsSent();
    await work();
    return datagramsSent() - before;
  };
  const honest = await sentBy(() => ask(running));
  const seen: Record<string, unknown> = {};
  for (const [source, from] of Object.entries(BAD_SOURCES)) {
    const before = running.badSources();
    const sent = await sentBy(async () => {
      raw.send(from ?? { address: EDGE, port: running.port }, { address: EDGE, port: running.port }, running.question);
      await ask(running);
    });
    seen[source] = { counted: running.badSources() - before, answered: sent - honest };
  }
  return seen;
}

/** What each message gets from the edge. An answer of it is heard before that of a question asked later. */
async function samples(): Promise<unknown> {
  const seen: Record<string, string[]> = {};
  const own = { name: 'own question', bytes: running.question };
  for (const sample of [...SAMPLES, own]) {
    const neighbour = await socketOf(NEIGHBOUR);
    const { port, close } = (await running.door?.(neighbour)) ?? { port: running.port, close: () => neighbour.close() };
    const answers: string[] = [];
    neighbour.on('message', (bytes) => answers.push(nameOf(bytes)));
    neighbour.send(sample.bytes, port, EDGE);
    await ask(running);
    await turn();
    close();
    seen[sample.name] = answers;
  }
  return seen;
}

async function ask({ port, question, ask }: RunningEdge): Promise<void> {
  const neighbour = await socketOf(NEIGHBOUR);
  if (ask) await ask(neighbour);
  else {
    neighbour.send(question, port, EDGE);
    await heard(neighbour);
  }
  await turn();
  neighbour.close();
}

async function socketOf(address: string): Promise<Socket> {
  const socket = createSocket('udp4').bind(0, address);
  await once(socket, 'listening');
  return socket;
}

/** UDP packets that this namespace sent since it is; raw ones are not among them. */
function datagramsSent(): number {
  const [names = [], values = []] = readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Udp: '))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('OutDatagrams')]);
}
