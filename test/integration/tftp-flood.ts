/**
 * Run by tftp.test.ts in a network namespace of its own: machines load a boot file, first in peace, then while a process sends forged requests. Prints
 * one JSON object. Server, flood and machines are a process each. Arguments: packets a second; `gone` or `silent`, what becomes of answers to
 * forged addresses: they leave by a router, or wait for neighbours that do not say ARP.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { ok } from '../../src/kit/result.ts';
import { decode, encode, type Packet, type TftpOption } from '../../src/tftp/packet.ts';
import { startTftp } from '../../src/tftp/server.ts';
import { openRawUdp } from '../contract/raw-udp.ts';

const SERVER = { address: '10.88.0.11', port: 69 };
const FILE = Buffer.alloc(74_213, 'undionly');
/** Machines that load at once, and loads in all: each from an address of its own. */
const AT_ONCE = 8;
const LOADS = 32;
/** As firmware does. */
const RETRY_MS = 1_000;
const LOAD_DEADLINE_MS = 20_000;

const rrq = (options: readonly TftpOption[]): Packet => ({
  type: 'RRQ',
  name: 'undionly.kpxe',
  mode: 'octet',
  options,
});
const [perSecond = '0', answers = '', role = 'main'] = process.argv.slice(2);

async function main(): Promise<void> {
  // The namespace is new: its rules for strange paths are those of the machine.
  for (const name of ['all', 'default', 'lo']) writeFileSync(`/proc/sys/net/ipv4/conf/${name}/rp_filter`, '0');
  const ip = (line: string): void => void execFileSync('ip', line.split(' '));
  ip('link set lo up');
  ip(`addr add ${SERVER.address}/32 dev lo`);
  ip('route add local 10.88.1.0/24 dev lo'); // machines
  ip('link add forged type veth peer name nobody');
  for (const device of ['forged', 'nobody']) ip(`link set ${device} up`);
  if (answers === 'gone') {
    ip('addr add 10.98.0.1/24 dev forged');
    ip('neigh add 10.98.0.2 lladdr 02:00:00:00:00:02 dev forged');
    ip('route add 10.99.0.0/16 via 10.98.0.2');
  } else ip('addr add 10.99.0.1/16 dev forged');
  const server = start('server');
  await once(server, 'message');
  await loads(); // what the first runs compile is no measure
  const peace = await loads();
  const before = await ask(server);
  const flooding = start('flood');
  await delay(1_500); // the table is full, and what is sent again is under way
  const flooded = await loads();
  const during = await ask(server);
  flooding.send('end');
  const [sent] = await once(flooding, 'message');
  server.kill();
  console.log(JSON.stringify({ sent, peace, flooded, before, during }));
  process.exit(0);
}

function start(role: string): ChildProcess {
  return fork(new URL(import.meta.url).pathname, [perSecond, answers, role], { stdio: 'inherit' });
}

async function ask(server: ChildProcess): Promise<unknown> {
  server.send('tell');
  return (await once(server, 'message'))[0];
}

async function serve(): Promise<void> {
  const started = await startTftp({
    ...SERVER,
    log: { debug() {}, warn() {} },
    open: () => ok({ sizeBytes: FILE.length, read: (at, length) => FILE.subarray(at, at + length) }),
  });
  if (!started.ok) throw new Error(started.error.message);
  const tests = { asked: 0, failed: 0 };
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ ...tests, rssMiB: Math.round(rssBytes() / 2 ** 20), cpuMs: Math.round((user + system) / 1_000) });
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.('started');
  for (;;) {
    tests.asked += 1;
    if (!(await started.value.selfTest('undionly.kpxe')).ok) tests.failed += 1;
    await delay(100);
  }
}

const rssBytes = (): number => 1_024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

/** Half of them ask for the size, half for the first block. */
async function flood(perSecond: number): Promise<void> {
  const raw = openRawUdp();
  const requests = [rrq([['tsize', '0']]), rrq([])].map(encode);
  let sent = 0;
  let ends = false;
  process.on('message', () => {
    ends = true;
  });
  const startedMs = performance.now();
  while (!ends) {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * perSecond);
    for (; sent < due; sent += 1) {
      const address = `10.99.${(sent >> 8) & 3}.${sent & 255 || 7}`;
      const bytes = requests[sent & 1] ?? new Uint8Array(0);
      raw.send({ address, port: 1_024 + ((sent * 7_919) % 60_000) }, SERVER, bytes);
    }
    await delay(1);
  }
  process.send?.(Math.round(sent / ((performance.now() - startedMs) / 1_000)), () => process.exit(0));
}

/** How long each load took, sorted. */
async function loads(): Promise<unknown> {
  const took: number[] = [];
  let failed = 0;
  let next = 0;
  const machine = async (): Promise<void> => {
    for (let n = next++; n < LOADS; n = next++) {
      const ms = await load(`10.88.1.${1 + n}`);
      if (ms === undefined) failed += 1;
      else took.push(ms);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, machine));
  took.sort((a, b) => a - b);
  const at = (part: number): number | undefined => took[Math.floor(took.length * part)];
  return { finished: took.length, failed, p50: at(0.5), p99: at(0.99) };
}

/** Milliseconds until the last block, or undefined when it did not come. As iPXE: the size, an ERROR, the file, from the same port. */
async function load(address: string): Promise<number | undefined> {
  const socket = createSocket('udp4').bind(0, address);
  await once(socket, 'listening');
  const startedMs = performance.now();
  try {
    await exchange(socket, rrq([['tsize', '0']]), (packet) =>
      packet.type === 'OACK' ? { last: true, packet: { type: 'ERROR', code: 0, message: 'seen' } } : undefined,
    );
    let block = 0;
    await exchange(socket, rrq([]), (packet) => {
      if (packet.type !== 'DATA' || packet.block !== block + 1) return undefined;
      block += 1;
      return { last: packet.data.length < 512, packet: { type: 'ACK', block } };
    });
    return performance.now() - startedMs;
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

type Say = (packet: Packet) => { readonly last: boolean; readonly packet: Packet } | undefined;

/** Asks, and says what `say` makes of each packet, until its last; sends again what gets no answer, and listens to the port that answered first. */
function exchange(socket: Socket, request: Packet, say: Say): Promise<void> {
  return new Promise((resolve, reject) => {
    let port: number | undefined;
    let under = { bytes: encode(request), to: SERVER.port };
    const send = (): void => socket.send(under.bytes, under.to, SERVER.address);
    let retry = setInterval(send, RETRY_MS);
    const deadline = setTimeout(() => end(() => reject(new Error('not finished'))), LOAD_DEADLINE_MS);
    const end = (then: () => void): void => {
      clearInterval(retry);
      clearTimeout(deadline);
      socket.removeAllListeners('message');
      then();
    };
    socket.on('message', (bytes, source) => {
      const packet = decode(bytes);
      if (!packet.ok || (port !== undefined && port !== source.port)) return;
      if (packet.value.type === 'ERROR') end(() => reject(new Error('refused')));
      const answer = say(packet.value);
      if (!answer) return;
      port = source.port;
      under = { bytes: encode(answer.packet), to: port };
      clearInterval(retry);
      retry = setInterval(send, RETRY_MS);
      send();
      if (answer.last) end(resolve);
    });
    send();
  });
}

if (role === 'server') await serve();
else if (role === 'flood') await flood(Number(perSecond));
else await main();
