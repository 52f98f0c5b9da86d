/** The edge of ProxyDHCP: sockets and the clock. What is answered is decided in `session.ts` and `answer.ts`. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:dgram';
import type { Bootstrap } from '../farm/bootstrap.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, never, ok, type Result } from '../kit/result.ts';
import { hear, inTurns } from '../net/hear.ts';
import type { ListenFault } from '../net/listen.ts';
import { mtuOf } from '../net/mtu.ts';
import { askSelf } from '../net/selftest.ts';
import { type BadSource, ownOf } from '../net/source.ts';
import { type Paced, paced } from '../telemetry/paced.ts';
import type { Listener, Machine, Verdict } from './answer.ts';
import { MAX_PACKET_BYTES, TURN } from './limits.ts';
import { MESSAGE_TYPES, OPTIONS } from './options.ts';
import { decode, encode, messageType, type Packet } from './packet.ts';
import { type Answered, type DhcpEvent, type Effect, type Event, start, step } from './session.ts';
import { openSocket } from './socket.ts';

export interface ProxyDhcpOptions {
  /** IPv4 address of this server on its boot network. */
  readonly address: string;
  /** Hear and send on this interface only. Without: unicast to `address` only, for tests on loopback. */
  readonly interface?: string;
  /** 67 and 4011 but in tests; 0 takes a free one. */
  readonly ports: { readonly dhcp: number; readonly pxe: number };
  /** Where this server's scripts are: boot.http.port but in tests. */
  readonly httpPort: number;
  /** Undefined while the farm's data is not there: then nothing is answered. */
  readonly bootstrap: () => Bootstrap | undefined;
  readonly verdict: (machine: Machine) => Verdict | Promise<Verdict>;
  readonly onEvent?: (event: DhcpEvent) => void;
  readonly onBadSource?: (why: BadSource) => void;
  readonly log: ProxyDhcpLog;
  /** Milliseconds, never going back. */
  readonly now?: () => number;
}

export interface ProxyDhcpLog {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface ProxyDhcp {
  readonly ports: { readonly dhcp: number; readonly pxe: number };
  /** A real question over a socket to port 4011 and its answer: the port hears, the data is there, an answer leaves. */
  selfTest(): Promise<Result<void, Fault<'NoAnswer'>>>;
  close(): Promise<void>;
}

const BROADCAST = '255.255.255.255';

export async function startProxyDhcp(options: ProxyDhcpOptions): Promise<Result<ProxyDhcp, ListenFault>> {
  const { address, interface: device, ports } = options;
  // Two sockets on 67. The one with the address hears relays and sends: Linux puts a limited broadcast on the interface that has the source
  // address. The one with the broadcast address hears machines, and must be tied to the interface, or it hears those of every network.
  const places: readonly { listener: Listener; address: string; port: number; device?: string }[] = [
    { listener: 'dhcp', address, port: ports.dhcp },
    { listener: 'pxe', address, port: ports.pxe },
    ...(device === undefined ? [] : [{ listener: 'dhcp' as const, address: BROADCAST, port: ports.dhcp, device }]),
  ];
  const sockets: { listener: Listener; socket: Socket }[] = [];
  for (const place of places) {
    const opened = await openSocket(place.address, place.port, place.device);
    if (!opened.ok) {
      for (const { socket } of sockets) socket.close();
      return opened;
    }
    sockets.push({ listener: place.listener, socket: opened.value });
  }
  return ok(new Server(options, sockets));
}

/** The self-test's machine: a locally administered address that no card has. */
const PROBE = Uint8Array.of(0x02, 0x62, 0x66, 0x00, 0x00, 0x00);
const PROBE_MAC = '02:62:66:00:00:00';
/** The one answer that needs neither TFTP nor HTTP, which a site may have turned off. */
const PROBE_VERDICT: Verdict = { kind: 'unknown', action: 'LocalDisk' };

class Server implements ProxyDhcp {
  readonly ports: ProxyDhcp['ports'];
  readonly #options: ProxyDhcpOptions;
  readonly #sockets: readonly { listener: Listener; socket: Socket }[];
  readonly #now: () => number;
  readonly #notSent: Paced;
  readonly #mtu: () => number | undefined;
  #state: ReturnType<typeof start>;
  /** Ports of this server's own questions, which need no verdict. */
  readonly #probes = new Set<number>();
  #closed: Promise<void> | undefined;

  constructor(options: ProxyDhcpOptions, sockets: readonly { listener: Listener; socket: Socket }[]) {
    this.#options = options;
    this.#sockets = sockets;
    this.#now = options.now ?? (() => performance.now());
    this.#mtu = mtuOf(options.address, this.#now);
    this.#notSent = paced((fields, message) => options.log.warn(fields, message), 'dhcp answer not sent', this.#now);
    this.ports = { dhcp: this.#socket('dhcp').address().port, pxe: this.#socket('pxe').address().port };
    const own = ownOf(options.address, [this.ports.dhcp, this.ports.pxe]);
    this.#state = start({ address: options.address, httpPort: options.httpPort }, own);
    const hearing = { own, unspecified: true, onBadSource: options.onBadSource };
    const failed = paced((fields, message) => options.log.warn(fields, message), 'dhcp socket failed', this.#now);
    const turns = inTurns(TURN, () => this.#note({ kind: 'dropped', reason: 'GaveWay' }));
    for (const { listener, socket } of sockets) {
      const take = turns((bytes, source) => this.#take({ kind: 'packet', listener, bytes, source }));
      hear(socket, hearing, take);
      socket.on('error', (error) => failed({ listener, error: error.message }));
    }
  }

  async selfTest(): Promise<Result<void, Fault<'NoAnswer'>>> {
    const { address } = this.#options;
    const xid = randomBytes(4).readUInt32BE(0);
    const request = encode(probe(xid, address), MAX_PACKET_BYTES);
    if (!request.ok) return fail('NoAnswer', request.error.message);
    let asking = 0;
    const why = await askSelf({
      address,
      port: this.ports.pxe,
      packet: request.value,
      onPort: (port) => {
        asking = port;
        this.#probes.add(port);
      },
      judge: (bytes) => {
        const packet = decode(bytes);
        return packet.ok && packet.value.xid === xid && messageType(packet.value) === 'ACK' ? '' : undefined;
      },
    });
    this.#probes.delete(asking);
    return why === ''
      ? ok(undefined)
      : fail('NoAnswer', `ProxyDHCP on ${address}:${this.ports.pxe}, asked by itself: ${why}`);
  }

  close(): Promise<void> {
    this.#closed ??= Promise.all(
      this.#sockets.map(({ socket }) => new Promise<void>((resolve) => socket.close(() => resolve()))),
    ).then(() => undefined);
    return this.#closed;
  }

  #socket(listener: Listener): Socket {
    const found = this.#sockets.find((each) => each.listener === listener);
    if (!found) throw new Error(`no socket of listener ${listener}`);
    return found.socket;
  }

  #take(event: Event): void {
    if (this.#closed) return;
    const { state, effects } = step(this.#state, event, this.#now());
    this.#state = state;
    for (const effect of effects) this.#obey(effect);
  }

  #obey(effect: Effect): void {
    switch (effect.kind) {
      case 'ask':
        void this.#ask(effect);
        return;
      case 'send': {
        const { listener, bytes, to, sent } = effect;
        this.#socket(listener).send(bytes, to.port, to.address, (error) => {
          if (error) this.#notSent({ listener, to, error: error.message });
          this.#note(error ? notSent(sent, error.message) : sent);
        });
        return;
      }
      case 'note':
        this.#note(effect.event);
        return;
      default:
        never(effect);
    }
  }

  #note(event: DhcpEvent): void {
    if ('machine' in event && event.machine?.mac === PROBE_MAC) return;
    this.#options.log.debug({ ...event }, 'dhcp');
    this.#options.onEvent?.(event);
  }

  async #ask({ id, machine, source }: Extract<Effect, { kind: 'ask' }>): Promise<void> {
    try {
      const probe = this.#isProbe(machine, source);
      const verdict = probe ? PROBE_VERDICT : await this.#options.verdict(machine);
      this.#take({ kind: 'verdict', id, verdict, bootstrap: this.#options.bootstrap(), mtu: this.#mtu(), probe });
    } catch (error) {
      this.#take({ kind: 'noVerdict', id, message: errorMessage(error) });
    }
  }

  #isProbe(machine: Machine, source: { readonly address: string; readonly port: number }): boolean {
    return machine.mac === PROBE_MAC && source.address === this.#options.address && this.#probes.has(source.port);
  }
}

const notSent = ({ machine, verdict, relay, from }: Answered, message: string): DhcpEvent => ({
  ...{ kind: 'dropped', reason: 'NotSent', message, machine, verdict },
  ...(relay === undefined ? {} : { relay }),
  ...(from === undefined ? {} : { from }),
});

const probe = (xid: number, address: string): Packet => ({
  op: 'request',
  htype: 1,
  hops: 0,
  xid,
  secs: 0,
  flags: 0,
  ciaddr: address,
  yiaddr: '0.0.0.0',
  siaddr: '0.0.0.0',
  giaddr: '0.0.0.0',
  chaddr: PROBE,
  sname: '',
  file: '',
  options: [
    { code: OPTIONS.messageType.code, data: Buffer.of(MESSAGE_TYPES.REQUEST) },
    { code: OPTIONS.vendorClass.code, data: Buffer.from('PXEClient:Arch:00000:UNDI:002001') },
    { code: OPTIONS.architecture.code, data: Buffer.of(0, 0) },
  ],
});
