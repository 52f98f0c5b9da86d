/**
 * The plain twin: node:dgram, node:crypto and SipHash in TypeScript, on the main thread. 0.33 GB/s where native/ reaches 3: for tests, other
 * systems, and to say what native/ has to do.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { errorMessage } from '../kit/errors.ts';
import { ok } from '../kit/result.ts';
import { listenUdp } from '../net/listen.ts';
import { ownOf } from '../net/source.ts';
import { count, makeCounters } from './counters.ts';
import { hkdf } from './keys.ts';
import { TICK_MS } from './limits.ts';
import { wait } from './reads.ts';
import { segments } from './segments.ts';
import { obey, receive, tick } from './session.ts';
import { type Effect, makeShard, type PendingRead, type Session, type Shard } from './shard.ts';
import { siphash } from './siphash.ts';
import { type Buffers, type OpenTransport, placeOf, type Transport, type TransportEdge } from './transport.ts';

/** A read that takes longer is announced by WAIT: well below the client's smallest time-out (20 ms). */
const WAIT_AFTER_MS = 5;

/** Asked for in the kernel; and the most that waits here for a place in it. */
const BUFFER_BYTES = 4 << 20;

export const openDgram: OpenTransport = async (options, edge) => {
  const { address } = options;
  const socket = createSocket({
    type: isIPv6(address) ? 'udp6' : 'udp4',
    recvBufferSize: BUFFER_BYTES,
    sendBufferSize: BUFFER_BYTES,
  });
  const bound = await listenUdp(socket, placeOf(options));
  if (!bound.ok) return bound;
  const counters = makeCounters();
  const own = ownOf(address, [socket.address().port]);
  const around = { sip: siphash, hkdf, random: randomBytes, counters, wallMs: Date.now, own };
  const shard = makeShard(options, options.settings, around);
  return ok(new DgramTransport(socket, shard, edge));
};

class DgramTransport implements Transport {
  readonly kind = 'plain';
  readonly threads = 1;
  readonly port: number;
  readonly counters: readonly Float64Array[];
  readonly #socket: Socket;
  readonly #shard: Shard;
  readonly #edge: TransportEdge;
  readonly #timer: NodeJS.Timeout;
  #closed = false;
  /** Packets handed to the socket and not yet to the kernel: a socket that closes drops them. */
  readonly #sending = new Set<Promise<void>>();

  constructor(socket: Socket, shard: Shard, edge: TransportEdge) {
    this.#socket = socket;
    this.#shard = shard;
    this.#edge = edge;
    this.port = socket.address().port;
    this.counters = [shard.counters];
    socket.on('message', (bytes, from) => {
      count(shard.counters, 'packetsIn');
      count(shard.counters, 'bytesIn', bytes.length);
      try {
        this.#perform(receive(shard, bytes, { host: from.address, port: from.port }, performance.now()));
      } catch (thrown) {
        count(shard.counters, 'dropFault');
        edge.report(0, { kind: 'fault', message: errorMessage(thrown) });
      }
    });
    socket.on('error', (error) => {
      this.#edge.failed(error);
    });
    this.#timer = setInterval(() => this.#perform(tick(shard, performance.now())), TICK_MS);
  }

  /** What was dropped, node:dgram does not tell. */
  buffers(): Buffers {
    const socket = this.#socket;
    return { receiveBytes: socket.getRecvBufferSize(), receiveDrops: 0, sendBytes: socket.getSendBufferSize() };
  }

  order: Transport['order'] = (_, order) => {
    if (this.#closed) return;
    this.#perform(obey(this.#shard, order, performance.now()));
    if ('id' in order) this.#edge.report(0, { kind: 'applied', id: order.id });
  };

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          this.#send(effect.bytes, effect.to);
          break;
        case 'data':
          this.#data(effect.session, effect.read, effect.bytes);
          break;
        case 'read':
          this.#edge.report(0, effect);
          setTimeout(() => this.#perform(wait(this.#shard, effect.read)), WAIT_AFTER_MS).unref();
          break;
        default:
          this.#edge.report(0, effect);
      }
    }
  }

  #send(bytes: Buffer, to: { readonly host: string; readonly port: number }): void {
    if (this.#closed) return;
    if (this.#socket.getSendQueueSize() > BUFFER_BYTES) {
      count(this.#shard.counters, 'dropSendFailed');
      return;
    }
    count(this.#shard.counters, 'packetsOut');
    count(this.#shard.counters, 'bytesOut', bytes.length);
    const sending = new Promise<void>((resolve, reject) => {
      this.#socket.send(bytes, to.port, to.host, (error) => (error ? reject(error) : resolve()));
    })
      .catch(() => count(this.#shard.counters, 'dropSendFailed'))
      .finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  #data(session: Session, read: PendingRead, bytes: Uint8Array): void {
    for (const packet of segments(this.#shard.mode, session, read, bytes)) this.#send(packet, session.peer);
    count(this.#shard.counters, 'reads');
    count(this.#shard.counters, 'readBytes', read.length);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    await Promise.all(this.#sending);
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}
