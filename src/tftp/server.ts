/** The edge of TFTP: the port of requests. Who has a transfer is decided in `table.ts`, what it sends in `session.ts`. Read only. */
import type { Socket } from 'node:dgram';
import { Budget, Shares } from '../kit/budget.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { hear, inTurns } from '../net/hear.ts';
import type { ListenFault } from '../net/listen.ts';
import { mtuOf } from '../net/mtu.ts';
import { type BadSource, ownOf, type Source } from '../net/source.ts';
import { type Paced, paced } from '../telemetry/paced.ts';
import { fileFor } from './file.ts';
import {
  CROWD,
  MAX_REQUEST_BYTES,
  MAX_TRANSFERS,
  MAX_TRANSFERS_PER_SOURCE,
  ODD_NAMES,
  PORTS,
  STARTS,
  STARTS_OF_SOURCE,
  TURN,
  UNHEARD,
} from './limits.ts';
import { decode, type ErrorName, isRequest, type ReadRequest } from './packet.ts';
import { Ports } from './ports.ts';
import { ask } from './selftest.ts';
import { type Place, Table } from './table.ts';
import { type Ending, errorBytes, type TftpFile, Transfer } from './transfer.ts';

export interface TftpOptions {
  /** IPv4 address; answers leave from it. */
  readonly address: string;
  /** 69 but in tests; 0 takes a free one. */
  readonly port: number;
  /** `name` is what the client sent; where that is none, its plain form (`file.ts`). */
  readonly open: (name: string) => Promise<Result<TftpFile, Fault>> | Result<TftpFile, Fault>;
  /** False: not one word to this address. Who has no say answers everybody. */
  readonly mayAnswer?: (address: string) => Promise<boolean> | boolean;
  /** Of the way behind our interface, where somebody says it. */
  readonly maxBlockBytes?: () => number | undefined;
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
      /** The client acknowledged something. */
      readonly heard: boolean;
      readonly sizeBytes: number;
      readonly durationMs: number;
    }
  | { readonly kind: 'refused'; readonly name: string; readonly address: string; readonly code: string }
  /** Not one word went back. `name` is empty where the request was not read. */
  | { readonly kind: 'silent'; readonly name: string; readonly address: string; readonly code: string }
  | { readonly kind: 'malformed'; readonly address: string; readonly code: string }
  /** A packet that the kernel did not take. */
  | { readonly kind: 'dropped'; readonly address: string; readonly code: 'NotSent'; readonly message: string };

export interface Tftp {
  readonly port: number;
  /** Files that machines have not taken whole yet. */
  readonly transfers: number;
  /** A real request for `name`, answered with its size. */
  selfTest(name: string): Promise<Result<void, Fault<'NoAnswer'>>>;
  /** Ends every transfer. */
  close(): Promise<void>;
}

/** Of what is no request: it is not even looked at. */
const TOO_LONG = fail('TooLong', `more than ${MAX_REQUEST_BYTES} bytes`);

export async function startTftp(options: TftpOptions): Promise<Result<Tftp, ListenFault>> {
  const ports = await Ports.open(options.address, options.port);
  return ports.ok ? ok(new Server(options, ports.value)) : ports;
}

class Server implements Tftp {
  readonly port: number;
  readonly #options: TftpOptions;
  readonly #ports: Ports;
  readonly #now: () => number;
  readonly #table = new Table({ all: MAX_TRANSFERS, source: MAX_TRANSFERS_PER_SOURCE, ports: PORTS });
  readonly #starts = new Shares(STARTS_OF_SOURCE, STARTS);
  /** By address. */
  readonly #unheard = new Budget(UNHEARD);
  readonly #transfers = new Set<Transfer>();
  /** Of the interface that our address belongs to: answers leave by it. */
  readonly #mtu: () => number | undefined;
  readonly #oddNames = new Budget(ODD_NAMES);
  readonly #tellOddName: Paced;
  readonly #notSent: Paced;
  #closed: Promise<void> | undefined;

  constructor(options: TftpOptions, ports: Ports) {
    this.#options = options;
    this.#ports = ports;
    this.#now = options.now ?? (() => performance.now());
    this.port = ports.requests.address().port;
    this.#mtu = mtuOf(options.address, this.#now);
    const own = ownOf(
      options.address,
      ports.all.map((socket) => socket.address().port),
    );
    const hearing = { own, onBadSource: options.onBadSource };
    const failed = paced((fields, message) => options.log.warn(fields, message), 'tftp socket failed', this.#now);
    this.#notSent = paced((fields, message) => options.log.warn(fields, message), 'tftp packet not sent', this.#now);
    this.#tellOddName = paced((fields, message) => options.log.warn(fields, message), 'tftp name mended', this.#now);
    for (const socket of ports.all) socket.on('error', (error) => failed({ error: error.message }));
    const turns = inTurns(TURN, ({ address }) =>
      options.onEvent?.({ kind: 'silent', name: '', address, code: 'GaveWay' }),
    );
    const ask = turns((bytes, client) => void this.#ask(bytes, client));
    hear(ports.requests, hearing, (bytes, client) => {
      // First, so that in a flood what is beyond costs nothing more.
      if (this.#mayStart(client)) ask(bytes, client);
      else options.onEvent?.({ kind: 'silent', name: '', address: client.address, code: 'TooManyStarts' });
    });
    for (const [port, socket] of ports.transfers.entries())
      hear(socket, hearing, (bytes, source) => this.#take(port, socket, bytes, source));
  }

  selfTest(name: string): Promise<Result<void, Fault<'NoAnswer'>>> {
    return ask(name, this.#options.address, this.port);
  }

  get transfers(): number {
    return this.#transfers.size;
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      for (const transfer of this.#transfers) transfer.close();
      await new Promise(setImmediate); // packets just handed over are still sent
      await this.#ports.close();
    })();
    return this.#closed;
  }

  /** At a port of transfers. */
  #take(port: number, socket: Socket, bytes: Uint8Array, client: Source): void {
    const place = this.#table.find(port, client);
    if (place) {
      place.take(bytes);
      return;
    }
    // RFC 1350 section 4, for a client that takes another's transfer for its own: only such a client says ACK. Errors that answer errors never end.
    const packet = decode(bytes);
    if (!packet.ok || packet.value.type !== 'ACK') return;
    if (this.#table.mayTellStranger(port, client) && this.#mayTell(socket, client))
      this.#send(socket, errorBytes('UnknownTransfer', 'no transfer of yours is at this port'), client);
  }

  /** At the port of requests. */
  async #ask(bytes: Uint8Array, client: Source): Promise<void> {
    const { onEvent, mayAnswer } = this.#options;
    const { address } = client;
    const decoded = isRequest(bytes) || bytes.length <= MAX_REQUEST_BYTES ? decode(bytes) : TOO_LONG;
    if (!decoded.ok) return this.#malformed(bytes, client, decoded.error);
    const request = decoded.value;
    // Anything but a request belongs to a transfer and its port: not even an error goes back, as errors answered by errors never end.
    if (request.type !== 'RRQ' && request.type !== 'WRQ') return;
    const { name } = request;
    const place = this.#table.take(client, Buffer.from(bytes).toString('latin1'));
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

  /** Whoever asks in a way that we cannot read is told at once, instead of asking again until it gives up. */
  async #malformed(bytes: Uint8Array, client: Source, { code, message }: Fault): Promise<void> {
    const { onEvent, mayAnswer } = this.#options;
    const { address } = client;
    onEvent?.({ kind: 'malformed', address, code });
    if (!isRequest(bytes)) return;
    try {
      if (!mayAnswer || (await mayAnswer(address))) this.#tell(client, 'IllegalOperation', message);
    } catch {} // nobody knows whether it may be answered: silence
  }

  /** The self-test always: no flood may silence it, and nobody on the network can have our address. */
  #mayStart({ address }: Source): boolean {
    return address === this.#options.address || this.#starts.spend(address, this.#now());
  }

  /** Whether a word goes to an address that may be forged. Behind what waits for silent neighbours nothing is put, so that it never grows. */
  #mayTell(socket: Socket, { address }: Source): boolean {
    if (address === this.#options.address) return true;
    return socket.getSendQueueCount() === 0 && this.#unheard.spend(address, this.#now());
  }

  #send(socket: Socket, bytes: Uint8Array, client: Source): void {
    const { address, port } = client;
    socket.send(bytes, port, address, (error) => {
      if (!error || this.#closed) return; // what is lost is asked for again
      const { message } = error;
      this.#notSent({ address, error: message });
      this.#options.onEvent?.({ kind: 'dropped', address, code: 'NotSent', message });
    });
  }

  async #serve(request: ReadRequest, place: Place): Promise<void> {
    const { client } = place;
    const { name } = request;
    if (request.type === 'WRQ')
      return this.#refuse(request, client, 'AccessViolation', 'ReadOnly', 'this server is read only');
    const file = await fileFor(request, this.#options.open, (known) =>
      this.#oddName({ name, known, address: client.address }),
    );
    if (!file.ok) return this.#refuse(request, client, 'NotFound', file.error.code, file.error.message);
    const socket = this.#ports.transfers[place.port];
    // Another may have its place by now.
    if (!socket || this.#closed || this.#table.find(place.port, client) !== place) {
      file.value.close?.();
      return;
    }
    const { onEvent } = this.#options;
    const { address } = client;
    onEvent?.({ kind: 'started', name, address });
    const startedMs = this.#now();
    const { sizeBytes } = file.value;
    let told = false;
    const transfer = new Transfer({
      file: file.value,
      send: (bytes) => {
        if (!place.heard && ((told && this.#table.unheard > CROWD) || !this.#mayTell(socket, client))) return;
        told = true;
        this.#send(socket, bytes, client);
      },
      way: { mtu: this.#mtu(), maxBlockBytes: this.#options.maxBlockBytes?.() },
      onHeard: () => this.#table.hear(place),
      now: this.#now,
    });
    place.take = (bytes) => transfer.take(bytes);
    place.giveWay = () => transfer.giveWay();
    this.#transfers.add(transfer);
    const outcome = await transfer.run(request.options);
    this.#transfers.delete(transfer);
    const { heard } = place;
    onEvent?.({ kind: 'ended', name, address, outcome, heard, sizeBytes, durationMs: this.#now() - startedMs });
  }

  /** Once a source: a room of one firmware asks so at each boot. */
  #oddName(fields: { readonly name: string; readonly known: string; readonly address: string }): void {
    if (this.#oddNames.spend(fields.address, this.#now())) this.#tellOddName(fields);
  }

  #refuse({ name }: ReadRequest, client: Source, error: ErrorName, code: string, message: string): void {
    const { onEvent, log } = this.#options;
    const { address } = client;
    log.debug({ name, address, code }, 'tftp request refused');
    onEvent?.({ kind: 'refused', name, address, code });
    this.#tell(client, error, message);
  }

  /** From the port of requests. */
  #tell(client: Source, error: ErrorName, message: string): void {
    const { requests } = this.#ports;
    if (!this.#closed && this.#mayTell(requests, client)) this.#send(requests, errorBytes(error, message), client);
  }
}
