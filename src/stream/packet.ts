/**
 * The codec of every message, after the byte tables in README.md. Everything is big-endian. `decode` is total: a packet or a named fault, for
 * any bytes. Tags are not judged here: `decode` leaves them in place, `encode` leaves 16 zero bytes for `sign` (keys.ts).
 */
import { addressBytes, ipv4Text } from '../kit/address.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import {
  MAX_READ_BYTES,
  MAX_SERVERS,
  MAX_TEXT_BYTES,
  MAX_TICKET_BYTES,
  MIN_SEGMENT_BYTES,
  SECTOR_BYTES,
} from './limits.ts';

export const PROTOCOL_VERSION = 1;
export const HEADER_BYTES = 16;
export const TAG_BYTES = 16;
export const DATA_HEADER_BYTES = 64;
/** Bytes of the DATA header that the answer tag covers. */
export const DATA_TAGGED_BYTES = 40;
const ENTRY_BYTES = 20;

/** Message names and their types on the wire. 20 to 27 are reserved for WRITE, WRITTEN, FLUSH, FLUSHED, NOTIFY, NOTED, DISCARD, WRITE_ZEROES. */
export const TYPES = {
  HELLO: 1,
  COOKIE: 2,
  LOGIN: 3,
  TICKET: 4,
  REDIRECT: 5,
  REFUSE: 6,
  ATTACH: 7,
  ATTACHED: 8,
  READ: 9,
  DATA: 10,
  WAIT: 11,
  ERROR: 12,
  PING: 13,
  PONG: 14,
  SERVERS: 15,
  LIST: 16,
  MOVE: 17,
  UNKNOWN: 18,
  BYE: 19,
} as const;

export type PacketName = keyof typeof TYPES;

export const MODES = { Trusted: 1, Authenticated: 2 } as const;
export type Mode = keyof typeof MODES;
/** SipHash-2-4-128 tags, ChaCha20-Poly1305 for DATA. */
export const SUITE = 1;

export const STATES = { Unknown: 0, Streaming: 1, Draining: 2, Unreachable: 3 } as const;
export type ServerState = keyof typeof STATES;

export const REFUSALS = {
  TokenInvalid: 1,
  TokenExpired: 2,
  UnknownDevice: 3,
  NoCopy: 4,
  NoServer: 5,
  Busy: 6,
  TicketInvalid: 7,
  Draining: 8,
  Offline: 9,
} as const;
export type Refusal = keyof typeof REFUSALS;

export const ERRORS = { BadRange: 1, ReadFailed: 2, Revoked: 3 } as const;
export type ReadError = keyof typeof ERRORS;

export const ROLES = { serve: 0, standby: 1 } as const;
export type Role = keyof typeof ROLES;

export const BYES = { Leaving: 0, Moved: 1, Drained: 2 } as const;
export type ByeReason = keyof typeof BYES;

export interface ServerEntry {
  /** Address as text; empty: any other server (only in MOVE). */
  readonly host: string;
  readonly port: number;
  readonly state: ServerState;
}

interface Header {
  /** 0 before a session. */
  readonly session: number;
  /** Packet number; 0 outside a session. */
  readonly number: number;
}

type Of<Name extends PacketName, Fields> = { readonly type: Name } & Header & Readonly<Fields>;

export type Hello = Of<'HELLO', { nonce: Uint8Array }>;
export type Cookie = Of<'COOKIE', { nonce: Uint8Array; cookie: Uint8Array }>;
export type Login = Of<
  'LOGIN',
  {
    nonce: Uint8Array;
    cookie: Uint8Array;
    /** The token is a ticket; the packet ends in a tag by the attach key of its session key. */
    renew: boolean;
    /** A REDIRECT sent the device here. */
    redirected: boolean;
    share: Uint8Array;
    token: Uint8Array;
  }
>;
export type TicketPacket = Of<
  'TICKET',
  {
    nonce: Uint8Array;
    share: Uint8Array;
    sizeBytes: number;
    blockSize: number;
    mode: Mode;
    listVersion: number;
    ticket: Uint8Array;
    servers: readonly ServerEntry[];
  }
>;
export type Redirect = Of<'REDIRECT', { nonce: Uint8Array; server: ServerEntry }>;
export type Refuse = Of<'REFUSE', { nonce: Uint8Array; code: Refusal; retryAfterMs: number; text: string }>;
export type Attach = Of<
  'ATTACH',
  { nonce: Uint8Array; cookie: Uint8Array; maxSegmentBytes: number; role: Role; ticket: Uint8Array }
>;
export type Attached = Of<
  'ATTACHED',
  {
    nonce: Uint8Array;
    serverNonce: Uint8Array;
    instance: Uint8Array;
    segmentBytes: number;
    mode: Mode;
    listVersion: number;
    sizeBytes: number;
  }
>;
export type Read = Of<'READ', { offset: number; length: number; hedged: boolean }>;
export type Data = Of<
  'DATA',
  { request: number; offset: number; length: number; answerTag: Uint8Array; position: number; data: Uint8Array }
>;
export type Wait = Of<'WAIT', { request: number }>;
export type ErrorPacket = Of<'ERROR', { request: number; code: ReadError; retryAfterMs: number }>;
export type Ping = Of<'PING', { role: Role; listVersion: number; opaque: Uint8Array }>;
export type Pong = Of<'PONG', { state: ServerState; loadPercent: number; listVersion: number; opaque: Uint8Array }>;
export type Servers = Of<'SERVERS', { listVersion: number }>;
export type List = Of<'LIST', { listVersion: number; servers: readonly ServerEntry[] }>;
export type Move = Of<'MOVE', { server: ServerEntry; withinMs: number }>;
export type Unknown = Of<'UNKNOWN', { echo: Uint8Array }>;
export type Bye = Of<'BYE', { reason: ByeReason }>;

export type Packet =
  | Hello
  | Cookie
  | Login
  | TicketPacket
  | Redirect
  | Refuse
  | Attach
  | Attached
  | Read
  | Data
  | Wait
  | ErrorPacket
  | Ping
  | Pong
  | Servers
  | List
  | Move
  | Unknown
  | Bye;

export type PacketFault = Fault<'TooShort' | 'WrongVersion' | 'UnknownType' | 'WrongLength' | 'FieldInvalid'>;

/** Reads fields off a packet whose length is known to suffice; collects the first field fault instead of throwing. */
class Fields {
  readonly #bytes: Buffer;
  fault: string | undefined;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  u8 = (at: number): number => this.#bytes.readUInt8(at);
  u16 = (at: number): number => this.#bytes.readUInt16BE(at);
  u32 = (at: number): number => this.#bytes.readUInt32BE(at);
  /** A number of 64 bits on the wire; at most 2⁵³ − 1. */
  u64(name: string, at: number): number {
    const value = this.u32(at) * 0x1_0000_0000 + this.u32(at + 4);
    return this.check(value <= Number.MAX_SAFE_INTEGER, `${name} is above 2^53 - 1`) ? value : 0;
  }
  bytes = (at: number, length: number): Uint8Array => this.#bytes.subarray(at, at + length);
  check(good: boolean, message: string): boolean {
    if (!good) this.fault ??= message;
    return good;
  }
  /** One of a table's names by its value on the wire. */
  named<Name extends string>(table: Readonly<Record<Name, number>>, what: string, value: number): Name {
    const names = Object.keys(table) as Name[];
    const name = names.find((candidate) => table[candidate] === value);
    this.check(name !== undefined, `${what} ${value} is not known`);
    return name ?? (names[0] as Name);
  }
  entry(at: number, familyZero = false): ServerEntry {
    const family = this.u8(at);
    this.check(family === 4 || family === 6 || (familyZero && family === 0), `address family ${family} is not known`);
    const address = this.#bytes.subarray(at + 4, at + ENTRY_BYTES);
    const host = family === 4 ? ipv4Text(address) : family === 6 ? ipv6Text(address) : '';
    return { host, state: this.named(STATES, 'server state', this.u8(at + 1)), port: this.u16(at + 2) };
  }
  entries(at: number, count: number): ServerEntry[] {
    return Array.from({ length: count }, (_, index) => this.entry(at + index * ENTRY_BYTES));
  }
}

const ipv6Text = (bytes: Buffer): string =>
  Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');

interface Layout {
  /** Bytes before anything of variable length, tag included. */
  readonly fixed: number;
  /** Length of the variable part, from the fixed one; absent: none. Infinity: any. */
  readonly variable?: (fields: Fields) => number;
  readonly decode: (fields: Fields, length: number) => object;
}

/** One row a message, in the order of the wire. */
const LAYOUTS: Readonly<Record<PacketName, Layout>> = {
  HELLO: { fixed: 64, decode: (f) => ({ nonce: f.bytes(16, 16) }) },
  COOKIE: { fixed: 52, decode: (f) => ({ nonce: f.bytes(16, 16), cookie: f.bytes(32, 20) }) },
  LOGIN: {
    fixed: 88,
    variable: (f) => f.u16(52) + ((f.u16(54) & 1) === 1 ? TAG_BYTES : 0),
    decode: (f) => {
      f.check(f.u16(52) >= 1 && f.u16(52) <= MAX_TICKET_BYTES, `a token has 1 to ${MAX_TICKET_BYTES} bytes`);
      return {
        nonce: f.bytes(16, 16),
        cookie: f.bytes(32, 20),
        renew: (f.u16(54) & 1) === 1,
        redirected: (f.u16(54) & 2) === 2,
        share: f.bytes(56, 32),
        token: f.bytes(88, f.u16(52)),
      };
    },
  },
  TICKET: {
    fixed: 104,
    variable: (f) => f.u16(78) + f.u16(84) * ENTRY_BYTES,
    decode: (f) => {
      f.check(f.u16(78) >= 1 && f.u16(78) <= MAX_TICKET_BYTES, `a ticket has 1 to ${MAX_TICKET_BYTES} bytes`);
      f.check(f.u16(84) >= 1 && f.u16(84) <= MAX_SERVERS, `a list has 1 to ${MAX_SERVERS} servers`);
      f.check(f.u8(77) === SUITE, `suite ${f.u8(77)} is not known`);
      return {
        nonce: f.bytes(16, 16),
        share: f.bytes(32, 32),
        sizeBytes: f.u64('disk size', 64),
        blockSize: f.u32(72),
        mode: f.named(MODES, 'mode', f.u8(76)),
        listVersion: f.u32(80),
        ticket: f.bytes(88, f.u16(78)),
        servers: f.entries(88 + f.u16(78), f.u16(84)),
      };
    },
  },
  REDIRECT: { fixed: 52, decode: (f) => ({ nonce: f.bytes(16, 16), server: f.entry(32) }) },
  REFUSE: {
    fixed: 56,
    variable: (f) => f.u16(34),
    decode: (f) => {
      f.check(f.u16(34) <= MAX_TEXT_BYTES, `a text has ${MAX_TEXT_BYTES} bytes at most`);
      return {
        nonce: f.bytes(16, 16),
        code: f.named(REFUSALS, 'refusal', f.u16(32)),
        retryAfterMs: f.u32(36),
        text: Buffer.from(f.bytes(40, f.u16(34))).toString('utf8'),
      };
    },
  },
  ATTACH: {
    fixed: 80,
    variable: (f) => f.u16(52),
    decode: (f) => {
      f.check(f.u16(52) >= 1 && f.u16(52) <= MAX_TICKET_BYTES, `a ticket has 1 to ${MAX_TICKET_BYTES} bytes`);
      f.check(
        f.u16(54) >= MIN_SEGMENT_BYTES && f.u16(54) % 64 === 0,
        `a segment is a multiple of 64, ${MIN_SEGMENT_BYTES} at least`,
      );
      return {
        nonce: f.bytes(16, 16),
        cookie: f.bytes(32, 20),
        maxSegmentBytes: f.u16(54),
        role: f.named(ROLES, 'role', f.u8(60)),
        ticket: f.bytes(64, f.u16(52)),
      };
    },
  },
  ATTACHED: {
    fixed: 88,
    decode: (f) => {
      f.check(f.u8(59) === SUITE, `suite ${f.u8(59)} is not known`);
      f.check(
        f.u16(56) >= MIN_SEGMENT_BYTES && f.u16(56) % 64 === 0,
        `a segment is a multiple of 64, ${MIN_SEGMENT_BYTES} at least`,
      );
      return {
        nonce: f.bytes(16, 16),
        serverNonce: f.bytes(32, 16),
        instance: f.bytes(48, 8),
        segmentBytes: f.u16(56),
        mode: f.named(MODES, 'mode', f.u8(58)),
        listVersion: f.u32(60),
        sizeBytes: f.u64('disk size', 64),
      };
    },
  },
  READ: {
    fixed: 48,
    decode: (f) => {
      const [offset, length] = [f.u64('offset', 16), f.u32(24)];
      f.check(offset % SECTOR_BYTES === 0, 'the offset is no multiple of 512');
      f.check(length % SECTOR_BYTES === 0 && length >= SECTOR_BYTES, 'the length is no multiple of 512');
      f.check(length <= MAX_READ_BYTES, `the length is above ${MAX_READ_BYTES}`);
      return { offset, length, hedged: (f.u32(28) & 1) === 1 };
    },
  },
  DATA: {
    fixed: DATA_HEADER_BYTES,
    variable: () => Number.POSITIVE_INFINITY,
    decode: (f, length) => {
      const [answer, position, data] = [f.u32(32), f.u32(56), length - DATA_HEADER_BYTES];
      f.check(answer <= MAX_READ_BYTES && position <= answer, 'the segment does not lie within its answer');
      f.check(data >= 1 && data <= answer - position, 'the segment does not lie within its answer');
      return {
        request: f.u64('request id', 16),
        offset: f.u64('offset', 24),
        length: answer,
        answerTag: f.bytes(40, 16),
        position,
        data: f.bytes(DATA_HEADER_BYTES, data),
      };
    },
  },
  WAIT: { fixed: 40, decode: (f) => ({ request: f.u64('request id', 16) }) },
  ERROR: {
    fixed: 48,
    decode: (f) => ({
      request: f.u64('request id', 16),
      code: f.named(ERRORS, 'error', f.u16(24)),
      retryAfterMs: f.u32(28),
    }),
  },
  PING: {
    fixed: 48,
    decode: (f) => ({ role: f.named(ROLES, 'role', f.u8(16)), listVersion: f.u32(20), opaque: f.bytes(24, 8) }),
  },
  PONG: {
    fixed: 48,
    decode: (f) => ({
      state: f.named(STATES, 'server state', f.u8(16)),
      loadPercent: f.u8(17),
      listVersion: f.u32(20),
      opaque: f.bytes(24, 8),
    }),
  },
  SERVERS: { fixed: 40, decode: (f) => ({ listVersion: f.u32(16) }) },
  LIST: {
    fixed: 40,
    variable: (f) => f.u16(20) * ENTRY_BYTES,
    decode: (f) => {
      f.check(f.u16(20) <= MAX_SERVERS, `a list has ${MAX_SERVERS} servers at most`);
      return { listVersion: f.u32(16), servers: f.entries(24, f.u16(20)) };
    },
  },
  MOVE: { fixed: 56, decode: (f) => ({ server: f.entry(16, true), withinMs: f.u32(36) }) },
  UNKNOWN: { fixed: 32, decode: (f) => ({ echo: f.bytes(16, 16) }) },
  BYE: { fixed: 40, decode: (f) => ({ reason: f.named(BYES, 'reason', f.u8(16)) }) },
};

const NAMES = new Map<number, PacketName>(
  Object.entries(TYPES).map(([name, type]): [number, PacketName] => [type, name as PacketName]),
);

/** Byte fields of the packet are views of `bytes`: copy what must outlive it. */
export function decode(bytes: Buffer): Result<Packet, PacketFault> {
  if (bytes.length < HEADER_BYTES) return fail('TooShort', `${bytes.length} bytes hold no header`);
  if (bytes[1] !== PROTOCOL_VERSION) return fail('WrongVersion', `version ${bytes[1]}, this is ${PROTOCOL_VERSION}`);
  const type = NAMES.get(bytes[0] ?? 0);
  if (!type) return fail('UnknownType', `type ${bytes[0]} is not known`);
  const { fixed, variable, decode: fieldsOf } = LAYOUTS[type];
  if (bytes.length < fixed) return fail('TooShort', `${type} has ${bytes.length} bytes, ${fixed} at least`);
  const fields = new Fields(bytes);
  const length = fixed + (variable?.(fields) ?? 0);
  if (bytes.length !== length && length !== Number.POSITIVE_INFINITY)
    return fail('WrongLength', `${type} has ${bytes.length} bytes, its fields say ${length}`);
  const header = { type, session: fields.u32(4), number: fields.u64('packet number', 8) };
  // The layout of a type gives the fields of that type: the only place that says so without the compiler.
  const packet = { ...header, ...fieldsOf(fields, bytes.length) } as unknown as Packet;
  return fields.fault === undefined ? ok(packet) : fail('FieldInvalid', `${type}: ${fields.fault}`);
}

/** Header and `length` bytes in all, zero where nothing is written yet. */
function start(packet: Packet, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  bytes[0] = TYPES[packet.type];
  bytes[1] = PROTOCOL_VERSION;
  bytes.writeUInt32BE(packet.session, 4);
  writeU64(bytes, packet.number, 8);
  return bytes;
}

export function writeU64(bytes: Buffer, value: number, at: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  bytes.writeUInt32BE(high, at);
  bytes.writeUInt32BE(value - high * 0x1_0000_0000, at + 4);
}

function writeEntry(bytes: Buffer, entry: ServerEntry, at: number): void {
  const address = entry.host === '' ? new Uint8Array(0) : addressBytes(entry.host);
  if (!address) throw new Error(`server entry: ${entry.host} is no IP address`);
  bytes[at] = address.length === 4 ? 4 : address.length === 16 ? 6 : 0;
  bytes[at + 1] = STATES[entry.state];
  bytes.writeUInt16BE(entry.port, at + 2);
  bytes.set(address, at + 4);
}

/** The bytes of a packet; 16 zero bytes at its end where it has a tag; of a list the first 20 servers, which is all that a client takes. Wrong fields (a long text, a name for an address) are bugs and throw. */
export function encode(packet: Packet): Buffer {
  switch (packet.type) {
    case 'HELLO': {
      const bytes = start(packet, 64);
      bytes.set(packet.nonce, 16);
      return bytes;
    }
    case 'COOKIE': {
      const bytes = start(packet, 52);
      bytes.set(packet.nonce, 16);
      bytes.set(packet.cookie, 32);
      return bytes;
    }
    case 'LOGIN': {
      const bytes = start(packet, 88 + packet.token.length + (packet.renew ? TAG_BYTES : 0));
      bytes.set(packet.nonce, 16);
      bytes.set(packet.cookie, 32);
      bytes.writeUInt16BE(packet.token.length, 52);
      bytes.writeUInt16BE((packet.renew ? 1 : 0) | (packet.redirected ? 2 : 0), 54);
      bytes.set(packet.share, 56);
      bytes.set(packet.token, 88);
      return bytes;
    }
    case 'TICKET': {
      const list = 88 + packet.ticket.length;
      const servers = packet.servers.slice(0, MAX_SERVERS);
      const bytes = start(packet, list + servers.length * ENTRY_BYTES + TAG_BYTES);
      bytes.set(packet.nonce, 16);
      bytes.set(packet.share, 32);
      writeU64(bytes, packet.sizeBytes, 64);
      bytes.writeUInt32BE(packet.blockSize, 72);
      bytes[76] = MODES[packet.mode];
      bytes[77] = SUITE;
      bytes.writeUInt16BE(packet.ticket.length, 78);
      bytes.writeUInt32BE(packet.listVersion, 80);
      bytes.writeUInt16BE(servers.length, 84);
      bytes.set(packet.ticket, 88);
      servers.forEach((entry, index) => {
        writeEntry(bytes, entry, list + index * ENTRY_BYTES);
      });
      return bytes;
    }
    case 'REDIRECT': {
      const bytes = start(packet, 52);
      bytes.set(packet.nonce, 16);
      writeEntry(bytes, packet.server, 32);
      return bytes;
    }
    case 'REFUSE': {
      const text = cutText(packet.text);
      const bytes = start(packet, 40 + text.length + TAG_BYTES);
      bytes.set(packet.nonce, 16);
      bytes.writeUInt16BE(REFUSALS[packet.code], 32);
      bytes.writeUInt16BE(text.length, 34);
      bytes.writeUInt32BE(packet.retryAfterMs, 36);
      bytes.set(text, 40);
      return bytes;
    }
    case 'ATTACH': {
      const bytes = start(packet, 64 + packet.ticket.length + TAG_BYTES);
      bytes.set(packet.nonce, 16);
      bytes.set(packet.cookie, 32);
      bytes.writeUInt16BE(packet.ticket.length, 52);
      bytes.writeUInt16BE(packet.maxSegmentBytes, 54);
      bytes[60] = ROLES[packet.role];
      bytes.set(packet.ticket, 64);
      return bytes;
    }
    case 'ATTACHED': {
      const bytes = start(packet, 88);
      bytes.set(packet.nonce, 16);
      bytes.set(packet.serverNonce, 32);
      bytes.set(packet.instance, 48);
      bytes.writeUInt16BE(packet.segmentBytes, 56);
      bytes[58] = MODES[packet.mode];
      bytes[59] = SUITE;
      bytes.writeUInt32BE(packet.listVersion, 60);
      writeU64(bytes, packet.sizeBytes, 64);
      return bytes;
    }
    case 'READ': {
      const bytes = start(packet, 48);
      writeU64(bytes, packet.offset, 16);
      bytes.writeUInt32BE(packet.length, 24);
      bytes.writeUInt32BE(packet.hedged ? 1 : 0, 28);
      return bytes;
    }
    case 'DATA': {
      const bytes = start(packet, DATA_HEADER_BYTES + packet.data.length);
      writeU64(bytes, packet.request, 16);
      writeU64(bytes, packet.offset, 24);
      bytes.writeUInt32BE(packet.length, 32);
      bytes.set(packet.answerTag, 40);
      bytes.writeUInt32BE(packet.position, 56);
      bytes.set(packet.data, DATA_HEADER_BYTES);
      return bytes;
    }
    case 'WAIT': {
      const bytes = start(packet, 40);
      writeU64(bytes, packet.request, 16);
      return bytes;
    }
    case 'ERROR': {
      const bytes = start(packet, 48);
      writeU64(bytes, packet.request, 16);
      bytes.writeUInt16BE(ERRORS[packet.code], 24);
      bytes.writeUInt32BE(packet.retryAfterMs, 28);
      return bytes;
    }
    case 'PING': {
      const bytes = start(packet, 48);
      bytes[16] = ROLES[packet.role];
      bytes.writeUInt32BE(packet.listVersion, 20);
      bytes.set(packet.opaque, 24);
      return bytes;
    }
    case 'PONG': {
      const bytes = start(packet, 48);
      bytes[16] = STATES[packet.state];
      bytes[17] = packet.loadPercent;
      bytes.writeUInt32BE(packet.listVersion, 20);
      bytes.set(packet.opaque, 24);
      return bytes;
    }
    case 'SERVERS': {
      const bytes = start(packet, 40);
      bytes.writeUInt32BE(packet.listVersion, 16);
      return bytes;
    }
    case 'LIST': {
      const servers = packet.servers.slice(0, MAX_SERVERS);
      const bytes = start(packet, 24 + servers.length * ENTRY_BYTES + TAG_BYTES);
      bytes.writeUInt32BE(packet.listVersion, 16);
      bytes.writeUInt16BE(servers.length, 20);
      servers.forEach((entry, index) => {
        writeEntry(bytes, entry, 24 + index * ENTRY_BYTES);
      });
      return bytes;
    }
    case 'MOVE': {
      const bytes = start(packet, 56);
      writeEntry(bytes, packet.server, 16);
      bytes.writeUInt32BE(packet.withinMs, 36);
      return bytes;
    }
    case 'UNKNOWN': {
      const bytes = start(packet, 32);
      bytes.set(packet.echo, 16);
      return bytes;
    }
    case 'BYE': {
      const bytes = start(packet, 40);
      bytes[16] = BYES[packet.reason];
      return bytes;
    }
  }
}

/** UTF-8 of at most 200 bytes, cut between characters. */
function cutText(text: string): Buffer {
  let bytes = Buffer.from(text, 'utf8');
  for (let kept = text; bytes.length > MAX_TEXT_BYTES; bytes = Buffer.from(kept, 'utf8'))
    kept = [...kept].slice(0, Math.min([...kept].length - 1, MAX_TEXT_BYTES)).join('');
  return bytes;
}
