/** What a socket half is to the server: the port between server.ts and its two implementations, dgram.ts and native/. */
import type { Fault, Result } from '../kit/result.ts';
import type { Identity, Order, PendingLogin, PendingRead, SessionEvent, Settings } from './shard.ts';

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
  /** The settings of that order hold, and no older extent is read any more. */
  | { readonly kind: 'applied'; readonly id: number };

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
  order(thread: number, order: Order): void;
  close(): Promise<void>;
}

export type TransportFault = Fault<'AddressInUse' | 'AddressNotAvailable' | 'SocketFailed' | 'NativeUnavailable'>;
export type OpenTransport = (
  options: TransportOptions,
  edge: TransportEdge,
) => Promise<Result<Transport, TransportFault>>;

/** The fault of a bind that failed with `code`, naming the address, the port and the way out. */
export function bindFault(address: string, port: number, code: string): TransportFault {
  const where = `UDP port ${port} of ${address}`;
  if (code === 'EADDRINUSE')
    return { code: 'AddressInUse', message: `${where} is taken by another program: stop it, or choose another port` };
  if (code === 'EADDRNOTAVAIL')
    return { code: 'AddressNotAvailable', message: `${where} cannot be used: no interface has that address` };
  return { code: 'SocketFailed', message: `${where} cannot be opened: ${code}` };
}
