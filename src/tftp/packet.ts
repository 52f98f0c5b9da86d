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

export type DecodeFault = Fault<
  'TooShort' | 'TooLong' | 'UnknownOpcode' | 'NotTerminated' | 'BadMode' | 'EmptyName' | 'OptionCut' | 'OptionTwice'
>;

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
      const texts = strings(wire.subarray(2));
      if (!texts.ok) return texts;
      const options = optionsOf(texts.value);
      return options.ok ? ok({ type: 'OACK', options: options.value }) : options;
    }
    default:
      return fail('UnknownOpcode', `opcode ${opcode}; 1 to 6 are known`);
  }
}

function request(type: 'RRQ' | 'WRQ', wire: Buffer): Result<Packet, DecodeFault> {
  if (wire.length > MAX_REQUEST_BYTES)
    return fail('TooLong', `a request of ${wire.length} bytes; RFC 2347 allows ${MAX_REQUEST_BYTES}`);
  const texts = strings(wire.subarray(2));
  if (!texts.ok) return texts;
  const [name = '', mode = '', ...rest] = texts.value;
  if (name === '') return fail('EmptyName', 'the request names no file');
  const known = mode.toLowerCase();
  if (known !== 'octet' && known !== 'netascii') return fail('BadMode', `mode ${mode}; octet and netascii are served`);
  const options = optionsOf(rest);
  return options.ok ? ok({ type, name, mode: known, options: options.value }) : options;
}

/** Strings that each end with a zero byte. */
function strings(data: Buffer): Result<string[], Fault<'NotTerminated'>> {
  if (data.at(-1) !== 0) return fail('NotTerminated', 'the last string has no zero byte');
  return ok(data.toString('latin1', 0, data.length - 1).split('\0'));
}

function optionsOf(texts: readonly string[]): Result<TftpOption[], Fault<'OptionCut' | 'OptionTwice'>> {
  if (texts.length % 2 === 1) return fail('OptionCut', `option ${texts.at(-1)} has no value`);
  const options: TftpOption[] = [];
  for (let at = 0; at < texts.length; at += 2) {
    const name = (texts[at] ?? '').toLowerCase();
    if (options.some(([known]) => known === name)) return fail('OptionTwice', `option ${name} is there twice`);
    options.push([name, texts[at + 1] ?? '']);
  }
  return ok(options);
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
