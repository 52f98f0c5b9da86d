/**
 * A connection through a WebSocket of `portforward` (subprotocol v4.channel.k8s.io): the first byte of a message is its channel, 0 data, 1 what went
 * wrong; the first message of each is the port. Each end is held back by the other: the library's own streams take all that comes. No port of this
 * machine listens, so nobody else on it can use the way.
 */
import { Duplex } from 'node:stream';

/** What of a WebSocket is used. */
export interface Socket {
  send(data: Buffer, done: (error?: Error) => void): void;
  pause(): void;
  resume(): void;
  close(): void;
  terminate(): void;
  on(event: 'close', then: () => void): void;
  on(event: 'error', then: (error: Error) => void): void;
}

export interface Forwarded {
  readonly duplex: Duplex;
  attach(socket: Socket): void;
  /** A message, without its first byte. */
  take(channel: number, data: Buffer): void;
}

const DATA = 0;
const FAULT = 1;
/** Little-endian. */
const PORT_BYTES = 2;

/** `to`: for messages. What comes before the socket is attached is kept. */
export function forwarded(to: string): Forwarded {
  let socket: Socket | undefined;
  const begun = new Set<number>();
  const duplex = new Duplex({
    read: () => socket?.resume(),
    write(chunk: Buffer, _encoding, done) {
      socket?.send(Buffer.concat([Buffer.of(DATA), chunk]), done);
    },
    final(done) {
      // There is no half of it to close.
      socket?.close();
      done();
    },
    destroy(error, done) {
      socket?.terminate();
      done(error);
    },
  });
  const fail = (message: string): void => {
    duplex.destroy(new Error(`${to}: ${message}`));
  };
  return {
    duplex,
    attach(opened) {
      socket = opened;
      opened.on('error', (error) => fail(error.message));
      opened.on('close', () => duplex.push(null));
    },
    take(channel, data) {
      const rest = begun.has(channel) ? data : data.subarray(PORT_BYTES);
      begun.add(channel);
      if (rest.length === 0 || duplex.destroyed) return;
      if (channel === FAULT) fail(rest.toString('utf8').trim());
      if (channel === DATA && !duplex.push(rest)) socket?.pause();
    },
  };
}
