/**
 * The codec of TFTP packets (RFC 1350 section 5, options RFC 2347; table in README.md). Everything is big-endian. `decode` is total: a packet
 * or a named fault, for any bytes.
 */
import { type Fault, fail, never, ok, type Result } from '../kit/result.ts';
import { MAX_REQUEST_BYTES } from './limits.ts';

/** Opcodes, RFC 1350 section 5 and RFC 2347. */
export const OPCODES = { RRQ: 1, WRQ: 2, DATA: 3, ACK: 4, ERROR: 5, OACK: 6 } as const;

/** Error codes, RFC 1350 appendix and RFC 2347. */
export const ERRORS = {
  Undefined: 0,
  NotFound: 1,
  AccessViolation: 2,
  DiskFull: 3,
  IllegalOperation: 4,
  UnknownTransfer: 5,
  Exists: 6,
  NoSuchUser: 7,
  OptionsRefused: 8,
} as const;
export type ErrorName = keyof typeof ERRORS;

/** Name in lower case, and value, in wire order. */
export type TftpOption = readonly [name: string, value: string];

export type TransferMode = 'octet' | 'netascii';

export interface ReadRequest {
  readonly type: 'RRQ' | 'WRQ';
  readonly name: string;
  readonly mode: TransferMode;
  readonly options: readonly TftpOption[];
}

export type Packet =
  | ReadRequest
  | { readonly type: 'DATA'; readonly block: number; readonly data: Uint8Array }
  | { readonly type: 'ACK'; readonly block: number }
  | { readonly type: 'ERROR'; readonly code: number; readonly message: string }
  | { readonly type: 'OACK'; readonly options: readonly TftpOption[] };

export type DecodeFault = Fault<'TooShort' | 'TooLong' | 'UnknownOpcode' | 'BadMode' | 'EmptyName' | 'NoOption'>;

export function decode(bytes: Uint8Array): Result<Packet, DecodeFault> {
  const wire = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (wire.length < 4) return fail('TooShort', `${wire.length} bytes; the smallest packet has 4`);
  const opcode = wire.readUInt16BE(0);
  switch (opcode) {
    case OPCODES.RRQ:
      return request('RRQ', wire);
    case OPCODES.WRQ:
      return request('WRQ', wire);
    case OPCODES.DATA:
      return ok({ type: 'DATA', block: wire.readUInt16BE(2), data: Uint8Array.from(wire.subarray(4)) });
    case OPCODES.ACK:
      return ok({ type: 'ACK', block: wire.readUInt16BE(2) });
    case OPCODES.ERROR: {
      // Some clients leave out the last zero: read to the end then.
      const end = wire.indexOf(0, 4);
      return ok({
        type: 'ERROR',
        code: wire.readUInt16BE(2),
        message: wire.toString('latin1', 4, end === -1 ? wire.length : end),
      });
    }
    case OPCODES.OACK: {
      const options = optionsOf(strings(wire.subarray(2)));
      return options.length > 0 ? ok({ type: 'OACK', options }) : fail('NoOption', 'an OACK of no option');
    }
    default:
      return fail('UnknownOpcode', `opcode ${opcode}; 1 to 6 are known`);
  }
}

/** It is one by its opcode, whatever else is wrong with it: only a client asks, so an error in answer is never answered by an error. */
export const isRequest = (bytes: Uint8Array): boolean =>
  bytes[0] === 0 && (bytes[1] === OPCODES.RRQ || bytes[1] === OPCODES.WRQ);

function request(type: 'RRQ' | 'WRQ', wire: Buffer): Result<Packet, DecodeFault> {
  if (wire.length > MAX_REQUEST_BYTES)
    return fail('TooLong', `a request of ${wire.length} bytes; RFC 2347 allows ${MAX_REQUEST_BYTES}`);
  const [name = '', mode = '', ...rest] = strings(wire.subarray(2));
  if (name === '') return fail('EmptyName', 'the request names no file');
  const known = mode.toLowerCase();
  if (known !== 'octet' && known !== 'netascii')
    return fail('BadMode', `mode ${mode.slice(0, MAX_MODE_TOLD)}; octet and netascii are served`);
  return ok({ type, name, mode: known, options: optionsOf(rest) });
}

/** `netascii` and some: what is told of a mode is no longer than that, so that the answer is no larger than a block. */
const MAX_MODE_TOLD = 16;

/** Strings that each end with a zero byte. Some clients leave out the last one: read to the end then. */
const strings = (data: Buffer): string[] =>
  data.toString('latin1', 0, data.at(-1) === 0 ? data.length - 1 : data.length).split('\0');

/** The first of an option counts. What is after an empty name is padding (seen: one zero more, zeros up to 512 bytes); a name without a value asks nothing. */
function optionsOf(texts: readonly string[]): TftpOption[] {
  const options = new Map<string, string>();
  for (let at = 0; at + 1 < texts.length && texts[at] !== ''; at += 2) {
    const name = (texts[at] ?? '').toLowerCase();
    if (!options.has(name)) options.set(name, texts[at + 1] ?? '');
  }
  return [...options];
}

export function encode(packet: Packet): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(OPCODES[packet.type], 0);
  switch (packet.type) {
    case 'RRQ':
    case 'WRQ':
      return Buffer.concat([head.subarray(0, 2), zeroEnded([packet.name, packet.mode, ...packet.options.flat()])]);
    case 'OACK':
      return Buffer.concat([head.subarray(0, 2), zeroEnded(packet.options.flat())]);
    case 'DATA':
      head.writeUInt16BE(packet.block, 2);
      return Buffer.concat([head, packet.data]);
    case 'ACK':
      head.writeUInt16BE(packet.block, 2);
      return head;
    case 'ERROR':
      head.writeUInt16BE(packet.code, 2);
      return Buffer.concat([head, zeroEnded([packet.message])]);
    default:
      return never(packet);
  }
}

const zeroEnded = (texts: readonly string[]): Buffer =>
  Buffer.from(texts.map((text) => `${text}\0`).join(''), 'latin1');

/** One line a packet: for golden captures, logs and people. */
export function reading(packet: Packet): string {
  switch (packet.type) {
    case 'RRQ':
    case 'WRQ':
      return [
        packet.type,
        JSON.stringify(packet.name),
        packet.mode,
        ...packet.options.map((pair) => pair.join('=')),
      ].join(' ');
    case 'OACK':
      return ['OACK', ...packet.options.map((pair) => pair.join('='))].join(' ');
    case 'DATA':
      return `DATA ${packet.block} ${packet.data.length} bytes`;
    case 'ACK':
      return `ACK ${packet.block}`;
    case 'ERROR':
      return `ERROR ${packet.code} ${JSON.stringify(packet.message)}`;
    default:
      return never(packet);
  }
}
