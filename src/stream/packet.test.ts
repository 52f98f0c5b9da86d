import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decode, encode, type Packet, type ServerEntry } from './packet.ts';
import { TYPES } from './wire.ts';

const bytes = (length: number, from = 1): Uint8Array => Uint8Array.from({ length }, (_, index) => (from + index) % 256);
const V4: ServerEntry = { host: '10.0.0.11', port: 6910, state: 'Streaming' };
const V6: ServerEntry = { host: '2001:db8:0:0:0:0:0:1', port: 6911, state: 'Draining' };
const before = { session: 0, number: 0 };
const inside = { session: 0xdeadbeef, number: 2 ** 53 - 1 };
const nonce = bytes(16);

/** One of each message, every field with a value of its own. */
const PACKETS: readonly Packet[] = [
  { type: 'HELLO', ...before, nonce },
  { type: 'COOKIE', ...before, nonce, cookie: bytes(20, 50) },
  {
    type: 'LOGIN',
    ...before,
    nonce,
    cookie: bytes(20, 50),
    renew: true,
    redirected: false,
    share: bytes(32, 80),
    token: bytes(100),
  },
  {
    type: 'TICKET',
    ...before,
    nonce,
    share: bytes(32, 80),
    sizeBytes: 2 ** 41,
    blockSize: 4_096,
    mode: 'Authenticated',
    suite: 'HashThenMac',
    listVersion: 7,
    ticket: bytes(300),
    servers: [V4, V6],
  },
  { type: 'REDIRECT', ...before, nonce, server: V6 },
  { type: 'REFUSE', ...before, nonce, code: 'Busy', retryAfterMs: 700, text: 'später' },
  {
    type: 'ATTACH',
    ...before,
    nonce,
    cookie: bytes(20, 50),
    maxSegmentBytes: 1_408,
    role: 'standby',
    ticket: bytes(9),
  },
  {
    type: 'ATTACHED',
    ...inside,
    nonce,
    serverNonce: bytes(16, 90),
    instance: bytes(8, 7),
    segmentBytes: 65_408,
    mode: 'Trusted',
    suite: 'Aead',
    listVersion: 7,
    sizeBytes: 2 ** 41,
  },
  { type: 'READ', ...inside, offset: 2 ** 53 - 512, length: 65_536, hedged: true },
  {
    type: 'DATA',
    ...inside,
    request: 5,
    offset: 512,
    length: 1_024,
    answerTag: nonce,
    position: 512,
    data: bytes(512),
  },
  { type: 'WAIT', ...inside, request: 2 ** 40 },
  { type: 'ERROR', ...inside, request: 2 ** 40, code: 'Revoked', retryAfterMs: 9 },
  { type: 'PING', ...inside, role: 'standby', badReads: 0, listVersion: 3, opaque: bytes(8) },
  { type: 'PONG', ...inside, state: 'Draining', loadPercent: 99, listVersion: 3, opaque: bytes(8) },
  { type: 'SERVERS', ...inside, listVersion: 3 },
  { type: 'LIST', ...inside, listVersion: 3, servers: [V4, V6] },
  { type: 'MOVE', ...inside, server: { host: '', port: 0, state: 'Unknown' }, withinMs: 8_000 },
  { type: 'UNKNOWN', ...inside, echo: nonce },
  { type: 'BYE', ...inside, reason: 'Drained' },
];

const named = PACKETS.map((packet) => ({ name: packet.type, packet }));

/** Byte fields as arrays: Buffers and Uint8Arrays of the same bytes are the same. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, field) => (field instanceof Uint8Array ? [...field] : (field?.data ?? field))));

test('a LOGIN with a ticket has room for a tag, one with a boot token has none', () => {
  const login = PACKETS[2];
  if (login?.type !== 'LOGIN') throw new Error('no LOGIN');
  expect(encode(login)).toHaveLength(88 + 100 + 16);
  const first = encode({ ...login, renew: false });
  expect(first).toHaveLength(88 + 100);
  first.writeUInt16BE(1, 54);
  expect(decode(first)).toMatchObject({ ok: false, error: { code: 'WrongLength' } });
});

test.each([0, 1, 19, 20, 21, 256])('of a list of %i servers the first 20 are sent', (many) => {
  const servers = Array.from({ length: many }, (_, index) => ({ ...V4, host: `10.0.${index >> 8}.${index & 255}` }));
  const list = decode(encode({ type: 'LIST', ...inside, listVersion: 3, servers }));
  expect(list).toMatchObject({ ok: true, value: { servers: servers.slice(0, 20) } });
  const ticket = PACKETS[3];
  if (ticket?.type !== 'TICKET' || many === 0) return;
  const decoded = decode(encode({ ...ticket, servers }));
  expect(decoded).toMatchObject({ ok: true, value: { servers: servers.slice(0, 20), ticket: ticket.ticket } });
});

test('every message has a case here', () => {
  expect(PACKETS.map(({ type }) => TYPES[type])).toEqual(Object.values(TYPES));
});

test.each(named)('$name decodes to what was encoded', ({ packet }) => {
  const decoded = decode(encode(packet));
  expect(plain(decoded)).toEqual(plain({ ok: true, value: packet }));
});

test.each(named)('$name at an odd offset of a larger buffer reads alike', ({ packet }) => {
  const encoded = encode(packet);
  const larger = Buffer.concat([Buffer.from([1, 2, 3]), encoded, Buffer.from([4])]);
  expect(decode(larger.subarray(3, -1))).toEqual(decode(encoded));
});

test.each(named)('$name cut anywhere, or longer, is a named fault', ({ packet }) => {
  const encoded = encode(packet);
  for (let length = 0; length < encoded.length; length++) {
    const cut = decode(encoded.subarray(0, length));
    // A shorter DATA is a DATA with less data: whether it is a segment of its answer, the session knows.
    if (packet.type === 'DATA' && length > 64) expect(cut.ok).toBe(true);
    else
      expect(cut).toMatchObject({
        ok: false,
        error: { code: length < 16 ? 'TooShort' : expect.stringMatching(/TooShort|WrongLength|FieldInvalid/) },
      });
  }
  expect(decode(Buffer.concat([encoded, Buffer.alloc(2_000)])).ok).toBe(false);
});

/** Golden bytes: the tables of README.md, read by hand. */
test.each([
  {
    name: 'READ of 32 KiB at 1 MiB, packet 258 of session 0x01020304, hedged',
    packet: { type: 'READ', session: 0x01020304, number: 258, offset: 1 << 20, length: 32_768, hedged: true },
    hex: `0901000001020304000000000000010200000000001000000000800000000001${'00'.repeat(16)}`,
  },
  {
    name: 'PONG: draining, 40 % load, list 9',
    packet: {
      type: 'PONG',
      session: 1,
      number: 2,
      state: 'Draining',
      loadPercent: 40,
      listVersion: 9,
      opaque: bytes(8),
    },
    hex: `0e01000000000001000000000000000202280000000000090102030405060708${'00'.repeat(16)}`,
  },
  {
    name: 'MOVE to 10.0.0.11 port 6910 within 8 s',
    packet: { type: 'MOVE', session: 1, number: 2, server: V4, withinMs: 8_000 },
    hex:
      '11010000' +
      '00000001' +
      '0000000000000002' +
      '04011afe' +
      '0a00000b' +
      '00'.repeat(12) +
      '00001f40' +
      '00'.repeat(16),
  },
  {
    name: 'REFUSE: come back in 700 ms',
    packet: { type: 'REFUSE', ...before, nonce, code: 'Busy', retryAfterMs: 700, text: 'no' },
    hex:
      '06010000' +
      '00000000' +
      '00'.repeat(8) +
      '0102030405060708090a0b0c0d0e0f10' +
      '0006' +
      '0002' +
      '000002bc' +
      '6e6f' +
      '00'.repeat(16),
  },
] satisfies { name: string; packet: Packet; hex: string }[])('golden: $name', ({ packet, hex }) => {
  expect(encode(packet).toString('hex')).toBe(hex);
});

test.each([
  { name: 'another version', at: 1, value: 2, packet: PACKETS[0], code: 'WrongVersion' },
  { name: 'a reserved type', at: 0, value: 20, packet: PACKETS[0], code: 'UnknownType' },
  { name: 'type 0', at: 0, value: 0, packet: PACKETS[0], code: 'UnknownType' },
  { name: 'a packet number of 2^53', at: 9, value: 0x20, packet: PACKETS[8], code: 'FieldInvalid' },
  { name: 'an offset that is no multiple of 512', at: 23, value: 1, packet: PACKETS[8], code: 'FieldInvalid' },
  { name: 'a length above 64 KiB', at: 25, value: 2, packet: PACKETS[8], code: 'FieldInvalid' },
  { name: 'a role that is not known', at: 16, value: 2, packet: PACKETS[12], code: 'FieldInvalid' },
  { name: 'a segment that is no multiple of 64', at: 55, value: 1, packet: PACKETS[6], code: 'FieldInvalid' },
  { name: 'a session of segments below 448', at: 56, value: 1, packet: PACKETS[7], code: 'FieldInvalid' },
  { name: 'an address family of 5', at: 32, value: 5, packet: PACKETS[4], code: 'FieldInvalid' },
])('$name is $code', ({ packet, at, value, code }) => {
  const encoded = packet ? encode(packet) : Buffer.alloc(0);
  encoded[at] = value;
  expect(decode(encoded)).toMatchObject({ ok: false, error: { code } });
});

test('a long text is cut to 200 bytes, between characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 60, maxLength: 400 }), (text) => {
      const decoded = decode(encode({ type: 'REFUSE', ...before, nonce, code: 'Busy', retryAfterMs: 0, text }));
      if (!decoded.ok || decoded.value.type !== 'REFUSE') throw new Error('no REFUSE');
      expect(text.startsWith(decoded.value.text.replace(/�+$/, ''))).toBe(true);
      expect(Buffer.byteLength(decoded.value.text)).toBeLessThanOrEqual(200);
    }),
    { seed: 3 },
  );
});
