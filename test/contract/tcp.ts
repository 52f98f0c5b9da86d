/**
 * The contract of every TCP edge: whatever others do with their connections, an honest client from another address is answered within a deadline, what
 * stands still is cut, and the memory that it costs has a bound. Loopback has 2²⁴ addresses: each part comes from one of its own.
 */
import { connect, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { quietClock, until } from '../setup/time.ts';

export interface TcpEdge {
  readonly port: number;
  /** Connections that each of six addresses opens: together more than the edge holds. */
  readonly crowd: number;
  /** The first bytes of a connection, cut in their middle: of a hand-shake or of a header. */
  readonly half: Uint8Array;
  /** Asks something whose answer is longer than the sockets hold; the answer is left lying. Absent where no answer is so long. */
  readonly askAndLeave?: (from: string) => Promise<Socket>;
  /** As `crowd`, of those that leave their answer. */
  readonly readers?: number;
  /** Asks and is answered, from that address; rejects when the answer is wrong. The connection stays open. */
  readonly ask: (from: string) => Promise<Socket>;
  close(): Promise<void>;
}

const HONEST = '127.0.0.2';
const OTHERS = ['127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.6', '127.0.0.7', '127.0.0.8'];
/** Of a machine that others keep busy too; two seconds on one that is not. */
const ANSWERED_MS = 20_000;
/** A time-out and two looks. */
const HEADER_CUT_MS = 9_000;
const READER_CUT_MS = 16_000;
/** Less than an answer that is left lying, more than sockets hold. */
const WHOLE_BYTES = 14 << 20;
const MEMORY_BYTES = 256 << 20;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
/** Bytes that are held: what V8 has yet to sweep is nobody's. */
const residentBytes = (): number => {
  collectGarbage();
  return process.memoryUsage().rss;
};

export const opened = (port: number, from: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress: from });
    socket.once('error', reject).once('connect', () => {
      socket.off('error', reject).on('error', () => undefined);
      resolve(socket);
    });
  });

/** Bytes of the answer until `done` says that it is whole. */
export const answer = (socket: Socket, done: (text: string) => boolean): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (done(text)) resolve(text);
    });
    const closed = (): void => reject(new Error(`closed after ${JSON.stringify(text.slice(0, 200))}`));
    if (socket.destroyed) closed();
    socket.once('close', closed);
  });

/** One kind of guest; whether a connection of it is held for long is the edge's business. */
type Guest = (edge: TcpEdge, from: string) => Promise<Socket>;
const idle: Guest = ({ port }, from) => opened(port, from);
const half: Guest = async ({ port, half: bytes }, from) => {
  const socket = await opened(port, from);
  socket.write(bytes);
  return socket;
};
const slow: Guest = async ({ port, half: bytes }, from) => {
  const socket = await opened(port, from);
  let at = 0;
  const timer = setInterval(() => socket.write(bytes.subarray(at, ++at)), 1_000).unref();
  socket.once('close', () => clearInterval(timer));
  return socket;
};

export function tcpContract(name: string, start: () => Promise<TcpEdge>): void {
  describe(`${name} over TCP`, () => {
    let edge: TcpEdge;
    const guests: Socket[] = [];
    const leave = (): void => {
      for (const guest of guests.splice(0)) guest.destroy();
    };
    beforeAll(async () => {
      edge = await start();
    });
    afterAll(async () => {
      leave();
      await edge.close();
    });

    const crowd = async (guest: Guest, each = edge.crowd): Promise<Socket[]> => {
      const all = OTHERS.flatMap((from) => Array.from({ length: each }, () => guest(edge, from)));
      const came = (await Promise.allSettled(all)).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      guests.push(...came);
      return came;
    };
    const honest = async (): Promise<void> => {
      const passed = quietClock();
      const socket = await edge.ask(HONEST);
      expect(passed()).toBeLessThan(ANSWERED_MS);
      socket.destroy();
    };

    test.each([
      { what: 'are silent before the first byte', guest: idle },
      { what: 'send half a header and no more', guest: half },
      { what: 'send a byte a second', guest: slow },
    ])('guests that $what: others are answered, and they are cut', async ({ guest }) => {
      await crowd(guest);
      await honest();
      leave();
      const one = await until('there is room', () => guest(edge, OTHERS[0] as string));
      guests.push(one);
      one.resume();
      await until('it is cut', () => one.destroyed || one.readableEnded, HEADER_CUT_MS);
    });

    test('guests that ask and stay, from one address and from many: others are answered', async () => {
      const came = await crowd((to, from) => to.ask(from));
      expect(came.length).toBeGreaterThan(0);
      await honest();
      leave();
    });

    test('guests that never read their answer: others are answered, memory is bounded, and they are cut', async () => {
      const { askAndLeave } = edge;
      if (!askAndLeave) return; // its answers fit the sockets: nothing waits here
      const before = residentBytes();
      await crowd((_, from) => askAndLeave(from), edge.readers);
      await honest();
      expect(residentBytes() - before).toBeLessThan(MEMORY_BYTES);
      leave();
      const one = await until('there is room', () => askAndLeave(OTHERS[0] as string));
      guests.push(one);
      const cut = new Promise<boolean>((resolve) => {
        let bytes = 0;
        one.once('close', () => resolve(bytes < WHOLE_BYTES));
        setTimeout(() => {
          one.on('data', (chunk) => {
            bytes += chunk.length;
          });
          one.resume();
        }, READER_CUT_MS);
      });
      expect(await cut).toBe(true);
    });
  });
}
