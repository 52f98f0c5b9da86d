/**
 * The codec of every message, by the table of wire.ts. `decode` is total: a packet or a named fault, for any bytes. Tags are not judged here: `decode`
 * leaves them in place, `encode` leaves 16 zero bytes for `sign` (keys.ts).
 */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Field, Reader, writeU64 } from './fields.ts';
import {
  type BYES,
  type ERRORS,
  HEADER_BYTES,
  leastBytes,
  type MESSAGES,
  type MODES,
  messages,
  type PacketName,
  PROTOCOL_VERSION,
  type REFUSALS,
  type ROLES,
  type SUITES,
  TAG_BYTES,
} from './wire.ts';

export type { ServerEntry, ServerState } from './fields.ts';
export type { PacketName } from './wire.ts';
export type Mode = keyof typeof MODES;
export type Suite = keyof typeof SUITES;
export type Refusal = keyof typeof REFUSALS;
export type ReadError = keyof typeof ERRORS;
export type Role = keyof typeof ROLES;
export type ByeReason = keyof typeof BYES;

interface Header {
  /** 0 before a session. */
  readonly session: number;
  /** Packet number; 0 outside a session. */
  readonly number: number;
}

type ValueOf<F> = F extends { read(...given: never[]): infer T } ? T : never;
type FieldsOf<Name extends PacketName> = (typeof MESSAGES)[Name]['fields'];
/** What a field reads; those that always say the same are left out. */
type Values<F> = { readonly [Name in keyof F as ValueOf<F[Name]> extends undefined ? never : Name]: ValueOf<F[Name]> };

export type PacketOf<Name extends PacketName> = Name extends PacketName
  ? { readonly type: Name } & Header & Values<FieldsOf<Name>>
  : never;
export type Packet = PacketOf<PacketName>;
export type Attach = PacketOf<'ATTACH'>;
export type Attached = PacketOf<'ATTACHED'>;
export type Data = PacketOf<'DATA'>;
export type Login = PacketOf<'LOGIN'>;
export type Ping = PacketOf<'PING'>;
export type Read = PacketOf<'READ'>;

export type PacketFault = Fault<'TooShort' | 'WrongVersion' | 'UnknownType' | 'WrongLength' | 'FieldInvalid'>;

interface Layout {
  readonly name: PacketName;
  readonly type: number;
  readonly fixed: number;
  readonly least: number;
  readonly fields: readonly (readonly [name: string, field: Field<unknown>])[];
  readonly tails: readonly (readonly [name: string, tail: NonNullable<Field<unknown>['tail']>])[];
  /** The flag that says that there is a tag. */
  readonly tagFlag: readonly [name: string, field: Field<unknown>] | undefined;
}

/** The table as the codec goes through it; by type. */
const LAYOUTS: readonly (Layout | undefined)[] = messages().reduce<(Layout | undefined)[]>(
  (layouts, [name, message]) => {
    const fields = Object.entries(message.fields);
    layouts[message.type] = {
      name,
      type: message.type,
      fixed: message.fixed,
      least: leastBytes(message),
      fields,
      tails: fields.flatMap(([field, { tail }]) => (tail ? [[field, tail] as const] : [])),
      tagFlag: fields.find(([field]) => field === message.tagged),
    };
    return layouts;
  },
  [],
);
const BY_NAME = new Map(LAYOUTS.flatMap((layout) => (layout ? [[layout.name, layout] as const] : [])));

/** Byte fields of the packet are views of `bytes`: copy what must outlive it. */
export function decode(bytes: Buffer): Result<Packet, PacketFault> {
  if (bytes.length < HEADER_BYTES) return fail('TooShort', `${bytes.length} bytes hold no header`);
  if (bytes[1] !== PROTOCOL_VERSION) return fail('WrongVersion', `version ${bytes[1]}, this is ${PROTOCOL_VERSION}`);
  const layout = LAYOUTS[bytes[0] ?? 0];
  if (!layout) return fail('UnknownType', `type ${bytes[0]} is not known`);
  const { name, fixed, least, fields, tails, tagFlag } = layout;
  if (bytes.length < least) return fail('TooShort', `${name} has ${bytes.length} bytes, ${least} at least`);
  const reader = new Reader(bytes);
  let length = least + (tagFlag?.[1].read(reader, 0) === true ? TAG_BYTES : 0);
  for (const [, tail] of tails) length += tail.length(reader);
  if (bytes.length !== length && length !== Number.POSITIVE_INFINITY)
    return fail('WrongLength', `${name} has ${bytes.length} bytes, its fields say ${length}`);

  reader.field = 'packet number';
  const packet: Record<string, unknown> = { type: name, session: reader.uint(4, 4), number: reader.uint(8, 8) };
  let tailAt = fixed;
  for (const [key, field] of fields) {
    reader.field = key;
    const value = field.read(reader, tailAt);
    if (value !== undefined) packet[key] = value;
    if (field.tail) tailAt += field.tail.length(reader);
  }
  if (reader.fault !== undefined) return fail('FieldInvalid', `${name}: ${reader.fault}`);
  // The fields of a name are read as the table says: the only place that says so without the compiler.
  return ok(packet as unknown as Packet);
}

/** The bytes of a packet; 16 zero bytes at its end where it has a tag. Wrong fields (a name for an address) are bugs and throw. */
export function encode(packet: Packet): Buffer {
  const layout = BY_NAME.get(packet.type);
  if (!layout) throw new Error(`${packet.type} is no message`);
  const values = packet as unknown as Readonly<Record<string, unknown>>;
  const tails = layout.tails.map(([name, tail]) => tail.of(values[name]));
  let length = layout.least + (layout.tagFlag && values[layout.tagFlag[0]] === true ? TAG_BYTES : 0);
  for (const tail of tails) length += tail.length;

  const bytes = Buffer.alloc(length);
  bytes[0] = layout.type;
  bytes[1] = PROTOCOL_VERSION;
  bytes.writeUInt32BE(packet.session, 4);
  writeU64(bytes, packet.number, 8);
  let tailAt = layout.fixed;
  let written = 0;
  for (const [name, field] of layout.fields) {
    const tail = field.tail ? (tails[written++] ?? NONE) : NONE;
    field.write(bytes, values[name], tail);
    if (tail === NONE) continue;
    bytes.set(tail, tailAt);
    tailAt += tail.length;
  }
  return bytes;
}

const NONE = new Uint8Array(0);
