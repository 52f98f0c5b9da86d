/**
 * The wire as one table: every message with its fields, where they lie and what they say. From it come the codec and its types (packet.ts), the words
 * of the fast path (native/words.ts), `target/src/wire.h` of the client (`npm run generate`); the tables of README.md are checked against it.
 */
import {
  counted,
  entries,
  entry,
  type Field,
  fixed,
  flag,
  named,
  type Row,
  raw,
  STATES,
  text,
  uint,
} from './fields.ts';
import {
  MAX_READ_BYTES,
  MAX_SERVERS,
  MAX_TEXT_BYTES,
  MAX_TICKET_BYTES,
  MIN_SEGMENT_BYTES,
  SECTOR_BYTES,
  SEGMENT_GRAIN_BYTES,
} from './limits.ts';

export const PROTOCOL_VERSION = 1;
export const TAG_BYTES = 16;

export const MODES = { Trusted: 1, Authenticated: 2 } as const;
/** How an answer is authenticated: README.md, "Answer tags". Tags of all else are SipHash-2-4-128 in both. */
export const SUITES = { Aead: 1, HashThenMac: 3 } as const;
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
  SegmentTooSmall: 10,
} as const;
export const ERRORS = { BadRange: 1, ReadFailed: 2, Revoked: 3 } as const;
export const ROLES = { serve: 0, standby: 1 } as const;
export const BYES = { Leaving: 0, Moved: 1, Drained: 2 } as const;

/** In every message. */
export const HEADER = {
  type: uint(0, 1, 'type (table below)'),
  version: fixed(1, 1, PROTOCOL_VERSION, `version: ${PROTOCOL_VERSION}. Another version is dropped`),
  session: uint(4, 4, 'session id: given by ATTACHED, 0 before'),
  number: uint(
    8,
    8,
    'packet number: each side counts from 1 in a session and never repeats one; at most 2⁵³ − 1. 0 outside a session',
  ),
};
export const HEADER_BYTES = 16;

type Fields = Readonly<Record<string, Field<unknown>>>;

export interface Message {
  readonly type: number;
  /** Who sends it. */
  readonly way: '→' | '←' | 'both';
  /** Whose key its tag is of. */
  readonly tag: string;
  /** Bytes before anything of variable length, without the tag. */
  readonly fixed: number;
  /** Whether its last 16 bytes are a tag; or the flag that says so. */
  readonly tagged: boolean | string;
  readonly fields: Fields;
}

const message = <F extends Fields>(
  type: number,
  way: Message['way'],
  tag: string,
  fixed: number,
  tagged: boolean | (keyof F & string),
  fields: F,
): Omit<Message, 'fields'> & { readonly fields: F } => ({ type, way, tag, fixed, tagged, fields });

const nonce = raw(16, 16, 'nonce');
const echoed = raw(16, 16, 'nonce, echoed');
const cookie = raw(32, 20, 'cookie');
const listVersion = (at: number): Field<number> => uint(at, 4, 'version of the server list');
const known = (at: number): Field<number> => uint(at, 4, 'list version known');
const sizeBytes = uint(64, 8, 'disk size in bytes');
const suite = (at: number, says: string): Field<keyof typeof SUITES> => named(at, 1, SUITES, `suite: ${says}`);
const segment = { least: SEGMENT_GRAIN_BYTES, multipleOf: SEGMENT_GRAIN_BYTES };
const request = uint(16, 8, 'request id');
const retryAfterMs = (at: number): Field<number> => uint(at, 4, 'retry after, ms');
const opaque = (says: string): Field<Uint8Array> => raw(24, 8, says);

/** What is behind the header of DATA: a part of its answer. */
const segmentData: Field<Uint8Array> = {
  rows: (name) => [{ at: 64, bytes: '', name, says: 'data; every segment but the last is full' }],
  read(reader) {
    const [length, position, data] = [reader.uint(32, 4), reader.uint(56, 4), reader.bytes.length - 64];
    const within = length <= MAX_READ_BYTES && position <= length && data >= 1 && data <= length - position;
    reader.check(within, 'does not lie within its answer');
    return reader.bytes.subarray(64);
  },
  write: () => undefined,
  tail: { length: () => Number.POSITIVE_INFINITY, of: (value) => value },
};

/** 20 to 27 are reserved for WRITE, WRITTEN, FLUSH, FLUSHED, NOTIFY, NOTED, DISCARD, WRITE_ZEROES. */
export const MESSAGES = {
  HELLO: message(1, '→', 'none', 64, false, { nonce }),
  COOKIE: message(2, '←', 'none, echoes the nonce', 52, false, { nonce: echoed, cookie }),
  LOGIN: message(3, '→', 'none; in a renewal: attach key', 88, 'renew', {
    nonce,
    cookie,
    token: counted(52, 88, ['n', 1, MAX_TICKET_BYTES], 'boot token (or ticket), opaque to the client'),
    renew: flag(54, 2, 0, 'the token is a ticket to renew (at half of its life)'),
    redirected: flag(
      54,
      2,
      1,
      'a REDIRECT sent me here: take me if you may, so that two servers never send a device to and fro',
    ),
    share: raw(56, 32, 'client share: X25519 public key (RFC 7748) made for this LOGIN'),
  }),
  TICKET: message(4, '←', 'login key', 88, true, {
    nonce: echoed,
    share: raw(32, 32, 'server share'),
    sizeBytes,
    blockSize: uint(72, 4, 'block size: 512 or 4096'),
    mode: named(76, 1, MODES, 'mode: 1 Trusted, 2 Authenticated, 3 Encrypted (later)'),
    suite: suite(77, 'as in ATTACHED, where it is decided: here what the login server has'),
    listVersion: listVersion(80),
    ticket: counted(78, 88, ['t', 1, MAX_TICKET_BYTES], 'ticket, opaque to the client'),
    servers: entries(84, 88, [1, MAX_SERVERS], '; the first is the server to attach to'),
  }),
  REDIRECT: message(5, '←', 'none, echoes the nonce', 52, false, { nonce: echoed, server: entry(32, 'server entry') }),
  REFUSE: message(6, '←', 'attach key, or zeros: see REFUSE', 40, true, {
    nonce: echoed,
    code: named(32, 2, REFUSALS, 'code'),
    retryAfterMs: retryAfterMs(36),
    text: text(34, 40, MAX_TEXT_BYTES),
  }),
  ATTACH: message(7, '→', 'attach key', 64, true, {
    nonce: raw(16, 16, 'client nonce, fresh'),
    cookie,
    maxSegmentBytes: uint(
      54,
      2,
      `largest segment (bytes of data in one DATA packet) that the client takes: MTU − 28 − 64, a multiple of ${SEGMENT_GRAIN_BYTES}`,
      segment,
    ),
    role: named(60, 1, ROLES, 'role: 0 serve me, 1 be my stand-by'),
    ticket: counted(52, 64, ['n', 1, MAX_TICKET_BYTES], 'ticket'),
  }),
  ATTACHED: message(8, '←', 'server tag key', 72, true, {
    nonce: raw(16, 16, 'client nonce, echoed'),
    serverNonce: raw(32, 16, 'server nonce'),
    instance: raw(48, 8, 'instance: a random number of the server process'),
    segmentBytes: uint(56, 2, `segment size in bytes, a multiple of ${SEGMENT_GRAIN_BYTES}`, {
      ...segment,
      least: MIN_SEGMENT_BYTES,
    }),
    mode: named(58, 1, MODES, 'mode'),
    suite: suite(59, '1 Aead, 3 HashThenMac: how answers of this session are tagged in mode Authenticated'),
    listVersion: listVersion(60),
    sizeBytes,
  }),
  READ: message(9, '→', 'client tag key', 32, true, {
    offset: uint(16, 8, 'offset', { multipleOf: SECTOR_BYTES }),
    length: uint(24, 4, 'length', { least: SECTOR_BYTES, most: MAX_READ_BYTES, multipleOf: SECTOR_BYTES }),
    hedged: flag(28, 4, 0, 'hedged'),
  }),
  DATA: message(10, '←', 'by mode, see below', 64, false, {
    request,
    offset: uint(24, 8, "offset of the answer on the disk: the READ's"),
    length: uint(32, 4, "length of the answer: the READ's"),
    answerTag: raw(40, 16, 'answer tag'),
    position: uint(56, 4, 'position of this segment in the answer, in bytes: a multiple of the segment size'),
    data: segmentData,
  }),
  WAIT: message(11, '←', 'server tag key', 24, true, { request }),
  ERROR: message(12, '←', 'server tag key', 32, true, {
    request,
    code: named(24, 2, ERRORS, 'code'),
    retryAfterMs: retryAfterMs(28),
  }),
  PING: message(13, '→', 'client tag key', 32, true, {
    role: named(16, 1, ROLES, 'role'),
    badReads: uint(18, 2, 'bad reads (answered twice by a wrong tag, in this session; 65,535: or more)'),
    listVersion: known(20),
    opaque: opaque('opaque'),
  }),
  PONG: message(14, '←', 'server tag key', 32, true, {
    state: named(16, 1, STATES, 'state (as in a server entry)'),
    loadPercent: uint(17, 1, 'load percent'),
    listVersion: uint(20, 4, 'list version'),
    opaque: opaque('opaque, echoed'),
  }),
  SERVERS: message(15, '→', 'client tag key', 24, true, { listVersion: known(16) }),
  LIST: message(16, '←', 'server tag key', 24, true, {
    listVersion: uint(16, 4, 'version'),
    servers: entries(20, 24, [0, MAX_SERVERS], ''),
  }),
  MOVE: message(17, '←', 'server tag key', 40, true, {
    server: entry(16, 'server entry (family 0: any other)', [0, 4, 6]),
    withinMs: uint(36, 4, 'within, ms'),
  }),
  UNKNOWN: message(18, '←', 'echoes the tag of the packet it answers', 32, false, {
    echo: raw(16, 16, 'last 16 bytes of that packet'),
  }),
  BYE: message(19, 'both', "sender's tag key", 24, true, {
    reason: named(16, 1, BYES, 'reason (0 leaving, 1 moved, 2 drained)'),
  }),
};

export type PacketName = keyof typeof MESSAGES;

export const messages = (): readonly (readonly [PacketName, Message])[] =>
  Object.entries(MESSAGES) as (readonly [PacketName, Message])[];

/** Message names and their types on the wire. */
export const TYPES = Object.fromEntries(messages().map(([name, { type }]) => [name, type])) as Readonly<
  Record<PacketName, number>
>;

/** The bytes of a packet without what is of variable length. */
export const leastBytes = ({ fixed, tagged }: Message): number => fixed + (tagged === true ? TAG_BYTES : 0);

/** What a message takes of the wire behind its header, in order. Flags of one word are rows of the same place. */
export function rowsOf({ fields }: Message): readonly Row[] {
  return Object.entries(fields)
    .flatMap(([name, field]) => field.rows(name))
    .sort((a, b) => a.at - b.at);
}

/** Where a row of a message begins. */
function placeOf(name: PacketName, row: string): number {
  const found = rowsOf(MESSAGES[name]).find((candidate) => candidate.name === row);
  if (!found) throw new Error(`${name} has no ${row}`);
  return found.at;
}

export const DATA_HEADER_BYTES = MESSAGES.DATA.fixed;
/** Bytes of the DATA header that the answer tag covers: all before it. */
export const DATA_TAGGED_BYTES = placeOf('DATA', 'answerTag');
