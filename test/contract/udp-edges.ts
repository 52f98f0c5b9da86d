/** The UDP edges of a server, each as `udp-edge.ts` wants it: how it starts, what it answers, how to see that it still does. */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { decodePing, encodePing, type PeerLoad, type PeerPing } from '../../src/control/peer.ts';
import { peerKey, startPeers } from '../../src/control/peers.ts';
import { MESSAGE_TYPES, OPTIONS } from '../../src/dhcp/options.ts';
import {
  type Packet as DhcpPacket,
  decode as decodeDhcp,
  encode as encodeDhcp,
  messageType,
} from '../../src/dhcp/packet.ts';
import { startProxyDhcp } from '../../src/dhcp/server.ts';
import { ok, type Result } from '../../src/kit/result.ts';
import type { KeyRing } from '../../src/kit/seal.ts';
import {
  decode as decodeStream,
  encode as encodeStream,
  type Packet as StreamPacket,
} from '../../src/stream/packet.ts';
import { startStreamServer } from '../../src/stream/server.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { decode as decodeTftp, encode as encodeTftp, type Packet as TftpPacket } from '../../src/tftp/packet.ts';
import { startTftp } from '../../src/tftp/server.ts';
import { aBoot } from '../builders/farm.ts';
import { aRequest } from '../builders/pxe.ts';
import { until } from '../setup/time.ts';

export interface UdpEdge {
  /** At this address of the namespace, on a port of its choice; the harness ends it by ending the process. */
  start(address: string): Promise<RunningEdge>;
}

/** A port that is there for one packet's sake. */
export interface Door {
  readonly port: number;
  close(): void;
}

export interface RunningEdge {
  readonly port: number;
  /** A packet that an honest neighbour has an answer to. */
  readonly question: Uint8Array;
  /** Packets that were dropped for their source. */
  badSources(): number;
  /** Instead of `port`: a fresh one for each packet of a neighbour. */
  door?(neighbour: Socket): Promise<Door>;
  /** An honest neighbour asks by this socket, and hears the answer: the same number of packets each time. Without, `question` and one answer. */
  ask?(neighbour: Socket): Promise<void>;
}

const NEIGHBOUR_DEADLINE_MS = 60_000;

/** The next packet; rejects when none comes. */
export async function heard(socket: Socket): Promise<{ bytes: Buffer; port: number }> {
  const [bytes, source] = await once(socket, 'message', { signal: AbortSignal.timeout(NEIGHBOUR_DEADLINE_MS) });
  return { bytes, port: source.port };
}

function started<T>(result: Result<T, { readonly message: string }>): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

const FILE = Buffer.alloc(2_000, 'tftp');

const tftp: UdpEdge = {
  async start(address) {
    let dropped = 0;
    const server = started(
      await startTftp({
        address,
        port: 0,
        log: silentLogger,
        onBadSource: () => dropped++,
        open: () => ok({ sizeBytes: FILE.length, read: (at, length) => FILE.subarray(at, at + length) }),
      }),
    );
    const question = encodeTftp({ type: 'RRQ', name: 'a', mode: 'octet', options: [['tsize', '0']] });
    return {
      port: server.port,
      question,
      badSources: () => dropped,
      async ask(neighbour) {
        neighbour.send(question, server.port, address);
        const { port } = await heard(neighbour);
        neighbour.send(encodeTftp({ type: 'ERROR', code: 0, message: 'seen' }), port, address);
      },
    };
  },
};

const dhcp = (door: 'dhcp' | 'pxe'): UdpEdge => ({
  async start(address) {
    let dropped = 0;
    const server = started(
      await startProxyDhcp({
        ...{ address, ports: { dhcp: 0, pxe: 0 }, httpPort: 8069, log: silentLogger },
        bootstrap: () => ({ farm: 'farm', site: 'default', boot: aBoot(), loginServers: [], httpServers: [] }),
        verdict: () => ({ kind: 'known' }),
        onBadSource: () => dropped++,
      }),
    );
    const port = server.ports[door];
    const question = (mac: Uint8Array): Uint8Array =>
      started(encodeDhcp(aRequest(door === 'pxe' ? { type: 'REQUEST' } : {}, { chaddr: mac }), 1_472));
    return {
      port,
      question: question(Uint8Array.of(0x52, 0x54, 0, 0, 0, 1)),
      badSources: () => dropped,
      /** Another machine each time: one has so many answers. */
      async ask(neighbour) {
        neighbour.send(question(Uint8Array.of(0x52, 0x54, ...randomBytes(4))), port, address);
        await heard(neighbour);
      },
    };
  },
});

const LOAD: PeerLoad = {
  ...{ name: 'node-a', draining: false, loadPercent: 0, prefixLength: 24, devices: 0, booting: 0 },
  ...{ powerRating: 1, maxDevices: 1, maxBooting: 1, manifests: [] },
};

const peers: UdpEdge = {
  async start(address) {
    let dropped = 0;
    const port = 6911;
    const ring: KeyRing = { current: 1, keys: new Map([[1, randomBytes(32)]]) };
    /** Empty but while it is asked: it sends nothing meanwhile. */
    const others = new Map<string, { host: string; port: number }>();
    const server = started(
      await startPeers({
        ...{ address, port, ring: () => ring, instance: 1n, load: () => LOAD, peers: () => others, log: silentLogger },
        onBadSource: () => dropped++,
      }),
    );
    const [key = new Uint8Array(0)] = [...ring.keys.values()].map(peerKey);
    let counter = 0n;
    const ping = (more: Partial<PeerPing>): Buffer => {
      const own = {
        ...LOAD,
        name: 'node-b',
        instance: 2n,
        token: 1n,
        echo: 0n,
        counter: ++counter,
        wallMs: Date.now(),
      };
      return encodePing({ ...own, ...more }, key, LOAD.name);
    };
    return {
      port,
      question: ping({}),
      badSources: () => dropped,
      async ask(neighbour) {
        const own = neighbour.address();
        others.set('node-b', { host: own.address, port: own.port });
        const { token } = started(decodePing((await heard(neighbour)).bytes, key, 'node-b'));
        others.clear();
        neighbour.send(ping({ token: 2n, echo: token }), port, address);
        await until('the ping is heard', () => server.alive('node-b'));
      },
    };
  },
};

/** The port of one transfer: what its client says there, and what a stranger does. */
const tftpTransfer = (role: 'client' | 'stranger'): UdpEdge => ({
  async start(address) {
    const edge = await tftp.start(address);
    return {
      ...edge,
      async door(neighbour) {
        const client = role === 'client' ? neighbour : createSocket('udp4').bind(0, neighbour.address().address);
        if (client !== neighbour) await once(client, 'listening');
        client.send(edge.question, edge.port, address);
        const { port } = await heard(client);
        const end = encodeTftp({ type: 'ERROR', code: 0, message: 'seen' });
        return { port, close: () => client.send(end, port, address, () => client.close()) };
      },
    };
  },
});

const stream = (native: 'native' | 'plain'): UdpEdge => ({
  async start(address) {
    const ring: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 7)]]) };
    const server = started(
      await startStreamServer({
        ...{ address, port: 0, threads: 1, ring: () => ring, mode: 'Trusted', site: 'paris', native },
        login: async () => ({ kind: 'refuse', code: 'Busy', retryAfterMs: 1, text: 'test' }),
        onSession() {},
        onFailure(error) {
          throw error;
        },
        log: silentLogger,
      }),
    );
    const question = encodeStream({ type: 'HELLO', session: 0, number: 0, nonce: Buffer.alloc(16, 9) });
    return { port: server.port, question, badSources: () => Object(server.counters())['dropBadSource'] ?? 0 };
  },
});

export const UDP_EDGES = {
  tftp,
  'tftp transfer, its client': tftpTransfer('client'),
  'tftp transfer, a stranger': tftpTransfer('stranger'),
  dhcp: dhcp('dhcp'),
  pxe: dhcp('pxe'),
  peers,
  'stream, plain': stream('plain'),
  'stream, native': stream('native'),
} as const satisfies Record<string, UdpEdge>;

export interface Sample {
  /** Protocol and type. */
  readonly name: string;
  /** Who says it: what only clients say may be answered. */
  readonly by: 'client' | 'server';
  readonly bytes: Uint8Array;
}

/** One of each message that a server or a client of ours sends; pings of peers, which need the farm's key, are the question of their edge. */
export const SAMPLES: readonly Sample[] = [...tftpSamples(), ...dhcpSamples(), ...streamSamples()];

/** What a packet is, if it is one of ours. */
export function nameOf(bytes: Uint8Array): string {
  const dhcp = decodeDhcp(bytes);
  if (dhcp.ok) return `DHCP ${messageType(dhcp.value)}`;
  const stream = decodeStream(Buffer.from(bytes));
  if (stream.ok) return `stream ${stream.value.type}`;
  const tftp = decodeTftp(bytes);
  return tftp.ok ? `TFTP ${tftp.value.type}` : 'unknown';
}

function tftpSamples(): Sample[] {
  const of = (by: Sample['by'], packet: TftpPacket): Sample => ({
    name: `TFTP ${packet.type}`,
    by,
    bytes: encodeTftp(packet),
  });
  return [
    of('client', { type: 'RRQ', name: 'a', mode: 'octet', options: [] }),
    of('client', { type: 'WRQ', name: 'a', mode: 'octet', options: [] }),
    of('client', { type: 'ACK', block: 0 }),
    of('server', { type: 'OACK', options: [['tsize', '9']] }),
    of('server', { type: 'DATA', block: 1, data: new Uint8Array(512) }),
    of('server', { type: 'ERROR', code: 5, message: 'unknown transfer' }),
  ];
}

function dhcpSamples(): Sample[] {
  const of = (by: Sample['by'], type: keyof typeof MESSAGE_TYPES, fields: Partial<DhcpPacket> = {}): Sample => {
    const { options, ...packet } = aRequest({}, fields);
    const typed = options.map((option) =>
      option.code === OPTIONS.messageType.code ? { ...option, data: Uint8Array.of(MESSAGE_TYPES[type]) } : option,
    );
    return { name: `DHCP ${type}`, by, bytes: started(encodeDhcp({ ...packet, options: typed }, 1_472)) };
  };
  return [
    of('client', 'DISCOVER'),
    of('client', 'REQUEST'),
    of('server', 'OFFER', { op: 'reply' }),
    of('server', 'ACK', { op: 'reply' }),
    of('server', 'NAK', { op: 'reply' }),
  ];
}

function streamSamples(): Sample[] {
  const before = { session: 0, number: 0 };
  const inside = { session: 7, number: 1 };
  const nonce = Buffer.alloc(16, 9);
  const cookie = Buffer.alloc(20, 1);
  const server = { host: '10.0.0.11', port: 6910, state: 'Streaming' } as const;
  const client: StreamPacket[] = [
    { type: 'HELLO', ...before, nonce },
    { type: 'LOGIN', ...before, nonce, cookie, renew: false, redirected: false, share: Buffer.alloc(32), token: nonce },
    { type: 'ATTACH', ...before, nonce, cookie, maxSegmentBytes: 1_408, role: 'serve', ticket: nonce },
    { type: 'READ', ...inside, offset: 0, length: 512, hedged: false },
    { type: 'PING', ...inside, role: 'serve', badReads: 0, listVersion: 0, opaque: nonce.subarray(8) },
    { type: 'SERVERS', ...inside, listVersion: 0 },
  ];
  const common = { mode: 'Trusted', suite: 'Aead', listVersion: 7, sizeBytes: 512 } as const;
  const answers: StreamPacket[] = [
    { type: 'COOKIE', ...before, nonce, cookie },
    {
      type: 'TICKET',
      ...before,
      ...common,
      nonce,
      share: Buffer.alloc(32),
      blockSize: 512,
      ticket: nonce,
      servers: [],
    },
    { type: 'REDIRECT', ...before, nonce, server },
    { type: 'REFUSE', ...before, nonce, code: 'Busy', retryAfterMs: 1, text: '' },
    {
      type: 'ATTACHED',
      ...inside,
      ...common,
      nonce,
      serverNonce: nonce,
      instance: nonce.subarray(8),
      segmentBytes: 512,
    },
    {
      type: 'DATA',
      ...inside,
      request: 1,
      offset: 0,
      length: 64,
      answerTag: nonce,
      position: 0,
      data: Buffer.alloc(64),
    },
    { type: 'WAIT', ...inside, request: 1 },
    { type: 'ERROR', ...inside, request: 1, code: 'Revoked', retryAfterMs: 0 },
    { type: 'PONG', ...inside, state: 'Draining', loadPercent: 9, listVersion: 3, opaque: nonce.subarray(8) },
    { type: 'LIST', ...inside, listVersion: 3, servers: [server] },
    { type: 'MOVE', ...inside, server, withinMs: 8_000 },
    { type: 'UNKNOWN', ...inside, echo: nonce },
    { type: 'BYE', ...inside, reason: 'Drained' },
  ];
  const sample =
    (by: Sample['by']) =>
    (packet: StreamPacket): Sample => ({ name: `stream ${packet.type}`, by, bytes: encodeStream(packet) });
  return [...client.map(sample('client')), ...answers.map(sample('server'))];
}
