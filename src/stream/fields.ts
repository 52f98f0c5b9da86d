/**
 * The kinds of field that messages are made of. Each says what it takes of the wire (`rows`), and reads and writes itself there. Everything is
 * big-endian.
 */
import { addressBytes, ipv4Text } from '../kit/address.ts';

const ENTRY_BYTES = 20;

/** One row of a message's table in README.md and in `target/src/wire.h`. */
export interface Row {
  readonly at: number;
  /** A letter, and bytes of each: as many as the field says whose `says` begins with that letter. */
  readonly bytes: number | string;
  readonly name: string;
  readonly says: string;
  /** Of a row of flags: name and value of this one. */
  readonly flag?: readonly [name: string, value: number];
}

/** A field by name. Methods, so that a table may hold fields of any type. */
export interface Field<T> {
  rows(name: string): readonly Row[];
  /** `tail`: where its bytes behind the fixed part begin. */
  read(reader: Reader, tail: number): T;
  /** Into zeros. `tail`: what `tail.of` gave. */
  write(bytes: Buffer, value: T, tail: Uint8Array): void;
  /** What it has behind the fixed part; absent: nothing. */
  readonly tail?: Tail<T>;
}

interface Tail<T> {
  /** Its bytes in a packet; infinite: all that there are. */
  length(reader: Reader): number;
  of(value: T): Uint8Array;
}

/** Reads a packet whose length is known to suffice; collects the first fault instead of throwing. */
export class Reader {
  readonly bytes: Buffer;
  fault: string | undefined;
  /** The field that is read: faults name it. */
  field = '';

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
  /** A number of 64 bits is 2⁵³ − 1 at most. */
  uint(at: number, size: Size): number {
    if (size !== 8) return this.bytes.readUIntBE(at, size);
    const value = this.bytes.readUInt32BE(at) * 0x1_0000_0000 + this.bytes.readUInt32BE(at + 4);
    return this.check(value <= Number.MAX_SAFE_INTEGER, 'is above 2^53 - 1') ? value : 0;
  }
  check(good: boolean, message: string): boolean {
    if (!good) this.fault ??= `${this.field} ${message}`;
    return good;
  }
  /** One of a table's names by its value on the wire. */
  named<Name extends string>(table: Readonly<Record<Name, number>>, value: number): Name {
    const names = Object.keys(table) as Name[];
    const name = names.find((candidate) => table[candidate] === value);
    this.check(name !== undefined, `${value} is not known`);
    return name ?? (names[0] as Name);
  }
}

type Size = 1 | 2 | 4 | 8;

function writeUint(bytes: Buffer, value: number, at: number, size: Size): void {
  if (size === 8) writeU64(bytes, value, at);
  else bytes.writeUIntBE(value, at, size);
}

export function writeU64(bytes: Buffer, value: number, at: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  bytes.writeUInt32BE(high, at);
  bytes.writeUInt32BE(value - high * 0x1_0000_0000, at + 4);
}

interface Bounds {
  readonly least?: number;
  readonly most?: number;
  readonly multipleOf?: number;
}

export const uint = (
  at: number,
  size: Size,
  says: string,
  { least = 0, most = Number.MAX_SAFE_INTEGER, multipleOf = 1 }: Bounds = {},
): Field<number> => ({
  rows: (name) => [{ at, bytes: size, name, says }],
  read(reader) {
    const value = reader.uint(at, size);
    reader.check(value >= least, `is ${value}, ${least} at least`);
    reader.check(value <= most, `is ${value}, ${most} at most`);
    reader.check(value % multipleOf === 0, `is ${value}, no multiple of ${multipleOf}`);
    return value;
  },
  write: (bytes, value) => writeUint(bytes, value, at, size),
});

/** The value of this protocol version: in no packet as we know it. */
export const fixed = (at: number, size: Size, value: number, says: string): Field<undefined> => ({
  rows: (name) => [{ at, bytes: size, name, says }],
  read(reader) {
    const found = reader.uint(at, size);
    reader.check(found === value, `${found} is not known`);
    return undefined;
  },
  write: (bytes) => writeUint(bytes, value, at, size),
});

export const named = <Name extends string>(
  at: number,
  size: Size,
  table: Readonly<Record<Name, number>>,
  says: string,
): Field<Name> => ({
  rows: (name) => [{ at, bytes: size, name, says }],
  read: (reader) => reader.named(table, reader.uint(at, size)),
  write: (bytes, value) => writeUint(bytes, table[value], at, size),
});

export const flag = (at: number, size: 2 | 4, bit: number, says: string): Field<boolean> => ({
  rows: (name) => [{ at, bytes: size, name: 'flags', says: `bit ${bit} = ${says}`, flag: [name, 1 << bit] }],
  read: (reader) => ((reader.uint(at, size) >> bit) & 1) === 1,
  write(bytes, value) {
    if (value) writeUint(bytes, bytes.readUIntBE(at, size) | (1 << bit), at, size);
  },
});

/** Bytes fields are views of the packet. */
export const raw = (at: number, length: number, says: string): Field<Uint8Array> => ({
  rows: (name) => [{ at, bytes: length, name, says }],
  read: ({ bytes }) => bytes.subarray(at, at + length),
  write: (bytes, value) => void bytes.set(value, at),
});

/** Bytes behind the fixed part, `letter` of them, as two bytes at `lengthAt` say. */
export const counted = (
  lengthAt: number,
  at: number,
  [letter, least, most]: readonly [letter: string, least: number, most: number],
  says: string,
): Field<Uint8Array> => ({
  rows: (name) => [
    { at: lengthAt, bytes: 2, name: `${name}Bytes`, says: `${letter}: length of the ${name}, ${least} to ${most}` },
    { at, bytes: letter, name, says },
  ],
  read(reader, tail) {
    const length = reader.uint(lengthAt, 2);
    reader.check(length >= least && length <= most, `has ${length} bytes, ${least} to ${most}`);
    return reader.bytes.subarray(tail, tail + length);
  },
  write: (bytes, _value, tail) => void bytes.writeUInt16BE(tail.length, lengthAt),
  tail: { length: (reader) => reader.uint(lengthAt, 2), of: (value) => value },
});

/** The same as UTF-8; too long a text is cut between characters. */
export function text(lengthAt: number, at: number, most: number): Field<string> {
  const bytes = counted(lengthAt, at, ['n', 0, most], 'text in UTF-8');
  return {
    rows: bytes.rows,
    read: (reader, tail) => Buffer.from(bytes.read(reader, tail)).toString('utf8'),
    write: (packet, _value, tail) => void packet.writeUInt16BE(tail.length, lengthAt),
    tail: { length: (reader) => reader.uint(lengthAt, 2), of: (value) => cutText(value, most) },
  };
}

function cutText(whole: string, most: number): Buffer {
  let bytes = Buffer.from(whole, 'utf8');
  for (let kept = whole; bytes.length > most; bytes = Buffer.from(kept, 'utf8'))
    kept = [...kept].slice(0, Math.min([...kept].length - 1, most)).join('');
  return bytes;
}

export const STATES = { Unknown: 0, Streaming: 1, Draining: 2, Unreachable: 3 } as const;
export type ServerState = keyof typeof STATES;

export interface ServerEntry {
  /** Address as text; empty: any other server (only in MOVE). */
  readonly host: string;
  readonly port: number;
  readonly state: ServerState;
}

function readEntry(reader: Reader, at: number, families: readonly number[]): ServerEntry {
  const { bytes } = reader;
  const family = bytes.readUInt8(at);
  reader.check(families.includes(family), `has address family ${family}, which is not known`);
  const address = bytes.subarray(at + 4, at + ENTRY_BYTES);
  const host = family === 4 ? ipv4Text(address) : family === 6 ? ipv6Text(address) : '';
  return { host, state: reader.named(STATES, bytes.readUInt8(at + 1)), port: bytes.readUInt16BE(at + 2) };
}

const ipv6Text = (bytes: Buffer): string =>
  Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');

function writeEntry(bytes: Buffer, { host, port, state }: ServerEntry, at: number): void {
  const address = host === '' ? new Uint8Array(0) : addressBytes(host);
  if (!address) throw new Error(`server entry: ${host} is no IP address`);
  bytes[at] = address.length === 4 ? 4 : address.length === 16 ? 6 : 0;
  bytes[at + 1] = STATES[state];
  bytes.writeUInt16BE(port, at + 2);
  bytes.set(address, at + 4);
}

export const entry = (at: number, says: string, families: readonly number[] = [4, 6]): Field<ServerEntry> => ({
  rows: (name) => [{ at, bytes: ENTRY_BYTES, name, says }],
  read: (reader) => readEntry(reader, at, families),
  write: (bytes, value) => writeEntry(bytes, value, at),
});

/** Server entries behind the fixed part; of more than `most` the first ones, which is all that a client takes. */
export const entries = (
  countAt: number,
  at: number,
  [least, most]: readonly [least: number, most: number],
  says: string,
): Field<readonly ServerEntry[]> => ({
  rows: (name) => [
    { at: countAt, bytes: 2, name: 'count', says: `s: entries of the list, ${least} to ${most}${says}` },
    { at, bytes: `${ENTRY_BYTES} s`, name, says: 'server entries' },
  ],
  read(reader, tail) {
    const count = reader.uint(countAt, 2);
    reader.check(count >= least && count <= most, `has ${count} entries, ${least} to ${most}`);
    return Array.from({ length: count }, (_, index) => readEntry(reader, tail + index * ENTRY_BYTES, [4, 6]));
  },
  write: (bytes, _value, tail) => void bytes.writeUInt16BE(tail.length / ENTRY_BYTES, countAt),
  tail: {
    length: (reader) => reader.uint(countAt, 2) * ENTRY_BYTES,
    of(value) {
      const bytes = Buffer.alloc(Math.min(value.length, most) * ENTRY_BYTES);
      for (const [index, one] of value.slice(0, most).entries()) writeEntry(bytes, one, index * ENTRY_BYTES);
      return bytes;
    },
  },
});
