/** The TCP edge of HTTP boot, control and telemetry: a Node server whose connections are shared out by source and end when they stand still. */
import {
  createServer as createHttp,
  type Server as HttpServer,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttps, type Server as HttpsServer, type ServerOptions as TlsOptions } from 'node:https';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { Budget, type BudgetTerms } from '../kit/budget.ts';
import { alsoWaiting } from './accept.ts';
import { admit, givesWay, LOOK_MS, type Pace, paced, type Share } from './admission.ts';
import { Gate } from './gate.ts';

/** What those may hold and ask who share a place. */
export interface PlaceLimits extends Share {
  /** Of one source. What is beyond is told to come again (429). */
  readonly questions: BudgetTerms;
}

export interface EdgeLimits extends PlaceLimits {
  /** Between two questions of one connection. */
  readonly keepAliveMs: number;
  /** Of one source. What is beyond is reset. */
  readonly connects: BudgetTerms;
  /** One hand-shake begins in so long, and sources take turns. */
  readonly handshakeEveryMs?: number;
  /** How a question beyond the budget is told why. Absent: as text. */
  readonly refusal?: Refusal;
}

/** Type and body of a 429. */
export type Refusal = (reason: string, url: string) => { readonly type: string; readonly body: string };

const asText: Refusal = (reason) => ({ type: 'text/plain', body: `${reason}\n` });

/** Who a connection is of, as TLS proved it: from then on it counts by that, whatever its address, and among those of its place alone. */
export interface Proven {
  readonly source: string;
  readonly place: PlaceLimits;
}

const counted = new WeakMap<HttpServer | HttpsServer, (socket: Socket, proven: Proven) => void>();

/** From now on this connection counts by who asks on it, as a question showed: behind a proxy all have one address. */
export const countAs = (server: HttpServer | HttpsServer, socket: Socket, proven: Proven): void =>
  counted.get(server)?.(socket, proven);

/** Undefined: it counts by its address as before. */
export type Prover = (socket: TLSSocket) => Proven | undefined;

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
  source: string;
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
export const httpServer = (handler: RequestListener, limits: EdgeLimits): HttpServer => {
  const places = new Places(limits);
  return guarded(createHttp(OPTIONS, oneAtATime(handler, places, limits.refusal)), limits, places);
};

export function httpsServer(
  handler: RequestListener,
  limits: EdgeLimits,
  tls: TlsOptions,
  prove: Prover = () => undefined,
): HttpsServer {
  const places = new Places(limits);
  const options = { ...OPTIONS, handshakeTimeout: HEADER_MS, ...tls };
  return guarded(createHttps(options, oneAtATime(handler, places, limits.refusal)), limits, places, prove);
}

interface Place {
  readonly limits: PlaceLimits;
  readonly held: Set<Connection>;
  readonly questions: Budget;
}

/** Connections by what they count among: all by their address at first. */
class Places {
  readonly first: Place;
  readonly #all = new Map<PlaceLimits, Place>();
  readonly #proven = new WeakMap<Socket, { readonly source: string; readonly place: Place }>();

  constructor(first: PlaceLimits) {
    this.first = this.#of(first);
  }

  get connections(): readonly Connection[] {
    return [...this.#all.values()].flatMap(({ held }) => [...held]);
  }

  /** Who gives way to it. */
  prove(connection: Connection, { source, place: limits }: Proven): Connection | undefined {
    const before = this.#proven.get(connection.socket);
    if (before?.source === source && before.place.limits === limits) return undefined;
    before?.place.held.delete(connection);
    const place = this.#of(limits);
    const victim = givesWay(place.held, source, limits);
    this.first.held.delete(connection);
    connection.source = source;
    place.held.add(connection);
    this.#proven.set(connection.socket, { source, place });
    return victim;
  }

  drop(connection: Connection): void {
    for (const { held } of this.#all.values()) held.delete(connection);
  }

  /** Undefined: it may ask. */
  refusal(socket: Socket): string | undefined {
    const proven = this.#proven.get(socket);
    const { questions, limits } = proven?.place ?? this.first;
    if (questions.spend(proven?.source ?? socket.remoteAddress ?? '', performance.now())) return undefined;
    return `more than ${limits.questions.perSecond} questions a second from one ${proven ? 'caller' : 'address'}: ask again`;
  }

  #of(limits: PlaceLimits): Place {
    const place = this.#all.get(limits) ?? { limits, held: new Set(), questions: new Budget(limits.questions) };
    this.#all.set(limits, place);
    return place;
  }
}

/**
 * A pipelined question ends its connection: a thousand of them lie in one packet, and each would open a file. No client of ours pipelines. Whoever has an answer may ask
 * again before this process has heard that the answer went out: one that was ended does not count, but it does where another waits behind it.
 */
function oneAtATime(handler: RequestListener, places: Places, refusal = asText): RequestListener {
  const answering = new WeakMap<Socket, Set<ServerResponse>>();
  return (request, response) => {
    const { socket } = request;
    const before = answering.get(socket) ?? new Set();
    if (before.size > 1 || [...before].some(({ writableEnded }) => !writableEnded)) {
      socket.destroy();
      return;
    }
    answering.set(socket, before.add(response));
    response.once('close', () => before.delete(response));
    const reason = places.refusal(socket);
    if (reason === undefined) return handler(request, response);
    const { type, body } = refusal(reason, request.url ?? '');
    response.writeHead(429, { connection: 'close', 'retry-after': '1', 'content-type': type });
    response.end(body);
  };
}

function guarded<S extends HttpServer | HttpsServer>(server: S, limits: EdgeLimits, places: Places, prove?: Prover): S {
  const { held } = places.first;
  const connects = new Budget(limits.connects);
  server.keepAliveTimeout = limits.keepAliveMs;
  server.setTimeout(STILL_MS);

  // What is refused must not reach the protocol at all, so its listener is called from here.
  const accept = server.listeners('connection');
  server.removeAllListeners('connection');
  const enter = inTurn(limits.handshakeEveryMs, (raw) => {
    for (const listener of accept) listener.call(server, raw);
  });
  server.on('connection', (raw: Socket) => {
    come(raw);
    for (const another of alsoWaiting(server)) come(another);
  });
  const come = (raw: Socket): void => {
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
    bySocket.set(raw, connection);
    raw.once('close', () => places.drop(connection));
    enter(raw, source);
  };
  server.on('secureConnection', (socket: TLSSocket) => {
    const name = nameOf(socket);
    const connection = [...held].find((one) => one.name === name);
    if (!connection) return;
    connection.socket = socket;
    bySocket.set(socket, connection);
    const proven = prove?.(socket);
    if (proven) count(socket, proven);
  });
  const bySocket = new WeakMap<Socket, Connection>();
  const count = (socket: Socket, proven: Proven): void => {
    const connection = bySocket.get(socket);
    const victim = connection && places.prove(connection, proven);
    if (victim) end(victim);
  };
  counted.set(server, count);

  const end = (connection: Connection): void => {
    places.drop(connection);
    connection.raw.resetAndDestroy();
  };
  let lookedAt = 0;
  const look = (): void => {
    const now = performance.now();
    for (const connection of places.connections) {
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

/** One in `everyMs`; sources take turns, and who left meanwhile takes none. Undefined: at once. */
function inTurn(everyMs: number | undefined, enter: (raw: Socket) => void): (raw: Socket, source: string) => void {
  if (everyMs === undefined) return enter;
  const gate = new Gate(1);
  return (raw, source) => {
    raw.on('error', () => undefined); // nobody else listens yet
    void gate.run(source, async () => {
      if (raw.destroyed) return;
      enter(raw);
      await delay(everyMs, undefined, { ref: false });
    });
  };
}

const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
