/** The C client, as `target/test/simulation.c` makes a library of it. There is one at a time: its state is the library's own. */
import { join } from 'node:path';
import koffi from 'koffi';
import type { Mode } from '../../src/stream/packet.ts';

const LIBRARY = join(import.meta.dirname, '../../target/build/simulation.so');

const PACKET_AT = 128;
const OUT_AT = PACKET_AT + (16 << 10);
const ARENA_BYTES = OUT_AT + (2 << 20);
const MODES = { Trusted: 1, Authenticated: 2, Encrypted: 3 } as const;
const COUNTERS = ['reads', 'retransmissions', 'hedges', 'failovers', 'moves', 'drops'] as const;
const VERDICTS = ['Right', 'WrongBytes', 'IoError', 'NotAsked'] as const;

export type ClientCounters = Readonly<Record<(typeof COUNTERS)[number], number>>;
export type Verdict = (typeof VERDICTS)[number];

/** What a client says between two looks at it. */
export interface ClientPort {
  send(host: number, port: number, bytes: Buffer): void;
  answered(request: number, verdict: Verdict, wrongAt: number): void;
  said(host: number, text: string): void;
  wantsToken(): void;
  /** An assertion failed. */
  broken(text: string): void;
}

export interface Earlier {
  readonly sessionKey: Uint8Array;
  readonly ticket: Uint8Array;
  readonly mode: Mode;
  readonly diskBytes: number;
  readonly renewUs: number;
  readonly endsUs: number;
}

type Native = ReturnType<typeof load>;
let loaded: Native | undefined;

function load() {
  const c = koffi.load(LIBRARY);
  const arena = Buffer.alloc(ARENA_BYTES);
  return {
    arena,
    address: koffi.address(arena),
    words: new Uint32Array(arena.buffer, arena.byteOffset + OUT_AT, (ARENA_BYTES - OUT_AT) / 4),
    header: new Float64Array(arena.buffer, arena.byteOffset, PACKET_AT / 8),
    reset: c.func('int simulation_reset(uintptr_t, uint64_t, uintptr_t, uint64_t, const char *)'),
    server: c.func('void simulation_server(uint32_t, uint16_t)'),
    token: c.func('void simulation_token(uint32_t, bool, int64_t)'),
    ticket: c.func('void simulation_ticket(uint32_t, uint8_t, uint64_t, int64_t, int64_t)'),
    start: c.func('void simulation_start(uint16_t, int64_t)'),
    request: c.func('bool simulation_request(uint32_t, uint64_t, uint32_t)'),
    receive: c.func('void simulation_receive(uint32_t, uint16_t, uint32_t, int64_t)'),
    run: c.func('void simulation_run(int64_t, int64_t)'),
    read: c.func('void simulation_read()'),
    drops: c.func('uint64_t simulation_drops()'),
    counter: c.func('uint64_t simulation_counter(uint32_t)'),
  };
}

export class Client {
  readonly #native: Native;
  readonly #port: ClientPort;
  /** Its memory must not go while C holds its address. */
  readonly #content: Buffer;

  constructor(content: Buffer, seed: number, mac: string, port: ClientPort) {
    this.#native = loaded ??= load();
    this.#port = port;
    this.#content = content;
    const { address } = this.#native;
    if (this.#native.reset(address, ARENA_BYTES, koffi.address(this.#content), seed, mac) < 0)
      throw new Error('libsodium does not start');
    this.#native.header.fill(0);
  }

  /** Of the boot configuration, before the start. */
  server(host: number, port: number): void {
    this.#native.server(host, port);
  }

  /** Before the start: of the boot script. After it: over HTTP, or undefined where that gave none. */
  token(bytes: Uint8Array | undefined, started: boolean, nowUs: number): void {
    if (bytes) this.#native.arena.set(bytes, PACKET_AT);
    this.#native.token(bytes?.length ?? 0, started, nowUs);
  }

  /** Before the start: of a client that was here before. */
  ticket({ sessionKey, ticket, mode, diskBytes, renewUs, endsUs }: Earlier): void {
    this.#native.arena.set(sessionKey, PACKET_AT);
    this.#native.arena.set(ticket, PACKET_AT + sessionKey.length);
    this.#native.ticket(ticket.length, MODES[mode], diskBytes, renewUs, endsUs);
  }

  start(segmentBytes: number, nowUs: number): void {
    this.#native.start(segmentBytes, nowUs);
  }

  request(request: number, offset: number, length: number): boolean {
    return this.#native.request(request, offset, length);
  }

  receive(host: number, port: number, bytes: Buffer, nowUs: number): void {
    this.#native.arena.set(bytes, PACKET_AT);
    this.#native.receive(host, port, bytes.length, nowUs);
  }

  /** Its turns from now on, until it has said something or would sleep until `untilUs`. What it said is passed on by `listen`. */
  run(nowUs: number, untilUs: number): void {
    this.#native.run(nowUs, untilUs);
  }

  /** When its last turn was. */
  get atUs(): number {
    return this.#native.header[1] ?? 0;
  }

  get wakeUs(): number {
    return this.#native.header[2] ?? 0;
  }

  get turns(): number {
    return this.#native.header[3] ?? 0;
  }

  /** Some server serves it: at the first time the kernel gets its disk. */
  get served(): boolean {
    return this.#native.header[4] === 1;
  }

  get drops(): number {
    return Number(this.#native.drops());
  }

  get counters(): ClientCounters {
    return Object.fromEntries(
      COUNTERS.map((name, which) => [name, Number(this.#native.counter(which))]),
    ) as ClientCounters;
  }

  /** Passes on what it has said since the last time. */
  listen(): void {
    const { arena, words, header } = this.#native;
    const end = header[0] ?? 0;
    if (end === 0) return;
    for (let at = 0; at < end; ) {
      const [kind, length = 0, a = 0, b = 0] = words.subarray(at / 4, at / 4 + 4);
      const from = OUT_AT + at + 16;
      this.#tell(kind ?? 0, a, b, arena.subarray(from, from + length));
      at += 16 + Math.ceil(length / 8) * 8;
    }
    this.#native.read();
  }

  #tell(kind: number, a: number, b: number, bytes: Buffer): void {
    switch (kind) {
      case 1:
        this.#port.send(a, b, Buffer.from(bytes));
        return;
      case 2:
        this.#port.answered(a, VERDICTS[b] ?? 'NotAsked', Number(bytes.readBigUInt64LE()));
        return;
      case 3:
        this.#port.said(a, bytes.toString('utf8'));
        return;
      case 4:
        this.#port.wantsToken();
        return;
      default:
        this.#port.broken(bytes.toString('utf8'));
    }
  }
}
