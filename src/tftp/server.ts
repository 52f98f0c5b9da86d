/** The edge of TFTP: the port of requests. Who has a transfer is decided in `table.ts`, what it sends in `session.ts`. Read only. */
import { createSocket, type Socket } from 'node:dgram';
import { Budget } from '../kit/budget.ts';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { hear } from '../net/hear.ts';
import { type BadSource, type Own, ownOf, type Source } from '../net/source.ts';
import {
  MAX_NETASCII_BYTES,
  MAX_REQUEST_BYTES,
  MAX_TRANSFERS,
  MAX_TRANSFERS_PER_SOURCE,
  SELF_TEST_MS,
  STARTS,
} from './limits.ts';
import { netascii } from './netascii.ts';
import { decode, type ErrorName, encode, type ReadRequest } from './packet.ts';
import { type Place, Table } from './table.ts';
import { type Ending, errorBytes, type TftpFile, Transfer } from './transfer.ts';

export interface TftpOptions {
  /** IPv4 address; answers leave from it. */
  readonly address: string;
  /** 69 but in tests; 0 takes a free one. */
  readonly port: number;
  /** `name` is what the client sent. */
  readonly open: (name: string) => Promise<Result<TftpFile, Fault>> | Result<TftpFile, Fault>;
  /** False: not one word to this address. Who has no say answers everybody. */
  readonly mayAnswer?: (address: string) => Promise<boolean> | boolean;
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
      readonly outcome: Ending;
      readonly sizeBytes: number;
      readonly durationMs: number;
    }
  | { readonly kind: 'refused'; readonly name: string; readonly address: string; readonly code: string }
  /** Not one word went back. */
  | { readonly kind: 'silent'; readonly name: string; readonly address: string; readonly code: string }
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
  readonly #table = new Table({ all: MAX_TRANSFERS, source: MAX_TRANSFERS_PER_SOURCE });
  readonly #starts = new Budget(STARTS);
  readonly #transfers = new Set<Transfer>();
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
      // What it asks is answered by ourselves, an error even by the port of requests.
      hear(socket, { own: { ...this.#own, ports: [] } }, (bytes, source) => {
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
      for (const transfer of this.#transfers) transfer.close();
      this.#socket.close(() => resolve());
    });
    return this.#closed;
  }

  #hear(socket: Socket, take: (bytes: Uint8Array, source: Source) => void): void {
    hear(socket, { own: this.#own, onBadSource: this.#options.onBadSource }, take);
  }

  async #take(bytes: Uint8Array, client: Source): Promise<void> {
    const { onEvent, mayAnswer } = this.#options;
    const { address } = client;
    const decoded = bytes.length > MAX_REQUEST_BYTES ? undefined : decode(bytes);
    if (!decoded?.ok) {
      onEvent?.({ kind: 'malformed', address, code: decoded?.error.code ?? 'TooLong' });
      return;
    }
    const request = decoded.value;
    // Anything but a request belongs to a transfer and has its own port: not even an error goes back, as errors answered by errors never end.
    if (request.type !== 'RRQ' && request.type !== 'WRQ') return;
    const { name } = request;
    const place = this.#mayStart(client) ? this.#table.take(client) : fail('TooManyStarts', 'too many at once');
    if (!place.ok) {
      // Without a word: the client asks again, and by then there is room.
      if (place.error.code !== 'Repeated') onEvent?.({ kind: 'silent', name, address, code: place.error.code });
      return;
    }
    try {
      if (mayAnswer && !(await mayAnswer(address))) onEvent?.({ kind: 'silent', name, address, code: 'UnknownDevice' });
      else await this.#serve(request, place.value);
    } catch (error) {
      this.#refuse(request, client, 'Undefined', 'OpenFailed', errorMessage(error));
    } finally {
      this.#table.leave(place.value);
    }
  }

  /** The self-test always: no flood may silence it, and nobody on the network can have our address. */
  #mayStart({ address }: Source): boolean {
    return address === this.#options.address || this.#starts.spend('', this.#now());
  }

  async #serve(request: ReadRequest, place: Place): Promise<void> {
    const { client } = place;
    const { name } = request;
    if (request.type === 'WRQ')
      return this.#refuse(request, client, 'AccessViolation', 'ReadOnly', 'this server is read only');
    const gone = new AbortController();
    place.giveWay = () => gone.abort();
    const file = await fileFor(request, this.#options.open);
    if (!file.ok) return this.#refuse(request, client, 'NotFound', file.error.code, file.error.message);
    const own = await bind(this.#options.address, 0);
    if (!own.ok || this.#closed || gone.signal.aborted) {
      file.value.close?.();
      if (own.ok) own.value.close();
      else this.#refuse(request, client, 'Undefined', 'NoSocket', 'server is busy, ask again');
      return;
    }
    const { onEvent } = this.#options;
    const { address } = client;
    onEvent?.({ kind: 'started', name, address });
    const startedMs = this.#now();
    const { sizeBytes } = file.value;
    const transfer = new Transfer(own.value, place, file.value, this.#now);
    place.giveWay = () => transfer.giveWay();
    this.#transfers.add(transfer);
    this.#hear(own.value, (packet, source) => transfer.take(packet, source));
    const outcome = await transfer.run(request.options);
    this.#transfers.delete(transfer);
    onEvent?.({ kind: 'ended', name, address, outcome, sizeBytes, durationMs: this.#now() - startedMs });
  }

  #refuse({ name }: ReadRequest, { address, port }: Source, error: ErrorName, code: string, message: string): void {
    const { onEvent, log } = this.#options;
    log.debug({ name, address, code }, 'tftp request refused');
    onEvent?.({ kind: 'refused', name, address, code });
    if (!this.#closed) this.#socket.send(errorBytes(error, message), port, address, () => {});
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
