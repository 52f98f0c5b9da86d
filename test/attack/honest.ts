/**
 * The honest ones, as one process in a namespace of theirs: a hundred devices, each with an address of its own, that log in, attach, read and compare, and
 * ask all that machines ask. Each line on standard input ends a phase: what was seen in it is printed as one JSON line.
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, openSync, readSync } from 'node:fs';
import { request } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { encode as encodeDhcp } from '../../src/dhcp/packet.ts';
import type { Peer } from '../../src/stream/cookie.ts';
import { encode as encodeTftp } from '../../src/tftp/packet.ts';
import { aRequest } from '../builders/pxe.ts';
import { type ClientSession, Refused, StreamClient } from '../contract/stream-client.ts';
import { type Answers, summary } from './verdict.ts';

export interface HonestOptions {
  /** Addresses of servers, on the ports of `PORTS`. */
  readonly servers: readonly string[];
  readonly ports: Readonly<Record<'stream' | 'http' | 'dhcp' | 'tftp', number>>;
  readonly devices: readonly { readonly mac: string; readonly address: string }[];
  readonly image: string;
}

export interface HonestSeen {
  readonly answers: Readonly<Record<string, Answers>>;
  /** p99 of the event loop's own delay. */
  readonly lagMs: number;
}

/** Of the image: what is read and compared, in memory. */
const REGION_BYTES = 64 << 20;
const READ_EVERY_MS = 500;
/** So that a phase of half a minute has some 350 of each: the p99 of 140 is the second slowest, and was chance. */
const LOGIN_EVERY_MS = 100;
const BOOT_EVERY_MS = 100;
const QUESTION_EVERY_MS = 500;
/** A question by HTTP that is not answered by then is an error; how fast it was answered is for p99 to judge. */
const ANSWER_MS = 5_000;
/** By UDP: a machine's firmware asks again after a second and more, and gives up long after. */
const ASK_AGAIN_MS = 1_000;
const HEARD_MS = 4_000;
/** What a device is told to wait, and what a person would not wait longer for. */
const LOGIN_MS = 10_000;

const options: HonestOptions = JSON.parse(process.argv[2] ?? '');
const region = Buffer.alloc(REGION_BYTES);
const file = openSync(options.image, 'r');
readSync(file, region, 0, region.length, 0);
closeSync(file);

const latencies = new Map<string, { ms: number[]; errors: string[] }>();
const lag = monitorEventLoopDelay({ resolution: 5 });
lag.enable();

async function timed<T>(kind: string, ask: () => Promise<T>): Promise<T | undefined> {
  const seen = latencies.get(kind) ?? { ms: [], errors: [] };
  latencies.set(kind, seen);
  const began = performance.now();
  try {
    const answer = await ask();
    seen.ms.push(performance.now() - began);
    return answer;
  } catch (thrown) {
    seen.errors.push(String(thrown instanceof Error ? thrown.message : thrown));
    return undefined;
  }
}

function get(server: string, path: string, from: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: server, port: options.ports.http, path, localAddress: from, agent: false });
    asked.setTimeout(ANSWER_MS, () => asked.destroy(new Error(`${path}: not within ${ANSWER_MS} ms`)));
    asked.on('error', reject).on('response', async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      if (response.statusCode === 200) resolve(text);
      else reject(new Error(`${path}: ${response.statusCode} ${text}`));
    });
    asked.end();
  });
}

/** One UDP question, asked again as firmware does, and whether anything came back. */
async function heard(from: string, to: Peer, bytes: Uint8Array, leave?: (port: number) => Uint8Array): Promise<void> {
  const socket = createSocket('udp4').bind(0, from);
  let again: NodeJS.Timeout | undefined;
  try {
    await once(socket, 'listening');
    socket.send(bytes, to.port, to.host);
    again = setInterval(() => socket.send(bytes, to.port, to.host), ASK_AGAIN_MS);
    const [, source] = await once(socket, 'message', { signal: AbortSignal.timeout(HEARD_MS) });
    if (leave) socket.send(leave(source.port), source.port, to.host);
  } catch (cause) {
    throw new Error(`no answer from ${to.host} port ${to.port} within ${HEARD_MS} ms`, { cause });
  } finally {
    clearInterval(again);
    socket.close();
  }
}

class Machine {
  readonly mac: string;
  readonly address: string;
  #session: ClientSession | undefined;
  #reading = false;

  constructor({ mac, address }: HonestOptions['devices'][number]) {
    this.mac = mac;
    this.address = address;
  }

  get attached(): boolean {
    return this.#session !== undefined;
  }

  /** As after a power cycle: the session before it says good-bye, which an honest one does not always. */
  async logIn(server: string): Promise<void> {
    const config = await get(server, `/boot/config?mac=${this.mac}`, this.address);
    const token = Buffer.from(/^token=(.*)$/m.exec(config)?.[1] ?? '', 'base64url');
    const client = await StreamClient.open(this.address);
    try {
      const to = { host: server, port: options.ports.stream };
      const session = await this.#attach(client, to, token, performance.now() + LOGIN_MS);
      const before = this.#session;
      this.#session = session;
      while (before && this.#reading) await delay(5); // it ends within the tries of a READ
      before?.bye();
      before?.client.close();
    } catch (thrown) {
      client.close();
      throw thrown;
    }
  }

  async #attach(client: StreamClient, first: Peer, token: Uint8Array, endMs: number): Promise<ClientSession> {
    let to = first;
    for (let redirected = false; ; )
      try {
        return await client.attach(to, await client.login(to, token, { redirected }));
      } catch (thrown) {
        if (!(thrown instanceof Refused) || performance.now() > endMs) throw thrown;
        const { packet } = thrown;
        if (packet.type === 'REDIRECT') to = { host: packet.server.host, port: packet.server.port };
        else if (packet.type === 'REFUSE' && packet.retryAfterMs > 0) await delay(packet.retryAfterMs);
        else throw thrown;
        redirected ||= packet.type === 'REDIRECT';
      }
  }

  async read(): Promise<void> {
    const session = this.#session;
    if (!session || this.#reading) return;
    this.#reading = true;
    const length = 4_096 * (1 + Math.floor(Math.random() * 8));
    const offset = 512 * Math.floor((Math.random() * (REGION_BYTES - length)) / 512);
    await timed('read', async () => {
      const bytes = await session.read(offset, length);
      if (!bytes.equals(region.subarray(offset, offset + length))) throw new Error(`wrong bytes at ${offset}`);
    });
    this.#reading = false;
  }
}

const machines = options.devices.map((device) => new Machine(device));
const pick = <T>(all: readonly T[], turn: number): T => all[turn % all.length] as T;

/** Starts `work` again and again, whether the one before it is done or not: who is slow must not ask less. */
function each(everyMs: number, work: (turn: number) => unknown): void {
  let turn = 0;
  setInterval(() => work(turn++), everyMs);
}

let logged = 0;
for (const [index, machine] of machines.entries()) {
  for (let tries = 0; !machine.attached && tries < 10; tries++)
    await machine.logIn(pick(options.servers, index + tries)).then(
      () => logged++,
      (thrown) => process.stderr.write(`${machine.mac}: ${thrown}\n`),
    );
}
for (const [index, machine] of machines.entries())
  setTimeout(() => each(READ_EVERY_MS, () => machine.read()), (index * READ_EVERY_MS) / machines.length);
each(LOGIN_EVERY_MS, (turn) => timed('login', () => pick(machines, turn).logIn(pick(options.servers, turn))));
each(BOOT_EVERY_MS, (turn) => {
  const { mac, address } = pick(machines, turn * 7);
  return timed('boot', () => get(pick(options.servers, turn), `/boot?mac=${mac}`, address));
});
each(QUESTION_EVERY_MS, (turn) => {
  const { address } = pick(machines, turn);
  const rrq = encodeTftp({ type: 'RRQ', name: 'undionly.kpxe', mode: 'octet', options: [['tsize', '0']] });
  const leave = () => encodeTftp({ type: 'ERROR', code: 0, message: 'seen' });
  return timed('tftp', () =>
    heard(address, { host: pick(options.servers, turn), port: options.ports.tftp }, rrq, leave),
  );
});
each(QUESTION_EVERY_MS, (turn) => {
  const { address, mac } = pick(machines, turn);
  const chaddr = Buffer.from(mac.replaceAll(':', ''), 'hex');
  const asked = encodeDhcp(aRequest({}, { chaddr, xid: randomBytes(4).readUInt32BE() }), 1_472);
  if (!asked.ok) throw new Error(asked.error.message);
  const to = { host: pick(options.servers, turn), port: options.ports.dhcp };
  return timed('dhcp', () => heard(address, to, asked.value));
});
console.log(JSON.stringify({ logged }));

createInterface({ input: process.stdin }).on('line', () => {
  const answers = Object.fromEntries([...latencies].map(([kind, { ms, errors }]) => [kind, summary(ms, errors)]));
  const seen: HonestSeen = { answers, lagMs: lag.percentile(99) / 1e6 };
  latencies.clear();
  lag.reset();
  console.log(JSON.stringify(seen));
});
