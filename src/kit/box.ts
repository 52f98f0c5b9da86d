/**
 * A box that anybody may fill for the holder of a private key, and nobody else may open: X25519 with a key of the moment, HKDF-SHA256, AES-256-GCM.
 *
 * ```
 * format 1 │ key id 8 │ public key of the moment 32 │ ciphertext … │ tag 16
 *
 * key 32 ‖ nonce 12 = HKDF(ikm = X25519(moment, recipient), salt = both public keys, the moment's first, info = "bootfarm " + purpose)
 * ```
 * The first 41 bytes are associated data. The key id is the start of SHA-256 of the recipient's public key: a wrong key is told from a broken box.
 * Who filled it is not proven.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  randomBytes,
} from 'node:crypto';
import { type Fault, fail, ok, type Result } from './result.ts';

export type BoxFault = Fault<'BoxMalformed' | 'BoxKeyOther' | 'BoxBroken'>;

export const BOX_KEY_BYTES = 32;
const FORMAT = 1;
const ID_BYTES = 8;
const HEADER_BYTES = 1 + ID_BYTES + BOX_KEY_BYTES;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';

/** RFC 8410: what stands before the 32 bytes of a key in DER. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');

const privateObject = (key: Uint8Array) =>
  createPrivateKey({ key: Buffer.concat([PKCS8, key]), format: 'der', type: 'pkcs8' });
const publicObject = (key: Uint8Array) =>
  createPublicKey({ key: Buffer.concat([SPKI, key]), format: 'der', type: 'spki' });

/** 32 random bytes are one. */
export const makePrivateKey = (): Buffer => randomBytes(BOX_KEY_BYTES);

export const publicKeyOf = (privateKey: Uint8Array): Buffer =>
  createPublicKey(privateObject(privateKey)).export({ format: 'der', type: 'spki' }).subarray(SPKI.length);

const idBytes = (publicKey: Uint8Array): Buffer =>
  createHash('sha256').update(publicKey).digest().subarray(0, ID_BYTES);

/** 16 hex digits. */
export const keyIdOf = (publicKey: Uint8Array): string => idBytes(publicKey).toString('hex');

/** Undefined: a point of low order, with which everybody has the same secret. */
function agreed(privateKey: Uint8Array, publicKey: Uint8Array): Buffer | undefined {
  try {
    return diffieHellman({ privateKey: privateObject(privateKey), publicKey: publicObject(publicKey) });
  } catch {
    return undefined;
  }
}

export const isBoxKey = (publicKey: Uint8Array): boolean =>
  publicKey.length === BOX_KEY_BYTES && agreed(makePrivateKey(), publicKey) !== undefined;

function secretsOf(shared: Buffer, moment: Uint8Array, recipient: Uint8Array, purpose: string) {
  const made = Buffer.from(hkdfSync('sha256', shared, Buffer.concat([moment, recipient]), `bootfarm ${purpose}`, 44));
  return [made.subarray(0, 32), made.subarray(32)] as const;
}

/** For a key that `isBoxKey`. `moment`: a private key that is used once. */
export function fillBox(
  recipient: Uint8Array,
  purpose: string,
  content: Uint8Array,
  moment: Uint8Array = makePrivateKey(),
): Buffer {
  const shared = agreed(moment, recipient);
  if (!shared) throw new Error('no key to fill a box for');
  const own = publicKeyOf(moment);
  const header = Buffer.concat([Buffer.of(FORMAT), idBytes(recipient), own]);
  const cipher = createCipheriv(CIPHER, ...secretsOf(shared, own, recipient, purpose));
  cipher.setAAD(header);
  return Buffer.concat([header, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
}

export function openBox(privateKey: Uint8Array, purpose: string, box: Uint8Array): Result<Buffer, BoxFault> {
  const bytes = Buffer.from(box.buffer, box.byteOffset, box.byteLength);
  if (bytes.length < HEADER_BYTES + TAG_BYTES || bytes[0] !== FORMAT)
    return fail('BoxMalformed', `${bytes.length} bytes are no ${purpose} of format ${FORMAT}`);
  const recipient = publicKeyOf(privateKey);
  const id = bytes.toString('hex', 1, 1 + ID_BYTES);
  if (id !== keyIdOf(recipient))
    return fail('BoxKeyOther', `the ${purpose} is sealed for key ${id}, and this is key ${keyIdOf(recipient)}`);
  const moment = bytes.subarray(1 + ID_BYTES, HEADER_BYTES);
  const shared = agreed(privateKey, moment);
  if (!shared) return fail('BoxBroken', `the ${purpose} was altered`);
  const decipher = createDecipheriv(CIPHER, ...secretsOf(shared, moment, recipient, purpose));
  decipher.setAAD(bytes.subarray(0, HEADER_BYTES));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return ok(Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES, -TAG_BYTES)), decipher.final()]));
  } catch {
    return fail('BoxBroken', `the ${purpose} was altered, or is cut`);
  }
}
