/** The edge of TFTP: sockets, timers and files. What is sent is decided in `session.ts`. Read only. */
import { createSocket, type Socket } from 'node:dgram';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { type Fault, fail, never, ok, type Result } from '../kit/result.ts';
import { hear } from '../net/hear.ts';
import { type BadSource, type Own, ownOf, type Source } from '../net/source.ts';
import {
  MAX_NETASCII_BYTES,
  MAX_REQUEST_BYTES,
  MAX_TRANSFERS,
  MAX_TRANSFERS_PER_SOURCE,
  READ_AHEAD_BYTES,
  SELF_TEST_MS,
} from './limits.ts';
import { netascii } from './netascii.ts';
import { decode, ERRORS, type ErrorName, encode, type Packet, type ReadRequest } from './packet.ts';
import { type Effect, type Event, lastBlock, type Outcome, type State, type Step, start, step } from './session.ts';

/** What a file is to TFTP: a name in a table of the farm's boot files, never a path. */
export interface TftpFile {
  readonly sizeBytes: number;
  /** `length` bytes from `offset`, both within the file. */
  read(offset: number, length: number): Promise<Uint8Array> | Uint8Array;
  /** Called once, when the transfer has ended. */
  close?(): void;
}

export interface TftpOptions {
  /** IPv4 address; answers leave from it. */
  readonly address: string;
  /** 69 but in tests; 0 takes a free one. */
  readonly port: number;
  /** `name` is what the client sent. */
  readonly open: (name: string) => Promise<Result<TftpFile, Fault>> | Result<TftpFile, Fault>;
  readonly onEvent?: (event: TftpEvent) => void;
  readonly onBadSource?: (why: BadSource) => void;
  readonly log: TftpLog;
  /** Milliseconds, never going back. */
  readonly now?: () => number;
}

export interface TftpLog {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** What happened, for counters, the log and the story of a machine's boot. */
export type TftpEvent =
  | { readonly kind: 'started'; readonly name: string; readonly address: string }
  | {
      readonly kind: 'ended';
      readonly name: string;
      readonly address: string;
      readonly outcome: Outcome | 'ReadFailed' | 'Closed';
      readonly sizeBytes: number;
      readonly durationMs: number;
    }
  | { readonly kind: 'refused'; readonly name: string; readonly address: string; readonly code: string }
  | { readonly kind: 'malformed'; readonly address: string; readonly code: string };

export interface Tftp {
  readonly port: number;
  /** A real request for `name`, answered with its size. */
  selfTest(name: string): Promise<Result<void, Fault<'NoAnswer'>>>;
  /** Ends every transfer. */
  close(): Promise<void>;
}

export type BindFault = Fault<'PortTaken' | 'BindFailed'>;

export async function startTftp(options: TftpOptions): Promise<Result<Tftp, BindFault>> {
  const socket = await bind(options.address, options.port);
  return socket.ok ? ok(new Server(options, socket.value)) : socket;
}

function bind(address: string, port: number): Promise<Result<Socket, BindFault>> {
  // Addresses here are numbers: Node's own look-up of each costs a turn of the event loop a packet.
  const socket = createSocket({ type: 'udp4', lookup: (host, _, found) => found(null, host, 4) });
  return new Promise((resolve) => {
    socket.once('error', (error) => {
      socket.close();
      resolve(bindFault(address, port, errorCode(error)));
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve(ok(socket));
    });
  });
}

function bindFault(address: string, port: number, code: string): Result<never, BindFault> {
  if (code === 'EADDRINUSE')
    return fail(
      'PortTaken',
      `UDP port ${port} of ${address} is taken by another process of this node: stop the other TFTP service (ss -ulpn 'sport = :${port}' names it), or set boot.tftp.enabled of the Farm to false; it is tried again by itself`,
    );
  return fail('BindFailed', `UDP port ${port} of ${address} cannot be bound: ${code}`);
}

class Server implements Tftp {
  readonly port: number;
  readonly #options: TftpOptions;
  readonly #socket: Socket;
  readonly #now: () => number;
  readonly #own: Own;
  /** By client address and port; a request that comes again while its transfer runs is a repeat. */
  readonly #transfers = new Map<string, Transfer | undefined>();
  #closed: Promise<void> | undefined;

  constructor(options: TftpOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#now = options.now ?? (() => performance.now());
    this.port = socket.address().port;
    this.#own = ownOf(options.address, [this.port]);
    this.#hear(socket, (bytes, source) => void this.#take(bytes, source));
    socket.on('error', (error) => options.log.warn({ error: error.message }, 'tftp socket failed'));
  }

  async selfTest(name: string): Promise<Result<void, Fault<'NoAnswer'>>> {
    const { address } = this.#options;
    const socket = createSocket('udp4');
    const answered = Promise.withResolvers<string>();
    const timer = setTimeout(() => answered.resolve(`no answer within ${SELF_TEST_MS} ms`), SELF_TEST_MS);
    try {
      socket.on('error', (error) => answered.resolve(error.message));
      socket.on('message', (bytes, source) => {
        const packet = decode(bytes);
        if (packet.ok && packet.value.type === 'OACK') {
          socket.send(errorBytes('Undefined', 'self-test done'), source.port, source.address, () =>
            answered.resolve(''),
          );
        } else answered.resolve(packet.ok && packet.value.type === 'ERROR' ? packet.value.message : 'no OACK');
      });
      socket.bind({ address, port: 0 });
      socket.send(encode({ type: 'RRQ', name, mode: 'octet', options: [['tsize', '0']] }), this.port, address);
      const why = await answered.promise;
      return why === ''
        ? ok(undefined)
        : fail('NoAnswer', `TFTP on ${address}:${this.port} did not give ${name}: ${why}`);
    } finally {
      clearTimeout(timer);
      socket.close();
    }
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      for (const transfer of this.#transfers.values()) transfer?.close();
      this.#socket.close(() => resolve());
    });
    return this.#closed;
  }

  #hear(socket: Socket, take: (bytes: Uint8Array, source: Source) => void): void {
    hear(socket, { own: this.#own, onBadSource: this.#options.onBadSource }, take);
  }

  async #take(bytes: Uint8Array, { address, port }: Source): Promise<void> {
    const { onEvent, log } = this.#options;
    const decoded = bytes.length > MAX_REQUEST_BYTES ? undefined : decode(bytes);
    if (!decoded?.ok) {
      onEvent?.({ kind: 'malformed', address, code: decoded?.error.code ?? 'TooLong' });
      return;
    }
    const request = decoded.value;
    // Anything but a request belongs to a transfer and has its own port: not even an error goes back, as errors answered by errors never end.
    if (request.type !== 'RRQ' && request.type !== 'WRQ') return;
    const { name } = request;
    const refuse = (error: ErrorName, code: string, message: string): void => {
      log.debug({ name, address, code }, 'tftp request refused');
      onEvent?.({ kind: 'refused', name, address, code });
      if (!this.#closed) this.#socket.send(errorBytes(error, message), port, address, () => {});
    };
    if (request.type === 'WRQ') return refuse('AccessViolation', 'ReadOnly', 'this server is read only');
    const key = `${address} ${port}`;
    if (this.#transfers.has(key)) return;
    if (this.#transfers.size >= MAX_TRANSFERS)
      return refuse('Undefined', 'TooManyTransfers', 'server is busy, ask again');
    const ofSource = [...this.#transfers.keys()].filter((each) => each.startsWith(`${address} `)).length;
    if (ofSource >= MAX_TRANSFERS_PER_SOURCE)
      return refuse('Undefined', 'TooManyTransfersOfSource', 'too many transfers of this address at once');

    this.#transfers.set(key, undefined);
    try {
      const file = await fileFor(request, this.#options.open);
      if (!file.ok) return refuse('NotFound', file.error.code, file.error.message);
      const own = await bind(this.#options.address, 0);
      if (!own.ok || this.#closed) {
        file.value.close?.();
        if (own.ok) own.value.close();
        return refuse('Undefined', 'NoSocket', 'server is busy, ask again');
      }
      onEvent?.({ kind: 'started', name, address });
      const startedMs = this.#now();
      const { sizeBytes } = file.value;
      await new Promise<void>((resolve) => {
        const transfer = new Transfer(own.value, { address, port }, file.value, this.#now, (outcome) => {
          const durationMs = this.#now() - startedMs;
          onEvent?.({ kind: 'ended', name, address, outcome, sizeBytes, durationMs });
          resolve();
        });
        this.#hear(own.value, (packet, source) => transfer.take(packet, source));
        this.#transfers.set(key, transfer);
        transfer.start(request);
      });
    } catch (error) {
      refuse('Undefined', 'OpenFailed', errorMessage(error));
    } finally {
      this.#transfers.delete(key);
    }
  }
}

async function fileFor(request: ReadRequest, open: TftpOptions['open']): Promise<Result<TftpFile, Fault>> {
  const opened = await open(request.name);
  if (!opened.ok || request.mode === 'octet') return opened;
  const { sizeBytes } = opened.value;
  try {
    if (sizeBytes > MAX_NETASCII_BYTES)
      return fail('NetasciiTooLong', `${request.name} has ${sizeBytes} bytes: ask in mode octet`);
    const text = netascii(await opened.value.read(0, sizeBytes));
    return ok({ sizeBytes: text.length, read: (offset, length) => text.subarray(offset, offset + length) });
  } finally {
    opened.value.close?.();
  }
}

/** Bytes of the file that were read at once. */
interface Ahead {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A transfer's own socket (its port is the transfer's identifier, RFC 1350 section 4), timer and file. */
class Transfer {
  readonly #socket: Socket;
  readonly #peer: Source;
  readonly #file: TftpFile;
  readonly #now: () => number;
  readonly #ended: (outcome: Outcome | 'ReadFailed' | 'Closed') => void;
  #ahead: Ahead = { offset: 0, bytes: new Uint8Array(0) };
  #state: State | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #strangerTold = false;

  constructor(
    socket: Socket,
    peer: Source,
    file: TftpFile,
    now: () => number,
    ended: (outcome: Outcome | 'ReadFailed' | 'Closed') => void,
  ) {
    this.#socket = socket;
    this.#peer = peer;
    this.#file = file;
    this.#now = now;
    this.#ended = ended;
    socket.on('error', () => this.#end('Closed'));
  }

  start(request: ReadRequest): void {
    this.#obey(start(request.options, this.#file.sizeBytes, this.#now()));
  }

  close(): void {
    this.#send({ type: 'ERROR', code: ERRORS.Undefined, message: 'server ends, ask another' });
    this.#end('Closed');
  }

  take(bytes: Uint8Array, source: Source): void {
    const packet = decode(bytes);
    if (source.address !== this.#peer.address || source.port !== this.#peer.port) {
      // RFC 1350 section 4, for a client that takes this for its own transfer: only such a client says ACK, and once tells it. Errors that answer
      // errors never end.
      if (packet.ok && packet.value.type === 'ACK' && !this.#strangerTold) {
        this.#strangerTold = true;
        const told = errorBytes('UnknownTransfer', 'this is the port of another transfer');
        this.#socket.send(told, source.port, source.address, () => {});
      }
      return;
    }
    if (!packet.ok) return;
    if (packet.value.type === 'ACK') this.#step({ kind: 'ack', block: packet.value.block });
    else if (packet.value.type === 'ERROR') this.#step({ kind: 'error', code: packet.value.code });
  }

  #step(event: Event): void {
    if (this.#state && !this.#over) this.#obey(step(this.#state, event, this.#now()));
  }

  #obey({ state, effects }: Step): void {
    this.#state = state;
    for (const effect of effects) this.#run(effect, state);
    if (effects.length > 0) this.#wait(state.deadlineMs);
  }

  /** A timer may fire early by a millisecond: it is set again whatever the step said, as the deadline may have passed since. */
  #wait(deadlineMs: number): void {
    clearTimeout(this.#timer);
    if (this.#over) return;
    const tick = (): void => {
      this.#step({ kind: 'tick' });
      if (this.#state) this.#wait(this.#state.deadlineMs);
    };
    this.#timer = setTimeout(tick, Math.max(1, deadlineMs - this.#now()));
  }

  #run(effect: Effect, state: State): void {
    switch (effect.kind) {
      case 'offer':
        this.#send({ type: 'OACK', options: effect.options });
        return;
      case 'data':
        void this.#data(effect.first, effect.last, state);
        return;
      case 'end':
        this.#end(effect.outcome);
        return;
      default:
        never(effect);
    }
  }

  #holds(offset: number, length: number): boolean {
    const { offset: from, bytes } = this.#ahead;
    return length <= 0 || (offset >= from && length <= from + bytes.length - offset);
  }

  async #fill(offset: number, sizeBytes: number): Promise<Ahead> {
    const length = Math.min(READ_AHEAD_BYTES, sizeBytes - offset);
    const bytes = await this.#file.read(offset, length);
    if (bytes.length !== length) throw new Error(`read ${bytes.length} of ${length} bytes at ${offset}`);
    this.#ahead = { offset, bytes };
    return this.#ahead;
  }

  async #data(first: number, last: number, state: State): Promise<void> {
    const { blockBytes } = state.terms;
    const offset = (first - 1) * blockBytes;
    const length = Math.min(last * blockBytes, state.sizeBytes) - offset;
    try {
      // Without await when the bytes are there: a block at a time, the turn of the event loop costs more than the block.
      const ahead = this.#holds(offset, length) ? this.#ahead : await this.#fill(offset, state.sizeBytes);
      const bytes = ahead.bytes.subarray(offset - ahead.offset, offset - ahead.offset + length);
      for (let block = first; block <= Math.min(last, lastBlock(state)); block += 1) {
        const at = (block - first) * blockBytes;
        this.#send({ type: 'DATA', block: block & 0xffff, data: bytes.subarray(at, at + blockBytes) });
      }
    } catch {
      this.#send({ type: 'ERROR', code: ERRORS.Undefined, message: 'the file cannot be read, ask another server' });
      this.#end('ReadFailed');
    }
  }

  #send(packet: Packet): void {
    if (!this.#over) this.#socket.send(encode(packet), this.#peer.port, this.#peer.address, () => {});
  }

  #end(outcome: Outcome | 'ReadFailed' | 'Closed'): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#file.close?.();
    // A packet just handed over is still sent: dgram closes after the queue of this turn.
    setImmediate(() => this.#socket.close());
    this.#ended(outcome);
  }
}

const errorBytes = (error: ErrorName, message: string): Buffer =>
  encode({ type: 'ERROR', code: ERRORS[error], message });
