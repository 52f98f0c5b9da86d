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
  /** Its sockets got smaller buffers than they asked for. */
  readonly bufferFault: BufferFault | undefined;
  order(thread: number, order: Order): void;
  close(): Promise<void>;
}

export type TransportFault = ListenFault | Fault<'NativeUnavailable'>;
export type OpenTransport = (
  options: TransportOptions,
  edge: TransportEdge,
) => Promise<Result<Transport, TransportFault>>;

export type BufferFault = Fault<'BufferTooSmall'>;

/** The kernel grants twice what it is asked for, for its own accounting. */
export function bufferFault(
  granted: { readonly receiveMost: number; readonly sendMost: number },
  asked: number,
): BufferFault | undefined {
  const small = [
    { name: 'net.core.rmem_max', bytes: granted.receiveMost / 2 },
    { name: 'net.core.wmem_max', bytes: granted.sendMost / 2 },
  ].filter(({ bytes }) => bytes < asked);
  if (small.length === 0) return undefined;
  const got = small.map(({ name, bytes }) => `${name} is ${bytes}`).join(', ');
  const set = small.map(({ name }) => `${name}=${asked}`).join(' ');
  const message = `the stream's socket buffers are too small for many devices: ${got}, ${asked} is needed; on the node: sysctl -w ${set}`;
  return { code: 'BufferTooSmall', message };
}

export const placeOf = ({ address, port }: Pick<TransportOptions, 'address' | 'port'>): Place => ({
  ...{ protocol: 'UDP', address, port },
  instead: 'choose another ports.stream of the StreamingServer',
});
