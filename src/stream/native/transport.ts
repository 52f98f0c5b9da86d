/** The native transport: sockets and threads. All sockets are opened here before any traffic: closing or adding one moves other sockets' flows. */
import { closeSync, writeSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { fail, ok, type Result } from '../../kit/result.ts';
import {
  AF_INET,
  EVENTFD_FLAGS,
  type Libc,
  SO_RCVBUF,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOCK_DGRAM_CLOEXEC,
  SOL_SOCKET,
  type SocketMemory,
  socketAddress,
  socketMemory,
} from '../../net/libc.ts';
import { listenFault } from '../../net/listen.ts';
import { ownOf } from '../../net/source.ts';
import { makeCounters } from '../counters.ts';
import { type Buffers, type OpenTransport, placeOf, type Report, type Transport } from '../transport.ts';
import type { LoopOptions, LoopOrder } from './loop.ts';
import { native } from './sodium.ts';

/**
 * The kernel gives what net.core.rmem_max and wmem_max allow: 4 MiB since Linux 6.15, 208 KiB before. A burst of 20,000 devices' READs is 16 MiB of
 * receive buffer, which is 8 MiB asked for; of 208 KiB two neighbours that do not answer ARP hold all of a send buffer.
 */
const BUFFER_BYTES = { receive: 32 << 20, send: 4 << 20 };

/** The build renames the file. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly wake: number;
  readonly exited: Promise<void>;
}

export const openNative: OpenTransport = async (options, edge) => {
  const loaded = native();
  if (!loaded.ok) return loaded;
  const { address, port, threads: many, settings, ...identity } = options;
  if (!isIPv4(address)) return fail('NativeUnavailable', `native sockets are IPv4 for now: ${address}`);
  const sockets = openSockets(loaded.value, address, port, many);
  if (!sockets.ok) return { ok: false, error: await listenFault(placeOf(options), sockets.error) };
  const fds = sockets.value;

  const bound = boundPort(loaded.value, fds[0] ?? -1);
  const own = ownOf(address, [bound]);
  const counters = Array.from({ length: many }, makeCounters);
  let closing = false;
  /** The first thing that goes wrong; what follows from it is not told. */
  const failed = (error: Error): void => {
    if (!closing) edge.failed(error);
    closing = true;
  };
  const threads = fds.map((socket, index): Thread => {
    const { port1, port2 } = new MessageChannel();
    const wake = loaded.value.eventfd(0, EVENTFD_FLAGS);
    const workerData = {
      identity,
      settings,
      socket,
      wake,
      own,
      counters: counters[index] ?? makeCounters(),
      port: port2,
    };
    const worker = new Worker(WORKER, { workerData: workerData satisfies LoopOptions, transferList: [port2] });
    port1.on('message', (reports: readonly Report[]) => {
      for (const report of reports) edge.report(index, report);
    });
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', (code) => {
        resolve();
        failed(new Error(`stream thread ${index} ended with code ${code}`));
      });
    });
    worker.on('error', failed);
    return { worker, port: port1, wake, exited };
  });
  await Promise.all(threads.map(({ worker, exited }) => Promise.race([online(worker), exited])));

  let closed: Promise<void> | undefined;
  const order = (thread: number, message: LoopOrder): void => {
    const to = threads[thread];
    if (!to || closed) return;
    to.port.postMessage(message);
    writeSync(to.wake, ONE);
  };
  const transport: Transport = {
    kind: 'native',
    port: bound,
    threads: many,
    counters,
    buffers: () => buffersOf(closed ? [] : fds.map((fd) => socketMemory(loaded.value, fd))),
    order,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
  async function close(): Promise<void> {
    closing = true;
    for (let thread = 0; thread < threads.length; thread++) order(thread, { kind: 'stop' });
    await Promise.all(threads.map(({ exited }) => exited));
    for (const { port: ours, wake } of threads) {
      ours.close();
      closeSync(wake);
    }
    for (const socket of fds) closeSync(socket);
  }
  return ok(transport);
};

const buffersOf = (sockets: readonly SocketMemory[]): Buffers => ({
  receiveBytes: sockets.reduce((sum, { receiveMost }) => sum + receiveMost, 0),
  receiveDrops: sockets.reduce((sum, { receiveDrops }) => sum + receiveDrops, 0),
  sendBytes: sockets[0]?.sendMost ?? 0,
});

const ONE = Buffer.from(BigUint64Array.of(1n).buffer);

const online = (worker: Worker): Promise<void> => new Promise((resolve) => worker.once('online', () => resolve()));

/**
 * One socket a thread. A first one without SO_REUSEPORT tells whether the port is free: with it, the kernel would let a second server of the same
 * user share the port, and halve the devices of both. With one thread that first socket is the socket. The error is the kernel's name of it.
 */
function openSockets(c: Libc, address: string, port: number, many: number): Result<number[], string> {
  const alone = openSocket(c, address, port, false);
  if (!alone.ok || many === 1) return alone.ok ? ok([alone.value]) : alone;
  const taken = boundPort(c, alone.value);
  closeSync(alone.value);
  const sockets: number[] = [];
  for (let i = 0; i < many; i++) {
    const opened = openSocket(c, address, taken, true);
    if (!opened.ok) {
      for (const socket of sockets) closeSync(socket);
      return opened;
    }
    sockets.push(opened.value);
  }
  return ok(sockets);
}

function openSocket(c: Libc, address: string, port: number, shared: boolean): Result<number, string> {
  const fd = c.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return { ok: false, error: c.error() };
  setOption(c, fd, SO_RCVBUF, BUFFER_BYTES.receive);
  setOption(c, fd, SO_SNDBUF, BUFFER_BYTES.send);
  if (shared) setOption(c, fd, SO_REUSEPORT, 1);
  if (c.bind(fd, socketAddress(address, port), 16) === 0) return ok(fd);
  const error = c.error();
  closeSync(fd);
  return { ok: false, error };
}

function setOption(c: Libc, fd: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  c.setsockopt(fd, SOL_SOCKET, name, bytes, bytes.length);
}

function boundPort(c: Libc, fd: number): number {
  const address = Buffer.alloc(16);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(address.length);
  c.getsockname(fd, address, bytes);
  return address.readUInt16BE(2);
}
