/** What a socket half is to the server: the port between server.ts and its two implementations, dgram.ts and native/. */
import type { Fault, Result } from '../kit/result.ts';
import type { ListenFault, Place } from '../net/listen.ts';
import type { Effect, Identity, Order, PendingLogin, PendingRead, SessionEvent, Settings } from './shard.ts';

export interface TransportOptions extends Identity {
  readonly address: string;
  readonly port: number;
  readonly threads: number;
  readonly settings: Settings;
}

/** What a thread tells the main thread. */
export type Report =
  | { readonly kind: 'login'; readonly login: PendingLogin }
  | { readonly kind: 'read'; readonly read: PendingRead }
  | { readonly kind: 'session'; readonly event: SessionEvent }
  | Extract<Effect, { kind: 'badReads' }>
  /** What that order says holds, and no extent of a disk that it took away is read any more. */
  | { readonly kind: 'applied'; readonly id: number }
  /** A packet met a bug: it was dropped, and nothing else. */
  | { readonly kind: 'fault'; readonly message: string };

export interface TransportEdge {
  /** `thread` is the index in `orders` that an answer goes to. */
  readonly report: (thread: number, report: Report) => void;
  /** A thread ended by itself: the server is broken. */
  readonly failed: (error: Error) => void;
}

export interface Transport {
  readonly kind: 'native' | 'plain';
  readonly port: number;
  readonly threads: number;
  readonly counters: readonly Float64Array[];
  buffers(): Buffers;
  order(thread: number, order: Order): void;
  close(): Promise<void>;
}

export type TransportFault = ListenFault | Fault<'NativeUnavailable'>;
export type OpenTransport = (
  options: TransportOptions,
  edge: TransportEdge,
) => Promise<Result<Transport, TransportFault>>;

/** What the kernel gave to the sockets of a server, as it accounts: twice what it was asked for, at most twice net.core.rmem_max and wmem_max. */
export interface Buffers {
  /** Of all threads. */
  readonly receiveBytes: number;
  /** Packets that found no room there. */
  readonly receiveDrops: number;
  /** Of one. */
  readonly sendBytes: number;
}

export type BufferFault = Fault<'BufferTooSmall'>;

/** The kernel counts so much for a packet of 48 bytes, a READ, that waits to be received: 512 fit in 208 KiB, which it doubles. */
const READ_COUNTS_BYTES = 832;
/** Two neighbours that do not answer ARP hold 208 KiB. */
const SEND_BYTES = 4 << 20;

/**
 * Whether a burst of these devices fits, a READ of each at once: they have lost another server, or power is back. Nothing is lost for good that does not
 * fit; each device asks again, after a time-out.
 */
export function bufferFault(buffers: Buffers, threads: number, devices: number): BufferFault | undefined {
  const receive = Math.ceil((devices * READ_COUNTS_BYTES) / threads / 2);
  const small = [
    { name: 'net.core.rmem_max', bytes: buffers.receiveBytes / threads / 2, needed: receive },
    { name: 'net.core.wmem_max', bytes: buffers.sendBytes / 2, needed: SEND_BYTES },
  ].filter(({ bytes, needed }) => bytes < needed);
  if (small.length === 0) return undefined;
  const got = small.map(({ name, bytes, needed }) => `${name} is ${bytes}, ${needed} is needed`).join('; ');
  const set = small.map(({ name, needed }) => `${name}=${needed}`).join(' ');
  const message = `the stream's socket buffers are too small for a burst of ${devices} devices: ${got}; on the node: sysctl -w ${set}, and start the server again`;
  return { code: 'BufferTooSmall', message };
}

export const placeOf = ({ address, port }: Pick<TransportOptions, 'address' | 'port'>): Place => ({
  ...{ protocol: 'UDP', address, port },
  instead: 'choose another ports.stream of the StreamingServer',
});
