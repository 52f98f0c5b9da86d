/**
 * A stream client for tests and the bench: login, attach, windowed reads with every tag checked. No failover and no congestion control: the
 * device's client is target/ in C. Also lets a test send any bytes and see every answer.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { HASH_BYTES, pieces } from '../../src/image/tree/pieces.ts';
import type { Peer } from '../../src/stream/cookie.ts';
import {
  answerTag,
  attachKey,
  loginKeys,
  makeShare,
  piecesTag,
  sign,
  type TrafficKeys,
  trafficKeys,
  verify,
} from '../../src/stream/keys.ts';
import { MAX_PIECES } from '../../src/stream/limits.ts';
import {
  type Attached,
  type Data,
  decode,
  encode,
  type Mode,
  type Packet,
  type PacketName,
  type Role,
  type ServerEntry,
} from '../../src/stream/packet.ts';
import { siphash } from '../../src/stream/siphash.ts';
import { DATA_HEADER_BYTES, TAG_BYTES } from '../../src/stream/wire.ts';
import { quietClock } from '../setup/time.ts';

const TRY_MS = 200;
const TRIES = 25;

type Named<Name extends PacketName> = Extract<Packet, { type: Name }>;

interface Received {
  readonly packet: Packet;
  /** A copy. */
  readonly bytes: Buffer;
  readonly from: Peer;
}

/** How a LOGIN is asked for. */
export interface LoginOptions {
  /** The session key of the ticket that is renewed. */
  readonly renews?: Uint8Array | undefined;
  readonly redirected?: boolean;
  /** Bytes in the place of the LOGIN's and of its answer's: an attacker on the path. */
  readonly onPath?: { readonly login?: (bytes: Buffer) => Uint8Array; readonly answer?: (bytes: Buffer) => Uint8Array };
}

export interface TicketFacts {
  readonly ticket: Uint8Array;
  readonly sessionKey: Uint8Array;
  readonly sizeBytes: number;
  readonly servers: readonly ServerEntry[];
}

/** What a refused LOGIN or ATTACH, or a failed READ, throws. */
export class Refused extends Error {
  readonly packet: Packet;
  /** By a key that both sides had before. */
  readonly signed: boolean;
  constructor(packet: Packet, signed = false) {
    super(`${packet.type} ${'code' in packet ? packet.code : ''} ${'text' in packet ? packet.text : ''}`);
    this.packet = packet;
    this.signed = signed;
  }
}

/** One UDP socket. */
export class StreamClient {
  readonly #socket: Socket;
  readonly #listeners = new Set<(received: Received) => void>();
  /** Nonces of `cookie`. */
  readonly #asked = new Set<string>();
  /** Answers that nobody waited for, and what came before them, in order. */
  readonly received: Received[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes, { address, port }) => {
      const decoded = decode(bytes);
      if (!decoded.ok) throw new Error(`the server sent ${decoded.error.message}`);
      const received = { packet: decoded.value, bytes, from: { host: address, port } };
      this.received.push(received);
      if (this.received.length > 4_096) this.received.splice(0, 2_048);
      for (const listener of this.#listeners) listener(received);
    });
  }

  static async open(host = '127.0.0.1'): Promise<StreamClient> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
    socket.bind(0, host);
    await once(socket, 'listening');
    return new StreamClient(socket);
  }

  get address(): AddressInfo {
    return this.#socket.address();
  }

  close(): void {
    this.#socket.close();
  }

  send(bytes: Uint8Array, to: Peer): void {
    this.#socket.send(bytes, to.port, to.host);
  }

  listen(listener: (received: Received) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends until `wanted` gives a value for an answer. */
  async ask<T>(
    make: () => Uint8Array,
    to: Peer,
    wanted: (received: Received) => T | undefined,
    tries = TRIES,
  ): Promise<T> {
    for (const passed = quietClock(); passed() < tries * TRY_MS; ) {
      let stop = (): unknown => undefined;
      let timer: NodeJS.Timeout | undefined;
      const answer = await new Promise<T | undefined>((resolve, reject) => {
        stop = this.listen((received) => {
          try {
            const value = wanted(received);
            if (value !== undefined) resolve(value);
          } catch (thrown) {
            reject(thrown);
          }
        });
        timer = setTimeout(() => resolve(undefined), TRY_MS);
        this.send(make(), to);
      }).finally(() => {
        stop();
        clearTimeout(timer);
      });
      if (answer !== undefined) return answer;
    }
    throw new Error(`no answer from ${to.host} port ${to.port} after ${tries} tries of ${TRY_MS} ms`);
  }

  /** A COOKIE for `cookie`: it asks again where the processor is busy, so that a second one may come late. */
  isOwnCookie({ packet }: { readonly packet: Packet }): boolean {
    return packet.type === 'COOKIE' && this.#asked.has(Buffer.from(packet.nonce).toString('hex'));
  }

  async cookie(to: Peer): Promise<Uint8Array> {
    const nonce = randomBytes(16);
    this.#asked.add(nonce.toString('hex'));
    const hello = encode({ type: 'HELLO', session: 0, number: 0, nonce });
    const answer = await this.ask(
      () => hello,
      to,
      ({ packet }) => (packet.type === 'COOKIE' && nonce.equals(packet.nonce) ? packet : undefined),
    );
    return answer.cookie;
  }

  /** A new ticket for one that is held. */
  renew(to: Peer, { ticket, sessionKey }: Pick<TicketFacts, 'ticket' | 'sessionKey'>): Promise<TicketFacts> {
    return this.login(to, ticket, { renews: sessionKey });
  }

  /** TICKET's facts, or the REDIRECT or REFUSE as a Refused. */
  async login(
    to: Peer,
    token: Uint8Array,
    { renews, redirected = false, onPath }: LoginOptions = {},
  ): Promise<TicketFacts> {
    const [cookie, share] = [await this.cookie(to), makeShare()];
    const asked = loginPacket(cookie, share.bytes, token, { renews, redirected });
    const nonce = asked.subarray(16, 32);
    const request = onPath?.login?.(asked) ?? asked;
    const { packet, bytes } = await this.ask(
      () => request,
      to,
      (received) => ('nonce' in received.packet && nonce.equals(received.packet.nonce) ? received : undefined),
    ).then(({ bytes }) => altered(bytes, onPath?.answer));
    if (packet.type !== 'TICKET')
      throw new Refused(packet, renews !== undefined && verify(siphash, attachKey(renews), bytes));
    const keys = loginKeys(share, packet.share, share.bytes, packet.share, renews);
    if (!keys.ok || !verify(siphash, keys.value.loginKey, bytes)) throw new Error('TICKET has a wrong tag');
    return {
      ticket: Buffer.from(packet.ticket),
      sessionKey: keys.value.sessionKey,
      sizeBytes: packet.sizeBytes,
      servers: packet.servers,
    };
  }

  async attach(
    to: Peer,
    { ticket, sessionKey }: Pick<TicketFacts, 'ticket' | 'sessionKey'>,
    { role = 'serve', maxSegmentBytes = 1_408 }: { role?: Role; maxSegmentBytes?: number } = {},
  ): Promise<ClientSession> {
    const request = attachPacket(sessionKey, ticket, await this.cookie(to), { role, maxSegmentBytes });
    const nonce = request.subarray(16, 32);
    const { packet, bytes } = await this.ask(
      () => request,
      to,
      (received) => ('nonce' in received.packet && nonce.equals(received.packet.nonce) ? received : undefined),
    );
    if (packet.type !== 'ATTACHED') throw new Refused(packet, verify(siphash, attachKey(sessionKey), bytes));
    const keys = trafficKeys(sessionKey, nonce, packet.serverNonce, packet.instance);
    if (!verify(siphash, keys.serverTag, bytes)) throw new Error('ATTACHED has a wrong tag');
    return new ClientSession(this, to, packet, keys);
  }
}

function altered(bytes: Buffer, by: (bytes: Buffer) => Uint8Array = (same) => same): { packet: Packet; bytes: Buffer } {
  const after = Buffer.from(by(bytes));
  const decoded = decode(after);
  if (!decoded.ok) throw new Error(`the attacker sent ${decoded.error.message}`);
  return { packet: decoded.value, bytes: after };
}

export function loginPacket(
  cookie: Uint8Array,
  share: Uint8Array,
  token: Uint8Array,
  { renews, redirected = false }: Pick<LoginOptions, 'renews' | 'redirected'> = {},
): Buffer {
  const nonce = randomBytes(16);
  const renew = renews !== undefined;
  const fields = { session: 0, number: 0, nonce, cookie, renew, redirected, share, token } as const;
  const packet = encode({ type: 'LOGIN', ...fields });
  return renews ? sign(siphash, attachKey(renews), packet) : packet;
}

export function attachPacket(
  sessionKey: Uint8Array,
  ticket: Uint8Array,
  cookie: Uint8Array,
  { role = 'serve', maxSegmentBytes = 1_408 }: { role?: Role; maxSegmentBytes?: number } = {},
): Buffer {
  const packet = {
    type: 'ATTACH',
    session: 0,
    number: 0,
    nonce: randomBytes(16),
    cookie,
    maxSegmentBytes,
    role,
    ticket,
  };
  return sign(siphash, attachKey(sessionKey), encode(packet as Named<'ATTACH'>));
}

export class ClientSession {
  readonly client: StreamClient;
  readonly server: Peer;
  readonly id: number;
  readonly attached: Attached;
  readonly keys: TrafficKeys;
  readonly mode: Mode;
  #number = 0;

  constructor(client: StreamClient, server: Peer, attached: Attached, keys: TrafficKeys) {
    this.client = client;
    this.server = server;
    this.id = attached.session;
    this.attached = attached;
    this.keys = keys;
    this.mode = attached.mode;
  }

  /** The last packet number given out. */
  get number(): number {
    return this.#number;
  }

  /** A signed packet of this session with the next number, or one of your choice. */
  packet(fields: Record<string, unknown> & { type: PacketName }, number = ++this.#number): Buffer {
    return sign(siphash, this.keys.clientTag, encode({ session: this.id, number, ...fields } as unknown as Packet));
  }

  send(bytes: Uint8Array): void {
    this.client.send(bytes, this.server);
  }

  /** Asks until an answer of that type comes; its tag is checked. */
  ask<Name extends PacketName>(type: Name, make: () => Buffer, tries = TRIES): Promise<Named<Name>> {
    return this.client.ask(
      make,
      this.server,
      ({ packet, bytes }) => {
        if (packet.type !== type || packet.session !== this.id) return undefined;
        if (!verify(siphash, this.keys.serverTag, bytes)) throw new Error(`${type} has a wrong tag`);
        return packet as Named<Name>;
      },
      tries,
    );
  }

  ping(role: Role = 'serve'): Promise<Named<'PONG'>> {
    const opaque = randomBytes(8);
    return this.ask('PONG', () => this.packet({ type: 'PING', role, badReads: 0, listVersion: 0, opaque }));
  }

  list(): Promise<Named<'LIST'>> {
    return this.ask('LIST', () => this.packet({ type: 'SERVERS', listVersion: 0 }));
  }

  bye(): void {
    this.send(this.packet({ type: 'BYE', reason: 'Leaving' }));
  }

  /** Reads until the whole answer came in one go and its tag is right; an ERROR is thrown as Refused. */
  async read(offset: number, length: number, { hedged = false } = {}): Promise<Buffer> {
    let answer = new Answer(this, Buffer.alloc(0), offset, length);
    return this.client.ask(
      () => {
        const request = this.packet({ type: 'READ', offset, length, hedged });
        answer = new Answer(this, request, offset, length);
        return request;
      },
      this.server,
      (received) => answer.take(received),
    );
  }
}

/** The segments of one answer. */
class Answer {
  readonly #session: ClientSession;
  readonly #request: Buffer;
  readonly #offset: number;
  readonly #data: Buffer;
  #missing: number;
  #seen = new Set<number>();
  #tag: Uint8Array | undefined;

  constructor(session: ClientSession, request: Buffer, offset: number, length: number) {
    this.#session = session;
    this.#request = request;
    this.#offset = offset;
    this.#data = Buffer.alloc(length);
    this.#missing = length;
  }

  take({ packet, bytes }: Received): Buffer | undefined {
    if (packet.type === 'ERROR' && packet.session === this.#session.id && packet.request === this.#session.number) {
      if (!verify(siphash, this.#session.keys.serverTag, bytes)) throw new Error('ERROR has a wrong tag');
      throw new Refused(packet);
    }
    if (packet.type !== 'DATA' || packet.session !== this.#session.id) return undefined;
    if (packet.request !== this.#session.number || packet.offset !== this.#offset) return undefined;
    return this.#segment(packet, bytes);
  }

  #segment(packet: Data, bytes: Buffer): Buffer | undefined {
    const { segmentBytes } = this.#session.attached;
    const full = Math.min(segmentBytes, this.#data.length - packet.position);
    if (packet.length !== this.#data.length || packet.position % segmentBytes !== 0 || packet.data.length !== full)
      throw new Error(
        `segment of ${packet.data.length} at ${packet.position} of ${packet.length} is not one of the answer`,
      );
    if (this.#tag && !Buffer.from(this.#tag).equals(packet.answerTag)) throw new Error('two tags in one answer');
    this.#tag ??= Buffer.from(packet.answerTag);
    if (this.#seen.has(packet.position)) return undefined;
    this.#seen.add(packet.position);
    this.#data.set(packet.data, packet.position);
    this.#missing -= packet.data.length;
    if (this.#missing > 0) return undefined;
    if (!this.#tagOf(packet, bytes.subarray(0, DATA_HEADER_BYTES)).equals(packet.answerTag))
      throw new Error('DATA has a wrong answer tag');
    return this.#data;
  }

  #tagOf({ number }: Data, header: Buffer): Buffer {
    const { mode, keys, attached } = this.#session;
    if (mode === 'Trusted') return this.#request.subarray(-TAG_BYTES);
    if (attached.suite === 'Aead') return answerTag(keys.serverData, number, header, this.#data);
    const library = pieces();
    if (!library.ok) throw new Error(library.error.message);
    const hashes = Buffer.alloc(MAX_PIECES * HASH_BYTES);
    const count = library.value.hash(hashes, this.#offset, this.#data);
    return piecesTag(siphash, keys.serverData, header, hashes.subarray(0, count * HASH_BYTES));
  }
}
