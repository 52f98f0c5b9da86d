/** Keys and tags of the stream protocol: README.md, "Keys". HKDF-SHA256 (RFC 5869), X25519 (RFC 7748), ChaCha20-Poly1305 (RFC 8439). */
import {
  createCipheriv,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { writeU64 } from './fields.ts';
import type { Sip } from './siphash.ts';
import { DATA_TAGGED_BYTES, TAG_BYTES } from './wire.ts';

const NO_SALT = new Uint8Array(0);

/** Native code has one of its own for ATTACH (native/hkdf.ts). */
export type Hkdf = (key: Uint8Array, salt: Uint8Array, info: Uint8Array, bytes: number) => Buffer;

/** Keys are given to node:crypto as KeyObjects: bytes cost 6 to 9 µs more a call. */
export const hkdf: Hkdf = (key, salt, info, bytes) =>
  Buffer.from(hkdfSync('sha256', createSecretKey(key), salt, info, bytes));

const INFO = {
  login: Buffer.from('bootfarm session 1'),
  attach: Buffer.from('bootfarm attach 1'),
  traffic: Buffer.from('bootfarm traffic 1'),
};

export interface Share {
  /** 32 bytes, sent in clear. */
  readonly bytes: Uint8Array;
  readonly key: KeyObject;
}

export function makeShare(): Share {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return { bytes: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32), key: privateKey };
}

/** SubjectPublicKeyInfo of an X25519 key up to its 32 bytes (RFC 8410). */
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');

export interface LoginKeys {
  readonly sessionKey: Uint8Array;
  readonly loginKey: Uint8Array;
}

/**
 * A renewal is bound to the session before it by the session key `renews` of its ticket: who does not know that key learns neither of these, whatever
 * shares it puts on the way. A share of small order gives no secret, and is refused by OpenSSL.
 */
export function loginKeys(
  mine: Share,
  theirs: Uint8Array,
  clientShare: Uint8Array,
  serverShare: Uint8Array,
  renews: Uint8Array = NO_SALT,
): Result<LoginKeys, Fault<'ShareInvalid'>> {
  let secret: Buffer;
  try {
    const publicKey = createPublicKey({ key: Buffer.concat([SPKI, theirs]), format: 'der', type: 'spki' });
    secret = diffieHellman({ privateKey: mine.key, publicKey });
  } catch {
    return fail('ShareInvalid', 'the share is no X25519 key that gives a secret');
  }
  const keys = hkdf(secret, Buffer.concat([clientShare, serverShare, renews]), INFO.login, 48);
  return ok({ sessionKey: keys.subarray(0, 32), loginKey: keys.subarray(32) });
}

export const attachKey = (sessionKey: Uint8Array, derive = hkdf): Uint8Array =>
  derive(sessionKey, NO_SALT, INFO.attach, 16);

/** Where the keys lie in `all`. */
export const KEY_AT = { clientTag: 0, serverTag: 16, serverData: 32, clientData: 64, end: 96 } as const;

/** Views are made when they are asked for: a server holds tens of thousands of these. */
export class TrafficKeys {
  /** The four keys in one piece, in the order of the README, at a fixed address: native code takes it. */
  readonly all: Buffer;

  constructor(all: Buffer) {
    this.all = all;
  }
  get clientTag(): Uint8Array {
    return this.all.subarray(KEY_AT.clientTag, KEY_AT.serverTag);
  }
  get serverTag(): Uint8Array {
    return this.all.subarray(KEY_AT.serverTag, KEY_AT.serverData);
  }
  get serverData(): Uint8Array {
    return this.all.subarray(KEY_AT.serverData, KEY_AT.clientData);
  }
}

export function trafficKeys(
  sessionKey: Uint8Array,
  clientNonce: Uint8Array,
  serverNonce: Uint8Array,
  instance: Uint8Array,
  derive = hkdf,
): TrafficKeys {
  const info = Buffer.concat([INFO.traffic, instance]);
  return new TrafficKeys(derive(sessionKey, Buffer.concat([clientNonce, serverNonce]), info, KEY_AT.end));
}

/** Writes the tag into the last 16 bytes, and gives the packet back. */
export function sign(sip: Sip, key: Uint8Array, packet: Buffer): Buffer {
  packet.set(sip(key, packet.subarray(0, -TAG_BYTES)), packet.length - TAG_BYTES);
  return packet;
}

/** Is the tag in the last 16 bytes right? */
export function verify(sip: Sip, key: Uint8Array, packet: Buffer): boolean {
  return timingSafeEqual(packet.subarray(-TAG_BYTES), sip(key, packet.subarray(0, -TAG_BYTES)));
}

/** The answer tag of suite 1, over the first 40 bytes of the DATA header and the whole data of the answer. */
export function answerTag(key: Uint8Array, number: number, header: Uint8Array, data: Uint8Array): Buffer {
  const nonce = Buffer.alloc(12);
  writeU64(nonce, number, 4);
  const cipher = createCipheriv('chacha20-poly1305', createSecretKey(key), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.concat([header.subarray(0, DATA_TAGGED_BYTES), data]), { plaintextLength: 0 });
  cipher.final();
  return cipher.getAuthTag();
}

/** The answer tag of suite 3, over the first 40 bytes of the DATA header and the hashes of the answer's pieces. */
export function piecesTag(sip: Sip, key: Uint8Array, header: Uint8Array, hashes: Uint8Array): Buffer {
  return Buffer.from(sip(key.subarray(0, 16), Buffer.concat([header.subarray(0, DATA_TAGGED_BYTES), hashes])));
}
