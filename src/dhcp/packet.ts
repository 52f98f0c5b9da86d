/**
 * The codec of BOOTP and DHCP packets (RFC 2131 section 2, RFC 2132; table in README.md). Everything is big-endian. `decode` is total: a packet
 * or a named fault, for any bytes. Options keep their order, known or not, so that what a relay added survives.
 */
import { parseUuid } from '../farm/address.ts';
import { ipv4Bytes, ipv4Text } from '../kit/address.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { HEADER_BYTES, MAX_PACKET_BYTES, MIN_DATAGRAM_BYTES, MIN_PACKET_BYTES } from './limits.ts';
import { FIXED_BYTES, MESSAGE_TYPES, type MessageType, OPTIONS, type OptionName } from './options.ts';

const COOKIE = Buffer.from([99, 130, 83, 99]);
const COOKIE_OFFSET = 236;
const OPTIONS_OFFSET = 240;
const SNAME = { offset: 44, bytes: 64 } as const;
const FILE = { offset: 108, bytes: 128 } as const;
const MAX_HARDWARE_BYTES = 16;
const PAD = 0;
const END = 255;
const MAX_PART_BYTES = 255;
const BROADCAST = 0x8000;
/** RFC 2132 9.3: which fixed fields hold options too. */
const OVERLOAD = { file: 1, sname: 2 } as const;
const OVERLOAD_BOTH = 3;

export interface DhcpOption {
  readonly code: number;
  /** Any length: parts are put together (RFC 3396). */
  readonly data: Uint8Array;
}

export interface Packet {
  readonly op: 'request' | 'reply';
  readonly htype: number;
  readonly hops: number;
  readonly xid: number;
  readonly secs: number;
  /** All 16 flags; RFC 2131 names the first, `broadcasts`. */
  readonly flags: number;
  /** Dotted addresses, 0.0.0.0 for none. */
  readonly ciaddr: string;
  readonly yiaddr: string;
  readonly siaddr: string;
  readonly giaddr: string;
  /** Hardware address, 0 to 16 bytes. */
  readonly chaddr: Uint8Array;
  /** Latin-1, up to the first zero byte; empty when the field held options. */
  readonly sname: string;
  readonly file: string;
  /** In wire order: options field, then file, then sname. Without overload, pad and end, which are the envelope's. */
  readonly options: readonly DhcpOption[];
}

export type DecodeFault = Fault<'TooShort' | 'BadOp' | 'BadHardwareLength' | 'NoCookie'>;
export type EncodeFault = Fault<'NameTooLong' | 'BadAddress' | 'BadHardwareLength' | 'TooLong'>;

export function decode(bytes: Uint8Array): Result<Packet, DecodeFault> {
  const wire = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (wire.length < OPTIONS_OFFSET)
    return fail('TooShort', `${wire.length} bytes; a DHCP packet has ${OPTIONS_OFFSET}`);
  const op = wire.readUInt8(0);
  if (op !== 1 && op !== 2) return fail('BadOp', `op is ${op}; 1 is a request, 2 a reply`);
  const hlen = wire.readUInt8(2);
  if (hlen > MAX_HARDWARE_BYTES)
    return fail('BadHardwareLength', `hardware address of ${hlen} bytes; the field has ${MAX_HARDWARE_BYTES}`);
  if (!wire.subarray(COOKIE_OFFSET, OPTIONS_OFFSET).equals(COOKIE))
    return fail('NoCookie', 'no DHCP magic cookie: plain BOOTP is not answered');

  const main = decodeOptions(wire.subarray(OPTIONS_OFFSET));
  // One that says what no option 52 says holds nothing more: what is in its place is good.
  const mark = main.find(({ code }) => code === OPTIONS.overload.code)?.data ?? [];
  const overload = mark.length === 1 && (mark[0] ?? 0) <= OVERLOAD_BOTH ? (mark[0] ?? 0) : 0;
  const parts = [main.filter(({ code }) => code !== OPTIONS.overload.code)];
  for (const [name, field] of [['file', FILE] as const, ['sname', SNAME] as const]) {
    if ((overload & OVERLOAD[name]) === 0) continue;
    const more = decodeOptions(wire.subarray(field.offset, field.offset + field.bytes));
    parts.push(more.filter(({ code }) => code !== OPTIONS.overload.code));
  }
  return ok({
    op: op === 1 ? 'request' : 'reply',
    htype: wire.readUInt8(1),
    hops: wire.readUInt8(3),
    xid: wire.readUInt32BE(4),
    secs: wire.readUInt16BE(8),
    flags: wire.readUInt16BE(10),
    ciaddr: ipv4Text(wire, 12),
    yiaddr: ipv4Text(wire, 16),
    siaddr: ipv4Text(wire, 20),
    giaddr: ipv4Text(wire, 24),
    chaddr: Uint8Array.from(wire.subarray(28, 28 + hlen)),
    sname: (overload & OVERLOAD.sname) === 0 ? fieldText(wire, SNAME) : '',
    file: (overload & OVERLOAD.file) === 0 ? fieldText(wire, FILE) : '',
    options: concatenate(parts.flat()),
  });
}

/** At least 300 bytes, zero-padded; options after the fixed fields only (no overload: what does not fit `maxBytes` is a fault). */
export function encode(packet: Packet, maxBytes: number): Result<Uint8Array, EncodeFault> {
  if (packet.chaddr.length > MAX_HARDWARE_BYTES)
    return fail(
      'BadHardwareLength',
      `hardware address of ${packet.chaddr.length} bytes; the field has ${MAX_HARDWARE_BYTES}`,
    );
  const options = Buffer.concat([COOKIE, encodeOptions(packet.options), Buffer.of(END)]);
  const length = COOKIE_OFFSET + options.length;
  if (length > maxBytes) return fail('TooLong', `the packet has ${length} bytes; the receiver takes ${maxBytes}`);
  const wire = Buffer.alloc(Math.max(MIN_PACKET_BYTES, length));
  wire.writeUInt8(packet.op === 'request' ? 1 : 2, 0);
  wire.writeUInt8(packet.htype, 1);
  wire.writeUInt8(packet.chaddr.length, 2);
  wire.writeUInt8(packet.hops, 3);
  wire.writeUInt32BE(packet.xid, 4);
  wire.writeUInt16BE(packet.secs, 8);
  wire.writeUInt16BE(packet.flags, 10);
  for (const [index, text] of [packet.ciaddr, packet.yiaddr, packet.siaddr, packet.giaddr].entries()) {
    const address = ipv4Bytes(text);
    if (!address) return fail('BadAddress', `${text} is no IPv4 address`);
    wire.set(address, 12 + 4 * index);
  }
  wire.set(packet.chaddr, 28);
  for (const [text, field] of [[packet.sname, SNAME] as const, [packet.file, FILE] as const]) {
    const name = Buffer.from(text, 'latin1');
    // RFC 2131, section 2: it ends with a zero, and firmware reads on until there is one.
    if (name.length >= field.bytes)
      return fail('NameTooLong', `${text} has ${name.length} bytes; the field has ${field.bytes} with its zero`);
    wire.set(name, field.offset);
  }
  wire.set(options, COOKIE_OFFSET);
  return ok(wire);
}

/** Code, length, data; parts of one option are left apart. Also for options within an option. What is before a cut one is good: some relays cut. */
export function decodeOptions(data: Uint8Array): DhcpOption[] {
  const options: DhcpOption[] = [];
  let at = 0;
  while (at < data.length) {
    const code = data[at] ?? END;
    if (code === END) break;
    at += 1;
    if (code === PAD) continue;
    const bytes = data[at];
    if (bytes === undefined || bytes > data.length - at - 1) break;
    options.push({ code, data: Uint8Array.from(data.subarray(at + 1, at + 1 + bytes)) });
    at += 1 + bytes;
  }
  return options;
}

/** One byte without a length or a meaning, where an answer wants a zero. */
export const PADDING: DhcpOption = { code: PAD, data: new Uint8Array(0) };

/** Options over 255 bytes go in parts (RFC 3396). Without the end mark. */
export function encodeOptions(options: readonly DhcpOption[]): Buffer {
  return Buffer.concat(
    options.flatMap(({ code, data }) => {
      if (code === PAD) return [Buffer.of(PAD)];
      const parts = [Buffer.of(code, Math.min(MAX_PART_BYTES, data.length)), data.subarray(0, MAX_PART_BYTES)];
      for (let at = MAX_PART_BYTES; at < data.length; at += MAX_PART_BYTES) {
        const part = data.subarray(at, at + MAX_PART_BYTES);
        parts.push(Buffer.of(code, part.length), part);
      }
      return parts;
    }),
  );
}

/**
 * RFC 3396 section 7: parts of one option are one value, at the place of the first. An option of fixed length ends where it is full: whoever says it
 * twice means one, and the first counts. A part of 255 bytes always goes on, whatever the option.
 */
function concatenate(options: readonly DhcpOption[]): DhcpOption[] {
  const values = new Map<number, { readonly parts: Uint8Array[]; length: number; full: boolean }>();
  for (const { code, data } of options) {
    const value = values.get(code) ?? { parts: [], length: 0, full: false };
    values.set(code, value);
    if (value.full) continue;
    value.parts.push(data);
    value.length += data.length;
    value.full = data.length < MAX_PART_BYTES && value.length >= (FIXED_BYTES.get(code) ?? Number.POSITIVE_INFINITY);
  }
  return [...values].map(([code, { parts }]) => ({ code, data: Uint8Array.from(Buffer.concat(parts)) }));
}

export const option = (packet: Packet, name: OptionName): Uint8Array | undefined =>
  packet.options.find(({ code }) => code === OPTIONS[name].code)?.data;

/** What an option within an option holds; undefined when either is missing. */
export function inner(packet: Packet, name: OptionName, code: number): Uint8Array | undefined {
  const outer = option(packet, name);
  return outer && decodeOptions(outer).find((each) => each.code === code)?.data;
}

export function messageType(packet: Packet): MessageType | undefined {
  const data = option(packet, 'messageType');
  if (data?.length !== 1) return undefined;
  return MESSAGE_NAMES.find((name) => MESSAGE_TYPES[name] === data[0]);
}
const MESSAGE_NAMES: readonly MessageType[] = [
  'DISCOVER',
  'OFFER',
  'REQUEST',
  'DECLINE',
  'ACK',
  'NAK',
  'RELEASE',
  'INFORM',
];

/** The largest payload that the client takes (option 57), within what every client takes and what one packet of our interface has room for. */
export function mostBytes(packet: Packet, mtu = Number.POSITIVE_INFINITY): number {
  const data = option(packet, 'maxMessageBytes');
  const said = data?.length === 2 ? Buffer.from(data).readUInt16BE(0) : MIN_DATAGRAM_BYTES;
  const room = Math.min(MAX_PACKET_BYTES + HEADER_BYTES, Math.max(MIN_DATAGRAM_BYTES, mtu));
  return Math.min(room, Math.max(MIN_DATAGRAM_BYTES, said)) - HEADER_BYTES;
}

export const broadcasts = (packet: Packet): boolean => (packet.flags & BROADCAST) !== 0;

/** `aa:bb:cc:dd:ee:ff`; undefined when it is no unicast Ethernet address. */
export function mac(packet: Packet): string | undefined {
  const { chaddr, htype } = packet;
  const first = chaddr[0];
  if (htype !== 1 || chaddr.length !== 6 || first === undefined || (first & 1) === 1) return undefined;
  if (chaddr.every((byte) => byte === 0)) return undefined;
  return [...chaddr].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/**
 * SMBIOS UUID in lower case, as tools print it. Firmware sends SMBIOS's own bytes, its first three fields little-endian, whatever RFC 4578 2.3
 * means by "octets": seen from iPXE 1.0.0 and OVMF alike. Undefined when there is none, or one that names no machine.
 */
export function uuid(packet: Packet): string | undefined {
  const data = option(packet, 'clientUuid');
  if (data?.length !== 17 || data[0] !== 0) return undefined;
  const bytes = Buffer.from(data.subarray(1));
  const swapped = [bytes.subarray(0, 4), bytes.subarray(4, 6), bytes.subarray(6, 8)].map((field) => field.toReversed());
  const fields = [...swapped, bytes.subarray(8, 10), bytes.subarray(10)];
  return parseUuid(fields.map((field) => Buffer.from(field).toString('hex')).join('-'));
}

/** Option 93 is a list (RFC 4578 2.1): what the machine can load, what it likes best first. Empty: it does not say. */
export const architectures = (packet: Packet): number[] => uint16s(option(packet, 'architecture') ?? new Uint8Array(0));

/** A byte that is left over is none. */
export function uint16s(data: Uint8Array): number[] {
  const bytes = Buffer.from(data);
  return Array.from({ length: bytes.length >> 1 }, (_, index) => bytes.readUInt16BE(2 * index));
}

export const text = (data: Uint8Array | undefined): string | undefined =>
  data && Buffer.from(data).toString('latin1').replace(/\0+$/, '');

/** Plain text as iPXE sends it, or the first of RFC 3004's length-prefixed classes. */
export function userClass(packet: Packet): string | undefined {
  const data = option(packet, 'userClass');
  if (!data || data.length === 0) return undefined;
  const first = data[0] ?? 0;
  const prefixed = first > 0 && first < 0x20 && first < data.length;
  return text(prefixed ? data.subarray(1, 1 + first) : data);
}

function fieldText(wire: Buffer, { offset, bytes }: { readonly offset: number; readonly bytes: number }): string {
  const value = wire.subarray(offset, offset + bytes);
  const end = value.indexOf(0);
  return value.toString('latin1', 0, end === -1 ? bytes : end);
}
