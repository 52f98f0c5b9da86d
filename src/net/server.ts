/** The TCP edge of HTTP boot, control and telemetry: a Node server whose connections are shared out by source and end when they stand still. */
import { createServer as createHttp, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createHttps, type Server as HttpsServer, type ServerOptions as TlsOptions } from 'node:https';
import type { Socket } from 'node:net';
import { Budget, type BudgetTerms } from '../kit/budget.ts';
import { admit, LOOK_MS, type Pace, paced, type Share } from './admission.ts';

export interface EdgeLimits extends Share {
  /** Between two questions of one connection. */
  readonly keepAliveMs: number;
  /** Of one source. What is beyond is reset. */
  readonly connects: BudgetTerms;
  /** Of one source. What is beyond is told to come again (429). */
  readonly questions: BudgetTerms;
}

/** A TLS hand-shake, and the whole header of a question: machines and kubelets send theirs at once. */
const HEADER_MS = 5_000;
/** A question with its body. */
const REQUEST_MS = 10_000;
/** Nothing went either way for so long: the store behind an answer hangs, or the machine is gone. */
const STILL_MS = 60_000;
/** A URL of ours has 200 characters; the rest is what clients say of themselves. */
const MAX_HEADER_BYTES = 8 << 10;

/**
 * Connections that wait to be accepted. Node's own 511 overflow in one burst, and who comes then waits for the kernel to ask again: 3 s, then 30 s.
 * The kernel's own limit (net.core.somaxconn) is 4,096.
 */
export const BACKLOG = 4_096;

interface Connection {
  readonly source: string;
  /** `address:port` of the peer. */
  readonly name: string;
  /** As it was accepted; to end it. */
  readonly raw: Socket;
  /** Whose bytes are counted: of TLS the inner one. */
  socket: Socket;
  pace: Pace;
  progressAt: number;
}

const OPTIONS = {
  headersTimeout: HEADER_MS,
  requestTimeout: REQUEST_MS,
  connectionsCheckingInterval: LOOK_MS,
  maxHeaderSize: MAX_HEADER_BYTES,
};

/** Fits fastify's `serverFactory`. */
export const httpServer = (handler: RequestListener, limits: EdgeLimits): HttpServer =>
  guarded(createHttp(OPTIONS, oneAtATime(handler, limits)), limits);

export function httpsServer(handler: RequestListener, limits: EdgeLimits, tls: TlsOptions): HttpsServer {
  const server = createHttps({ ...OPTIONS, handshakeTimeout: HEADER_MS, ...tls }, oneAtATime(handler, limits));
  return guarded(server, limits);
}

/** A pipelined question ends its connection: a thousand of them lie in one packet, and each would open a file. No client of ours pipelines. */
function oneAtATime(handler: RequestListener, limits: EdgeLimits): RequestListener {
  const questions = new Budget(limits.questions);
  const answering = new WeakSet<Socket>();
  return (request, response) => {
    const { socket } = request;
    if (answering.has(socket)) {
      socket.destroy();
      return;
    }
    answering.add(socket);
    response.once('close', () => answering.delete(socket));
    if (questions.spend(socket.remoteAddress ?? '', performance.now())) return handler(request, response);
    response.writeHead(429, { connection: 'close', 'retry-after': '1', 'content-type': 'text/plain' });
    response.end(`more than ${limits.questions.perSecond} questions a second from one address: ask again\n`);
  };
}

function guarded<S extends HttpServer | HttpsServer>(server: S, limits: EdgeLimits): S {
  const held = new Set<Connection>();
  const connects = new Budget(limits.connects);
  server.keepAliveTimeout = limits.keepAliveMs;
  server.setTimeout(STILL_MS);

  // What is refused must not reach the protocol at all, so its listener is called from here.
  const accept = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (raw: Socket) => {
    const source = raw.remoteAddress;
    if (source === undefined) {
      raw.destroy(); // it left already
      return;
    }
    if (!connects.spend(source, performance.now())) {
      raw.resetAndDestroy();
      return;
    }
    const admission = admit(held, source, limits);
    if (admission.kind === 'refuse') {
      raw.resetAndDestroy();
      return;
    }
    if (admission.kind === 'replace') end(admission.victim);
    const pace = { taken: 0, waitedMs: 0 };
    const connection = { source, name: nameOf(raw), raw, socket: raw, pace, progressAt: performance.now() };
    held.add(connection);
    raw.once('close', () => held.delete(connection));
    for (const listener of accept) listener.call(server, raw);
  });
  server.on('secureConnection', (socket: Socket) => {
    const name = nameOf(socket);
    for (const connection of held) if (connection.name === name) connection.socket = socket;
  });

  const end = (connection: Connection): void => {
    held.delete(connection);
    connection.raw.resetAndDestroy();
  };
  let lookedAt = 0;
  const look = (): void => {
    const now = performance.now();
    for (const connection of held) {
      const { bytesWritten, writableLength } = connection.socket;
      const pace = paced(
        connection.pace,
        { taken: bytesWritten - writableLength, waiting: writableLength > 0 },
        now - lookedAt,
      );
      if (pace === 'TooSlow') end(connection);
      else if (pace.taken !== connection.pace.taken) connection.progressAt = now;
      if (pace !== 'TooSlow') connection.pace = pace;
    }
    lookedAt = now;
  };
  let timer: NodeJS.Timeout | undefined;
  server.on('listening', () => {
    lookedAt = performance.now();
    timer = setInterval(look, LOOK_MS).unref();
  });
  server.on('close', () => clearInterval(timer));
  return server;
}

const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
