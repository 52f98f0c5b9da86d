/**
 * Sealing of small JSON values with a key of the farm, so that any server can open what another one made.
 *
 * ```
 * format 1 │ key id 4 │ nonce 12 │ AES-256-GCM ciphertext … │ tag 16
 * ```
 * The key of a purpose is HKDF-SHA256(farm key, info = purpose), so a ticket never opens as a boot token; the first 17 bytes are
 * associated data. Keys rotate with overlap: the id says which of the ring's keys sealed it.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { type Fault, fail, ok, type Result } from './result.ts';

/** 32-byte keys by id; `current` seals, all of them open. */
export interface KeyRing {
  readonly current: number;
  readonly keys: ReadonlyMap<number, Uint8Array>;
}

export type SealFault = Fault<'SealMalformed' | 'SealKeyUnknown' | 'SealBroken'>;

const FORMAT = 1;
const HEADER_BYTES = 17;
const TAG_BYTES = 16;

/** KeyObjects: to be asked whether mere bytes are one costs Node 24 three times what opening a ticket does, 12 of 17 µs. */
const derived = new WeakMap<Uint8Array, Map<string, KeyObject>>();

function purposeKey(key: Uint8Array, purpose: string): KeyObject {
  const known = derived.get(key) ?? new Map<string, KeyObject>();
  derived.set(key, known);
  const found = known.get(purpose);
  if (found) return found;
  const bytes = new Uint8Array(hkdfSync('sha256', key, new Uint8Array(0), `bootfarm ${purpose}`, 32));
  const made = createSecretKey(bytes);
  known.set(purpose, made);
  return made;
}

export function seal(ring: KeyRing, purpose: string, value: unknown): Uint8Array {
  const key = ring.keys.get(ring.current);
  if (!key) throw new Error(`key ring has no current key ${ring.current}`);
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = FORMAT;
  header.writeUInt32BE(ring.current, 1);
  randomBytes(12).copy(header, 5);
  const cipher = createCipheriv('aes-256-gcm', purposeKey(key, purpose), header.subarray(5));
  cipher.setAAD(header);
  return Buffer.concat([header, cipher.update(JSON.stringify(value), 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

/** The JSON value, not yet checked for its shape: the caller parses it. */
export function open(ring: KeyRing, purpose: string, sealed: Uint8Array): Result<unknown, SealFault> {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (bytes.length < HEADER_BYTES + TAG_BYTES || bytes[0] !== FORMAT)
    return fail('SealMalformed', `${bytes.length} bytes are no sealed value of format ${FORMAT}`);
  const id = bytes.readUInt32BE(1);
  const key = ring.keys.get(id);
  if (!key) return fail('SealKeyUnknown', `sealed with key ${id}; this farm has ${[...ring.keys.keys()].join(', ')}`);
  const decipher = createDecipheriv('aes-256-gcm', purposeKey(key, purpose), bytes.subarray(5, HEADER_BYTES));
  decipher.setAAD(bytes.subarray(0, HEADER_BYTES));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const text = Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES, -TAG_BYTES)), decipher.final()]);
    return ok(JSON.parse(text.toString('utf8')));
  } catch {
    return fail('SealBroken', `does not open as ${purpose}: altered, or sealed for another purpose`);
  }
}
